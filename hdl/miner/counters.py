"""Counter that can be held while it is read."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["Counter"]


class Counter(wiring.Component):
    """Counts events, and shows the same number while ``hold`` is high; nothing is lost in up to 255 such cycles.

    Parameters
    ----------
    width : int
        Bits of the count, which wraps around.
    first : int
        What it counts from, modulo ``2**width``.

    Members
    -------
    event : In(1)
        Count one; shown two cycles later.
    hold : In(1)
        Keep ``value``.
    clear : In(1)
        Count from `first` again; for one cycle at least after power-on and after a reset, which these registers do not
        obey.
    value : Out(width)
        The count.
    """

    def __init__(self, width: int, first: int = 0) -> None:
        self._first = first % 2**width
        super().__init__({"event": In(1), "hold": In(1), "clear": In(1), "value": Out(width)})

    def elaborate(self, _platform: object) -> Module:
        """Build the count and what has to be added to it."""
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
