"""The cores: one Amaranth component for each operator of the fabric."""
