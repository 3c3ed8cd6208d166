"""Proof of the executor: each request is executed once, refused without effect, or answered again, by the rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import FunctionType
from typing import Any

from amaranth.asserts import AnySeq
from amaranth.hdl import Array, Assert, Assume, Cat, Const, Cover, Module, Mux, Signal, Value

from ninefold.hdl.miner.accesses import Accesses
from ninefold.hdl.miner.candidates import Candidates
from ninefold.hdl.miner.execution import Execution
from ninefold.hdl.miner.executor import Executor
from ninefold.hdl.miner.loads import Loads
from ninefold.hdl.miner.parameters import MinerParameters
from ninefold.hdl.miner.queries import Queries
from ninefold.hdl.miner.rows import RowCounter
from ninefold.sim.faults import Edit
from ninefold.sim.formal.dut import Inside, with_parts
from ninefold.sim.formal.proof import Method, Proof
from ninefold.sim.formal.stand_ins import AnyCheck
from ninefold.sim.formal.streams import drive, follow
from ninefold.sim.parts.executor_rules import Kept, Request
from ninefold.sim.parts.executor_scans import scan_states, scanning
from ninefold.sim.parts.executor_state import whereabouts
from ninefold.sim.parts.replies_building import LITERALS_MOST, WORDS_MOST
from ninefold.spec.formats import THRESHOLDS
from ninefold.spec.link import ERROR, PREFIX_BYTES, REPLY, RESULT_BYTES, Kind
from ninefold.spec.registers import BY_NAME, IDENTITY, STATISTICS

__all__ = ["PROOFS", "PROOF_FAULTS"]

#: The smallest miner with a request whose reply is as long as a reply may be: 28 queries of three results.
_MINER = MinerParameters(
    dimensions=4, lanes=2, depth=3, k=3, clock_hz=12_000_000, window=2, buffer_bytes=64, reply_bytes=512
)
#: A board with masks of one byte and of two.
_SIGNS = MinerParameters(
    dimensions=4,
    lanes=4,
    depth=9,
    k=0,
    clock_hz=12_000_000,
    window=2,
    buffer_bytes=64,
    reply_bytes=256,
    design="signs",
    keep=3,
)
_EPOCH, _CONTROL, _THRESHOLD = BY_NAME["epoch"].address, BY_NAME["control"].address, BY_NAME["threshold"]


def _contract(m: Module, core: Any, inside: Inside) -> None:
    """Drive any requests, and compare the actions with the rules."""
    p = vars(core)["_p"]
    kept = Kept(m, p, core)
    request = Request(m, p, core, kept)
    ends, moves = drive(m, core.headers), drive(m, core.payload)
    handed, again = follow(m, core.jobs), follow(m, core.again)
    passed = {name: follow(m, getattr(core, name)) for name in ("packed", "grid", "mask") if hasattr(core, name)}
    m.d.comb += [
        *(getattr(core, name).eq(AnySeq(1)) for name in ("built", "sent", "packing", "flushed")),
        core.sent_slot.eq(AnySeq(len(core.sent_slot))),
        core.epoch.eq(kept.epoch),
        # Proved of the receiver and of the replies.
        Assume(core.headers.payload.length < p.buffer_bytes),
        Assume(~core.built | (kept.waiting != 0)),
        Assume(~core.sent | kept.busy.bit_select(core.sent_slot, 1)),
        Assume(~core.sent | (sum(kept.busy[i] for i in range(p.window)) > kept.waiting)),
    ]
    _outcomes(m, core, (request, kept), (ends, handed, again))
    _bytes(m, core, request, moves, passed)
    _progress(m, core, request, (ends, moves))
    _keeps(m, core, (request, kept), (handed, passed["packed"]))
    _job(m, core, request, kept)
    _effects(m, core, request, kept)
    whereabouts(m, core, inside, request, kept)
    _covers(m, core, request, (ends, handed))
    if kept.scans:
        scanning(m, core, request, kept)
        scan_states(m, core, inside, request, kept)


def _outcomes(m: Module, core: Any, model: tuple[Request, Kept], events: tuple[Value, ...]) -> None:
    """Assert that each request has exactly one outcome before it ends."""
    (it, kept), (ends, handed, again) = model, events
    busy = kept.busy.bit_select(it.slot, 1)
    once = it.answered | it.repeated
    had = once | it.ignored
    with m.If(ends):
        m.d.sync += [it.answered.eq(0), it.repeated.eq(0), it.ignored.eq(0)]
    with m.Else():
        m.d.sync += [
            it.answered.eq(it.answered | handed),
            it.repeated.eq(it.repeated | again),
            it.ignored.eq(it.ignored | (core.headers.valid & ~it.answered & ~it.repeated & it.again & busy)),
        ]
    m.d.comb += [
        Assert(~core.jobs.valid | (core.headers.valid & ~had & ~it.again & ~busy), "a request is executed wrongly"),
        Assert(~core.again.valid | (core.headers.valid & ~once & it.again & ~busy), "a reply is repeated wrongly"),
        Assert(~core.again.valid | (core.again.payload.slot == it.slot), "another reply is repeated"),
        Assert(~ends | had, "a request has no outcome"),
        Assert(~ends | (it.taken == it.length), "a byte of a request is left"),
    ]


def _bytes(m: Module, core: Any, it: Request, moves: Value, passed: Mapping[str, Value]) -> None:
    """Assert that exactly the bytes of rows, queries and masks are forwarded."""
    loads, asks = it.sound & (it.kind == Kind.LOAD), it.sound & it.asks & it.answered
    byte = core.payload.payload.data
    streams = {name: getattr(core, name) for name in passed}
    offers = Cat(one.valid for one in streams.values())
    # The bytes of a repeat are dropped while its reply is requested.
    repeats = it.repeated | it.ignored | core.again.valid
    masks = it.taken >= it.of_query
    final = it.taken == it.length - 1
    rows, query = loads & ~it.answered, asks & ~masks
    belongs = {"packed": rows | query & ~core.of_grid, "grid": query & core.of_grid, "mask": asks & masks}
    ends = {"packed": loads & it.final & final, "mask": final}
    m.d.comb += [
        Assert(~moves | (core.headers.valid & (it.taken < it.length)), "a byte of the next request is taken"),
        *(Assert(~one.valid | belongs[name], "bytes are passed on wrongly") for name, one in streams.items()),
        Assert(~offers.any() | (it.taken >= PREFIX_BYTES) & ~repeats),
        *(Assert(~passes | moves, "a byte is passed on twice") for passes in passed.values()),
        Assert(
            ~moves | Cat(*passed.values()).any() | (it.taken < PREFIX_BYTES) | repeats | ~(loads | asks),
            "a byte is lost",
        ),
        *(Assert(~passed[name] | (one.payload.data == byte), "another byte") for name, one in streams.items()),
        *(
            Assert(~passed[name] | (streams[name].payload.last == last), "another last")
            for name, last in ends.items()
            if name in streams
        ),
        Assert(~passed["packed"] | ~loads | (core.loading & (~it.begun == (it.offset != 0)))),
        Assert(~asks | ~core.loading),
    ]


def _progress(m: Module, core: Any, it: Request, events: tuple[Value, ...]) -> None:
    """Count the bytes of the request, and classify it when its prefix is complete."""
    ends, moves = events
    with m.If(moves):
        recent = Cat(it.recent[8:], core.payload.payload.data)
        m.d.sync += [it.taken.eq(it.taken + 1), it.recent.eq(recent)]
        with m.If(it.taken == PREFIX_BYTES - 1):
            m.d.sync += it.prefix.eq(recent)
    with m.If(it.decides):
        m.d.sync += [it.decided.eq(1), it.sound.eq(~it.any), it.goal.eq(it.total)]
    controls = core.write & (core.write_address == _CONTROL) & core.write_word[0]
    m.d.sync += [
        it.writes.eq(it.writes + core.write),
        it.resets.eq(it.resets + core.clear),
        it.controls.eq(it.controls | controls),
        it.begun.eq(it.begun | core.clear_epoch),
        it.emptied.eq(it.emptied | (it.taken == it.length) & ~core.packing),
    ]
    with m.If(ends):
        m.d.sync += [
            *(count.eq(0) for count in (it.taken, it.writes, it.resets)),
            *(flag.eq(0) for flag in (it.decided, it.sound, it.controls, it.begun, it.emptied)),
        ]


def _keeps(m: Module, core: Any, model: tuple[Request, Kept], events: tuple[Value, ...]) -> None:
    """Model the miner's state by the rules."""
    (it, kept), (handed, packed) = model, events
    loads = it.kind == Kind.LOAD
    with m.If(core.sent):
        m.d.sync += kept.busy.bit_select(core.sent_slot, 1).eq(0)
    with m.If(core.clear):
        m.d.sync += kept.known.eq(0)
    with m.If(handed):
        identifies = it.kind == Kind.IDENTIFY
        with m.If(identifies & it.sound):
            m.d.sync += kept.known.eq(0)
        m.d.sync += [
            kept.known.bit_select(it.slot, 1).eq(~identifies),
            Array(kept.crcs)[it.slot].eq(core.headers.payload.crc),
        ]
    with m.If(handed | core.again.valid & core.again.ready):
        m.d.sync += kept.busy.bit_select(it.slot, 1).eq(1)
    m.d.sync += kept.waiting.eq(kept.waiting + handed - core.built)
    with m.If(core.clear | core.clear_epoch):
        m.d.sync += kept.epoch.eq(0)
    with m.Elif(core.write & (core.write_address == _EPOCH)):
        m.d.sync += kept.epoch.eq(core.write_word)
    with m.If(core.restart):
        m.d.sync += kept.loaded.eq(0)
    with m.Elif(packed & loads):
        m.d.sync += kept.loaded.eq(kept.loaded + 1)
    # The next load ends an unfinished one before its first byte.
    with m.If(core.restart & loads):
        m.d.sync += [kept.opened.eq(1), kept.flushes.eq(kept.opened)]
    with m.Elif(packed & core.packed.payload.last):
        m.d.sync += kept.opened.eq(0)
    with m.If(core.flush & core.flushed):
        m.d.sync += kept.flushes.eq(0)
    waited = Signal()
    m.d.sync += waited.eq(core.flush & ~core.flushed)
    m.d.comb += [
        Assert(~core.flush | kept.flushes, "a load is ended that was not begun"),
        Assert(~waited | core.flush, "the end of a load is withdrawn"),
        Assert(~(core.packed.valid & loads) | ~kept.flushes, "a load begins within another"),
    ]


