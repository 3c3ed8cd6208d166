"""Proofs: a core at small parameters, its specification, and the method and depth."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from amaranth.back import rtlil
from amaranth.hdl import ClockDomain, ClockSignal, Module, ResetSignal, Signal

from ninefold.hdl.catalogue import make_core
from ninefold.hdl.elaborate import uncollected
from ninefold.hdl.foreign import linked
from ninefold.sim.formal.dut import Dut, Inside

__all__ = ["Method", "Proof", "Task"]


class Method(StrEnum):
    """Method of a task; depths are numbers of clock cycles."""

    #: Unbounded: assertions hold in the first ``depth`` cycles, and in a cycle after any ``depth`` in which they held.
    INDUCTION = "k-induction"
    #: All assertions hold in the first ``depth`` cycles after reset, whatever the inputs.
    BOUNDED = "bounded"
    #: All cover statements are reachable in ``depth`` cycles, so the proof is not vacuous.
    COVER = "cover"


@dataclass(frozen=True)
class Task:
    """One run of the solver.

    Attributes
    ----------
    name : str
        Name of the proof, with ``.cover`` for its cover statements.
    method : Method
        Method of the task.
    depth : int
        Clock cycles.
    """

    name: str
    method: Method
    depth: int


@dataclass(frozen=True)
class Proof:
    """Core with its specification.

    Attributes
    ----------
    core : str
        Name of the core, or of a part of cores.
    name : str
        Name of the proof, unique for its core.
    claim : str
        Property that is proved, for readers.
    specify : callable
        ``specify(m, core, inside)`` adds to the module ``m`` the drivers of the inputs of ``core``, assumptions,
        assertions and cover statements; invariants use signals of ``inside``.
    method : Method
        Method for the assertions.
    depth : int
        Clock cycles for the assertions.
    cover : int
        Clock cycles in which the cover statements are reached.
    parameters : mapping of str to Any
        Parameters of the core.
    make : callable, optional
        Constructor of the core; by default the catalogue's.
    resets : bool
        Reset the core in the first cycle. Otherwise its registers start with their initial values.
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
    resets: bool = False

    @property
    def tasks(self) -> tuple[Task, Task]:
        """Tasks for the assertions and for the cover statements."""
        return Task(self.name, self.method, self.depth), Task(f"{self.name}.cover", Method.COVER, self.cover)

    def component(self) -> Any:
        """Construct the core."""
        return make_core(self.core, **self.parameters) if self.make is None else self.make(**self.parameters)

    def rtlil(self, core: Any = None, inputs: Sequence[Signal] = ()) -> str:
        """Return core and specification for the solver, as RTLIL with the top module ``top``.

        Parameters
        ----------
        core : wiring.Component, optional
            Replacement with the same interface.
        inputs : sequence of Signal
            Inputs of the top module in addition to the clock.
        """
        core = self.component() if core is None else core
        m = Module()
        m.domains.sync = clock = ClockDomain("sync", reset_less=not self.resets)
        if self.resets:
            _reset_first(m)
        m.submodules.dut = dut = Dut(core)
        self.specify(m, core, dut.signals)
        with uncollected():
            return linked(str(rtlil.convert(m, name="top", ports=[clock.clk, *inputs])))


def _reset_first(m: Module) -> None:
    """Assert the reset in the first cycle."""
    m.domains.begin = ClockDomain("begin", reset_less=True)
    begun = Signal()
    m.d.begin += begun.eq(1)
    m.d.comb += [ClockSignal("begin").eq(ClockSignal("sync")), ResetSignal("sync").eq(~begun)]
