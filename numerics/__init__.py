"""Computations that several layers share, on NumPy arrays: packed nits, grid values, ranked lists and their merge."""