def _job(m: Module, core: Any, it: Request, kept: Kept) -> None:
    """Compare the job with the reply required by the rules."""
    p = vars(core)["_p"]
    job, header = core.jobs.payload, core.headers.payload
    code = job.first[:8]
    resets = (it.kind == Kind.RESET) | it.controls
    with m.If(core.jobs.valid):
        m.d.comb += [
            Assert((job.slot == it.slot) & (job.sequence == header.sequence) & (job.priority == header.priority)),
            Assert(job.literals <= LITERALS_MOST, "a reply is too long"),
            Assert(
                (job.words <= WORDS_MOST) | (it.kind == Kind.FETCH) & ~(job.literals[1] | (job.type == ERROR)),
                "a reply is too long",
            ),
            Assert((job.words == 0) | (job.queries == 0)),
            Assert(PREFIX_BYTES + RESULT_BYTES * job.queries * job.results[:2] <= p.reply_limit),
            Assert(it.decided),
        ]
    with m.If(core.jobs.valid & ~it.sound):
        right = sum(wrong & (code == fault) & (job.second == it.details[fault]) for fault, wrong in it.faults.items())
        m.d.comb += [
            Assert(job.type == ERROR, "a request that is wrong is not refused"),
            Assert(right != 0, "a fault is told that is none, or with another detail"),
            Assert(job.first[8:] == it.kind, "another kind is told"),
            Assert((job.literals == 2) & (job.words == 0) & (job.queries == 0), "a refusal of another form"),
        ]
    with m.If(core.jobs.valid & it.sound):
        literals, first, address, words, queries = (
            Signal(n, name=f"expected_{i}") for i, n in enumerate((2, 32, len(job.address), len(job.words), 8))
        )
        m.d.comb += [
            Assert(job.type == (it.kind | REPLY), "a request is refused that is not wrong"),
            Assert((job.literals == literals) & ((literals == 0) | (job.first == first)), "another reply"),
            Assert((job.words == words) & ((words == 0) | (job.address == address)), "other registers"),
            Assert((job.queries == queries) & ((queries == 0) | (job.results == it.results)), "other results"),
            Assert((it.resets + core.clear == Mux(resets, 4, 0)), "a reset is not complete"),
            Assert(it.writes == Mux(it.kind == Kind.WRITE, it.count, 0), "not all registers are written"),
        ]
        with m.Switch(it.kind):
            with m.Case(Kind.IDENTIFY):
                m.d.comb += [literals.eq(1), first.eq(it.prefix), address.eq(IDENTITY.start), words.eq(len(IDENTITY))]
            with m.Case(Kind.READ):
                m.d.comb += [address.eq(it.address), words.eq(it.count)]
            with m.Case(Kind.STATISTICS):
                m.d.comb += [address.eq(STATISTICS.start), words.eq(len(STATISTICS))]
            with m.Case(Kind.LOAD):
                rows = it.goal // p.row_bytes
                m.d.comb += [
                    literals.eq(1),
                    first.eq(Mux(it.final, 0, it.goal)),
                    Assert((it.taken == it.length) & it.emptied & (kept.loaded == it.goal), "not all rows are loaded"),
                    Assert((core.load_bytes == it.goal) & (core.loading == ~it.final), "another end of a load"),
                    Assert(core.rows == Mux(it.final, rows, 0), "another number of rows"),
                    Assert(it.begun == (it.offset == 0)),
                ]
            if kept.scans:
                with m.Case(Kind.CANDIDATES):
                    m.d.comb += [literals.eq(1), first.eq(kept.scans.ticket), Assert(it.starts, "no scan is started")]
                    m.d.comb += Assert(core.of_grid == it.form[0], "another format")
                with m.Case(Kind.FETCH):
                    number = it.count[: len(job.address) - 2]
                    m.d.comb += [
                        literals.eq(1),
                        first.eq(Cat(it.kept_total | Const(0, 16), it.counted)),
                        address.eq(Cat(number, it.half, 1)),
                        words.eq(it.counted),
                        Assert(it.complete, "a scan is not complete"),
                    ]
            else:
                with m.Case(Kind.QUERY):
                    m.d.comb += [literals.eq(1), first.eq(Cat(it.prefix[:8] & 0, it.queries, it.results))]
                    m.d.comb += [queries.eq(it.queries), Assert(core.of_grid == it.form[0], "another format")]


