"""What is proved: a core at small parameters, what must hold of it, and how far that is looked at."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from amaranth.back import rtlil
from amaranth.hdl import ClockDomain, Module

from ninefold.hdl.catalogue import make_core
from ninefold.hdl.elaborate import uncollected
from ninefold.sim.formal.dut import Dut, Inside

__all__ = ["Method", "Proof", "Task"]


class Method(StrEnum):
    """How a task is done; a depth is a number of clock cycles."""

    #: All assertions hold for ever: in the first ``depth`` cycles, and in a cycle behind any ``depth`` where they held.
    INDUCTION = "k-induction"
    #: All assertions hold in the first ``depth`` cycles after reset, whatever the inputs.
    BOUNDED = "bounded"
    #: All cover statements can be reached in ``depth`` cycles: the assumptions leave something to prove.
    COVER = "cover"


@dataclass(frozen=True)
class Task:
    """One run of the solver.

    Attributes
    ----------
    name : str
        That of its proof, with ``.cover`` for its cover statements.
    method : Method
        How.
    depth : int
        Clock cycles.
    """

    name: str
    method: Method
    depth: int


@dataclass(frozen=True)
class Proof:
    """A core with what must hold of it.

    Attributes
    ----------
    core : str
        Name of the core, as in ``ninefold.hdl.catalogue.CORES``, or of a part of cores.
    name : str
        Name of the proof, unique for its core.
    claim : str
        What is proved, for a reader.
    specify : callable
        ``specify(m, core, inside)`` adds to the module ``m`` what drives the inputs of ``core``, what is assumed and
        asserted, and cover statements; invariants look ``inside``.
    method : Method
        Of the assertions.
    depth : int
        Clock cycles for the assertions.
    cover : int
        Clock cycles in which the cover statements are reached.
    parameters : mapping of str to Any
        What the core is made with.
    make : callable, optional
        Makes the core from its parameters; by default the catalogue does.
    """

    core: str
    name: str
    claim: str
    specify: Callable[[Module, Any, Inside], None]
    method: Method
    depth: int
    cover: int
    parameters: Mapping[str, Any]
    make: Callable[..., Any] | None = None

    @property
    def tasks(self) -> tuple[Task, Task]:
        """The assertions, and the cover statements."""
        return Task(self.name, self.method, self.depth), Task(f"{self.name}.cover", Method.COVER, self.cover)

    def component(self) -> Any:
        """Make the core."""
        return make_core(self.core, **self.parameters) if self.make is None else self.make(**self.parameters)

    def rtlil(self, core: Any = None) -> str:
        """Return core and specification for the solver, as RTLIL with the top module ``top``.

        Parameters
        ----------
        core : wiring.Component, optional
            Another core of the same interface in the place of this one.
        """
        core = self.component() if core is None else core
        m = Module()
        # Registers begin with their initial values, and nothing resets them.
        m.domains.sync = clock = ClockDomain("sync", reset_less=True)
        m.submodules.dut = dut = Dut(core)
        self.specify(m, core, dut.signals)
        with uncollected():
            return str(rtlil.convert(m, name="top", ports=[clock.clk]))
