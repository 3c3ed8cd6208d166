"""Formal specifications of the cores, and the proofs that they keep to them."""

from ninefold.sim.formal.catalogue import PROOFS, proofs_of
from ninefold.sim.formal.proof import Method, Proof, Task
from ninefold.sim.formal.prover import Outcome, prove

__all__ = ["PROOFS", "Method", "Outcome", "Proof", "Task", "proofs_of", "prove"]
