"""Credit-based flow control: a queue behind a pipeline that cannot stall."""

from amaranth.hdl import Module, Shape, ShapeLike, Signal
from amaranth.lib import fifo, stream, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["CreditQueue"]


class CreditQueue(wiring.Component):
    """FIFO that promises room before the data exist.

    A free-running pipeline feeds it: whatever enters the pipeline first takes a credit, so its result always finds
    room here, and back-pressure reaches the entrance of the pipeline through one counter instead of a clock enable
    on every register.

    Throughput is one element a cycle. An element pushed in one cycle is offered two cycles later when the queue was
    empty; its credit comes back in the cycle after it has left. To never stall a pipeline of ``L`` registers that
    takes an element each cycle, ``depth`` must be at least ``L + 3``.

    Parameters
    ----------
    shape : ShapeLike
        Shape of an element.
    depth : int
        Elements that may be in the queue and on their way to it, at least 1.

    Members
    -------
    credit : Out(1)
        At least one credit is left.
    take : In(1)
        Take a credit. Only while ``credit`` is high.
    push : In(1)
        Store ``element``, whose credit was taken before.
    element : In(shape)
        What to store.
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
