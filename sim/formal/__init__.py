"""Formal specifications of the cores and proofs of them."""

from ninefold.sim.formal.proof import Method, Proof, Task
from ninefold.sim.formal.prover import ProofOutcome, prove

__all__ = ["Method", "Proof", "ProofOutcome", "Task", "prove"]
