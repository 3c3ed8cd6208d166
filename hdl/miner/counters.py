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

    Members
    -------
    event : In(1)
        Count one; shown two cycles later.
    hold : In(1)
        Keep ``value``.
    clear : In(1)
        Count from 0 again.
    value : Out(width)
        The count.
    """

    def __init__(self, width: int) -> None:
        super().__init__({"event": In(1), "hold": In(1), "clear": In(1), "value": Out(width)})

    def elaborate(self, _platform: object) -> Module:
        """Build the count and what has to be added to it."""
        m = Module()
        pending = Signal(8)
        with m.If(self.clear):
            m.d.sync += [self.value.eq(0), pending.eq(0)]
        with m.Elif(self.hold):
            m.d.sync += pending.eq(pending + self.event)
        with m.Else():
            m.d.sync += [self.value.eq(self.value + pending), pending.eq(self.event)]
        return m
