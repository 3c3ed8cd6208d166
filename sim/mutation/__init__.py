"""Mutants of the cores: what their benches see, and proofs that what they do not see is no fault."""

from ninefold.sim.mutation.campaign import Campaign, Status, Verdict
from ninefold.sim.mutation.catalogue import SUBJECTS, Subject, subject_of

__all__ = ["SUBJECTS", "Campaign", "Status", "Subject", "Verdict", "subject_of"]
