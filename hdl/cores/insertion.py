"""Top-k by insertion: small and slow, for designs in which a score takes many cycles anyway."""

from amaranth.hdl import Cat, Module, Mux, Shape, Signal, signed
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from ninefold.hdl.checks import check_integer
from ninefold.hdl.core import Core
from ninefold.spec.formats import K_MAX

__all__ = ["CORE", "Insertion"]


class Insertion(wiring.Component):
    """Streaming selection of the k largest scores of each batch, as :class:`ninefold.hdl.cores.TopK`, in memory.

    A memory holds the best scores of a batch in order. A new score is compared with them from the lowest up, and
    smaller entries move down by one. The memory holds two batches, so one leaves while the next enters.

    A score takes 2 cycles if it is not among the k best, and at most ``interval`` otherwise. The last score of a batch
    takes one more. A source with at least ``interval`` cycles between scores stalls only for one cycle after a batch,
    if the results of a batch leave before the next batch ends. Result 0 is offered at most ``k + 4`` cycles after the
    last score of its batch was accepted, and the others follow, one a cycle.

    Parameters
    ----------
    k : int
        Results per batch, 1 to 256. A batch of fewer scores has as many results as scores.
    score_width : int
        Bits per score, 1 to 64; signed.
    id_width : int
        Bits per id, 1 to 64.

    Attributes
    ----------
    interval : int
        ``k + 2`` cycles.

    Members
    -------
    scores : In(stream.Signature({score: signed(score_width), id: id_width, last: 1}))
        Scores with their ids; ``last`` ends a batch.
    results : Out(stream.Signature({score: signed(score_width), id: id_width, last: 1}))
        Largest scores of each batch in descending order, ties in order of arrival; ``last`` on the final one.

    Raises
    ------
    InputError
        A parameter outside what is allowed.
    """

    def __init__(self, k: int, score_width: int, id_width: int) -> None:
        self.k = check_integer("k", k, 1, K_MAX)
        check_integer("score_width", score_width, 1, 64)
        check_integer("id_width", id_width, 1, 64)
        self.interval = k + 2
        self._entry = data.StructLayout({"score": signed(score_width), "id": id_width})
        payload = data.StructLayout({"score": signed(score_width), "id": id_width, "last": 1})
        super().__init__({"scores": In(stream.Signature(payload)), "results": Out(stream.Signature(payload))})

    def elaborate(self, _platform: object) -> Module:
        """Build the memory of two batches, its writer and its reader."""
        m = Module()
        bits = max(1, (self.k - 1).bit_length())
        width = Shape.cast(self._entry).width
        m.submodules.memory = entries = memory.Memory(shape=width, depth=2 << bits, init=[])
        # A complete batch of `count` entries, and its half of the memory.
        closes, taken, half = Signal(), Signal(), Signal()
        count = Signal(range(self.k + 1))
        self._insert(m, entries.write_port(), entries.read_port(), bits, (closes, taken, half, count))
        self._drain(m, entries.read_port(), bits, (closes, taken, half, count))
        return m

    def _insert(
        self,
        m: Module,
        write: memory.WritePort,
        read: memory.ReadPort,
        bits: int,
        batch: tuple[Signal, Signal, Signal, Signal],
    ) -> None:
        closes, taken, half, count = batch
        held = Signal(self.scores.payload.shape())
        # Entries from this position on have moved down.
        place = Signal(range(self.k + 1))
        above = data.View(self._entry, read.data)
        beats = Signal()
        below = Signal(range(self.k + 1))
        m.d.comb += [
            beats.eq((place != 0) & (held.score > above.score)),
            write.addr.eq(Cat(place[:bits], half)),
            write.data.eq(Mux(beats, read.data, Cat(held.score, held.id))),
            read.addr.eq(Cat((below - 1)[:bits], half)),
            below.eq(count),
        ]
        with m.FSM():
            with m.State("ACCEPT"):
                m.d.comb += self.scores.ready.eq(1)
                m.d.sync += [held.eq(self.scores.payload), place.eq(count)]
                with m.If(self.scores.valid):
                    m.next = "INSERT"
            with m.State("INSERT"):
                m.d.comb += [write.en.eq(place != self.k), below.eq(place - 1)]
                m.d.sync += place.eq(place - 1)
                with m.If(~beats):
                    m.d.sync += count.eq(count + (count != self.k))
                    m.next = "ACCEPT"
                    with m.If(held.last):
                        m.next = "CLOSE"
            with m.State("CLOSE"):
                m.d.comb += closes.eq(1)
                with m.If(taken):
                    m.d.sync += [half.eq(~half), count.eq(0)]
                    m.next = "ACCEPT"

    def _drain(self, m: Module, read: memory.ReadPort, bits: int, batch: tuple[Signal, Signal, Signal, Signal]) -> None:
        closes, taken, half, count = batch
        leaving, left = Signal(), Signal(range(self.k + 1))
        place = Signal(bits)
        shown, last, advance = Signal(), Signal(), Signal()
        m.d.comb += [
            taken.eq(closes & (left == 0)),
            advance.eq((left != 0) & (~shown | self.results.ready)),
            read.addr.eq(Cat(place, leaving)),
            read.en.eq(advance),
            self.results.payload.eq(Cat(read.data, last)),
            self.results.valid.eq(shown),
        ]
        with m.If(taken):
            m.d.sync += [leaving.eq(half), left.eq(count), place.eq(0)]
        with m.If(advance):
            m.d.sync += [left.eq(left - 1), place.eq(place + 1), last.eq(left == 1), shown.eq(1)]
        with m.Elif(self.results.ready):
            m.d.sync += shown.eq(0)


CORE = Core(
    Insertion,
    defaults={"k": 8, "score_width": 16, "id_width": 10},
    small={"k": 3, "score_width": 8, "id_width": 6},
    smallest={"k": 3, "score_width": 3, "id_width": 2},
)
