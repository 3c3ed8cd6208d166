"""Count bank: how often each score of a lane came, with sums over groups of scores."""

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["CountBank"]


class CountBank(wiring.Component):
    """Counts at places, in block RAM, and the sums of groups of ``2**group_bits`` places, in distributed RAM.

    Throughput is one count, clear or read a cycle, in any order of places. A changed count is written two cycles after
    its place was given. A place that is given again within that time takes the count from the pipeline, so no word
    is used that was read in the cycle of its write.

    Parameters
    ----------
    pairs : int
        Pairs of groups; there are ``pairs * 2 << group_bits`` places.
    group_bits : int
        Bits of a place within its group.
    width : int
        Bits per count.

    Members
    -------
    place : In(range(places))
        Place to count, clear or read.
    count : In(1)
        Add 1 to the count of the place, and to the sum of its group.
    clear : In(1)
        Set both to 0. Not allowed with ``count``.
    single : Out(width)
        Count of the place that was given two cycles before, unless it was counted or cleared in the two cycles before
        that.
    upper, lower : Out(width)
        Sums of the two groups of the pair in which the place that was given two cycles before lies, the higher places
        in ``upper``.
    """

    def __init__(self, pairs: int, group_bits: int, width: int) -> None:
        self._pairs = pairs
        self._group_bits = group_bits
        self._width = width
        super().__init__(
            {
                "place": In(range(pairs * 2 << group_bits)),
                "count": In(1),
                "clear": In(1),
                "single": Out(width),
                "upper": Out(width),
                "lower": Out(width),
            }
        )

    def elaborate(self, _platform: object) -> Module:
        """Build the registers and the three memories."""
        m = Module()
        # What was given in the previous cycle.
        place = Signal.like(self.place, name="given_place", reset_less=True)
        count = Signal()
        clear = Signal()
        m.d.sync += [place.eq(self.place), count.eq(self.count), clear.eq(self.clear)]
        self._singles(m, place, count, clear)
        # A group has one bit of its place more than a place within it.
        pair, half = place[self._group_bits + 1 :], place[self._group_bits]
        for i, (name, port) in enumerate((("lowers", self.lower), ("uppers", self.upper))):
            m.submodules[name] = sums = memory.Memory(shape=self._width, depth=self._pairs, init=[])
            write, read = sums.write_port(), sums.read_port(domain="comb")
            before = Signal(self._width, name=f"before_{name}", reset_less=True)
            m.d.comb += [
                read.addr.eq(pair),
                write.addr.eq(pair),
                write.en.eq((count | clear) & (half == i)),
                # A sum of -1 is cleared, so that the multiplexer is not after the adder.
                write.data.eq(Mux(clear, -1, read.data) + 1),
                port.eq(before),
            ]
            m.d.sync += before.eq(read.data)
        return m

    def _singles(self, m: Module, place_1: Signal, count_1: Signal, clear_1: Signal) -> None:
        """Add the memory of single places, whose counts are read, registered, incremented and written."""
        places = self._pairs * 2 << self._group_bits
        m.submodules.singles = counts = memory.Memory(shape=self._width, depth=places, init=[])
        write, read = counts.write_port(), counts.read_port()
        # What was given two cycles before, which is written now.
        place_2 = Signal.like(self.place, name="written_place", reset_less=True)
        changes_2 = Signal()
        changes_1 = count_1 | clear_1
        # Whether the place was changed 1 or 2 cycles before: now, and a cycle later.
        again = Signal(2)
        again_1 = Signal(2)
        # The last cycle of a place adds 1 to a word, to the total of 1 or 2 cycles before, or to -1 to clear it.
        source = Signal(2)
        word, total, total_1, total_2 = (
            Signal(self._width, name=name, reset_less=True) for name in ("word", "total", "total_1", "total_2")
        )
        m.d.comb += [
            again.eq(Cat(changes_1 & (place_1 == self.place), changes_2 & (place_2 == self.place))),
            read.addr.eq(self.place),
            total.eq(Array([word, total_1, total_2, Const(-1, self._width)])[source] + 1),
            write.en.eq(changes_2),
            write.addr.eq(place_2),
            write.data.eq(total),
            self.single.eq(word),
        ]
        m.d.sync += [
            place_2.eq(place_1),
            changes_2.eq(changes_1),
            again_1.eq(again),
            source.eq(Mux(clear_1, 3, Mux(again_1[0], 1, Cat(0, again_1[1])))),
            word.eq(read.data),
            total_1.eq(total),
            total_2.eq(total_1),
        ]
