"""Executor: requests in, jobs for their replies and bytes for the engine out."""

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ninefold.hdl.link.layouts import BYTE, FRAME_BYTE, HEADER
from ninefold.hdl.miner.intake import Intake, Way
from ninefold.hdl.miner.jobs import job_layout, slot_bits
from ninefold.hdl.miner.parameters import MinerParameters
from ninefold.hdl.miner.registers import exists, writable
from ninefold.hdl.miner.rows import RowCounter
from ninefold.spec.formats import THRESHOLDS
from ninefold.spec.link import ERROR, FORMAT_GRID, PREFIX_BYTES, REPLY, RESULT_BYTES, Fault, Kind
from ninefold.spec.registers import BY_NAME, IDENTITY, STATISTICS

__all__ = ["Executor"]


#: Of a query whose prefix is wrong, the first of them.
_QUERY_FAULTS = (Fault.LENGTH, Fault.FORMAT, Fault.EMPTY, Fault.EPOCH, Fault.K)


class Executor(wiring.Component):
    """Checks each request, executes it, and orders its reply.

    Requests are executed in the order of arrival. A query is checked, its job is handed on, and its bytes follow, so
    that the next request is looked at while the query is scored. Loads, writes and resets, and queries in another
    format than those before, wait until all replies before them are built. A request that is refused changes nothing.

    A request with the sequence number, the content and so the CRC of one whose reply is kept is not executed: the reply
    is sent again, unless it is being made or sent. A new request waits until its slot is sent.

    Checking takes 14 to 20 cycles, and two for each register or query of the request, while nothing else is asked of
    the engine's input; the bytes of a request move at one a cycle.

    Parameters
    ----------
    parameters : MinerParameters
        The miner.

    Members
    -------
    headers, payload : In
        From the receiver.
    jobs : Out(stream.Signature(job_layout(parameters)))
        Replies to build.
    again : Out(stream.Signature({slot: slot_bits(parameters)}))
        Replies to send again.
    built, sent, sent_slot : In
        From the replies.
    packed : Out(stream.Signature({data: 8, last: 1}))
        Bytes of packed nits, of queries or rows.
    grid : Out(stream.Signature({data: 8}))
        Bytes of grid values.
    threshold : Out(stream.Signature({index: 2, value: 16}))
        Thresholds for the quantiser, which is always ready.
    loading : Out(1)
        Words that are complete belong to rows, not to queries.
    of_grid : Out(1)
        Bytes for queries come from ``grid``.
    packing : In(1)
        A word is complete and not taken.
    restart : Out(1)
        Forget a word that is not complete.
    flush : Out(1)
        End a load that was broken off, by a word that is the last one; until ``flushed``.
    flushed : In(1)
        See above.
    write, write_address, write_word, clear, clear_epoch : Out
        To the registers.
    rows, load_bytes, load_check : Out(32)
        Values of these registers.
    epoch : In(8)
        The board's.
    """

    def __init__(self, parameters: MinerParameters) -> None:
        self._p = parameters
        threshold = data.StructLayout({"index": 2, "value": 16})
        slot = data.StructLayout({"slot": slot_bits(parameters)})
        super().__init__(
            {
                "headers": In(stream.Signature(HEADER)),
                "payload": In(stream.Signature(BYTE)),
                "jobs": Out(stream.Signature(job_layout(parameters))),
                "again": Out(stream.Signature(slot)),
                "built": In(1),
                "sent": In(1),
                "sent_slot": In(slot_bits(parameters)),
                "packed": Out(stream.Signature(FRAME_BYTE)),
                "grid": Out(stream.Signature(BYTE)),
                "threshold": Out(stream.Signature(threshold)),
                "loading": Out(1),
                "of_grid": Out(1),
                "packing": In(1),
                "restart": Out(1),
                "flush": Out(1),
                "flushed": In(1),
                "write": Out(1),
                "write_address": Out(6),
                "write_word": Out(32),
                "clear": Out(1),
                "clear_epoch": Out(1),
                "rows": Out(32),
                "load_bytes": Out(32),
                "load_check": Out(32),
                "epoch": In(8),
            }
        )
        self._kind = Signal(8)
        self._fault = Signal(4)
        self._intake = Intake(parameters)
        self._way = Signal(5)
        self._counter = RowCounter(parameters)
        self._job = Signal(job_layout(parameters))
        self._cursor, self._todo = Signal(16), Signal(16)
        self._waiting = Signal(range(parameters.window + 2))
        self._known = Signal(parameters.window)
        self._busy = Signal(parameters.window)
        self._repeated = Signal()
        # No wider than they need be: on small devices each bit counts.
        self._rows = Signal(range(parameters.depth + 1))
        self._crcs = Array(Signal(32, name=f"crc_{i}") for i in range(parameters.window))

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

    @property
    def _length(self) -> Value:
        """Bytes of the payload, which the receiver keeps below the size of its buffer."""
        return self.headers.payload.length[: self._p.buffer_bytes.bit_length()]

    @property
    def _slot(self) -> Value:
        return self.headers.payload.sequence[: slot_bits(self._p)]

    def _refuse(self, m: Module, fault: Fault) -> None:
        m.d.sync += self._fault.eq(fault)
        m.next = "REFUSE"

    def _refuse_state(self, m: Module, beyond: Signal) -> None:
        """Answer with the fault, and with the detail that belongs to it."""
        details: dict[Fault, Value | int] = {
            Fault.LENGTH: self._length,
            Fault.ADDRESS: self._cursor,
            Fault.OFFSET: Mux(self.loading, self._counter.bytes, 0),
            Fault.STORE: self._p.depth * self._p.row_bytes,
            Fault.ROW: beyond,
            Fault.EPOCH: self.epoch,
            Fault.K: self._p.k,
            Fault.FORMAT: 0b11,
            Fault.REPLY: self._p.reply_limit,
        }
        with m.State("REFUSE"):
            m.d.sync += [
                self._job.type.eq(ERROR),
                self._job.literals.eq(2),
                self._job.first.eq(Cat(self._fault, Const(0, 4), self._kind)),
                self._job.second.eq(0),
                self._job.words.eq(0),
            ]
            with m.Switch(self._fault):
                for fault, detail in details.items():
                    with m.Case(fault):
                        m.d.sync += self._job.second.eq(detail)
            m.next = "JOB"

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

    def _show(self, m: Module, addresses: range) -> None:
        """Answer with registers."""
        m.d.sync += [self._job.address.eq(addresses.start), self._job.words.eq(len(addresses))]
        m.next = "JOB"

    def _registers(self, m: Module) -> None:
        control, threshold = BY_NAME["control"].address, BY_NAME["threshold"]
        writes = self._kind == Kind.WRITE
        done, allowed, resets = Signal(), Signal(), Signal()
        with m.State("CHECK"):
            m.d.sync += [
                done.eq(self._todo == 0),
                allowed.eq(Mux(writes, writable(self._cursor), exists(self._cursor))),
            ]
            m.next = "CHECKED"
        with m.State("CHECKED"):
            m.next = "CHECK"
            with m.If(done):
                m.d.sync += [self._cursor.eq(self._cursor - self._job.words), self._todo.eq(self._job.words)]
                with m.If(writes):
                    m.d.sync += [self._job.words.eq(0), resets.eq(0)]
                    m.next = "WRITE WAIT"
                with m.Else():
                    m.d.sync += self._job.address.eq(self._cursor - self._job.words)
                    m.next = "JOB"
            with m.Elif(allowed):
                m.d.sync += [
                    self._cursor.eq(self._cursor + 1),
                    self._todo.eq(self._todo - 1),
                    self._job.words.eq(self._job.words + 1),
                ]
            with m.Else():
                self._refuse(m, Fault.ADDRESS)
        with m.State("WRITE WAIT"), m.If(self._waiting == 0):
            m.d.comb += self._intake.restart.eq(1)
            m.next = "WRITE"
        m.d.comb += [self.write_address.eq(self._cursor), self.write_word.eq(self._intake.recent)]
        with m.State("WRITE"), m.If(self._intake.collected):
            m.next = "STORE"
        with m.State("STORE"):
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
                m.next = "WRITE"
            with m.Else():
                m.next = "WRITTEN"
        with m.State("WRITTEN"):
            with m.If(resets):
                m.next = "RESET WAIT"
            with m.Else():
                m.next = "JOB"

    def _reset(self, m: Module) -> None:
        """Put the thresholds back one by one, and all else at once."""
        thresholds = Array(THRESHOLDS[self._p.mode].reached_at)
        index = Signal(2)
        with m.State("RESET WAIT"), m.If(self._waiting == 0):
            m.next = "RESET"
        with m.State("RESET"):
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
                m.next = "JOB"

    def _load(self, m: Module) -> None:
        p = self._p
        offset, final = self._intake.recent[:31], self._intake.recent[31]
        size = (self._length - PREFIX_BYTES)[: len(self._length)]
        beyond = Signal(range(p.row_bytes + p.buffer_bytes))
        begins, continues, bare, beyond_store = Signal(), Signal(), Signal(), Signal()
        whole_row, part_row = Signal(), Signal()
        m.d.sync += [whole_row.eq(beyond >= p.row_bytes), part_row.eq(beyond != 0)]
        end = Signal(range(p.depth * p.row_bytes + p.buffer_bytes))
        with m.State("LOAD"):
            m.d.sync += [
                begins.eq(offset == 0),
                continues.eq(self.loading & (offset == self._counter.bytes)),
                bare.eq(self._length <= PREFIX_BYTES),
            ]
            m.next = "LOAD END"
        with m.State("LOAD END"):
            m.d.sync += [
                end.eq(Mux(begins, 0, self._counter.bytes) + size),
                beyond.eq(Mux(begins, 0, self._counter.row_bytes) + size),
            ]
            m.next = "LOAD CHECK"
        with m.State("LOAD CHECK"):
            m.d.sync += beyond_store.eq(end > p.depth * p.row_bytes)
            with m.If(bare):
                self._refuse(m, Fault.LENGTH)
            with m.Elif(~begins & ~continues):
                self._refuse(m, Fault.OFFSET)
            with m.Else():
                m.next = "LOAD FITS"
        with m.State("LOAD FITS"):
            with m.If(beyond_store):
                self._refuse(m, Fault.STORE)
            with m.Elif(final & whole_row):
                m.d.sync += beyond.eq(beyond - p.row_bytes)
                m.next = "LOAD ROWS"
            with m.Elif(final & part_row):
                self._refuse(m, Fault.ROW)
            with m.Else():
                m.next = "LOAD WAIT"
        with m.State("LOAD ROWS"):
            m.next = "LOAD FITS"
        self._load_block(m, begins, final)
        self._refuse_state(m, beyond)

    def _load_block(self, m: Module, begins: Signal, final: Value) -> None:
        """Pass the bytes of a block on."""
        # The engine has words of a load that was not ended.
        begun = Signal()
        with m.State("LOAD WAIT"), m.If(self._waiting == 0):
            with m.If(begins):
                m.d.sync += [
                    self.restart.eq(1),
                    self.clear_epoch.eq(1),
                    self._rows.eq(0),
                    self.loading.eq(1),
                ]
                m.next = "LOAD FLUSH"
            with m.Else():
                m.d.sync += self._way.eq(Way.ROWS)
                m.next = "LOAD BYTES"
        with m.State("LOAD FLUSH"):
            m.d.sync += self.flush.eq(begun & ~(self.flush & self.flushed))
            with m.If(~begun | (self.flush & self.flushed)):
                m.d.sync += [begun.eq(1), self._way.eq(Way.ROWS)]
                m.next = "LOAD BYTES"
        m.d.comb += self._intake.ends.eq(final)
        with m.State("LOAD BYTES"), m.If(~self._intake.more & ~self.packing):
            m.next = "LOADED"
        # A cycle later the counts are what they will be.
        with m.State("LOADED"):
            m.d.sync += [
                self._job.literals.eq(1),
                self._job.first.eq(Mux(final, 0, self._counter.bytes)),
            ]
            with m.If(final):
                m.d.sync += [self._rows.eq(self._counter.rows), self.loading.eq(0), begun.eq(0)]
            m.next = "JOB"

    def _query(self, m: Module) -> None:
        p, header = self._p, self.headers.payload
        form, count, k = self._intake.recent[:8], self._intake.recent[8:16], self._intake.recent[16:]
        # Neither need go on once it is too large.
        asked = Signal(range(p.buffer_bytes + max(p.query_bytes) + PREFIX_BYTES))
        answer = Signal(range(p.reply_limit + RESULT_BYTES * p.k + PREFIX_BYTES))
        results = k[: p.k.bit_length()]
        faults = {fault: Signal(name=f"fault_{fault.name.lower()}") for fault in _QUERY_FAULTS}
        fewer, goes_on, exact, small = Signal(), Signal(), Signal(), Signal()
        with m.State("QUERY"):
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
            m.next = "QUERY CHECK"
        with m.State("QUERY CHECK"):
            m.d.sync += self._job.results.eq(Mux(fewer, results, self._rows))
            m.next = "QUERY SIZE"
            for fault in reversed(_QUERY_FAULTS):
                with m.If(faults[fault]):
                    self._refuse(m, fault)
        with m.State("QUERY SIZE"):
            m.d.sync += [
                goes_on.eq((self._todo != 0) & (asked <= self._length)),
                exact.eq(asked == self._length),
                small.eq(answer <= p.reply_limit),
            ]
            m.next = "QUERY SIZED"
        with m.State("QUERY SIZED"):
            m.d.sync += self._job.first.eq(Cat(Const(0, 8), count, self._job.results))
            with m.If(goes_on & small):
                m.next = "QUERY SIZE"
                m.d.sync += [
                    self._todo.eq(self._todo - 1),
                    asked.eq(asked + Mux(form == FORMAT_GRID, p.query_bytes[1], p.query_bytes[0])),
                    answer.eq(answer + (self._job.results << 1) + (self._job.results << 2)),
                ]
            with m.Elif(~small):
                self._refuse(m, Fault.REPLY)
            with m.Elif(~exact):
                self._refuse(m, Fault.LENGTH)
            with m.Elif((self._waiting == 0) | (self.of_grid == form[0])):
                m.d.sync += [
                    self.of_grid.eq(form[0]),
                    self._job.literals.eq(1),
                    self._job.queries.eq(count),
                ]
                m.next = "JOB"

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
