"""cocotb benches of the cores."""
