"""Proof of the executor of a board of design stream: each request has the outcome that the rules of the link demand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from operator import or_
from typing import Any

from amaranth.asserts import AnySeq
from amaranth.hdl import Array, Assert, Assume, Cat, Const, Cover, Module, Mux, Signal, Value

from ninefold.hdl.stream_board.executor import StreamExecutor
from ninefold.hdl.stream_board.interface import Interface
from ninefold.hdl.stream_board.parameters import StreamBoardParameters
from ninefold.sim.faults import Edit
from ninefold.sim.formal.dut import Inside
from ninefold.sim.formal.proof import Method, Proof
from ninefold.sim.formal.streams import drive, follow
from ninefold.sim.parts.stream_executor_state import whereabouts
from ninefold.spec.link import ERROR, PREFIX_BYTES, REPLY, Fault, Kind
from ninefold.spec.registers import BY_NAME
from ninefold.spec.stream_link import STREAM_KINDS, StreamFault, StreamKind
from ninefold.spec.streams import CoreRegister, PayloadField, StreamLayout, board_registers

__all__ = ["PROOFS", "PROOF_FAULTS", "Push"]

_BOARD = StreamBoardParameters(buffer_bytes=64)
#: Inputs with payloads of two bytes and of one, an output, and a register of each kind.
_CORE = Interface(
    (
        StreamLayout("a", True, (PayloadField("data", 8, False, (), 0),), True),
        StreamLayout("b", True, (PayloadField("data", 8, False, (), 0),), False),
        StreamLayout("y", False, (PayloadField("data", 8, False, (), 0),), False),
    ),
    (CoreRegister("gain", 8, "rw"), CoreRegister("count", 8, "r")),
)
_SIZES = [one.payload_bytes for one in _CORE.inputs]
_CONTROL = BY_NAME["control"].address
_ADDRESSES = 128


class Push:
    """Request in execution, and the state of the board between requests, by the rules of the link.

    Attributes
    ----------
    known, busy, waiting, turn : Signal
        Slots with a kept reply, and slots whose reply is being built or sent; number of replies to build; the turn.
    crcs : list of Signal
        CRC of each slot's request.
    kind, length, slot : Value
        Fields of the header.
    prefix, recent, taken : Signal
        First four bytes of the payload, the last four taken, and the number taken.
    address, count, stream : Value
        Fields of the prefix.
    again : Signal
        The request is a repeat, by slot and CRC.
    run : Signal
        Number of consecutive registers from the address that can be read or written.
    size : Signal
        Bytes of a payload of the stream.
    code : Signal
        First fault that applies, without ROOM and the fault of the data; 0 for none.
    data_wrong : Value
        The payload of a PUSH is not count whole payloads.
    room : Value
        Free payloads of the stream.
    written : Signal
        Bytes written to the queue and neither committed nor discarded.
    writes : Signal
        Number of registers written so far.
    controls, cleared, committed, discarded : Signal
        The request has written a reset; the board was reset; payloads were committed, or discarded.
    answered, repeated, ignored : Signal
        The reply was ordered; a repeat of it was; the request repeats one whose reply is in progress.
    """

    def __init__(self, m: Module, core: Any) -> None:
        header, window = core.headers.payload, _BOARD.window
        self.known, self.busy = Signal(window, name="known_model"), Signal(window, name="busy_model")
        self.crcs = [Signal(32, name=f"crc_model_{i}") for i in range(window)]
        self.waiting, self.turn = Signal(range(window + 2), name="waiting_model"), Signal(8, name="turn_model")
        self.kind, self.length = header.type, header.length[: _BOARD.buffer_bytes.bit_length()]
        self.slot = header.sequence[: len(core.sent_slot)]
        self.prefix, self.recent = Signal(32, name="prefix_model"), Signal(32, name="recent_model")
        self.taken = Signal(range(_BOARD.buffer_bytes + 1), name="taken")
        self.address, self.count = self.prefix[:16], self.prefix[16:]
        self.stream = self.prefix[:8]
        self.again = Signal(name="known_request")
        self.run, self.size = Signal(range(_ADDRESSES), name="run"), Signal(2, name="size")
        self.code = Signal(5, name="code")
        self.room = Signal(16, name="room_model")
        self.written = Signal(range(_BOARD.buffer_bytes + 1), name="written")
        self.writes = Signal(range(_BOARD.buffer_bytes), name="writes")
        self.controls, self.cleared, self.committed, self.discarded = (
            Signal(name=n) for n in ("controls", "cleared", "committed", "discarded")
        )
        self.answered, self.repeated, self.ignored = (Signal(name=n) for n in ("answered", "repeated", "ignored"))
        known = self.known.bit_select(self.slot, 1) & (Array(self.crcs)[self.slot] == header.crc)
        m.d.comb += [
            self.again.eq(known),
            self.size.eq(Mux(self.stream == 0, _SIZES[0], _SIZES[1])),
            self.room.eq(Mux(self.stream == 0, core.free[0], core.free[1])),
            self.run.eq(Mux(self.kind == Kind.WRITE, _run_from(self.address, "w"), _run_from(self.address, "r"))),
        ]
        self.data_wrong: Value = self.length != PREFIX_BYTES + self.count * self.size
        self._judge(m)

    def _judge(self, m: Module) -> None:
        """Find the first fault."""
        kind, length = self.kind, self.length
        wrong = Signal(name="wrong_length")
        with m.Switch(kind):
            with m.Case(Kind.IDENTIFY, StreamKind.PULL):
                m.d.comb += wrong.eq(length != PREFIX_BYTES)
            with m.Case(Kind.READ):
                m.d.comb += wrong.eq((length != PREFIX_BYTES) | (self.count == 0))
            with m.Case(Kind.WRITE):
                m.d.comb += wrong.eq((length != PREFIX_BYTES + 4 * self.count) | (self.count == 0))
            with m.Case(Kind.STATISTICS, Kind.RESET):
                m.d.comb += wrong.eq(length != 0)
            with m.Case(StreamKind.PUSH):
                m.d.comb += wrong.eq(length < PREFIX_BYTES)
        ordered = kind.matches(StreamKind.PUSH, StreamKind.PULL)
        inputs, streams = len(_CORE.inputs), len(_CORE.streams)
        there = Mux(kind == StreamKind.PUSH, self.stream < inputs, (self.stream >= inputs) & (self.stream < streams))
        with m.If(~kind.matches(*STREAM_KINDS)):
            m.d.comb += self.code.eq(Fault.KIND)
        with m.Elif(wrong):
            m.d.comb += self.code.eq(Fault.LENGTH)
        with m.Elif(kind.matches(Kind.READ, Kind.WRITE) & (self.count > self.run)):
            m.d.comb += self.code.eq(Fault.ADDRESS)
        with m.Elif(ordered & (self.prefix[8:16] != self.turn)):
            m.d.comb += self.code.eq(StreamFault.TURN)
        with m.Elif(ordered & ~there):
            m.d.comb += self.code.eq(StreamFault.STREAM)

    def detail(self, code: Value) -> Value:
        """Return the detail of a fault other than ROOM."""
        found: Value = Const(0, 16)
        for fault, value in {
            Fault.LENGTH: self.length,
            Fault.ADDRESS: (self.address + self.run)[:16],
            StreamFault.TURN: self.turn,
            StreamFault.STREAM: self.stream,
        }.items():
            found = Mux(code == fault, value, found)
        return found


def _run_from(address: Value, access: str) -> Value:
    """Return the number of consecutive readable or writable registers from an address."""
    table = board_registers(_CORE.registers)
    there = {at for register in table if access == "r" or access in register.access for at in register.addresses}
    runs = [next(n for n in range(_ADDRESSES) if at + n not in there) for at in range(_ADDRESSES)]
    # Not a table, since Yosys infers a memory, which induction cannot constrain.
    return reduce(or_, (Mux(address == at, Const(run, 7), 0) for at, run in enumerate(runs) if run))


def _contract(m: Module, core: Any, inside: Inside) -> None:
    """Drive any requests, and compare the actions with the rules."""
    it = Push(m, core)
    ends, moves = drive(m, core.headers), drive(m, core.payload)
    follow(m, core.jobs)
    again, handed = follow(m, core.again), vars(core)["_hands"]
    m.d.comb += [
        core.built.eq(AnySeq(1)),
        core.sent.eq(AnySeq(1)),
        core.sent_slot.eq(AnySeq(len(core.sent_slot))),
        # Proved of the receiver, of the replies and of the queues.
        Assume(core.headers.payload.length < _BOARD.buffer_bytes),
        Assume(~core.built | (it.waiting != 0)),
        Assume(~core.sent | it.busy.bit_select(core.sent_slot, 1)),
        Assume(~core.sent | (sum(it.busy[i] for i in range(_BOARD.window)) > it.waiting)),
    ]
    for number in range(len(_CORE.inputs)):
        free, before = Signal(16, name=f"free_{number}"), Signal(16, name=f"least_free_{number}")
        m.d.comb += [free.eq(AnySeq(16)), core.free[number].eq(free), Assume(free >= before)]
        m.d.sync += before.eq(free - Mux(core.commit[number], core.count, 0))
    _follow_request(m, core, it, (ends, moves, handed, again))
    _outcomes(m, core, it, (ends, handed, again))
    _job(m, core, it, handed)
    _effects(m, core, it, moves)
    whereabouts(m, core, inside, it)
    second = Signal()
    m.d.sync += [
        second.eq(second | ends),
        Cover(second & ends & it.repeated),
        Cover(second & ends & it.committed & (it.count == 2) & (it.stream == 0)),
        Cover(second & ends & it.discarded),
        Cover(handed & it.controls),
        Cover(core.jobs.valid & core.jobs.payload.refused & (core.jobs.payload.first[:8] == StreamFault.ROOM)),
        Cover(core.jobs.valid & core.jobs.payload.pulls & (it.turn == 2)),
    ]


def _follow_request(m: Module, core: Any, it: Push, events: tuple[Value, ...]) -> None:
    """Model the progress of the request, and the state of the board."""
    ends, moves, handed, again = events
    bit = it.slot
    refused, fault = vars(core)["_refused"], vars(core)["_fault"]
    with m.If(moves):
        recent = Cat(it.recent[8:], core.payload.payload.data)
        m.d.sync += [it.taken.eq(it.taken + 1), it.recent.eq(recent)]
        with m.If(it.taken == PREFIX_BYTES - 1):
            m.d.sync += it.prefix.eq(recent)
    puts, commits = core.put.any(), core.commit.any()
    m.d.sync += [
        it.written.eq(Mux(commits | core.rollback, 0, it.written + puts)),
        it.writes.eq(it.writes + core.write),
        it.controls.eq(it.controls | core.write & (core.write_address == _CONTROL) & core.write_word[0]),
        it.cleared.eq(it.cleared | core.clear),
        it.committed.eq(it.committed | commits),
        it.discarded.eq(it.discarded | core.rollback),
        it.ignored.eq(
            it.ignored | core.headers.valid & ~it.answered & ~it.repeated & it.again & it.busy.bit_select(bit, 1)
        ),
        it.answered.eq(it.answered | handed),
        it.repeated.eq(it.repeated | again),
        it.waiting.eq(it.waiting + handed - core.built),
    ]
    with m.If(core.sent):
        m.d.sync += it.busy.bit_select(core.sent_slot, 1).eq(0)
    with m.If(core.clear):
        m.d.sync += [it.known.eq(0), it.turn.eq(0)]
    with m.If(handed):
        identifies = it.kind == Kind.IDENTIFY
        with m.If(identifies & ~refused):
            m.d.sync += it.known.eq(0)
        m.d.sync += [
            it.known.bit_select(bit, 1).eq(~identifies & ~(refused & (fault == StreamFault.TURN))),
            Array(it.crcs)[bit].eq(core.headers.payload.crc),
        ]
        with m.If(it.kind.matches(StreamKind.PUSH, StreamKind.PULL) & ~refused):
            m.d.sync += it.turn.eq(it.turn + 1)
    with m.If(handed | again):
        m.d.sync += it.busy.bit_select(bit, 1).eq(1)
    with m.If(ends):
        flags = (it.controls, it.cleared, it.committed, it.discarded, it.answered, it.repeated, it.ignored)
        m.d.sync += [*(flag.eq(0) for flag in flags), it.taken.eq(0), it.writes.eq(0)]


def _outcomes(m: Module, core: Any, it: Push, events: tuple[Value, ...]) -> None:
    """Assert that each request has exactly one outcome before it ends, and all its bytes are taken."""
    ends, handed, _ = events
    busy = it.busy.bit_select(it.slot, 1)
    once = it.answered | it.repeated
    m.d.comb += [
        Assert(~handed | (core.headers.valid & ~once & ~it.ignored & ~it.again & ~busy), "executed wrongly"),
        Assert(~core.again.valid | (core.headers.valid & ~once & it.again & ~busy), "a reply is repeated wrongly"),
        Assert(~core.again.valid | (core.again.payload.slot == it.slot), "another reply is repeated"),
        Assert(~ends | once | it.ignored, "a request has no outcome"),
        Assert(~ends | (it.taken == it.length), "a byte of a request is left"),
        Assert(~ends | (it.written == 0), "payloads are neither committed nor discarded"),
        Assert(core.turn == Mux(core.clear, 0, it.turn), "another turn"),
    ]


def _job(m: Module, core: Any, it: Push, handed: Value) -> None:
    """Compare a job, in the cycle after it is placed, with the reply that the rules demand."""
    job, header = core.jobs.payload, core.headers.payload
    fresh, code, detail, room, count_wrong = (Signal(n, name=f"of_job_{i}") for i, n in enumerate((1, 5, 16, 16, 1)))
    refused, told = vars(core)["_refused"], vars(core)["_fault"]
    late = (told == StreamFault.ROOM) | (told == Fault.LENGTH) & (it.code == 0)
    m.d.sync += [
        fresh.eq(handed),
        code.eq(it.code),
        detail.eq(it.detail(told)),
        room.eq(it.room),
        count_wrong.eq(it.data_wrong),
    ]
    m.d.comb += [
        Assert(~handed | refused | (it.code == 0), "a request is executed that is wrong"),
        Assert(~handed | ~refused | late | (told == it.code), "another fault is told"),
        Assert(~handed | ~refused | ~late | (it.code == 0) & (it.kind == StreamKind.PUSH), "a fault that is none"),
        Assert(
            ~handed | refused | (it.kind != StreamKind.PUSH) | it.committed & ~it.data_wrong, "payloads are missing"
        ),
        Assert(~handed | ~refused | ~it.committed, "a refused request is committed"),
    ]
    told_job = job.first[:8]
    with m.If(fresh):
        m.d.comb += [
            Assert(core.jobs.valid),
            Assert((job.slot == it.slot) & (job.sequence == header.sequence) & (job.priority == header.priority)),
            Assert(job.type == Mux(job.refused, ERROR, it.kind | REPLY), "another type"),
            Assert(job.identifies == (~job.refused & (it.kind == Kind.IDENTIFY))),
            Assert(job.reads == (~job.refused & (it.kind == Kind.READ))),
            Assert(job.counts == (~job.refused & (it.kind == Kind.STATISTICS))),
            Assert(job.pulls == (~job.refused & (it.kind == StreamKind.PULL))),
            Assert(~(job.identifies | job.reads | job.pulls) | (job.first == it.prefix), "another request is told"),
            Assert(~job.refused | (job.first[8:] == it.kind), "another kind is told"),
            Assert(job.refused | (it.kind != Kind.RESET) | it.cleared, "nothing is reset"),
            Assert(job.refused | ~it.controls | it.cleared, "nothing is reset"),
            Assert(job.refused | (it.kind != Kind.WRITE) | (it.writes == it.count), "not all registers are written"),
        ]
        with m.If(job.refused & (told_job == StreamFault.ROOM)):
            m.d.comb += [
                Assert(job.second < it.count, "a PUSH is refused that had room"),
                Assert(job.second <= room, "more room is told than there is"),
            ]
        with m.Elif(job.refused):
            m.d.comb += [
                Assert(job.second == detail, "another detail"),
                Assert((told_job != Fault.LENGTH) | (code == Fault.LENGTH) | count_wrong, "data that is right"),
            ]


def _effects(m: Module, core: Any, it: Push, moves: Value) -> None:
    """Assert that only valid requests change state, and payloads enter a queue in order, and all or none."""
    puts, commits = core.put.any(), core.commit.any()
    pending = core.headers.valid & ~it.answered & ~it.repeated & ~it.ignored & (it.code == 0)
    alone = pending & (it.waiting == 0)
    pushes = pending & (it.kind == StreamKind.PUSH) & (it.taken >= PREFIX_BYTES)
    target = Cat(it.stream == i for i in range(len(_CORE.inputs)))
    m.d.comb += [
        Assert(~puts | (pushes & moves & (core.put == target)), "a byte is written that is of no payload"),
        Assert(~puts | (core.byte == core.payload.payload.data) & (it.written == it.taken - PREFIX_BYTES)),
        Assert(~puts | (it.written < it.count * it.size) & (it.count <= it.room), "more is written than there is room"),
        Assert(~commits | (pushes & (core.commit == target) & (core.count == it.count)), "another commit"),
        Assert(~commits | (it.written == it.count * it.size) & ~it.data_wrong & (it.taken == it.length)),
        Assert(~commits | (it.count <= it.room) & ~it.committed, "payloads are committed without room"),
        Assert(~core.rollback | pushes & ~it.committed & (it.taken == it.length), "payloads are discarded"),
        Assert(~(commits & core.rollback) & ~(puts & (commits | core.rollback))),
        Assert(~core.write | (alone & (it.kind == Kind.WRITE) & (it.writes < it.count)), "a register is written"),
        Assert(~core.write | (core.write_address == (it.address + it.writes)[:7]), "another register is written"),
        Assert(~core.write | (it.taken == PREFIX_BYTES + 4 * (it.writes + 1)) & (core.write_word == it.recent)),
        Assert(~core.clear | alone & ((it.kind == Kind.RESET) | it.controls & (it.writes == it.count))),
    ]


PROOFS = (
    Proof(
        "stream_executor",
        "requests",
        "each request ends in one of three ways: a job, an order to repeat its reply, or nothing while that reply is "
        "built or sent. The second and third happen exactly if the request has the CRC of the request whose reply is "
        "kept in its slot. A job is a refusal exactly if one of the checks of the link fails, with the first "
        "that does, and its detail; ROOM tells a number that is below the count and not above the free payloads. "
        "The payloads of a PUSH are written in order to the queue of its stream, never more than were asked nor than "
        "are free, and committed exactly if the request is not refused; otherwise they are discarded. Each PUSH and "
        "PULL that is not refused takes one turn, and a refusal with TURN is not kept. Registers are written, and the "
        "board is reset, by valid requests only and while no reply waits. Every request is consumed completely, and no "
        "byte of the next",
        _contract,
        Method.INDUCTION,
        depth=3,
        cover=40,
        parameters={"window": _BOARD.window, "buffer_bytes": _BOARD.buffer_bytes},
        make=lambda **_: StreamExecutor(_BOARD, _CORE),
    ),
)

#: Faults that the proof must find.
PROOF_FAULTS: Mapping[str, Sequence[Edit]] = {
    "requests": [
        ("hdl.stream_board.executor", "known & (difference == 0)", "difference == 0"),
        ("hdl.stream_board.executor", "m.Elif(~self._slot_busy)", "m.Elif(1)"),
        ("hdl.stream_board.executor", "self._keeps.eq(1)", "self._keeps.eq(0)"),
        ("hdl.stream_board.executor", "self.sent << self.sent_slot", "self.sent"),
        ("hdl.stream_board.executor", "with m.If(full & ~excess)", "with m.If(full)"),
        ("hdl.stream_board.executor", "m.d.comb += self.rollback.eq(1)", "m.d.comb += self.rollback.eq(0)"),
        ("hdl.stream_board.executor", "self._moves & self._pushes & ~full)", "self._moves & self._pushes)"),
        ("hdl.stream_board.executor", "fits.eq(self.count <= self._room)", "fits.eq(1)"),
        ("hdl.stream_board.executor", "& ~(self._refused & (self._fault == StreamFault.TURN))", ""),
        ("hdl.stream_board.executor", "self._known.eq(0), self.turn.eq(0)", "self.turn.eq(0)"),
        ("hdl.stream_board.executor", "(number >= inputs) & (number < streams)", "number >= inputs"),
        ("hdl.stream_board.executor", "short.eq(length < PREFIX_BYTES)", "short.eq(0)"),
        ("hdl.stream_board.executor", "rest.eq(Mux(ends, last, rest - 1))", "rest.eq(Mux(ends, 0, rest - 1))"),
        ("hdl.stream_board.executor", "full.eq(self._todo == 0)", "full.eq(0)"),
    ],
}
