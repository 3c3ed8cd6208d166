"""Mutants of the cores: verdicts of the testbenches, and proofs of equivalence for the mutants they pass."""

from ninefold.sim.mutation.campaign import Campaign, Status, Verdict
from ninefold.sim.mutation.catalogue import SUBJECTS, Subject, subject_of

__all__ = ["SUBJECTS", "Campaign", "Status", "Subject", "Verdict", "subject_of"]
