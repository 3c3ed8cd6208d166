"""Golden models, benches, formal specifications, verilated models and the RTL backend."""