def _effects(m: Module, core: Any, it: Request, kept: Kept) -> None:
    """Assert that only valid requests change state, and only after all replies are built."""
    p = vars(core)["_p"]
    loads = it.kind == Kind.LOAD
    resets = (it.kind == Kind.RESET) | it.controls
    sound = core.headers.valid & it.decided & it.sound & ~it.answered & ~it.repeated & ~it.ignored
    alone = sound & kept.idle
    rows, loading, of_grid = Signal.like(core.rows), Signal(), Signal()
    m.d.sync += [rows.eq(core.rows), loading.eq(core.loading), of_grid.eq(core.of_grid)]
    ended = loads & it.final & (kept.loaded == it.goal) & (it.taken == it.length)
    initial = Array(THRESHOLDS[p.mode].reached_at)
    written, index, value = Signal(), Signal(2), Signal(16)
    m.d.sync += [
        written.eq(core.write & core.write_address.matches(*_THRESHOLD.addresses)),
        index.eq(core.write_address - _THRESHOLD.address),
        value.eq(core.write_word),
    ]
    threshold = core.threshold.payload
    m.d.comb += [
        Assert(~core.write | (alone & (it.kind == Kind.WRITE) & (it.writes < it.count)), "a register is written"),
        Assert(~core.write | (core.write_address == it.address + it.writes), "another register is written"),
        Assert(~core.write | (it.taken == PREFIX_BYTES + 4 * (it.writes + 1)) & (core.write_word == it.recent)),
        Assert(~core.clear | (alone & resets & core.restart & (it.resets < 4)), "something is reset"),
        Assert(~core.clear_epoch | (alone & loads & core.restart & (it.offset == 0) & ~it.begun), "a load begins"),
        Assert(~core.restart | core.clear | core.clear_epoch, "counts of rows restart"),
        Assert(core.threshold.valid == (written | core.clear), "a threshold is lost or made up"),
        Assert(~written | (threshold.index == index) & (threshold.value == value), "another threshold"),
        Assert(~core.clear | (threshold.index == it.resets) & (threshold.value == initial[it.resets[:2]])),
        Assert(~(core.packed.valid & loads & ~it.answered) | alone, "rows are loaded"),
        Assert(~core.flush | alone & loads, "a load is ended"),
        Assert((core.rows == rows) | (core.clear | core.clear_epoch) & (core.rows == 0) | alone & ended),
        Assert(~(core.clear | core.clear_epoch) | (core.rows == 0), "rows are left"),
        Assert((core.loading == loading) | core.clear & loading | core.clear_epoch & ~loading | alone & ended),
        Assert(~core.clear | ~core.loading),
        Assert((core.of_grid == of_grid) | alone & it.asks, "another format, while queries are asked"),
        Assert(~core.loading | (core.rows == 0)),
    ]


