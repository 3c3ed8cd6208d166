"""One-hot state machine, for logic that is fast or spread over the device."""

from contextlib import AbstractContextManager
from typing import cast

from amaranth.hdl import Elaboratable, Module, Signal

__all__ = ["OneHot"]


class OneHot(Elaboratable):
    """One-hot state machine: one register per state.

    `amaranth.hdl.Module.FSM` encodes its state in binary, so logic for one state depends on all bits, which are routed
    to every user of a state. Here it depends on one register. Add the machine to the module as a submodule and use it
    as in::

        with states.at(m, "IDLE"), m.If(start):
            states.go(m, "BUSY")

    The first state named is the initial state. At most one ``go`` may be reached in a cycle.

    Attributes
    ----------
    now : dict of str to Signal
        Register of each state, by name.
    """

    def __init__(self) -> None:
        self.now: dict[str, Signal] = {}
        self._enters: dict[str, Signal] = {}
        self._leaves: dict[str, Signal] = {}
        self._here = ""
        self._described: set[str] = set()

    def at(self, m: Module, name: str) -> AbstractContextManager[None]:
        """Return a context for the statements of a state."""
        self._name(name)
        self._here = name
        self._described.add(name)
        return cast(AbstractContextManager[None], m.If(self.now[name]))

    def go(self, m: Module, name: str) -> None:
        """Go from the state described last to another."""
        self._name(name)
        m.d.comb += [self._enters[name].eq(1), self._leaves[self._here].eq(1)]

    def elaborate(self, _platform: object) -> Module:
        """Build the registers.

        Raises
        ------
        NameError
            The target of a ``go`` is not described.
        """
        m = Module()
        if missing := self.now.keys() - self._described:
            raise NameError(f"states that are not described: {', '.join(sorted(missing))}")
        for name, now in self.now.items():
            m.d.sync += now.eq(self._enters[name] | (now & ~self._leaves[name]))
        return m

    def _name(self, name: str) -> None:
        if name in self.now:
            return
        word = name.lower().replace(" ", "_")
        self.now[name] = Signal(name=f"at_{word}", init=not self.now)
        self._enters[name], self._leaves[name] = Signal(name=f"to_{word}"), Signal(name=f"from_{word}")
