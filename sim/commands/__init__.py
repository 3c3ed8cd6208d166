"""Commands of ``ninefold`` for simulation, proofs and virtual boards."""
