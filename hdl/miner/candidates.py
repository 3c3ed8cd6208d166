"""States of the executor that start scans and return their candidates."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring

from ninefold.hdl.miner.execution import Execution
from ninefold.spec.link import CANDIDATE_BYTES, FETCH_BYTES, FORMAT_GRID, PREFIX_BYTES, TICKET_MAX, Fault

__all__ = ["Candidates"]

#: Faults of the prefix of CANDIDATES; the first that applies is reported.
_PREFIX_FAULTS = (Fault.LENGTH, Fault.FORMAT, Fault.EMPTY, Fault.EPOCH, Fault.KEEP)


class Candidates(Execution):
    """Build the states from ``CANDIDATES`` and from ``FETCH`` to a job.

    The bytes of a query and of its mask follow the job, while an earlier query is scanned if it has the same format.
    """

    def _candidates(self, m: Module) -> None:
        wiring.connect(m, self._intake.mask, wiring.flipped(self.mask))
        m.d.comb += self._intake.mask_bytes.eq(self._mask_bytes)
        self._start(m)
        self._tickets(m)

    def _start(self, m: Module) -> None:
        """Check a query, and start its scan."""
        p, header = self._p, self.headers.payload
        form, masked, keep = self._prefix[:8], self._prefix[8:16], self._prefix[16:]
        packed_bytes, grid_bytes = p.query_bytes
        size = Signal.like(self._length)
        faults = {fault: Signal(name=f"wrong_{fault.name.lower()}") for fault in _PREFIX_FAULTS}
        exact, follows, begins = (Signal(name=n) for n in ("exact", "follows", "begins"))
        with self._at(m, "CANDIDATES"):
            m.d.sync += [
                self._mask_bytes.eq(Mux(masked[0], (self._rows + 7) >> 3, 0)),
                size.eq(Mux(form[0], PREFIX_BYTES + grid_bytes, PREFIX_BYTES + packed_bytes)),
                faults[Fault.LENGTH].eq((self._length < PREFIX_BYTES) | (masked > 1)),
                faults[Fault.FORMAT].eq(form > FORMAT_GRID),
                faults[Fault.EMPTY].eq(self._rows == 0),
                faults[Fault.EPOCH].eq(header.epoch != self.epoch),
                faults[Fault.KEEP].eq((keep == 0) | (keep > p.keep)),
            ]
            self._go(m, "CANDIDATES CHECK")
        with self._at(m, "CANDIDATES CHECK"):
            m.d.sync += size.eq(size + self._mask_bytes)
            with m.If(~Cat(*faults.values()).any()):
                self._go(m, "CANDIDATES SIZE")
            for fault in reversed(_PREFIX_FAULTS):
                with m.If(faults[fault]):
                    self._refuse(m, fault)
        with self._at(m, "CANDIDATES SIZE"):
            m.d.sync += [exact.eq(size == self._length), follows.eq(self.of_grid == form[0])]
            self._go(m, "CANDIDATES SIZED")
        with self._at(m, "CANDIDATES SIZED"):
            with m.If(exact):
                self._go(m, "CANDIDATES WAIT")
            with m.Else():
                self._refuse(m, Fault.LENGTH)
        # The oldest ticket's candidates are sent, and its scan is complete.
        m.d.comb += begins.eq(self._built & ((self._running == 0) | ((self._running == 1) & follows)))
        with self._at(m, "CANDIDATES WAIT"), m.If(begins):
            m.d.comb += self._starts.eq(1)
            m.d.sync += self.of_grid.eq(form[0])
            self._go(m, "JOB")
        scan = self.scan.payload
        m.d.sync += [self.scan.valid.eq(self._starts), scan.keep.eq(keep), scan.masked.eq(masked[0])]

    def _tickets(self, m: Module) -> None:
        """Keep the last two tickets, and count the scans in progress."""
        following, wraps = Signal(16, reset_less=True), Signal()
        m.d.sync += [
            wraps.eq(self._ticket == TICKET_MAX),
            following.eq(Mux(wraps, 1, self._ticket + 1)),
            self._running.eq(self._running + self._starts - self.scanned),
        ]
        with m.If(self._starts):
            m.d.sync += [
                self._ticket.eq(following),
                self._older.eq(self._ticket),
                self._tickets_kept.eq(Cat(1, self._tickets_kept)),
                self._half.eq(~self._half),
            ]
        with m.If(self.clear | self.clear_epoch):
            m.d.sync += self._tickets_kept.eq(0)
        with m.If(self.clear):
            m.d.sync += self._ticket.eq(0)

    def _fetch(self, m: Module) -> None:
        p = self._p
        ticket, offset, count = self._prefix[:16], self._prefix[16:], self._prefix[:16]
        short, is_last, is_older, long, beyond = (
            Signal(name=n) for n in ("short", "is_last", "is_older", "long", "beyond_total")
        )
        end = Signal(17, name="fetch_end", reset_less=True)
        with self._at(m, "FETCH"):
            m.d.sync += [
                short.eq(self._length != FETCH_BYTES),
                is_last.eq(self._tickets_kept[0] & (ticket == self._ticket)),
                is_older.eq(self._tickets_kept[1] & (ticket == self._older)),
                self._cursor.eq(offset),
            ]
            self._go(m, "FETCH CHECK")
        with self._at(m, "FETCH CHECK"):
            m.d.sync += self._fetched_half.eq(self._half ^ is_older)
            with m.If(short):
                self._refuse(m, Fault.LENGTH)
            with m.Elif(is_last | is_older):
                m.d.comb += self._intake.restart.eq(1)
                self._go(m, "FETCH COUNT")
            with m.Else():
                self._refuse(m, Fault.TICKET)
        with self._at(m, "FETCH COUNT"), m.If(self._intake.collected):
            m.d.sync += [
                long.eq(count > (p.reply_limit - PREFIX_BYTES) // CANDIDATE_BYTES),
                end.eq(self._cursor + count),
            ]
            self._go(m, "FETCH SIZED")
        with self._at(m, "FETCH SIZED"):
            with m.If(long):
                self._refuse(m, Fault.REPLY)
            with m.Else():
                self._go(m, "FETCH WAIT")
        with self._at(m, "FETCH WAIT"):
            m.d.sync += self._total.eq(self.totals[self._fetched_half])
            with m.If((self._running == 0) | ((self._running == 1) & is_older)):
                self._go(m, "FETCH RANGE")
        with self._at(m, "FETCH RANGE"):
            m.d.sync += beyond.eq(end > self._total)
            self._go(m, "FETCH RANGED")
        with self._at(m, "FETCH RANGED"):
            with m.If(beyond):
                self._refuse(m, Fault.RANGE)
            with m.Else():
                self._go(m, "JOB")
