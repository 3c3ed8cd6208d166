"""Golden models, testbenches, formal specifications, verilated models and the RTL backend."""
