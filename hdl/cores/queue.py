"""FIFO in block RAM."""

from amaranth.hdl import Module, Shape, ShapeLike, Signal
from amaranth.lib import memory, stream, wiring
from amaranth.lib.wiring import In, Out

from ninefold.hdl.checks import check_integer
from ninefold.hdl.core import Core
from ninefold.spec.errors import InputError

__all__ = ["CORE", "Queue"]


class Queue(wiring.Component):
    """FIFO with its elements in one memory, which saves area if they are wide.

    Throughput is one element a cycle. Latency is 2 cycles: an element accepted in cycle t by an empty queue is offered
    from cycle t + 2 on. With ``registered`` it is 3.

    Parameters
    ----------
    shape : ShapeLike
        Shape of an element.
    depth : int
        Elements in the memory, a power of two from 2 to 65536. The output holds one more, or two if ``registered``.
    registered : bool
        Add a register after the memory, because block RAM is slow.

    Members
    -------
    input : In(stream.Signature(shape))
        The elements.
    output : Out(stream.Signature(shape))
        The elements in order.

    Raises
    ------
    InputError
        The depth is not allowed.
    """

    def __init__(self, shape: ShapeLike, depth: int, *, registered: bool = False) -> None:
        self._registered = registered
        self._depth = check_integer("depth", depth, 2, 2**16)
        if depth & (depth - 1):
            raise InputError(f"depth must be a power of two, not {depth}")
        super().__init__({"input": In(stream.Signature(shape)), "output": Out(stream.Signature(shape))})

    def elaborate(self, _platform: object) -> Module:
        """Build the memory and its two pointers, which have one bit more than an address."""
        m = Module()
        width = Shape.cast(self.input.payload.shape()).width
        m.submodules.memory = elements = memory.Memory(shape=width, depth=self._depth, init=[])
        write, read = elements.write_port(), elements.read_port()
        given = Signal(self._depth.bit_length())
        taken = Signal.like(given)
        shown = Signal()
        moves = Signal()
        advance = Signal()
        # Registered, because the source may be far away.
        room = Signal(init=1)
        m.d.comb += [
            self.input.ready.eq(room),
            write.addr.eq(given[:-1]),
            write.data.eq(self.input.payload),
            write.en.eq(self.input.valid & self.input.ready),
            advance.eq((given != taken) & (~shown | moves)),
            read.addr.eq(taken[:-1]),
            read.en.eq(advance),
        ]
        m.d.sync += [
            room.eq(advance | (room & ~(write.en & (((given + 1) ^ taken)[: len(given)] == self._depth)))),
            shown.eq(advance | (shown & ~moves)),
        ]
        with m.If(write.en):
            m.d.sync += given.eq(given + 1)
        with m.If(advance):
            m.d.sync += taken.eq(taken + 1)
        if self._registered:
            word = Signal(width, reset_less=True)
            offered = Signal()
            m.d.comb += [
                moves.eq(shown & (~offered | self.output.ready)),
                self.output.payload.eq(word),
                self.output.valid.eq(offered),
            ]
            m.d.sync += offered.eq(moves | (offered & ~self.output.ready))
            with m.If(moves):
                m.d.sync += word.eq(read.data)
        else:
            m.d.comb += [
                moves.eq(shown & self.output.ready),
                self.output.payload.eq(read.data),
                self.output.valid.eq(shown),
            ]
        return m


def _of_words(width: int, depth: int) -> Queue:
    """Construct a queue of plain words.

    Parameters
    ----------
    width : int
        Bits of a word.
    depth : int
        Elements in the memory, a power of two from 2 to 65536.
    """
    return Queue(width, depth)


CORE = Core(
    _of_words,
    defaults={"width": 8, "depth": 16},
    smallest={"width": 2, "depth": 4},
)
