"""The CPU backend: exact on nits, on the fastest of several paths that the machine has."""

from .device import Cpu

__all__ = ["Cpu"]
