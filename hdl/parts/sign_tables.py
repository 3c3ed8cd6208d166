"""Tables of signed sums: the arithmetic of the sign engine."""

from math import lcm
from typing import NamedTuple

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out

from ninefold.hdl.parts.adders import chained_sums

__all__ = ["SIGNED_MAGNITUDE", "TABLE_DIMENSIONS", "WORD_BITS", "SignTables", "fill_step", "signed_magnitude"]

#: Dimensions that share a table.
TABLE_DIMENSIONS = 4
#: Nit as magnitude and sign.
SIGNED_MAGNITUDE = data.StructLayout({"magnitude": 3, "negative": 1})
#: Entries of a table, one for each combination of signs.
_ENTRIES = 1 << TABLE_DIMENSIONS
#: Bits of an entry, without its carry.
WORD_BITS = 4


def signed_magnitude(nit: Value) -> Value:
    """Recode a nit.

    Parameters
    ----------
    nit : Value
        4 bits, two's complement, in -4..4.

    Returns
    -------
    Value
        Bits of ``SIGNED_MAGNITUDE``.
    """
    bits = nit.as_unsigned()
    # Of a negative nit, the lowest three bits negated are the magnitude: -4 is 0b1100.
    return Cat(Mux(bits[3], -bits[:3], bits[:3])[:3], bits[3])


def fill_step(step: Value) -> tuple[Value, Value, Value]:
    """Return what a step of the fill does.

    The order of the entries is a Gray code: from an entry to the next, one dimension changes.

    Parameters
    ----------
    step : Value
        Number of the step, 4 bits.

    Returns
    -------
    index : Value
        Dimensions, as bits, in which the entry's signs agree with the nits.
    change : Value
        The dimension that changes after this step, one-hot. After the last, it is the one that leads back to entry 0.
    subtract : Value
        The changing dimension agrees now and then no longer.
    """
    index = step ^ (step >> 1)
    change = Cat(~step[0], step[:2] == 0b01, step[:3] == 0b011, step[:3] == 0b111)
    return index, change, (index & change).any()


class _Step(NamedTuple):
    """Registered control of a cycle in which tables are filled.

    Attributes
    ----------
    index, change, subtract : Signal
        As `fill_step` returns them; ``change`` is 0 while nothing is filled.
    active, first : Signal
        An entry is written; it is the first.
    beat : Signal
        Number of the beat.
    """

    index: Signal
    change: Signal
    subtract: Signal
    active: Signal
    first: Signal
    beat: Signal


