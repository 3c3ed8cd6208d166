"""Harness for measuring a core alone, with four pads."""

from amaranth.hdl import Cat, ClockDomain, ClockSignal, Module, ResetSignal, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["Harness"]


class Harness(wiring.Component):
    """Registers around a core, so that paths to and from pads are not measured and few pads are needed.

    Every input bit of the core comes from one long shift register. Every output bit is registered and folded into
    another shift register. Synthesis can therefore remove no part of the core, and all its external paths start or end
    in a register. The reset is registered too.

    Parameters
    ----------
    core : wiring.Component
        Core to measure, added as submodule ``core``.

    Members
    -------
    clk, rst : In(1)
        Clock and reset pads.
    serial : In(1)
        Input of the first shift register.
    folded : Out(1)
        Output of the second shift register.
    """

    def __init__(self, core: wiring.Component) -> None:
        self._core = core
        super().__init__({"clk": In(1), "rst": In(1), "serial": In(1), "folded": Out(1)})

    def elaborate(self, _platform: object) -> Module:
        """Build the shift registers around the core."""
        m = Module()
        m.submodules.core = self._core
        m.domains.sync = ClockDomain(local=True)
        m.domains.harness = ClockDomain(local=True, reset_less=True)
        reset = Signal()
        m.d.comb += [
            ClockSignal("sync").eq(self.clk),
            ClockSignal("harness").eq(self.clk),
            ResetSignal("sync").eq(reset),
        ]
        m.d.harness += reset.eq(self.rst)

        members = list(self._core.signature.flatten(self._core))
        inputs = Cat(value for _, member, value in members if member.flow == In)
        outputs = Cat(value for _, member, value in members if member.flow == Out)
        shifted = Signal(len(inputs))
        seen = Signal(len(outputs))
        fold = Signal(len(outputs))
        m.d.harness += [
            shifted.eq(Cat(self.serial, shifted)),
            seen.eq(outputs),
            fold.eq(Cat(seen[0], seen[1:] ^ fold)),
        ]
        m.d.comb += [inputs.eq(shifted), self.folded.eq(fold[-1])]
        return m
