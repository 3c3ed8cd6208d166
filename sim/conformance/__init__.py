"""Conformance: every backend's answers, and the states after its steps, compared with the golden models."""

from ninefold.sim.conformance.cases import Case, Sequence, Step
from ninefold.sim.conformance.judge import difference, judged, state_difference

__all__ = ["Case", "Sequence", "Step", "difference", "judged", "state_difference"]
