"""Event counter whose value can be held while it is read."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["Counter"]


class Counter(wiring.Component):
    """Event counter. ``hold`` freezes its value for up to 255 cycles without losing events.

    Parameters
    ----------
    width : int
        Bits of the count, which wraps around.
    first : int
        Initial value, modulo ``2**width``.

    Members
    -------
    event : In(1)
        Count one; visible two cycles later.
    hold : In(1)
        Freeze ``value``.
    clear : In(1)
        Set the count to `first`. Assert it for at least one cycle after power-on and after a reset, which does not
        affect these registers.
    value : Out(width)
        Current count.
    """

    def __init__(self, width: int, first: int = 0) -> None:
        self._first = first % 2**width
        super().__init__({"event": In(1), "hold": In(1), "clear": In(1), "value": Out(width)})

    def elaborate(self, _platform: object) -> Module:
        """Build the count and the pending events."""
        m = Module()
        value = Signal.like(self.value, reset_less=True)
        m.d.comb += self.value.eq(value)
        pending = Signal(8, reset_less=True)
        with m.If(self.clear):
            m.d.sync += [value.eq(self._first), pending.eq(0)]
        with m.Elif(self.hold):
            m.d.sync += pending.eq(pending + self.event)
        with m.Else():
            m.d.sync += [value.eq(value + pending), pending.eq(self.event)]
        return m
