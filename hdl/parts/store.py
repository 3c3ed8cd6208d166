"""Word store: the memory of the similarity engine."""

from amaranth.hdl import Module, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["WordStore"]


class WordStore(wiring.Component):
    """Memory of words with one write port and one read port.

    It infers block RAM, or distributed RAM if it is shallow. Another kind of store, such as single-port RAM, can
    replace an ``exclusive`` one if it has the same timing.

    Throughput is one write and one read per cycle. The word at the address given in cycle t is on ``read_word`` in
    cycle t + ``latency``, with the content of the last write given before cycle t.

    Parameters
    ----------
    width : int
        Bits per word.
    depth : int
        Number of words.
    exclusive : bool
        A read in the cycle of a write returns an undefined word. Block RAM then needs no logic for reading a word that
        is being written.
    registered : bool
        Add registers at every pin, for fast clocks.

    Attributes
    ----------
    latency : int
        Cycles from an address to its word: 3, or 1 without registers.

    Members
    -------
    write : In(1)
        Write ``write_word`` at ``write_address``.
    write_address, read_address : In(range(depth))
        Addresses.
    write_word : In(width)
        Word to write.
    read_word : Out(width)
        Word read.
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
        """Build the memory and its registers."""
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
        # Block RAM has slow pins and is spread over the die, so it has cycles without other logic.
        read_address = Signal.like(self.read_address, reset_less=True)
        read_word = Signal(self._width, reset_less=True)
        write_address = Signal.like(self.write_address, reset_less=True)
        write_word = Signal(self._width, reset_less=True)
        # The enable is coded as a change of a 1-bit write count. Synthesis would merge plain registers with the
        # registers of neighbouring stores into one net across the device.
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
