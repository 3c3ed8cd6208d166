"""Proof of the replies of a board of design stream: the bytes written for a job are its reply."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from amaranth.asserts import AnyConst, AnySeq
from amaranth.hdl import Array, Assert, Assume, Cat, Cover, Module, Mux, Signal, Value

from ninefold.hdl.stream_board.interface import Interface
from ninefold.hdl.stream_board.jobs import job_layout
from ninefold.hdl.stream_board.parameters import StreamBoardParameters
from ninefold.hdl.stream_board.replies import StreamReplies
from ninefold.sim.faults import Edit
from ninefold.sim.formal.dut import Inside, states_of, with_parts
from ninefold.sim.formal.proof import Method, Proof
from ninefold.sim.formal.stand_ins import FollowedMemory
from ninefold.sim.formal.streams import drive, follow
from ninefold.spec.registers import IDENTITY, STATISTICS
from ninefold.spec.streams import CREDIT_BYTES, PayloadField, StreamLayout

__all__ = ["PROOFS", "PROOF_FAULTS"]

_BOARD = StreamBoardParameters(buffer_bytes=64, queue_bytes=16)
_FIELD = (PayloadField("data", 8, False, (), 0),)
#: An input, and outputs with payloads of two bytes and of one.
_CORE = Interface(
    (
        StreamLayout("a", True, _FIELD, False),
        StreamLayout("y", False, _FIELD, True),
        StreamLayout("z", False, _FIELD, False),
    )
)
_STREAMS, _INPUTS, _WORD_BYTES = len(_CORE.streams), len(_CORE.inputs), 4
#: Registers of a READ at most, which is proved of the executor, and cycles in which they may be held.
_WORDS_MOST, _HOLD_MOST = 30, 255
_FLAGS = ("identifies", "reads", "counts", "pulls", "refused")


class _Job:
    """The job whose reply is built, and what the rules demand of the reply.

    Attributes
    ----------
    fields : View
        The job as it was taken.
    builds : Signal
        Its reply is not built yet.
    literals, words : Signal
        Number of words after the header, and of registers after them.
    base : Signal
        Address of the first register.
    second, size, held : Value
        For a PULL: the output of one-byte payloads; bytes of a payload; payloads that fit in a reply.
    """

    def __init__(self, m: Module, core: Any) -> None:
        self.fields: Any = Signal.like(core.jobs.payload, name="job_model")
        self.builds = Signal(name="builds")
        self.literals, self.words = Signal(2, name="literals_due"), Signal(6, name="words_due")
        self.base = Signal(len(core.address), name="base")
        job = self.fields
        self.reads = job.identifies | job.counts | job.reads
        self.second = job.first[:8] == _INPUTS + 1
        self.size = Mux(self.second, *(one.payload_bytes for one in _CORE.outputs[::-1]))
        self.held = Mux(self.second, *(_CORE.held(one, _BOARD) for one in _CORE.outputs[::-1]))
        registers = ((job.identifies, IDENTITY), (job.counts, STATISTICS))
        words, base = job.first[16:] & job.reads.replicate(16), job.first[: len(self.base)]
        for flag, addresses in registers:
            words, base = Mux(flag, len(addresses), words), Mux(flag, addresses.start, base)
        m.d.comb += [
            self.literals.eq(Mux(job.refused, 2, job.identifies | job.pulls)),
            self.words.eq(words),
            self.base.eq(base),
        ]


@dataclass(frozen=True)
class _Reply:
    """Progress of a reply by the rule: element by element, each byte by byte.

    Attributes
    ----------
    place, left : Signal
        Number of bytes so far, and of missing bytes of the current element.
    whole, known : Signal
        These bytes, and whether they are known. A register is known if it is the followed one.
    literals, words, credits : Signal
        Elements of each kind that are complete or current.
    payloads, rest : Signal
        Payloads still to be taken of those that the reply tells, and missing bytes of the first of them.
    least : Signal
        Payloads that waited at the output when the job was taken.
    """

    place: Signal
    left: Signal
    whole: Signal
    known: Signal
    literals: Signal
    words: Signal
    credits: Signal
    payloads: Signal
    rest: Signal
    least: Signal


@dataclass(frozen=True)
class _Outside:
    """Inputs of the replies: one followed register, which changes only while it is not held, and the credits.

    Attributes
    ----------
    where, word : Signal
        Address and value of the register.
    seen, chosen, shown : Signal
        Address of the previous cycle, word selected by the address before that, and output of the register file.
    before, taken, there : Signal
        Credits of all streams in the previous cycle, and outputs of which a payload was taken in it; credit of the
        job's output now.
    """

    where: Signal
    word: Signal
    seen: Signal
    chosen: Signal
    shown: Signal
    before: Array
    taken: Signal
    there: Signal


def _outside(m: Module, core: Any, job: _Job) -> _Outside:
    bits = len(core.address)
    before = [Signal(16, name=f"credit_{i}_before") for i in range(_STREAMS)]
    taken = Signal(_STREAMS - _INPUTS, name="outputs_taken")
    begun = Signal(name="begun")
    it = _Outside(
        Signal(bits, name="where"),
        Signal(32, name="register"),
        Signal(bits, name="seen"),
        Signal(32, name="chosen_word"),
        Signal(32, name="shown_word"),
        Array(before),
        taken,
        Signal(16, name="there_now"),
    )
    m.d.comb += [
        it.where.eq(AnyConst(bits)),
        core.word.eq(it.shown),
        core.epoch.eq(AnySeq(8)),
        it.there.eq(Mux(job.second, core.credits[_INPUTS + 1], core.credits[_INPUTS])),
    ]
    m.d.sync += [
        it.seen.eq(core.address),
        it.chosen.eq(Mux(it.seen == it.where, it.word, AnySeq(32))),
        it.shown.eq(it.chosen),
        taken.eq(core.pulled),
        begun.eq(1),
    ]
    with m.If(~core.hold):
        m.d.sync += it.word.eq(AnySeq(32))
    for number, credit in enumerate(before):
        now = Signal(16, name=f"credit_{number}")
        m.d.comb += [now.eq(AnySeq(16)), core.credits[number].eq(now)]
        m.d.sync += credit.eq(now)
        if number >= _INPUTS:
            # Proved of the queue: payloads come at any time, and leave one by one.
            m.d.comb += Assume(~begun | (now >= credit - taken[number - _INPUTS]))
    return it


def _model(m: Module, core: Any, inside: Inside, job: _Job, outside: _Outside) -> _Reply:
    """Model the reply of each job by the rule."""
    it = _Reply(
        Signal(9, name="place"),
        Signal(3, name="left_model"),
        Signal(32, name="whole"),
        Signal(name="known"),
        Signal(2, name="literals_model"),
        Signal(6, name="words_model"),
        Signal(range(_STREAMS + 1), name="credits_model"),
        Signal(16, name="payloads"),
        Signal(2, name="rest_model"),
        Signal(16, name="least"),
    )
    offered, fields = core.jobs.payload, job.fields
    taken, writes, state = drive(m, core.jobs), inside["write__en"], inside["fsm_state"]
    with m.If(state == states_of(state)["BEGIN"]):
        m.d.sync += it.least.eq(outside.there)
    with m.If(taken):
        m.d.sync += [
            fields.eq(offered),
            job.builds.eq(1),
            it.left.eq(_WORD_BYTES),
            it.whole.eq(Cat(offered.type, offered.sequence, offered.priority, core.epoch)),
            it.known.eq(1),
            *(count.eq(0) for count in (it.place, it.literals, it.words, it.credits, it.payloads)),
        ]
    with m.Elif(core.built):
        m.d.sync += job.builds.eq(0)
    with m.If(writes):
        m.d.sync += it.place.eq(it.place + 1)
    with m.If(writes & (it.left != 0)):
        m.d.sync += [it.left.eq(it.left - 1), it.whole.eq(it.whole >> 8)]
    with m.Elif(writes):
        m.d.sync += it.rest.eq(Mux(it.rest == 1, job.size, it.rest - 1))
        with m.If(it.rest == 1):
            m.d.sync += it.payloads.eq(it.payloads - 1)
    with m.Elif(job.builds & (it.left == 0)):
        _open(m, inside, job, outside, it)
    return it


def _open(m: Module, inside: Inside, job: _Job, outside: _Outside, it: _Reply) -> None:
    """Open the next element of a reply."""
    fields = job.fields
    told = inside["counted"]
    with m.If(it.literals != job.literals):
        first = Mux(it.literals == 0, Cat(fields.first[:16], Mux(fields.pulls, told, fields.first[16:])), fields.second)
        m.d.sync += [it.literals.eq(it.literals + 1), it.left.eq(_WORD_BYTES), it.whole.eq(first), it.known.eq(1)]
        with m.If(fields.pulls):
            most = Mux(fields.first[16:] < job.held, fields.first[16:], job.held)
            m.d.sync += [it.payloads.eq(told), it.rest.eq(job.size)]
            m.d.comb += [
                Assert(told <= most, "more payloads are told than are asked, or than fit"),
                Assert(told <= outside.there, "more payloads are told than are there"),
                Assert(told >= Mux(it.least < most, it.least, most), "fewer payloads are told than were there"),
            ]
    with m.Elif(it.words != job.words):
        known = (job.base + it.words)[: len(outside.where)] == outside.where
        m.d.sync += [it.words.eq(it.words + 1), it.left.eq(_WORD_BYTES), it.whole.eq(outside.word), it.known.eq(known)]
    with m.Elif((it.payloads == 0) & (it.credits != _STREAMS)):
        m.d.sync += [
            it.credits.eq(it.credits + 1),
            it.left.eq(CREDIT_BYTES),
            it.whole.eq(outside.before[it.credits]),
            it.known.eq(1),
        ]


def _building(m: Module, core: Any, inside: Inside) -> None:
    """Drive any jobs, and compare each byte written."""
    drive(m, core.again)
    follow(m, core.frames)
    moves = Cat(drive(m, output) for output in core.outputs)
    job = _Job(m, core)
    outside = _outside(m, core, job)
    it = _model(m, core, inside, job, outside)
    fields, offered = job.fields, core.jobs.payload
    writes, byte, copies = inside["write__en"], inside["write__data"], Signal(name="copies")
    data = Mux(job.second, core.outputs[1].payload.data, core.outputs[0].payload.data)
    chosen = Cat(~job.second, job.second)
    complete = Signal(name="complete")
    m.d.comb += [
        # Proved of the executor.
        Assume(~core.jobs.valid | (sum(offered[name] for name in _FLAGS) <= 1)),
        Assume(~core.jobs.valid | ~offered.pulls | offered.first[:8].matches(_INPUTS, _INPUTS + 1)),
        Assume(~core.jobs.valid | ~offered.reads | (offered.first[16:] != 0) & (offered.first[16:] <= _WORDS_MOST)),
        copies.eq(writes & (it.left == 0)),
        complete.eq(
            (it.literals == job.literals)
            & (it.words == job.words)
            & (it.payloads == 0)
            & (it.credits == _STREAMS)
            & (it.left == 0)
        ),
        Assert(~writes | (job.builds & ((it.left != 0) | (it.payloads != 0) & (it.credits == 0))), "a byte too many"),
        Assert(~writes | (it.place < _BOARD.reply_bytes), "a reply is too long"),
        Assert(~writes | copies | ~it.known | (byte == it.whole[:8]), "another byte"),
        Assert(~copies | (byte == data), "another byte of a payload"),
        Assert(moves == Mux(copies, chosen, 0), "bytes are taken that are of no reply, or of another output"),
        Assert(core.pulled == Mux(copies & (it.rest == 1), chosen, 0), "another payload is told to be taken"),
        Assert(~writes | (inside["write__addr"] == Cat(it.place[:8], fields.slot)), "a byte is written elsewhere"),
        Assert(~core.built | (job.builds & complete), "a reply is not whole"),
        Assert(~(core.jobs.ready & job.builds), "a job is taken while another is built"),
    ]
    sizes = [Signal.like(it.place, name=f"size_{slot}") for slot in range(_BOARD.window)]
    for slot, size in enumerate(sizes):
        m.d.comb += Assert(inside[f"length_{slot}"] == size, "another length is kept")
        with m.If(core.built & (fields.slot == slot)):
            m.d.sync += size.eq(it.place)
    _machine(m, core, inside, job, it)
    _pull(m, inside, job, outside, it)
    _between(m, core, inside, job, outside, it)
    pulls, again = Signal(), Signal()
    m.d.sync += [
        pulls.eq(pulls | core.pulled[0]),
        again.eq(again | core.built),
        Cover(core.built & pulls),
        Cover(again & core.built & fields.reads & (it.words == 1) & it.known),
        Cover(core.built & fields.refused),
    ]


def _machine(m: Module, core: Any, inside: Inside, job: _Job, it: _Reply) -> None:
    """Assert the invariant: the state of the machine."""
    state, states, fields, kept = (
        inside["fsm_state"],
        states_of(inside["fsm_state"]),
        job.fields,
        job_layout(_BOARD)(inside["job"]),
    )
    at = {name: state == value for name, value in states.items()}
    runs, held, remaining = at["EMIT"] | at["NEXT"], Signal(range(_HOLD_MOST + 1)), Signal(20)
    m.d.sync += held.eq(Mux(core.hold, held + 1, 0))
    total = (1 + it.literals + it.words) << 2
    literals, words = job.literals, job.words
    m.d.comb += [
        # Bytes of payloads still to be taken.
        remaining.eq(Mux(job.second, it.payloads, (it.payloads << 1) - (it.rest == 1))),
        Assert(state < len(states)),
        Assert(at["IDLE"] == ~job.builds),
        Assert(core.hold == (job.reads & runs & (it.credits == 0)), "registers are not held while they are read"),
        Assert(held < _HOLD_MOST, "registers are held too long"),
        Assert(sum(fields[name] for name in _FLAGS) <= 1),
    ]
    with m.If(job.builds):
        first = Mux(fields.refused & (it.literals != 0), fields.second, fields.first)
        m.d.comb += [
            *(Assert(kept[name] == fields[name]) for name in ("slot", "type", "sequence", "priority", "second")),
            *(Assert(kept[name] == fields[name]) for name in _FLAGS),
            Assert(kept.first == first),
            Assert(~fields.pulls | fields.first[:8].matches(_INPUTS, _INPUTS + 1)),
            Assert(words <= _WORDS_MOST),
            Assert(inside["length"] == it.place),
            Assert((it.literals <= literals) & (it.words <= words) & (it.credits <= _STREAMS)),
            Assert((it.words == 0) | (it.literals == literals)),
            Assert((it.credits == 0) | (it.literals == literals) & (it.words == words) & (it.payloads == 0)),
            Assert(inside["credit"] == it.credits),
        ]
        m.d.comb += Assert((it.payloads == 0) | fields.pulls & (it.literals == 1))
        with m.If(fields.pulls & (it.literals == 1)):
            ends = it.place + it.left + remaining + CREDIT_BYTES * (_STREAMS - it.credits)
            m.d.comb += Assert(ends <= _BOARD.reply_bytes)
        with m.Else():
            m.d.comb += Assert(it.place + it.left == total + (it.credits << 1))
        with m.If(core.hold):
            m.d.comb += Assert(held == it.place + (it.place >> 2) - at["NEXT"])
    with m.If(at["BEGIN"]):
        m.d.comb += Assert((it.place == 0) & (it.literals == 0) & (it.words == 0) & (it.credits == 0))
    with m.If(at["BEGIN"] | runs | at["PULL"]):
        m.d.comb += Assert(inside["literals"] == literals - it.literals)
    with m.If(runs | at["PULL"]):
        m.d.comb += Assert(inside["words"] == words - it.words)
    with m.If(at["BEGIN"] | at["EMIT"]):
        m.d.comb += [
            Assert((it.left != 0) & (it.left <= _WORD_BYTES) & ((it.credits == 0) | (it.left <= CREDIT_BYTES))),
            Assert(inside["left#1"] == it.left),
            Assert(~it.known | (inside["shifted"] == it.whole)),
        ]
    with m.Else():
        m.d.comb += Assert(~job.builds | (it.left == 0))
    with m.If(at["PULL"]):
        m.d.comb += Assert((it.payloads != 0) & (it.credits == 0))
    with m.If(at["BUILT"]):
        m.d.comb += Assert((it.literals == literals) & (it.words == words) & (it.credits == _STREAMS))


def _pull(m: Module, inside: Inside, job: _Job, outside: _Outside, it: _Reply) -> None:
    """Assert the rest of the invariant for a PULL: the number of payloads, which is found while the header is built."""
    state, states, fields = inside["fsm_state"], states_of(inside["fsm_state"]), job.fields
    # Registers without a name, in the order of `StreamReplies._pull`.
    most, todo, final = (inside[f"$signal#{number}"] for number in range(3))
    left, index, last = inside["left#0"], inside["index"], inside["$like"]
    header = (state == states["EMIT"]) & (it.literals == 0)
    opens = (state == states["NEXT"]) & (it.literals == 0)
    asked, low = fields.first[16:], it.least

    def known(least: int) -> Value:
        """Return whether at most that many bytes of the header are left."""
        return fields.pulls & (opens | header & (it.left <= least) | job.builds & (it.literals == 1))

    def bounded(value: Value, *limits: Value) -> Value:
        """Return whether a number of payloads is at most what is there now, and at least what was there."""
        least, highest = low, outside.there
        for limit in limits:
            least, highest = Mux(least < limit, least, limit), Mux(highest < limit, highest, limit)
        return (value >= least) & (value <= highest)

    before = opens | header
    m.d.comb += [
        Assert((outside.taken == 0) | fields.pulls & (it.literals == 1)),
        Assert(~known(4) | (inside["chosen"] == Cat(~job.second, job.second))),
        Assert(~known(3) | (index == job.second)),
        Assert(~known(2) | (last == job.size - 1)),
        Assert(~(known(4) & before) | (low <= outside.there)),
        Assert(~(known(2) & before) | bounded(inside["there"])),
        Assert(~(known(1) & before) | bounded(most, job.held)),
        Assert(~(known(0) & before) | bounded(inside["counted"], job.held, asked)),
        Assert(left == (job.builds & (it.payloads != 0))),
        Assert(~left | (todo == it.payloads) & (final == (it.payloads == 1)) & (inside["rest"] == it.rest - 1)),
        Assert(~left | (it.rest != 0) & (it.rest <= job.size)),
        Assert(~left | (it.payloads <= outside.there), "a payload is taken that has not come"),
    ]


def _between(m: Module, core: Any, inside: Inside, job: _Job, outside: _Outside, it: _Reply) -> None:
    """Assert the rest of the invariant: a register and a credit are shown in time."""
    state, states = inside["fsm_state"], states_of(inside["fsm_state"])
    emits, opens = (state == states[name] for name in ("EMIT", "NEXT"))
    is_it = core.address == outside.where
    with m.If(job.reads & (emits | opens)):
        m.d.comb += Assert(core.address == (job.base + it.words)[: len(core.address)])
    with m.If(job.reads & (emits | opens) & (it.credits == 0)):
        for cycles, value in enumerate(
            (
                outside.seen == core.address,
                ~is_it | (outside.chosen == outside.word),
                ~is_it | (core.word == outside.word),
            )
        ):
            m.d.comb += Assert(~(opens | (it.left < _WORD_BYTES - cycles)) | value)
    with m.If(opens):
        m.d.comb += [
            Assert(inside["uncredited"] == (it.credits != _STREAMS)),
            Assert((it.credits == _STREAMS) | (inside["$signal#3"] == outside.before[it.credits])),
        ]


def _component(**_: Any) -> Any:
    kind = with_parts(StreamReplies, memory=SimpleNamespace(Memory=FollowedMemory))
    return kind(_BOARD, _CORE)


PROOFS = (
    Proof(
        "stream_replies",
        "building",
        "for each job, exactly the bytes of its reply are written in order from the start of its slot: header, "
        "literals, held registers, the payloads of an output, and the credits of all streams. A PULL tells as many "
        "payloads as there are, at most those asked and those that fit, and takes them whole, from its output only. "
        "`built` is asserted once, after the last byte, and the length is stored. Registers are held for less than "
        "255 cycles",
        _building,
        Method.INDUCTION,
        depth=1,
        cover=45,
        parameters={"window": _BOARD.window, "reply_bytes": _BOARD.reply_bytes},
        make=_component,
    ),
)

#: Faults that the proof must find.
PROOF_FAULTS: Mapping[str, Sequence[Edit]] = {
    "building": [
        ("hdl.stream_board.replies", "Mux(offered.refused, 2, offered", "Mux(offered.refused, 1, offered"),
        ("hdl.stream_board.replies", "left.eq(2), credit.eq(credit + 1)", "left.eq(1), credit.eq(credit + 1)"),
        ("hdl.stream_board.replies", "Mux(there < held[index], there, held[index])", "there"),
        ("hdl.stream_board.replies", "final.eq(todo == 2)", "final.eq(todo == 1)"),
        ("hdl.stream_board.replies", "chosen & (control.moves & ends)", "chosen & (control.moves)"),
        ("hdl.stream_board.replies", "Mux(ends, last, rest - 1)", "Mux(ends, 0, rest - 1)"),
        ("hdl.stream_board.replies", "self.address.eq(self.address + 1)", "self.address.eq(self.address)"),
    ],
}
