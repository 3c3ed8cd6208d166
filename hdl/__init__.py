"""The fabric in Amaranth: cores, elaboration, synthesis."""
