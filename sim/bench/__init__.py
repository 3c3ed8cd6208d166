"""Benchmarks of the cores, and of simulating them."""
