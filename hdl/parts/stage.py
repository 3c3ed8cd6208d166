"""Pipeline register for a stream, without combinational paths."""

from amaranth.hdl import Module, Mux, ShapeLike, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["StreamStage"]


class StreamStage(wiring.Component):
    """Two-element buffer (skid buffer) that registers payload, valid and ready.

    Throughput is one element a cycle, latency 1 cycle.

    Parameters
    ----------
    shape : ShapeLike
        Shape of an element.

    Members
    -------
    input : In(stream.Signature(shape))
        The elements.
    output : Out(stream.Signature(shape))
        The elements in order.
    """

    def __init__(self, shape: ShapeLike) -> None:
        super().__init__({"input": In(stream.Signature(shape)), "output": Out(stream.Signature(shape))})

    def elaborate(self, _platform: object) -> Module:
        """Build the output register, and the register for an element that arrives while the output is stalled."""
        m = Module()
        spilled = Signal.like(self.input.payload, reset_less=True)
        spills = Signal()
        m.d.comb += self.input.ready.eq(~spills)
        with m.If(~spills):
            m.d.sync += spilled.eq(self.input.payload)
        with m.If(~self.output.valid | self.output.ready):
            m.d.sync += [
                self.output.payload.eq(Mux(spills, spilled, self.input.payload)),
                self.output.valid.eq(spills | self.input.valid),
                spills.eq(0),
            ]
        with m.Elif(self.input.valid):
            m.d.sync += spills.eq(1)
        return m
