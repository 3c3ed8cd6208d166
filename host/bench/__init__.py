"""Benchmarks of the host, beside peers in the same run."""
