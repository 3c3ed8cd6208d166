"""States of the executor that read and write registers, and that reset."""

from amaranth.hdl import Array, Module, Mux, Signal

from ninefold.hdl.miner.execution import Execution
from ninefold.hdl.miner.registers import exists, writable
from ninefold.spec.formats import THRESHOLDS
from ninefold.spec.link import Fault, Kind
from ninefold.spec.registers import BY_NAME

__all__ = ["Accesses"]


class Accesses(Execution):
    """Build the states from ``CHECK``, with the address and number of registers, and from ``RESET WAIT``, to a job."""

    def _registers(self, m: Module) -> None:
        control, threshold = BY_NAME["control"].address, BY_NAME["threshold"]
        writes = self._is[Kind.WRITE]
        done, allowed, resets = Signal(), Signal(), Signal()
        with self._at(m, "CHECK"):
            m.d.sync += [
                done.eq(self._todo == 0),
                allowed.eq(Mux(writes, writable(self._cursor), exists(self._cursor))),
            ]
            self._go(m, "CHECKED")
        with self._at(m, "CHECKED"):
            with m.If(done):
                m.d.sync += [self._cursor.eq(self._prefix[:16]), self._todo.eq(self._prefix[16:]), resets.eq(0)]
                with m.If(writes):
                    self._go(m, "WRITE WAIT")
                with m.Else():
                    self._go(m, "JOB")
            with m.Elif(allowed):
                self._go(m, "CHECK")
                m.d.sync += [self._cursor.eq(self._cursor + 1), self._todo.eq(self._todo - 1)]
            with m.Else():
                self._refuse(m, Fault.ADDRESS)
        with self._at(m, "WRITE WAIT"), m.If(self._quiet):
            m.d.comb += self._intake.restart.eq(1)
            self._go(m, "WRITE")
        m.d.comb += [self.write_address.eq(self._cursor), self.write_word.eq(self._intake.recent)]
        with self._at(m, "WRITE"), m.If(self._intake.collected):
            self._go(m, "STORE")
        with self._at(m, "STORE"):
            m.d.comb += [
                self._intake.restart.eq(1),
                self.write.eq(1),
            ]
            m.d.sync += [
                self.threshold.valid.eq(self._cursor.matches(*threshold.addresses)),
                self.threshold.payload.index.eq(self._cursor - threshold.address),
                self.threshold.payload.value.eq(self._intake.recent),
                self._cursor.eq(self._cursor + 1),
                resets.eq(resets | ((self._cursor == control) & self._intake.recent[0])),
            ]
            with m.If(self._intake.more):
                self._go(m, "WRITE")
            with m.Else():
                self._go(m, "WRITTEN")
        with self._at(m, "WRITTEN"):
            with m.If(resets):
                self._go(m, "RESET WAIT")
            with m.Else():
                self._go(m, "JOB")

    def _reset(self, m: Module) -> None:
        """Restore the thresholds one by one, and everything else in one cycle."""
        thresholds = Array(THRESHOLDS[self._p.mode].reached_at)
        index = Signal(2)
        with self._at(m, "RESET WAIT"), m.If(self._quiet):
            self._go(m, "RESET")
        with self._at(m, "RESET"):
            m.d.sync += [
                self.clear.eq(1),
                self.restart.eq(1),
                self.threshold.valid.eq(1),
                self.threshold.payload.index.eq(index),
                self.threshold.payload.value.eq(thresholds[index]),
                index.eq(index + 1),
                self._known.eq(0),
                self._rows.eq(0),
                self.loading.eq(0),
            ]
            with m.If(index == 3):
                self._go(m, "JOB")
