"""Credit-based flow control: a queue behind a pipeline that cannot stall."""

from amaranth.hdl import Module, Shape, ShapeLike, Signal
from amaranth.lib import fifo, stream, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["CreditQueue"]


class CreditQueue(wiring.Component):
    """FIFO that reserves room before its data arrive.

    It is fed by a free-running pipeline. Each element takes a credit before it enters the pipeline, so its result
    always finds room here. Back-pressure reaches the input of the pipeline through one counter instead of a clock
    enable on every register.

    Throughput is one element a cycle. An element pushed into an empty queue is offered two cycles later. Its credit
    returns in the cycle after it has left. A pipeline of ``L`` registers that takes an element each cycle never stalls
    if ``depth`` is at least ``L + 3``.

    Parameters
    ----------
    shape : ShapeLike
        Shape of an element.
    depth : int
        Maximum number of elements in the queue and in the pipeline before it, at least 1.

    Members
    -------
    credit : Out(1)
        A credit is available.
    take : In(1)
        Take a credit; allowed only while ``credit`` is high.
    push : In(1)
        Store ``element``, for which a credit was taken before.
    element : In(shape)
        Element to store.
    output : Out(stream.Signature(shape))
        The elements in order.
    """

    def __init__(self, shape: ShapeLike, depth: int) -> None:
        self._depth = depth
        super().__init__(
            {
                "credit": Out(1),
                "take": In(1),
                "push": In(1),
                "element": In(shape),
                "output": Out(stream.Signature(shape)),
            }
        )

    def elaborate(self, _platform: object) -> Module:
        """Build the queue and the counter of credits."""
        m = Module()
        width = Shape.cast(self.element.shape()).width
        m.submodules.queue = queue = fifo.SyncFIFOBuffered(width=width, depth=self._depth)
        m.d.comb += [
            queue.w_data.eq(self.element),
            queue.w_en.eq(self.push),
            self.output.payload.eq(queue.r_data),
            self.output.valid.eq(queue.r_rdy),
            queue.r_en.eq(self.output.ready),
        ]

        credits = Signal(range(self._depth + 1), init=self._depth)
        given = Signal()
        m.d.comb += [
            self.credit.eq(credits != 0),
            given.eq(self.output.valid & self.output.ready),
        ]
        with m.If(self.take & ~given):
            m.d.sync += credits.eq(credits - 1)
        with m.Elif(~self.take & given):
            m.d.sync += credits.eq(credits + 1)
        return m
