"""The CPU backend: exact search on the fastest path that the machine supports."""

from .device import Cpu

__all__ = ["Cpu"]
