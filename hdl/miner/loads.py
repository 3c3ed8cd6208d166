"""States of the executor that load rows."""

from amaranth.hdl import Cat, Module, Signal, Value

from ninefold.hdl.miner.execution import Execution
from ninefold.hdl.miner.intake import Way
from ninefold.spec.link import PREFIX_BYTES, Fault

__all__ = ["Loads"]

#: Bits of the offset that are compared together. The bytes of the prefix and the counter of loaded bytes are far apart
#: on a large device, so a first cycle compares these parts and a second one combines the results.
_PART = 4


class Loads(Execution):
    """Build the states from ``LOAD`` to a job, which check the request and pass on the bytes of the block."""

    def _load(self, m: Module) -> None:
        p = self._p
        offset, final = self._prefix[:31], self._prefix[31]
        size = Signal.like(self._length)
        beyond = Signal(range(p.row_bytes + p.buffer_bytes))
        begins, continues, bare = (Signal(name=n) for n in ("begins", "continues", "bare"))
        beyond_store, whole_row, part_row = (Signal(name=n) for n in ("beyond_store", "whole_row", "part_row"))
        m.d.sync += [whole_row.eq(beyond >= p.row_bytes), part_row.eq(beyond != 0)]
        end = Signal(range(p.depth * p.row_bytes + p.buffer_bytes))
        set_parts, other_parts = _parts(offset), _parts(offset ^ self._counter.bytes)
        set_, other = (Signal(len(set_parts), name=n, reset_less=True) for n in ("offset_set", "offset_other"))
        with self._at(m, "LOAD"):
            m.d.sync += [
                set_.eq(set_parts),
                other.eq(other_parts),
                bare.eq(self._length <= PREFIX_BYTES),
                size.eq(self._length - PREFIX_BYTES),
                end.eq(self._counter.bytes),
                beyond.eq(self._counter.row_bytes),
            ]
            self._go(m, "LOAD OFFSET")
        with self._at(m, "LOAD OFFSET"):
            m.d.sync += [begins.eq(~set_.any()), continues.eq(self.loading & ~other.any())]
            self._go(m, "LOAD END")
        with self._at(m, "LOAD END"):
            m.d.sync += [end.eq(end + size), beyond.eq(beyond + size)]
            with m.If(begins):
                m.d.sync += [end.eq(size), beyond.eq(size)]
            self._go(m, "LOAD CHECK")
        with self._at(m, "LOAD CHECK"):
            m.d.sync += beyond_store.eq(end > p.depth * p.row_bytes)
            with m.If(bare):
                self._refuse(m, Fault.LENGTH)
            with m.Elif(~begins & ~continues):
                self._refuse(m, Fault.OFFSET)
            with m.Else():
                self._go(m, "LOAD FITS")
        with self._at(m, "LOAD FITS"):
            with m.If(beyond_store):
                self._refuse(m, Fault.STORE)
            with m.Elif(final & whole_row):
                m.d.sync += beyond.eq(beyond - p.row_bytes)
                self._go(m, "LOAD ROWS")
            with m.Elif(final & part_row):
                self._refuse(m, Fault.ROW)
            with m.Else():
                self._go(m, "LOAD WAIT")
        with self._at(m, "LOAD ROWS"):
            self._go(m, "LOAD FITS")
        self._load_block(m, begins, final)
        self._refuse_state(m, beyond)

    def _load_block(self, m: Module, begins: Signal, final: Value) -> None:
        """Pass on the bytes of a block."""
        # The engine holds words of an unfinished load.
        begun = Signal()
        with self._at(m, "LOAD WAIT"), m.If(self._quiet):
            with m.If(begins):
                m.d.sync += [
                    self.restart.eq(1),
                    self.clear_epoch.eq(1),
                    self._rows.eq(0),
                    self.loading.eq(1),
                ]
                self._go(m, "LOAD FLUSH")
            with m.Else():
                m.d.sync += self._way.eq(Way.ROWS)
                self._go(m, "LOAD BYTES")
        with self._at(m, "LOAD FLUSH"):
            m.d.sync += self.flush.eq(begun & ~(self.flush & self.flushed))
            with m.If(~begun | (self.flush & self.flushed)):
                m.d.sync += [begun.eq(1), self._way.eq(Way.ROWS)]
                self._go(m, "LOAD BYTES")
        m.d.comb += self._intake.ends.eq(final)
        with self._at(m, "LOAD BYTES"), m.If(~self._intake.more & ~self.packing):
            self._go(m, "LOADED")
        # The counts are final one cycle later.
        with self._at(m, "LOADED"):
            with m.If(final):
                m.d.sync += [self._rows.eq(self._counter.rows), self.loading.eq(0), begun.eq(0)]
            self._go(m, "JOB")


def _parts(value: Value) -> Value:
    """Return one bit for each part of a value: whether it is not 0."""
    return Cat(value[at : at + _PART].any() for at in range(0, len(value), _PART))