def _covers(m: Module, core: Any, it: Request, events: tuple[Value, ...]) -> None:
    """Cover a load with a query after it, an unfinished load with another after it, a repeat, a refusal and a reset."""
    ends, handed = events
    second = Signal()
    m.d.sync += [
        second.eq(second | ends),
        Cover(second & ends & it.repeated),
        Cover(second & ends & it.answered & ~it.sound),
        Cover(handed & it.sound & (it.kind == Kind.LOAD) & it.final & (core.rows == 1)),
        Cover(handed & it.sound & (it.kind == Kind.WRITE) & it.controls),
        # A scan starts before its query comes; more is too deep for the solver.
        Cover(core.scan.valid if hasattr(core, "scan") else ends & it.sound & it.asks),
        Cover(core.flush & core.flushed),
    ]


def _executes(parameters: MinerParameters) -> Any:
    """Build an executor whose CRC of rows is free."""
    parts = {
        name: sound
        for base in (Execution, Accesses, Loads, Queries, Candidates, Executor)
        for name, sound in vars(base).items()
        if isinstance(sound, FunctionType) and name != "__init__"
    }
    kind = type("Executor", (Executor,), parts)
    return with_parts(kind, RowCounter=with_parts(RowCounter, CRC32_ISO_HDLC=AnyCheck))(parameters)


