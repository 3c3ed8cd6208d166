"""A state machine for logic that is far-flung or fast."""

from contextlib import AbstractContextManager
from typing import cast

from amaranth.hdl import Elaboratable, Module, Signal

__all__ = ["OneHot"]


class OneHot(Elaboratable):
    """A state machine with a register for each state, of which one is set.

    `amaranth.hdl.Module.FSM` numbers its states. So what depends on one of them depends on all bits of the number, each
    of which goes wherever a state is asked for. Here it depends on one register. To be added to the module as a
    submodule, and used as in::

        with states.at(m, "IDLE"), m.If(start):
            states.go(m, "BUSY")

    The first state that is named is the initial one. In a cycle, no more than one ``go`` may be reached.

    Attributes
    ----------
    now : dict of str to Signal
        For each state whether the machine is there.
    """

    def __init__(self) -> None:
        self.now: dict[str, Signal] = {}
        self._enters: dict[str, Signal] = {}
        self._leaves: dict[str, Signal] = {}
        self._here = ""
        self._described: set[str] = set()

    def at(self, m: Module, name: str) -> AbstractContextManager[None]:
        """Return a context for what is done in a state."""
        self._name(name)
        self._here = name
        self._described.add(name)
        return cast(AbstractContextManager[None], m.If(self.now[name]))

    def go(self, m: Module, name: str) -> None:
        """Leave the state that is described last for another."""
        self._name(name)
        m.d.comb += [self._enters[name].eq(1), self._leaves[self._here].eq(1)]

    def elaborate(self, _platform: object) -> Module:
        """Build the registers.

        Raises
        ------
        NameError
            A state is gone to that is not described.
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
