"""Formal specifications of the cores and proofs of them."""

from ninefold.sim.formal.catalogue import PROOFS, proofs_of
from ninefold.sim.formal.proof import Method, Proof, Task
from ninefold.sim.formal.prover import Outcome, prove

__all__ = ["PROOFS", "Method", "Outcome", "Proof", "Task", "proofs_of", "prove"]
