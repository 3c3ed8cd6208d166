"""Word store: the memory behind the similarity engine."""

from amaranth.hdl import Module, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["WordStore"]


class WordStore(wiring.Component):
    """Memory of words with one write port and one read port.

    Infers block RAM, or distributed RAM where it is shallow. A store of another kind (single-port RAM, say) can take
    the place of an ``exclusive`` one, if it keeps the timing below.

    A word is accepted each cycle, and an address each cycle. The word at the address given in cycle t is on
    ``read_word`` in cycle t + ``latency``, and it is the one of the last write given before cycle t.

    Parameters
    ----------
    width : int
        Bits a word.
    depth : int
        Words.
    exclusive : bool
        An address given with a write reads nothing in particular. Block RAM then needs no logic that puts right what
        is read where it is written.
    registered : bool
        Whether there are registers at every pin, for fast clocks.

    Attributes
    ----------
    latency : int
        Cycles from an address to its word: 3, or 1 without registers.

    Members
    -------
    write : In(1)
        Write ``write_word`` at ``write_address``.
    write_address, read_address : In(range(depth))
        Which word.
    write_word : In(width)
        What to write.
    read_word : Out(width)
        What was read.
    """

    def __init__(self, width: int, depth: int, *, exclusive: bool, registered: bool = True) -> None:
        self.latency = 3 if registered else 1
        self._registered = registered
        self._width = width
        self._depth = depth
        self._exclusive = exclusive
        super().__init__(
            {
                "write": In(1),
                "write_address": In(range(depth)),
                "write_word": In(width),
                "read_address": In(range(depth)),
                "read_word": Out(width),
            }
        )

    def elaborate(self, _platform: object) -> Module:
        """Build the memory, and the registers around it."""
        m = Module()
        m.submodules.memory = storage = memory.Memory(shape=self._width, depth=self._depth, init=[])
        write = storage.write_port()
        read = storage.read_port()
        m.d.comb += read.en.eq(~write.en if self._exclusive else 1)
        if not self._registered:
            m.d.comb += [
                write.en.eq(self.write),
                write.addr.eq(self.write_address),
                write.data.eq(self.write_word),
                read.addr.eq(self.read_address),
                self.read_word.eq(read.data),
            ]
            return m
        # Block RAM is slow at its pins and spread over the die, so no logic shares a cycle with it.
        read_address = Signal.like(self.read_address, reset_less=True)
        read_word = Signal(self._width, reset_less=True)
        write_address = Signal.like(self.write_address, reset_less=True)
        write_word = Signal(self._width, reset_less=True)
        # The enable is a change in a count of writes modulo 2: plain registers would be merged with those of the
        # stores beside this one, into one net across the device.
        written, written_before = Signal(), Signal()
        m.d.sync += [
            read_address.eq(self.read_address),
            read_word.eq(read.data),
            written.eq(written ^ self.write),
            written_before.eq(written),
            write_address.eq(self.write_address),
            write_word.eq(self.write_word),
        ]
        m.d.comb += [
            write.en.eq(written ^ written_before),
            read.addr.eq(read_address),
            self.read_word.eq(read_word),
            write.addr.eq(write_address),
            write.data.eq(write_word),
        ]
        return m
