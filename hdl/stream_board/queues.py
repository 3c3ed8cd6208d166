"""Queues between the link and the streams of a core: bytes on one side, payloads on the other."""

from amaranth.hdl import Cat, Const, Module, Mux, ShapeLike, Signal, Value
from amaranth.lib import memory, stream, wiring
from amaranth.lib.wiring import In, Out

from ninefold.hdl.cores.queue import Queue
from ninefold.hdl.parts.layouts import BYTE
from ninefold.spec.streams import StreamLayout

__all__ = ["COUNT_BITS", "InputQueue", "OutputQueue"]

#: Bits of a number of payloads.
COUNT_BITS = 16


class InputQueue(wiring.Component):
    """Queue in front of an input of a core: bytes of a request in, payloads out.

    Bytes are written tentatively. ``commit`` adds them to the queue, ``rollback`` discards them. The last committed
    byte of a payload is followed by its offer 3 cycles after ``commit``, plus one for each of its other bytes.
    Throughput is one byte a cycle, if the core takes each payload at once.

    Parameters
    ----------
    layout : StreamLayout
        The stream.
    shape : ShapeLike
        Shape of its payload.
    depth : int
        Size in bytes, a power of two that holds a payload.

    Members
    -------
    put : In(1)
        Write ``byte``.
    byte : In(8)
        Byte of a payload. At most ``free`` payloads may be written before a ``commit`` or ``rollback``.
    commit, rollback : In(1)
        End of a request; not in a cycle with ``put``.
    count : In(COUNT_BITS)
        Number of payloads to commit, which must be those written.
    free : Out(range(depth // payload_bytes + 1))
        Number of payloads that the queue has room for.
    output : Out(stream.Signature(shape))
        The payloads in order.
    """

    def __init__(self, layout: StreamLayout, shape: ShapeLike, depth: int) -> None:
        self._layout, self._depth = layout, depth
        self.capacity = depth // layout.payload_bytes
        super().__init__(
            {
                "put": In(1),
                "byte": In(8),
                "commit": In(1),
                "rollback": In(1),
                "count": In(COUNT_BITS),
                "free": Out(range(self.capacity + 1), init=self.capacity),
                "output": Out(stream.Signature(shape)),
            }
        )

    def elaborate(self, _platform: object) -> Module:
        """Build the memory, its pointers, and the register that gathers a payload."""
        m = Module()
        size = self._layout.payload_bytes
        m.submodules.memory = kept = memory.Memory(
            shape=8, depth=self._depth, init=[], attrs={"ram_style": "block"} if self._depth >= 256 else {}
        )
        write, read = kept.write_port(), kept.read_port()
        # Pointers have one bit more than an address. Bytes before `sound` are committed.
        taken, sound, end = (Signal(self._depth.bit_length(), name=name) for name in ("taken", "sound", "end"))
        shown, moves, advance, returns = (Signal(name=n) for n in ("shown", "moves", "advance", "returns"))
        held = Signal(8 * size, reset_less=True)
        rest, whole = Signal(range(size), init=size - 1, name="rest"), Signal(name="whole")
        m.d.comb += [
            write.addr.eq(end[:-1]),
            write.data.eq(self.byte),
            write.en.eq(self.put),
            moves.eq(shown & (~whole | self.output.ready)),
            advance.eq((taken != sound) & (~shown | moves)),
            read.addr.eq(taken[:-1]),
            read.en.eq(advance),
            returns.eq(moves & (rest == 0)),
            self.output.valid.eq(whole),
            Value.cast(self.output.payload).eq(_payload(held, self._layout)),
        ]
        m.d.sync += [
            end.eq(Mux(self.rollback, sound, end + self.put)),
            shown.eq(advance | (shown & ~moves)),
            taken.eq(taken + advance),
            whole.eq(returns | (whole & ~self.output.ready)),
            self.free.eq(self.free + returns - Mux(self.commit, self.count, 0)),
        ]
        with m.If(self.commit):
            m.d.sync += sound.eq(end)
        with m.If(moves):
            m.d.sync += [held.eq(Cat(held, read.data)[8:]), rest.eq(Mux(rest == 0, size - 1, rest - 1))]
        return m


class OutputQueue(wiring.Component):
    """Queue after an output of a core: payloads in, bytes of replies out.

    Throughput is one byte a cycle.

    Parameters
    ----------
    layout : StreamLayout
        The stream.
    shape : ShapeLike
        Shape of its payload.
    depth : int
        Size in bytes, a power of two that holds a payload.

    Members
    -------
    input : In(stream.Signature(shape))
        Payloads from the core.
    there : Out(range)
        Number of whole payloads in the queue.
    pulled : In(1)
        The last byte of a payload is taken.
    output : Out(stream.Signature({data: 8}))
        Bytes of the payloads in order. A payload that ``there`` counts is offered from two cycles later on.
    """

    def __init__(self, layout: StreamLayout, shape: ShapeLike, depth: int) -> None:
        self._layout, self._depth = layout, depth
        # The output of the queue holds two bytes beside the memory.
        self.capacity = (depth + 2) // layout.payload_bytes
        super().__init__(
            {
                "input": In(stream.Signature(shape)),
                "there": Out(range(self.capacity + 1)),
                "pulled": In(1),
                "output": Out(stream.Signature(BYTE)),
            }
        )

    def elaborate(self, _platform: object) -> Module:
        """Build the register that scatters a payload, and the queue of its bytes."""
        m = Module()
        size = self._layout.payload_bytes
        m.submodules.queue = queue = Queue(BYTE, self._depth, registered=True)
        held, rest, busy = Signal(8 * size, reset_less=True), Signal(range(size)), Signal()
        moves, ends = Signal(), Signal()
        bits, data_bits = self._layout.bits, 8 * self._layout.data_bytes
        payload = Value.cast(self.input.payload)
        padded = Cat(payload[:bits], Const(0, data_bits - bits), payload[bits:])
        m.d.comb += [
            moves.eq(busy & queue.input.ready),
            ends.eq(moves & (rest == 0)),
            self.input.ready.eq(~busy | ends),
            queue.input.valid.eq(busy),
            queue.input.payload.data.eq(held[:8]),
        ]
        m.d.sync += [
            self.there.eq(self.there + ends - self.pulled),
            busy.eq(self.input.valid | (busy & ~ends)),
        ]
        with m.If(self.input.ready):
            m.d.sync += [held.eq(padded), rest.eq(size - 1)]
        with m.Elif(moves):
            m.d.sync += [held.eq(held[8:]), rest.eq(rest - 1)]
        wiring.connect(m, queue.output, wiring.flipped(self.output))
        return m


def _payload(held: Signal, layout: StreamLayout) -> Value:
    """Return the bits of a payload from its bytes."""
    last = held[8 * layout.data_bytes] if layout.last else Cat()
    return Cat(held[: layout.bits], last)
