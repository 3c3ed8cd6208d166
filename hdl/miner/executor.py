"""Executor: turns requests into reply jobs and bytes for the engine."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import memory, wiring

from ninefold.hdl.miner.accesses import Accesses
from ninefold.hdl.miner.candidates import Candidates
from ninefold.hdl.miner.intake import Way
from ninefold.hdl.miner.loads import Loads
from ninefold.hdl.miner.queries import Queries
from ninefold.spec.link import PREFIX_BYTES, Fault, Kind

__all__ = ["Executor"]


class Executor(Accesses, Loads, Queries, Candidates):
    """Executor: checks and executes each request, and orders its reply.

    Requests are executed in order of arrival. A query is checked, its job is passed on, and its bytes follow, so the
    next request is checked while the query is scored. Loads, writes, resets, and queries in another format than the
    previous one wait until all earlier replies are built. A refused request changes nothing.

    In the design signs a CANDIDATES waits until all earlier replies are built and at most one scan is in progress, of a
    query in its format. A FETCH waits until the scan of its ticket is complete; loads, writes and resets wait for all
    scans.

    A request with the sequence number and the CRC of a request whose reply is kept is not executed. Its reply is sent
    again, unless it is being built or sent. A new request waits until the previous reply of its slot is sent.

    A request takes 11 to 25 cycles, plus one for each byte and two for each register, query or row that it completes,
    if the engine's input is free.

    Parameters and members are as in :class:`~ninefold.hdl.miner.execution.Execution`.
    """

    def elaborate(self, _platform: object) -> Module:
        """Build the state machine: look-up, checks, one group of states per command, and the output of the job."""
        m = Module()
        # These signals travel far, so they are registered, one cycle after the state.
        m.d.sync += [
            self.clear.eq(0),
            self.clear_epoch.eq(0),
            self.restart.eq(0),
            self.threshold.valid.eq(0),
            self.headers.ready.eq(0),
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
        self._compose(m)
        self._mark(m)
        m.submodules.states = self._states
        self._begin(m)
        self._look_up(m)
        self._dispatch(m)
        self._registers(m)
        self._reset(m)
        self._load(m)
        if self._p.design == "miner":
            self._query(m)
        else:
            self._candidates(m)
            self._fetch(m)
        self._end(m)
        handed = Signal()
        m.d.sync += [
            handed.eq(self.jobs.valid & self.jobs.ready),
            self._waiting.eq(self._waiting + handed - self.built),
            self._built.eq(self._waiting == 0),
            self._quiet.eq((self._waiting == 0) & (self._running == 0)),
        ]
        return m

    def _mark(self, m: Module) -> None:
        """Track each slot: the CRC of its request, and whether its reply is being built or sent."""
        m.d.comb += self._takes.eq(0)
        m.d.sync += self._keeps.eq(0)
        sent = Signal.like(self._busy)
        m.d.comb += sent.eq(self.sent << self.sent_slot)
        m.d.sync += self._busy.eq((self._busy | (self._hot & self._takes.replicate(len(sent)))) & ~sent)
        m.submodules.crcs = crcs = memory.Memory(shape=32, depth=self._p.window, init=[])
        write, read = crcs.write_port(), crcs.read_port()
        m.d.comb += [
            write.addr.eq(self._slot),
            write.data.eq(self.headers.payload.crc),
            write.en.eq(self._keeps),
            read.addr.eq(self._slot),
            self._kept.eq(read.data),
        ]

    def _begin(self, m: Module) -> None:
        header = self.headers.payload
        for kind, signal in self._is.items():
            m.d.sync += signal.eq(header.type == kind)
        m.d.sync += self._hot.eq(1 << self._slot)
        known, difference = Signal(), Signal(32, reset_less=True)
        # A slot may be free one cycle before this shows it.
        m.d.sync += self._slot_busy.eq((self._busy & self._hot).any())
        with self._at(m, "IDLE"):
            m.d.comb += self._intake.begin.eq(1)
            m.d.sync += self._refused.eq(0)
            with m.If(self.headers.valid):
                self._go(m, "SELECT")
        with self._at(m, "SELECT"):
            m.d.sync += [difference.eq(self._kept ^ header.crc), known.eq((self._known & self._hot).any())]
            self._go(m, "COMPARE")
        with self._at(m, "COMPARE"):
            m.d.sync += self._repeated.eq(known & (difference == 0))
            self._go(m, "LOOK UP")

    def _look_up(self, m: Module) -> None:
        with self._at(m, "LOOK UP"):
            m.d.sync += self.again.payload.slot.eq(self._slot)
            with m.If(self._repeated):
                m.d.sync += [self._way.eq(Way.DROP), self.again.valid.eq(~self._slot_busy)]
                self._go(m, "AGAIN")
            with m.Elif(~self._slot_busy):
                m.d.sync += [self._known.eq(self._known & ~self._hot), self._way.eq(Way.COLLECT)]
                self._go(m, "PREFIX")
        with self._at(m, "AGAIN"), m.If(~self.again.valid | self.again.ready):
            m.d.comb += self._takes.eq(self.again.valid)
            m.d.sync += self.again.valid.eq(0)
            self._go(m, "DRAIN")
        with self._at(m, "PREFIX"), m.If(self._intake.collected | ~self._intake.more):
            self._go(m, "PARSE")

    def _dispatch(self, m: Module) -> None:
        length = self._length
        address, count = self._prefix[:16], self._prefix[16:]
        # Operands are registered here and below, because each comparison takes most of a cycle.
        empty, prefixed, counted, none = Signal(), Signal(), Signal(), Signal()
        with self._at(m, "PARSE"):
            m.d.sync += [
                empty.eq(length == 0),
                prefixed.eq(length == PREFIX_BYTES),
                counted.eq(length == (count << 2) + PREFIX_BYTES),
                none.eq(count == 0),
            ]
            self._go(m, "DISPATCH")
        with self._at(m, "DISPATCH"):
            m.d.sync += [self._cursor.eq(address), self._todo.eq(count)]
            with m.If(self._is[Kind.IDENTIFY] & prefixed):
                m.d.sync += self._known.eq(0)
                self._go(m, "JOB")
            with m.Elif((self._is[Kind.READ] & prefixed & ~none) | (self._is[Kind.WRITE] & counted & ~none)):
                self._go(m, "CHECK")
            with m.Elif(self._is[Kind.LOAD]):
                self._go(m, "LOAD")
            for kind in (Kind.QUERY, Kind.CANDIDATES, Kind.FETCH):
                if kind in self._is:
                    with m.Elif(self._is[kind]):
                        self._go(m, kind.name)
            with m.Elif(self._is[Kind.STATISTICS] & empty):
                self._go(m, "JOB")
            with m.Elif(self._is[Kind.RESET] & empty):
                self._go(m, "RESET WAIT")
            with m.Else():
                self._refuse(m, Mux(Cat(*self._is.values()).any(), Fault.LENGTH, Fault.KIND))

    def _end(self, m: Module) -> None:
        asks = Kind.QUERY if self._p.design == "miner" else Kind.CANDIDATES
        with self._at(m, "JOB"):
            m.d.sync += self.jobs.valid.eq(1)
            self._go(m, "OFFER")
        with self._at(m, "OFFER"), m.If(self.jobs.ready):
            m.d.comb += self._takes.eq(1)
            m.d.sync += [self.jobs.valid.eq(0), self._keeps.eq(1), self._way.eq(Way.DROP)]
            with m.If(~self._is[Kind.IDENTIFY]):
                m.d.sync += self._known.eq(self._known | self._hot)
            with m.If(self._is[asks] & ~self._refused):
                m.d.sync += self._way.eq(Mux(self.of_grid, Way.QUERY_GRID, Way.QUERY_PACKED))
            self._go(m, "DRAIN")
        with self._at(m, "DRAIN"), m.If(~self._intake.more):
            m.d.sync += [self.headers.ready.eq(1), self._way.eq(Way.HOLD)]
            self._go(m, "NEXT")
        with self._at(m, "NEXT"):
            self._go(m, "IDLE")
