"""Candidate store: the candidates of the last two scans, ready to be read."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from ninefold.hdl.checks import check_integer
from ninefold.hdl.parts.layouts import candidate_layout
from ninefold.spec.formats import CANDIDATES_MAX, DIMENSIONS_MAX
from ninefold.spec.link import ROWS_MAX, TICKETS

__all__ = ["CandidateStore"]


class CandidateStore(wiring.Component):
    """Candidates of the last two scans, each in a half of a memory; scans take the halves in turn, the lower one first.

    A candidate is accepted each cycle, without back-pressure, and can be read from the next cycle on. The half that is
    written is undefined for the reader. Results without a row (``valid`` 0) are not stored.

    Parameters
    ----------
    dimensions : int
        Nits per row, 1 to 4096.
    depth : int
        Maximum number of rows, 1 to 65536.
    keep : int
        Maximum number of candidates of a scan, 1 to 8192.

    Members
    -------
    results : In(stream.Signature({score: signed(coarse_bits(dimensions)), id, valid: 1, last: 1}))
        Candidates in any order, at most ``keep`` of a scan; ``last`` ends the scan. The store is always ready.
    address : In(1 + bits of keep - 1)
        Half of the memory, in the top bit, and number of the candidate in the order of ``results``.
    word : Out({id: 16, score: signed(16)})
        Candidate at the address that was given two cycles before.
    scanned : Out(1)
        High in the cycle after the last result of a scan was accepted; its total is valid from then on.
    totals : Out(range(keep + 1)[2])
        Number of candidates in each half, of its last complete scan.

    Raises
    ------
    InputError
        A parameter outside what is allowed.
    """

    def __init__(self, dimensions: int, depth: int, keep: int) -> None:
        self._keep = check_integer("keep", keep, 1, CANDIDATES_MAX)
        check_integer("dimensions", dimensions, 1, DIMENSIONS_MAX)
        check_integer("depth", depth, 1, ROWS_MAX)
        super().__init__(
            {
                "results": In(stream.Signature(candidate_layout(dimensions, depth), always_ready=True)),
                "address": In(1 + (keep - 1).bit_length()),
                "word": Out(data.StructLayout({"id": 16, "score": signed(16)})),
                "scanned": Out(1),
                "totals": Out(data.ArrayLayout(range(keep + 1), TICKETS)),
            }
        )

    def elaborate(self, _platform: object) -> Module:
        """Build the memory, with words as wide as a candidate, and its writer."""
        m = Module()
        result = self.results.payload
        candidate = data.StructLayout({"id": result.id.shape(), "score": result.score.shape()})
        width = len(result.id) + len(result.score)
        bits = (self._keep - 1).bit_length()
        m.submodules.memory = candidates = memory.Memory(shape=width, depth=2 << bits, init=[])
        write, read = candidates.write_port(), candidates.read_port()
        found = data.View(candidate, read.data)
        half = Signal()
        count = Signal(range(self._keep + 1))
        total = Signal(range(self._keep + 1))
        stores = self.results.valid & result.valid
        ends = self.results.valid & result.last
        m.d.comb += [
            total.eq(count + stores),
            write.addr.eq(Cat(count[:bits], half)),
            write.data.eq(Cat(result.id, result.score)),
            write.en.eq(stores),
            read.addr.eq(self.address),
        ]
        m.d.sync += [
            self.word.id.eq(found.id),
            self.word.score.eq(found.score),
            self.scanned.eq(ends),
            count.eq(Mux(ends, 0, total)),
            half.eq(half ^ ends),
        ]
        with m.If(ends):
            m.d.sync += self.totals[half].eq(total)
        return m
