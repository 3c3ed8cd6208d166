"""Conformance: every backend's answers, and the states after its steps, compared with the golden models."""

from ninefold.sim.conformance.cases import Case, Sequence, Step, cases_of
from ninefold.sim.conformance.judge import difference, judged, state_difference
from ninefold.sim.conformance.suite import Verdict, conform

__all__ = ["Case", "Sequence", "Step", "Verdict", "cases_of", "conform", "difference", "judged", "state_difference"]