_CLAIM = (
    "each request ends in one of three ways: a job, an order to repeat its reply, or nothing while that reply is "
    "built or sent. The second and third happen exactly if the CRC of the request equals the CRC of the request "
    "whose reply is kept in its slot. Nothing is executed while the slot is busy. A request is refused exactly if "
    "a fault of the link's rules applies, with such a fault and its detail, and then no state changes. Otherwise "
    "the job follows the rules. Registers, thresholds, resets, rows, epoch and counts change by the rules, and "
    "only while no reply waits. Bytes of rows, after the end of the previous load, and bytes of queries, after "
    "their job, are forwarded once, in order, with `last` on the final byte of a final load. Every request is "
    "consumed completely, and no byte of the next. The CRC-32 of rows is proved as crc"
)
_SIGNS_CLAIM = (
    "the same in the design signs, where state changes only while no scan is in progress either. Each sound "
    "CANDIDATES starts one scan, with its number of rows and its mask, while all replies are built and, in "
    "another format than the one before, no scan is in progress; never more than two are. Its reply has the next "
    "ticket, and the last two are kept until a load or a reset. The bytes after the query are forwarded as its mask. "
    "A FETCH is decided as soon as the scan of its ticket is complete, and its reply has the total of that scan, and "
    "candidates from the half of the store that the scan wrote. This holds if scans end in the order of their start, "
    "and the total of each half changes only when a scan into it ends"
)


