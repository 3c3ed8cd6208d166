"""Verilated cores: a core's Verilog, compiled to a cached shared library that processes whole arrays."""

from ninefold.sim.verilated.build import prepare, tools_or_reason
from ninefold.sim.verilated.design import Design, design, elaborate
from ninefold.sim.verilated.model import Gaps, Model, Run
from ninefold.sim.verilated.streams import Field, Stream
from ninefold.sim.verilated.tools import Tools, find_tools
from ninefold.sim.verilated.traced import TracedModel

__all__ = [
    "Design",
    "Field",
    "Gaps",
    "Model",
    "Run",
    "Stream",
    "Tools",
    "TracedModel",
    "design",
    "elaborate",
    "find_tools",
    "prepare",
    "tools_or_reason",
]
