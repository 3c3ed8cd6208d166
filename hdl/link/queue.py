"""Queue in block RAM without registers around it."""

from amaranth.hdl import Module, Shape, ShapeLike, Signal
from amaranth.lib import memory, stream, wiring
from amaranth.lib.wiring import In, Out

from ninefold.hdl.cores.checks import check_integer
from ninefold.spec.errors import InputError

__all__ = ["BlockQueue"]


class BlockQueue(wiring.Component):
    """FIFO whose output is the register inside a block RAM, which makes it small where elements are wide.

    Throughput is one element a cycle. Latency is 2 cycles: an element accepted in cycle t by an empty queue is offered
    from cycle t + 2 on.

    Parameters
    ----------
    shape : ShapeLike
        Shape of an element.
    depth : int
        Elements in the memory, a power of two from 2 to 65536; one more is on offer.

    Members
    -------
    input : In(stream.Signature(shape))
        The elements.
    output : Out(stream.Signature(shape))
        The elements in order.

    Raises
    ------
    InputError
        A depth outside what is allowed.
    """

    def __init__(self, shape: ShapeLike, depth: int) -> None:
        self._depth = check_integer("depth", depth, 2, 2**16)
        if depth & (depth - 1):
            raise InputError(f"depth must be a power of two, not {depth}")
        super().__init__({"input": In(stream.Signature(shape)), "output": Out(stream.Signature(shape))})

    def elaborate(self, _platform: object) -> Module:
        """Build the memory and its two pointers, which have a bit more than an address."""
        m = Module()
        width = Shape.cast(self.input.payload.shape()).width
        m.submodules.memory = elements = memory.Memory(shape=width, depth=self._depth, init=[])
        write, read = elements.write_port(), elements.read_port()
        given = Signal(self._depth.bit_length())
        taken = Signal.like(given)
        shown = Signal()
        advance = Signal()
        m.d.comb += [
            self.input.ready.eq((given ^ taken) != self._depth),
            write.addr.eq(given[:-1]),
            write.data.eq(self.input.payload),
            write.en.eq(self.input.valid & self.input.ready),
            advance.eq((given != taken) & (~shown | self.output.ready)),
            read.addr.eq(taken[:-1]),
            read.en.eq(advance),
            self.output.payload.eq(read.data),
            self.output.valid.eq(shown),
        ]
        m.d.sync += [
            given.eq(given + write.en),
            taken.eq(taken + advance),
            shown.eq(advance | (shown & ~self.output.ready)),
        ]
        return m
