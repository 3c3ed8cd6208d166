"""States of the executor that check queries."""

from amaranth.hdl import Cat, Module, Mux, Signal

from ninefold.hdl.miner.execution import Execution
from ninefold.spec.link import FORMAT_GRID, PREFIX_BYTES, RESULT_BYTES, Fault

__all__ = ["Queries"]

#: Faults of a query's prefix; the first that applies is reported.
_QUERY_FAULTS = (Fault.LENGTH, Fault.FORMAT, Fault.EMPTY, Fault.EPOCH, Fault.K)


class Queries(Execution):
    """Build the states from ``QUERY`` to a job, after which the bytes of the queries follow."""

    def _query(self, m: Module) -> None:
        p, header = self._p, self.headers.payload
        form, count, k = self._prefix[:8], self._prefix[8:16], self._prefix[16:]
        # Both stop once the value is too large.
        asked = Signal(range(p.buffer_bytes + max(p.query_bytes) + PREFIX_BYTES))
        answer = Signal(range(p.reply_limit + RESULT_BYTES * p.k + PREFIX_BYTES))
        results = k[: p.k.bit_length()]
        faults = {fault: Signal(name=f"fault_{fault.name.lower()}") for fault in _QUERY_FAULTS}
        fewer, goes_on, exact, small = (Signal(name=n) for n in ("fewer", "goes_on", "exact", "small"))
        with self._at(m, "QUERY"):
            m.d.sync += [
                self._todo.eq(count),
                asked.eq(PREFIX_BYTES),
                answer.eq(PREFIX_BYTES),
                fewer.eq(results < self._rows),
                faults[Fault.LENGTH].eq((self._length < PREFIX_BYTES) | (count == 0)),
                faults[Fault.FORMAT].eq(form > FORMAT_GRID),
                faults[Fault.EMPTY].eq(self._rows == 0),
                faults[Fault.EPOCH].eq(header.epoch != self.epoch),
                faults[Fault.K].eq((k == 0) | (k > p.k)),
            ]
            self._go(m, "QUERY CHECK")
        with self._at(m, "QUERY CHECK"):
            m.d.sync += self._results.eq(Mux(fewer, results, self._rows))
            with m.If(~Cat(*faults.values()).any()):
                self._go(m, "QUERY SIZE")
            for fault in reversed(_QUERY_FAULTS):
                with m.If(faults[fault]):
                    self._refuse(m, fault)
        with self._at(m, "QUERY SIZE"):
            m.d.sync += [
                goes_on.eq((self._todo != 0) & (asked <= self._length)),
                exact.eq(asked == self._length),
                small.eq(answer <= p.reply_limit),
            ]
            self._go(m, "QUERY SIZED")
        with self._at(m, "QUERY SIZED"):
            with m.If(goes_on & small):
                self._go(m, "QUERY SIZE")
                m.d.sync += [
                    self._todo.eq(self._todo - 1),
                    asked.eq(asked + Mux(form == FORMAT_GRID, p.query_bytes[1], p.query_bytes[0])),
                    answer.eq(answer + (self._results << 1) + (self._results << 2)),
                ]
            with m.Elif(~small):
                self._refuse(m, Fault.REPLY)
            with m.Elif(~exact):
                self._refuse(m, Fault.LENGTH)
            with m.Elif(self._quiet | (self.of_grid == form[0])):
                m.d.sync += self.of_grid.eq(form[0])
                self._go(m, "JOB")
