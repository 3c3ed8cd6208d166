"""Comparison of all levels on the same vectors: golden model, processor, RTL, synthesised netlist and board."""

from ninefold.sim.levels.case import Case, Place, Reading
from ninefold.sim.levels.compare import LEVELS, Divergence, Result, Setup, compare
from ninefold.sim.levels.netlist import FAMILIES, netlist

__all__ = ["FAMILIES", "LEVELS", "Case", "Divergence", "Place", "Reading", "Result", "Setup", "compare", "netlist"]
