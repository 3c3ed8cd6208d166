"""The CPU backend: exact search on the fastest path that the machine supports."""

from .device import Cpu

__all__ = ["REASON", "Cpu"]

#: Reason why an operator is not run.
REASON = "no code for the processor is written for it"