class SignTables(wiring.Component):
    """Tables for a part of a query, in which signs look up the sums of its nits.

    Each four dimensions share a table with one entry for each combination of four signs. The sum of an entry adds the
    magnitudes of those nits whose sign agrees with the entry's: from 0 to 16, and the signed sum of the four nits is
    twice that, less the sum of all four magnitudes. An entry has four bits, and a sum of 16 is kept as 15. It occurs
    only with four magnitudes of 4, and then no other sum is odd, so the lowest bit and a flag of the table tell that
    there is a carry to it. With several beats, where flags would need a memory, the carry has a bit of its own.

    Tables are filled with one entry each in every cycle, in the order of a Gray code. From an entry to the next, one
    magnitude is added to the sum or subtracted. The first is the one whose signs all disagree, with a sum of 0: the
    order is rotated for each table by inverting address bits, so no start value is computed. The order is a cycle, so
    the sum returns to 0 in the end.

    Throughput is one look-up in each table of each row per cycle. Operands follow signs by ``latency`` cycles. Filling
    takes the 16 cycles after ``fill``, in which nothing may be looked up.

    Parameters
    ----------
    nits : int
        Nits per beat, a multiple of 4 and of ``width``.
    width : int
        Nits per word.
    rows : int
        Rows looked up per cycle; each has a copy of the tables.
    beats : int
        Beats of a query; more than 1 only with one row.

    Attributes
    ----------
    latency : int
        Cycles from signs to operands: 1.

    Members
    -------
    shift : In(1)
        Shift the nits by a word, towards the first; not while tables are filled.
    word : In(SIGNED_MAGNITUDE[width])
        Word that enters.
    passed : Out(SIGNED_MAGNITUDE[width])
        Word that leaves on ``shift``: the first.
    fill : In(1)
        Fill the tables of the next beat with the nits; the beats of a query follow one another, beat 0 first.
    signs : In(nits[rows])
        Signs of a beat of each row; set where a nit is negative.
    beat : In(range(beats))
        Number of that beat.
    operands : Out(unsigned(4)[rows * nits / 4])
        Sums, without the carry; row 0 first.
    carries : Out(rows * nits / 4)
        Carries of the sums.
    """

    latency = 1

    def __init__(self, nits: int, width: int, rows: int, beats: int) -> None:
        self._nits, self._rows, self._beats = nits, rows, beats
        self._tables = nits // TABLE_DIMENSIONS
        words = data.ArrayLayout(SIGNED_MAGNITUDE, width)
        super().__init__(
            {
                "shift": In(1),
                "word": In(words),
                "passed": Out(words),
                "fill": In(1),
                "signs": In(data.ArrayLayout(nits, rows)),
                "beat": In(range(beats)),
                "operands": Out(data.ArrayLayout(WORD_BITS, rows * self._tables)),
                "carries": Out(rows * self._tables),
            }
        )

    @staticmethod
    def part(span: int, width: int, most: int) -> int:
        """Return the largest number of nits, at most ``most`` if possible, in equal parts of ``span`` nits."""
        unit = lcm(TABLE_DIMENSIONS, width)
        return max(n for n in range(unit, max(unit, most) + 1, unit) if span % n == 0)

    def elaborate(self, _platform: object) -> Module:
        """Build the shift register of nits, the steps of the fill and the tables."""
        m = Module()
        nits = Signal(data.ArrayLayout(SIGNED_MAGNITUDE, self._nits), reset_less=True)
        chain = Cat(nits, self.word)
        entering = len(self.word.as_value())
        m.d.comb += self.passed.eq(nits.as_value()[:entering])
        with m.If(self.shift):
            m.d.sync += nits.eq(chain[entering:])

        # The steps run one ahead, so that what a step does comes from registers.
        running, runs = Signal(), Signal()
        step, beat = Signal(range(_ENTRIES)), Signal(range(self._beats))
        index, change, subtract = fill_step(step)
        now = _Step(
            index=Signal(TABLE_DIMENSIONS, name="index"),
            change=Signal(TABLE_DIMENSIONS, name="change"),
            subtract=Signal(name="subtract"),
            active=Signal(name="active"),
            first=Signal(name="first"),
            beat=Signal.like(beat, name="written_beat"),
        )
        m.d.comb += running.eq(self.fill | runs)
        m.d.sync += [
            now.index.eq(index),
            now.change.eq(Mux(running, change, 0)),
            now.subtract.eq(subtract),
            now.active.eq(running),
            now.first.eq(step == 0),
            now.beat.eq(beat),
        ]
        with m.If(running):
            m.d.sync += [step.eq(step + 1), runs.eq(1)]
            with m.If(step == _ENTRIES - 1):
                m.d.sync += [runs.eq(0), beat.eq(Mux(beat == self._beats - 1, 0, beat + 1))]
        totals = self._totals(m, nits, now)
        for i, total in enumerate(totals):
            negative = Cat(nits[TABLE_DIMENSIONS * i + d].negative for d in range(TABLE_DIMENSIONS))
            self._table(m, i, total, negative, now)
        return m

    def _totals(self, m: Module, nits: data.View, now: _Step) -> list[Signal]:
        """Return the sums of the entries that are written. While nothing is filled, they do not change."""
        totals = [Signal(range(_ENTRIES + 1), name=f"total_{i}") for i in range(self._tables)]
        pairs = []
        for i, total in enumerate(totals):
            magnitude: Value = Const(0)
            for d in range(TABLE_DIMENSIONS):
                magnitude |= nits[TABLE_DIMENSIONS * i + d].magnitude & now.change[d].replicate(3)
            addend = Cat(magnitude, Const(0, len(total) - 3)) ^ now.subtract.replicate(len(total))
            pairs.append((total, addend, now.subtract))
        m.d.sync += [total.eq(after) for total, after in zip(totals, chained_sums(pairs), strict=True)]
        return totals

    def _table(self, m: Module, i: int, total: Signal, negative: Value, now: _Step) -> None:
        """Build one table, with a copy for each row."""
        most = total[WORD_BITS]
        content: Value = total[:WORD_BITS] | most.replicate(WORD_BITS)
        flag = Signal(name=f"flag_{i}")
        if self._beats == 1:
            with m.If(now.active):
                m.d.sync += flag.eq(most | (flag & ~now.first))
        else:
            content = Cat(content, most)
        # Where a sign agrees with the nit, the entry's bit in `index` is set.
        address = ~(now.index ^ negative)
        for row in range(self._rows):
            table = memory.Memory(shape=len(content), depth=_ENTRIES << len(now.beat), init=[])
            m.submodules[f"table_{row}_{i}"] = table
            write, read = table.write_port(), table.read_port()
            m.d.comb += [
                write.en.eq(now.active),
                write.addr.eq(Cat(address, now.beat)),
                write.data.eq(content),
                read.en.eq(~now.active),
                read.addr.eq(Cat(self.signs[row].word_select(i, TABLE_DIMENSIONS), self.beat)),
                self.operands[row * self._tables + i].eq(read.data[:WORD_BITS]),
                self.carries[row * self._tables + i].eq(flag & read.data[0] if self._beats == 1 else read.data[-1]),
            ]
