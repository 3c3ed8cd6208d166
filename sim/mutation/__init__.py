"""Mutants of the cores: verdicts of the testbenches, and proofs of equivalence for the mutants they pass."""

from ninefold.sim.mutation.campaign import Campaign, Status, Verdict
from ninefold.sim.mutation.subjects import Subject, subject_of, subjects

__all__ = ["Campaign", "Status", "Subject", "Verdict", "subject_of", "subjects"]