def _proof(name: str, claim: str, parameters: MinerParameters, cover: int) -> Proof:
    sizes = ("window", "dimensions", "lanes", "depth", "k", "keep", "buffer_bytes", "reply_bytes")
    return Proof(
        "executor",
        name,
        claim,
        _contract,
        Method.INDUCTION,
        depth=3,
        cover=cover,
        parameters={size: value for size in sizes if (value := getattr(parameters, size))},
        make=lambda **_: _executes(parameters),
    )


PROOFS = (
    _proof("requests", _CLAIM, _MINER, 80),
    _proof("scans", _SIGNS_CLAIM, _SIGNS, 48),
)

#: Faults that a proof must find, by the name of the proof.
PROOF_FAULTS: Mapping[str, Sequence[Edit]] = {
    "requests": [
        ("hdl.miner.executor", "known & (difference == 0)", "difference == 0"),
        ("hdl.miner.executor", "m.Elif(~self._slot_busy)", "m.Elif(1)"),
        ("hdl.miner.executor", "self._keeps.eq(1)", "self._keeps.eq(0)"),
        ("hdl.miner.executor", "self._known & ~self._hot", "self._known"),
        ("hdl.miner.executor", "self.sent << self.sent_slot", "self.sent"),
        ("hdl.miner.executor", "length == (count << 2) + PREFIX_BYTES", "length >= (count << 2) + PREFIX_BYTES"),
        ("hdl.miner.execution", "Fault.STORE: self._p.depth * self._p.row_bytes", "Fault.STORE: self._p.depth"),
        ("hdl.miner.execution", "Cat(Const(0, 8), count, self._results)", "Cat(Const(0, 8), count, prefix[16:])"),
        ("hdl.miner.execution", "m.If(self._is[kind] & ~self._refused)", "m.If(self._is[kind])"),
        ("hdl.miner.accesses", "self._cursor.eq(self._prefix[:16]), ", ""),
        ("hdl.miner.accesses", 'self._at(m, "RESET WAIT"), m.If(self._quiet)', 'self._at(m, "RESET WAIT"), m.If(1)'),
        ("hdl.miner.loads", "begins.eq(~set_.any())", "begins.eq(~set_[:2].any())"),
        ("hdl.miner.loads", "~other.any()", "~other[1:].any()"),
        ("hdl.miner.loads", "end.eq(end + size)", "end.eq(end)"),
        ("hdl.miner.loads", "begun & ~(self.flush & self.flushed)", "0"),
    ],
    "scans": [
        ("hdl.miner.candidates", "(self._rows + 7) >> 3", "(self._rows >> 3) + 1"),
        ("hdl.miner.candidates", "begins.eq(self._built & ", "begins.eq("),
        ("hdl.miner.candidates", "scan.masked.eq(masked[0])", "scan.masked.eq(0)"),
        ("hdl.miner.candidates", "wraps.eq(self._ticket == TICKET_MAX)", "wraps.eq(0)"),
        ("hdl.miner.candidates", "Cat(1, self._tickets_kept)", "0b11"),
        ("hdl.miner.candidates", "m.If(self.clear | self.clear_epoch)", "m.If(self.clear)"),
        ("hdl.miner.candidates", "self._tickets_kept[0] & (ticket == self._ticket)", "ticket == self._ticket"),
        ("hdl.miner.candidates", "self._half ^ is_older", "self._half"),
        ("hdl.miner.executor", "(self._waiting == 0) & (self._running == 0)", "self._waiting == 0"),
        ("hdl.miner.execution", "Cat(number, self._fetched_half, 1)", "Cat(number, self._half, 1)"),
    ],
}
