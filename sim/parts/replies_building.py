"""Proof of the replies: the bytes written for a job are its reply."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from amaranth.asserts import AnyConst, AnySeq
from amaranth.hdl import Assert, Assume, Cat, Const, Cover, Module, Mux, Signal, Value, signed

from ninefold.hdl.miner.parameters import MinerParameters
from ninefold.hdl.miner.replies import ReplyStore
from ninefold.sim.faults import Edit
from ninefold.sim.formal.dut import Inside, states_of, with_parts
from ninefold.sim.formal.proof import Method, Proof
from ninefold.sim.formal.stand_ins import FollowedMemory
from ninefold.sim.formal.streams import drive, follow

__all__ = ["LITERALS_MOST", "PROOFS", "PROOF_FAULTS", "SIZE", "WORDS_MOST", "replies"]

#: Size of a slot in bytes.
SIZE = 256
#: What the executor asks for at most, by its proof: the words that are not registers, and the registers that follow one
#: another.
LITERALS_MOST, WORDS_MOST = 2, 30
_WORD_BYTES, _RESULT_BYTES = 4, 6
_HOLD_MOST = 255
#: Cycles without a byte, except while waiting for a result.
_PAUSE_MOST = 1


@dataclass(frozen=True)
class _Reply:
    """Progress of a reply by the rule: element by element, each byte by byte.

    Attributes
    ----------
    builds : Signal
        There is a job whose reply is not built yet.
    place : Signal
        Number of bytes so far.
    opened, left, whole, known : Signal
        There is a current element; the number of its missing bytes, these bytes, and whether they are known. The bytes
        of a register are known if it is the followed one.
    literals, words, queries : Signal
        Elements opened, and queries whose last result has come.
    index : Signal
        Number of results of the current query that belong to the reply.
    """

    builds: Signal
    place: Signal
    opened: Signal
    left: Signal
    whole: Signal
    known: Signal
    literals: Signal
    words: Signal
    queries: Signal
    index: Signal


@dataclass(frozen=True)
class _Register:
    """Followed register at any address, which changes only while no reply holds it.

    Attributes
    ----------
    where, word : Signal
        Address and value of the register.
    seen, chosen, shown : Signal
        Address of the previous cycle, word selected by the address before that, and output of the register file.
    """

    where: Signal
    word: Signal
    seen: Signal
    chosen: Signal
    shown: Signal


def _register(m: Module, core: Any) -> _Register:
    bits = len(core.address)
    it = _Register(
        Signal(bits, name="where"), Signal(32, name="register"), Signal(bits, name="seen"), Signal(32), Signal(32)
    )
    m.d.comb += [it.where.eq(AnyConst(bits)), core.word.eq(it.shown)]
    m.d.sync += [
        it.seen.eq(core.address),
        it.chosen.eq(Mux(it.seen == it.where, it.word, AnySeq(32))),
        it.shown.eq(it.chosen),
    ]
    # Registers change unless they are held, and candidates unless a reply has them.
    job = core.jobs.payload
    kept = core.jobs.valid & job.address[-1] if _signs(core) else Const(0)
    with m.If(~core.hold & ~kept):
        m.d.sync += it.word.eq(AnySeq(32))
    return it


def _model(m: Module, core: Any, register: _Register, writes: Value, got: Value) -> _Reply:
    """Model the reply of each job by the rule."""
    job = core.jobs.payload
    counts = [
        Signal.like(getattr(job, name), name=f"{name}_model") for name in ("literals", "words", "queries", "results")
    ]
    it = _Reply(
        Signal(name="builds"),
        Signal(range(SIZE + 1), name="place"),
        Signal(name="opened"),
        Signal(3, name="left_model"),
        Signal(48, name="whole"),
        Signal(name="known"),
        *counts,
    )
    with m.If(core.jobs.valid & ~core.jobs.ready & ~it.builds):
        m.d.sync += [
            it.builds.eq(1),
            it.place.eq(0),
            it.opened.eq(1),
            it.left.eq(_WORD_BYTES),
            it.whole.eq(Cat(job.type, job.sequence, job.priority, core.epoch)),
            it.known.eq(1),
            *(count.eq(0) for count in counts),
        ]
    with m.Elif(core.built):
        m.d.sync += it.builds.eq(0)
    with m.If(writes):
        m.d.sync += [it.place.eq(it.place + 1), it.left.eq(it.left - 1), it.whole.eq(it.whole >> 8)]
        with m.If(it.left == 1):
            m.d.sync += it.left.eq(_WORD_BYTES)
            with m.If(it.literals != job.literals):
                m.d.sync += [it.literals.eq(it.literals + 1), it.known.eq(1)]
                m.d.sync += it.whole.eq(Mux(it.literals == 0, job.first, job.second))
            with m.Elif(it.words != job.words):
                m.d.sync += [
                    it.words.eq(it.words + 1),
                    it.known.eq((job.address + it.words)[: len(register.where)] == register.where),
                ]
                m.d.sync += it.whole.eq(register.word)
            with m.Else():
                m.d.sync += it.opened.eq(0)
    if _signs(core):
        return it
    result = core.results.payload
    with m.If(got):
        score = Signal(signed(32), name="score_model")
        m.d.comb += score.eq(result.score)
        with m.If(it.index != job.results):
            m.d.sync += [it.opened.eq(1), it.left.eq(_RESULT_BYTES), it.known.eq(1), it.index.eq(it.index + 1)]
            m.d.sync += it.whole.eq(Cat(result.id, Const(0, 16 - len(result.id)), score))
        with m.If(result.last):
            m.d.sync += [it.queries.eq(it.queries + 1), it.index.eq(0)]
    return it


def _building(m: Module, core: Any, inside: Inside) -> None:
    """Drive any jobs and results, and compare each byte written."""
    job, writes = core.jobs.payload, inside["write__en"]
    drive(m, core.jobs)
    drive(m, core.again)
    follow(m, core.frames)
    signs = _signs(core)
    got = Const(0) if signs else drive(m, core.results)
    # A reply with candidates has one literal at most.
    candidates = job.address[-1] & (job.words != 0) if signs else Const(0)
    words, literals = Mux(candidates, SIZE // 4 - 2, WORDS_MOST), Mux(candidates, 1, LITERALS_MOST)
    m.d.comb += core.epoch.eq(AnySeq(8))
    register = _register(m, core)
    it = _model(m, core, register, writes, got)
    complete, taken = Signal(), Signal()
    m.d.sync += taken.eq(core.built)
    m.d.comb += [
        complete.eq(~it.opened & (it.literals == job.literals) & (it.words == job.words) & (it.queries == job.queries)),
        # Proved of the executor's jobs; see its proof.
        Assume(~core.jobs.valid | (job.literals <= literals) & (job.words <= words)),
        Assume(~core.jobs.valid | (job.words == 0) | (job.queries == 0)),
        Assume(~got | (it.index == job.results) | (it.place + _RESULT_BYTES <= SIZE)),
        Assert(~writes | (it.builds & it.opened), "a byte too many"),
        Assert(~writes | ~it.known | (inside["write__data"] == it.whole[:8]), "another byte"),
        Assert(~writes | (inside["write__addr"] == Cat(it.place[:8], job.slot)), "a byte is written elsewhere"),
        Assert(~core.built | (it.builds & complete), "a reply is not whole"),
        Assert(core.jobs.ready == taken, "a job is taken at another time"),
        Assert(~got | (it.builds & ~it.opened & (it.queries != job.queries)), "a result is taken too early"),
        Assert(core.hold == (it.builds & (job.words != 0) & ~candidates), "registers are not held while they are read"),
    ]
    if not signs:
        m.d.comb += Assert(core.answered == (got & core.results.payload.last), "another count of queries")
    held, pauses, waits = Signal(range(_HOLD_MOST + 1)), Signal(range(_PAUSE_MOST + 2)), Signal()
    m.d.comb += [
        waits.eq(Const(0) if signs else core.results.ready & ~core.results.valid),
        Assert(held < _HOLD_MOST, "registers are held too long"),
        Assert(pauses <= _PAUSE_MOST, "building does not go on"),
    ]
    m.d.sync += [
        held.eq(Mux(core.hold, held + 1, 0)),
        pauses.eq(Mux(it.builds & ~writes & ~got & ~waits & ~core.built, pauses + 1, 0)),
    ]
    sizes = [Signal.like(it.place, name=f"size_{slot}") for slot in range(2 ** len(job.slot))]
    for slot, size in enumerate(sizes):
        m.d.comb += Assert(inside[f"length_{slot}"] == size, "another length is kept")
        with m.If(core.built & (job.slot == slot)):
            m.d.sync += size.eq(it.place)
    _machine(m, core, inside, it, register, (held, pauses))
    again = Signal()
    m.d.sync += [
        again.eq(again | core.built),
        Cover(again & core.built & (it.place == 12) & (it.words == 1) & it.known),
        *([] if signs else [Cover(again & core.built & (it.place == 14) & (it.literals == 1) & (sizes[0] == 4))]),
    ]


def _machine(m: Module, core: Any, inside: Inside, it: _Reply, register: _Register, counts: Any) -> None:
    """Assert the invariant: the state of the machine."""
    job, (held, pauses) = core.jobs.payload, counts
    state, states = inside["fsm_state"], states_of(inside["fsm_state"])
    at = {name: state == value for name, value in states.items()}
    done, none, elements = Signal(), Signal(), Signal(7)
    m.d.comb += [
        done.eq((it.literals == job.literals) & (it.words == job.words)),
        none.eq((it.queries == 0) & (it.index == 0)),
        elements.eq(1 + it.literals + it.words),
        Assert(state < len(states)),
        Assert(at["IDLE"] == (~it.builds & ~core.jobs.ready)),
        Assert(at["TAKE"] == core.jobs.ready),
        Assert(~core.jobs.ready | (core.jobs.valid & ~it.builds)),
        Assert(~at["NEXT"] | (pauses == 0)),
        Assert(~at.get("RESULT", Const(0)) | (pauses == 0)),
    ]
    with m.If(it.builds):
        m.d.comb += [
            Assert(core.jobs.valid),
            Assert((it.literals <= job.literals) & (it.words <= job.words) & (it.queries <= job.queries)),
            Assert((it.index <= job.results) & ((it.queries != job.queries) | (it.index == 0))),
            Assert((it.words == 0) | (it.literals == job.literals)),
            Assert(none | done),
            Assert(~none | (it.place + Mux(it.opened, it.left, 0) == elements << 2)),
            Assert(it.place + Mux(it.opened, it.left, 0) <= SIZE),
            Assert(inside["length"] == it.place),
        ]
        if not _signs(core):
            m.d.comb += [
                Assert(inside["queries"] == job.queries - it.queries),
                Assert(inside["remaining"] == (it.queries != job.queries)),
                Assert(inside["index"] == it.index),
            ]
        with m.If(at["NEXT"] | at["EMIT"] & (it.left < _WORD_BYTES)):
            m.d.comb += [
                Assert(inside["literal_left"] == (inside["literals"] != 0)),
                Assert(inside["first_left"] == (inside["literals"] == job.literals)),
                Assert(inside["word_left"] == (inside["words"] != 0)),
                Assert(inside["asks"] == (job.queries != 0)),
            ]
        with m.If(core.hold):
            m.d.comb += Assert(held == it.place + (it.place >> 2) - at["NEXT"])
    with m.If(at["EMIT"]):
        m.d.comb += [
            Assert(it.opened & (it.left != 0) & (it.left <= Mux(none, _WORD_BYTES, _RESULT_BYTES))),
            Assert(it.left == inside["left"]),
            Assert(~it.known | (inside["shifted"] == it.whole)),
            Assert(inside["literals"] == job.literals - it.literals),
        ]
    if not _signs(core):
        with m.If(at["RESULT"]):
            m.d.comb += Assert(~it.opened & done & (job.queries != 0))
            m.d.comb += Assert(inside["literals"] == 0)
    with m.If(at["BUILT"]):
        m.d.comb += Assert(~it.opened & done & (it.queries == job.queries))
    _between(m, core, inside, it, register)


def _between(m: Module, core: Any, inside: Inside, it: _Reply, register: _Register) -> None:
    """Assert the rest of the invariant: the state between elements, and that a register is shown in time."""
    job, state, states = core.jobs.payload, inside["fsm_state"], states_of(inside["fsm_state"])
    follows, literal, chosen, shown = Signal(), Signal(), Signal(), Signal()
    m.d.comb += [
        follows.eq((state == states["NEXT"]) & it.opened),
        literal.eq(it.words == 0),
        chosen.eq((core.address != register.where) | (register.chosen == register.word)),
        shown.eq((core.address != register.where) | (register.shown == register.word)),
    ]
    with m.If(it.builds):
        asked = (job.address + it.words - (follows & ~literal))[: len(core.address)]
        m.d.comb += [
            Assert(core.address == asked),
            Assert(inside["words"] == job.words - it.words + (follows & ~literal)),
        ]
    with m.If(state == states["NEXT"]):
        m.d.comb += [
            Assert(inside["literals"] == job.literals - it.literals + (follows & literal)),
            Assert(it.opened | ((job.queries == 0) & (it.literals == job.literals) & (it.words == job.words))),
            Assert(~it.opened | (it.left == _WORD_BYTES)),
        ]
        with m.If(it.opened & literal):
            m.d.comb += Assert((it.literals != 0) & it.known)
            m.d.comb += Assert(it.whole == Mux(it.literals == 1, job.first, job.second))
        with m.Elif(it.opened):
            m.d.comb += Assert(it.known == (core.address == register.where))
            m.d.comb += Assert(~it.known | (it.whole == register.word))
    reads = it.builds & (job.words != 0)
    with m.If(reads & (state == states["EMIT"])):
        m.d.comb += [
            Assert((it.left == _WORD_BYTES) | (register.seen == core.address)),
            Assert((it.left >= _WORD_BYTES - 1) | chosen),
            Assert((it.left >= _WORD_BYTES - 2) | shown),
        ]
    with m.If(reads & (state == states["NEXT"])):
        m.d.comb += Assert((register.seen == core.address) & chosen & shown)


def _signs(core: Any) -> bool:
    return not hasattr(core, "results")


def replies(window: int, keep: int = 0) -> Any:
    """Build a store of replies whose memory keeps one followed byte; of the design signs if there is a `keep`."""
    chosen: dict[str, Any] = {"lanes": 4, "k": 0, "design": "signs", "keep": keep} if keep else {"lanes": 2, "k": 2}
    parameters = MinerParameters(
        dimensions=4, depth=3, clock_hz=12_000_000, window=window, buffer_bytes=64, reply_bytes=SIZE, **chosen
    )
    kind = with_parts(ReplyStore, memory=SimpleNamespace(Memory=FollowedMemory))
    return kind(parameters)


PROOFS = (
    Proof(
        "replies",
        "building",
        "for each job, exactly the bytes of its reply are written in order from the start of its slot: header, "
        "literals, the values of the held registers, and the requested number of results of each query, with excess "
        "results dropped. `built` is asserted once, after the last byte, and `answered` once per query. The length is "
        "stored. Registers are held for less than 255 cycles. No two cycles in a row pass without a byte, except "
        "while waiting for a result",
        _building,
        Method.INDUCTION,
        depth=1,
        cover=45,
        parameters={"window": 2, "reply_bytes": SIZE},
        make=lambda window, **_: replies(window),
    ),
    Proof(
        "replies",
        "building_of_candidates",
        "the same in the design signs, where the words of a reply may be candidates, which do not change while a reply "
        "has them, and counters are not held",
        _building,
        Method.INDUCTION,
        depth=1,
        cover=45,
        parameters={"window": 2, "keep": 3, "reply_bytes": SIZE},
        make=lambda window, keep, **_: replies(window, keep),
    ),
)

#: Faults that a proof must find, by the name of the proof.
PROOF_FAULTS: Mapping[str, Sequence[Edit]] = {
    "building": [
        ("hdl.miner.replies", "Mux(first_left, job.first, job.second)", "job.first"),
        ("hdl.miner.replies", "self.address.eq(self.address + 1)", "self.address.eq(self.address)"),
    ],
    "building_of_candidates": [
        ("hdl.miner.replies", "self.hold.eq((job.words != 0) & register)", "self.hold.eq(job.words != 0)"),
    ],
}
