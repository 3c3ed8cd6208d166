"""cocotb testbenches of the cores."""
