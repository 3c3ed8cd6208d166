"""Word store: the memory behind the similarity engine."""

from amaranth.hdl import Module
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["WordStore"]


class WordStore(wiring.Component):
    """Memory of words with one write port and one read port, both registered at every pin.

    Infers block RAM, or distributed RAM where it is shallow. A store of another kind (single-port RAM, say) can take
    its place: it must keep the timing below, and may take writes and reads to exclude one another except for reads
    whose data nobody looks at.

    A word is accepted each cycle, and an address each cycle. The word at the address given in cycle t is on
    ``read_word`` in cycle t + 3, and it is the one of the last write given before cycle t.

    Parameters
    ----------
    width : int
        Bits a word.
    depth : int
        Words.

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

    #: Cycles from an address to its word.
    LATENCY = 3

    def __init__(self, width: int, depth: int) -> None:
        self._width = width
        self._depth = depth
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
        """Build the memory and the registers around it."""
        m = Module()
        m.submodules.memory = storage = memory.Memory(shape=self._width, depth=self._depth, init=[])
        write = storage.write_port()
        read = storage.read_port()
        # Block RAM is slow at its pins and spread over the die, so no logic shares a cycle with it.
        m.d.sync += [
            write.en.eq(self.write),
            write.addr.eq(self.write_address),
            write.data.eq(self.write_word),
            read.addr.eq(self.read_address),
            self.read_word.eq(read.data),
        ]
        m.d.comb += read.en.eq(1)
        return m
