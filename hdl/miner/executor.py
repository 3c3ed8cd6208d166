"""Executor: requests in, jobs for their replies and bytes for the engine out."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring

from ninefold.hdl.miner.accesses import Accesses
from ninefold.hdl.miner.intake import Way
from ninefold.hdl.miner.loads import Loads
from ninefold.hdl.miner.queries import Queries
from ninefold.spec.link import PREFIX_BYTES, REPLY, Fault, Kind
from ninefold.spec.registers import IDENTITY, STATISTICS

__all__ = ["Executor"]


class Executor(Accesses, Loads, Queries):
    """Checks each request, executes it, and orders its reply.

    Requests are executed in the order of arrival. A query is checked, its job is handed on, and its bytes follow, so
    that the next request is looked at while the query is scored. Loads, writes and resets, and queries in another
    format than those before, wait until all replies before them are built. A request that is refused changes nothing.

    A request with the sequence number, the content and so the CRC of one whose reply is kept is not executed: the reply
    is sent again, unless it is being made or sent. A new request waits until its slot is sent.

    Checking takes 14 to 20 cycles, and two for each register or query of the request, while nothing else is asked of
    the engine's input; the bytes of a request move at one a cycle.

    Parameters and members are those of :class:`~ninefold.hdl.miner.execution.Execution`.
    """

    def elaborate(self, _platform: object) -> Module:
        """Build the machine: look-up, checks, one group of states a command, hand-over."""
        m = Module()
        # These go far, so they are registers, a cycle behind the state.
        m.d.sync += [
            self.clear.eq(0),
            self.clear_epoch.eq(0),
            self.restart.eq(0),
            self.threshold.valid.eq(0),
            # Looked at in the cycle after it is set, and no later.
            self._fault.eq(0),
        ]
        m.submodules.intake = intake = self._intake
        wiring.connect(m, wiring.flipped(self.payload), intake.payload)
        wiring.connect(m, intake.packed, wiring.flipped(self.packed))
        wiring.connect(m, intake.grid, wiring.flipped(self.grid))
        m.submodules.counter = counter = self._counter
        wiring.connect(m, intake.row_byte, counter.input)
        m.d.comb += [
            intake.length.eq(self._length),
            intake.way.eq(self._way),
            counter.restart.eq(self.restart),
            self.rows.eq(self._rows),
            self.load_bytes.eq(counter.bytes),
            self.load_check.eq(counter.check),
        ]
        with m.FSM():
            self._begin(m)
            self._dispatch(m)
            self._registers(m)
            self._reset(m)
            self._load(m)
            self._query(m)
            self._end(m)
        handed = Signal()
        m.d.sync += [
            handed.eq(self.jobs.valid & self.jobs.ready),
            self._waiting.eq(self._waiting + handed - self.built),
        ]
        with m.If(self.sent):
            m.d.sync += self._busy.bit_select(self.sent_slot, 1).eq(0)
        return m

    def _begin(self, m: Module) -> None:
        header, slot = self.headers.payload, self._slot
        known, busy = self._known.bit_select(slot, 1), self._busy.bit_select(slot, 1)
        with m.State("IDLE"):
            m.d.comb += self._intake.begin.eq(1)
            m.d.sync += [
                self._kind.eq(header.type),
                self._job.literals.eq(0),
                self._job.words.eq(0),
                self._job.queries.eq(0),
            ]
            with m.If(self.headers.valid):
                m.next = "SELECT"
        with m.State("SELECT"):
            # A second literal is only of a reply that refuses.
            m.d.sync += self._job.second.eq(self._crcs[slot] ^ header.crc)
            m.next = "COMPARE"
        with m.State("COMPARE"):
            m.d.sync += self._repeated.eq(known & (self._job.second == 0))
            m.next = "LOOK UP"
        with m.State("LOOK UP"):
            m.d.sync += [
                self._job.slot.eq(slot),
                self._job.type.eq(header.type | REPLY),
                self._job.sequence.eq(header.sequence),
                self._job.priority.eq(header.priority),
            ]
            m.d.comb += self.again.payload.slot.eq(slot)
            with m.If(self._repeated):
                m.d.comb += self.again.valid.eq(~busy)
                with m.If(busy | self.again.ready):
                    m.d.sync += [busy.eq(1), self._way.eq(Way.DROP)]
                    m.next = "DRAIN"
            with m.Elif(~busy):
                m.d.sync += [known.eq(0), self._way.eq(Way.COLLECT)]
                m.next = "PREFIX"
        with m.State("PREFIX"), m.If(self._intake.collected | ~self._intake.more):
            m.next = "PARSE"

    def _dispatch(self, m: Module) -> None:
        length = self._length
        address, count = self._intake.recent[:16], self._intake.recent[16:]
        # What is compared stands in registers here and below: each comparison takes most of a cycle.
        empty, prefixed, counted, none = Signal(), Signal(), Signal(), Signal()
        with m.State("PARSE"):
            m.d.sync += [
                empty.eq(length == 0),
                prefixed.eq(length == PREFIX_BYTES),
                counted.eq(length == (count << 2) + PREFIX_BYTES),
                none.eq(count == 0),
            ]
            m.next = "DISPATCH"
        with m.State("DISPATCH"):
            # The first literal of a reply to IDENTIFY.
            m.d.sync += [self._cursor.eq(address), self._todo.eq(count), self._job.first.eq(self._intake.recent)]
            with m.Switch(self._kind):
                with m.Case(Kind.IDENTIFY):
                    with m.If(~prefixed):
                        self._refuse(m, Fault.LENGTH)
                    with m.Else():
                        m.d.sync += [
                            self._known.eq(0),
                            self._job.literals.eq(1),
                        ]
                        self._show(m, IDENTITY)
                with m.Case(Kind.READ):
                    with m.If(~prefixed | none):
                        self._refuse(m, Fault.LENGTH)
                    with m.Else():
                        m.next = "CHECK"
                with m.Case(Kind.WRITE):
                    with m.If(~counted | none):
                        self._refuse(m, Fault.LENGTH)
                    with m.Else():
                        m.next = "CHECK"
                with m.Case(Kind.LOAD):
                    m.next = "LOAD"
                with m.Case(Kind.QUERY):
                    m.next = "QUERY"
                with m.Case(Kind.STATISTICS, Kind.RESET):
                    with m.If(~empty):
                        self._refuse(m, Fault.LENGTH)
                    with m.Elif(self._kind == Kind.RESET):
                        m.next = "RESET WAIT"
                    with m.Else():
                        self._show(m, STATISTICS)
                with m.Default():
                    self._refuse(m, Fault.KIND)

    def _end(self, m: Module) -> None:
        slot = self._slot
        with m.State("JOB"):
            m.d.comb += [self.jobs.valid.eq(1), self.jobs.payload.eq(self._job)]
            with m.If(self.jobs.ready):
                m.next = "HANDED"
        with m.State("HANDED"):
            m.d.sync += [
                self._known.bit_select(slot, 1).eq(self._kind != Kind.IDENTIFY),
                self._busy.bit_select(slot, 1).eq(1),
                self._crcs[slot].eq(self.headers.payload.crc),
            ]
            m.d.sync += self._way.eq(Way.DROP)
            with m.If(self._job.queries != 0):
                m.d.sync += self._way.eq(Mux(self.of_grid, Way.QUERY_GRID, Way.QUERY_PACKED))
            m.next = "DRAIN"
        with m.State("DRAIN"), m.If(~self._intake.more):
            m.d.comb += self.headers.ready.eq(1)
            m.d.sync += self._way.eq(Way.HOLD)
            m.next = "IDLE"
