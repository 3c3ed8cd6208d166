"""Proofs of parts of cores, by the names of the parts."""
