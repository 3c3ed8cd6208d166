"""Proof of the replies of a board of design stream: the bytes written for a job are its reply."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from amaranth.asserts import AnyConst, AnySeq
from amaranth.hdl import Array, Assert, Assume, Cat, Cover, Module, Mux, Signal, Value

from ninefold.hdl.stream_board.interface import Interface
from ninefold.hdl.stream_board.parameters import StreamBoardParameters
from ninefold.hdl.stream_board.replies import StreamReplies
from ninefold.sim.faults import Edit
from ninefold.sim.formal.dut import Inside, with_parts
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
_STREAMS, _WORD_BYTES = len(_CORE.streams), 4
_DEPTH = 44


class _Reply:
    """Progress of a reply by the rule: element by element, each byte by byte.

    Attributes
    ----------
    builds : Signal
        There is a job whose reply is not built.
    place, left : Signal
        Number of bytes so far, and of missing bytes of the current element.
    whole, known : Signal
        These bytes, and whether they are known. A register is known if it is the followed one.
    literals, words, credits : Signal
        Elements of each kind that are complete or current.
    pulled : Signal
        Bytes of payloads written.
    count : Signal
        Number of payloads that the reply tells.
    """

    def __init__(self) -> None:
        self.builds, self.known = Signal(name="builds"), Signal(name="known")
        self.place, self.left = Signal(9, name="place"), Signal(3, name="left_model")
        self.whole, self.count = Signal(32, name="whole"), Signal(16, name="told")
        self.literals, self.words = Signal(2, name="literals_model"), Signal(7, name="words_model")
        self.credits, self.pulled = Signal(range(_STREAMS + 1), name="credits_model"), Signal(9, name="pulled_bytes")


def _building(m: Module, core: Any, inside: Inside) -> None:
    """Drive any jobs, and compare each byte written."""
    job, writes, byte = Signal.like(core.jobs.payload, name="job_model"), inside["write__en"], inside["write__data"]
    taken = drive(m, core.jobs)
    drive(m, core.again)
    follow(m, core.frames)
    moves = [drive(m, output) for output in core.outputs]
    epoch, where, word = (AnyConst(bits) for bits in (8, len(core.address), 32))
    seen, chosen = Signal(len(core.address)), Signal(32)
    m.d.comb += core.epoch.eq(epoch)
    # Registers stay while they are held, which the proof of the miner's replies shows in detail.
    m.d.sync += [seen.eq(core.address), chosen.eq(Mux(seen == where, word, AnySeq(32))), core.word.eq(chosen)]
    credits = _credits(m, core)
    it = _Reply()
    output = job.first[0]
    offered = core.jobs.payload
    flags = ("identifies", "reads", "counts", "pulls", "refused")
    words = Mux(job.identifies, len(IDENTITY), Mux(job.counts, len(STATISTICS), Mux(job.reads, job.first[16:], 0)))
    literals = Mux(job.refused, 2, job.identifies | job.pulls)
    size = Mux(output, _CORE.outputs[0].payload_bytes, _CORE.outputs[1].payload_bytes)
    pulls = job.pulls & (it.pulled != it.count * size) & (it.literals == 1) & (it.left == 0)
    m.d.comb += [
        # Proved of the executor.
        Assume(~core.jobs.valid | (sum(offered[name] for name in flags) <= 1)),
        Assume(~core.jobs.valid | ~offered.pulls | offered.first[:8].matches(1, 2)),
        Assume(~core.jobs.valid | ~offered.reads | (offered.first[16:] != 0) & (offered.first[16:] < 30)),
    ]
    with m.If(taken):
        m.d.sync += [
            job.eq(offered),
            it.builds.eq(1),
            it.left.eq(_WORD_BYTES),
            it.known.eq(1),
            it.whole.eq(Cat(offered.type, offered.sequence, offered.priority, epoch)),
            *(one.eq(0) for one in (it.place, it.literals, it.words, it.credits, it.pulled, it.count)),
        ]
    with m.Elif(core.built):
        m.d.sync += it.builds.eq(0)
    with m.If(writes):
        m.d.sync += it.place.eq(it.place + 1)
    element = Signal()
    m.d.comb += element.eq(writes & (it.left != 0))
    with m.If(element):
        m.d.sync += [it.left.eq(it.left - 1), it.whole.eq(it.whole >> 8)]
        with m.If(job.pulls & (it.literals == 1) & (it.words == 0) & (it.credits == 0)):
            m.d.sync += it.count.eq(Mux(it.left <= 2, Cat(it.count[8:], byte), it.count))
    complete = Signal()
    m.d.comb += complete.eq((it.literals == literals) & (it.words == words) & (it.credits == _STREAMS))
    with m.If(it.builds & (it.left == 0) & ~pulls & ~writes & ~complete):
        with m.If(it.literals != literals):
            m.d.sync += [
                it.literals.eq(it.literals + 1),
                it.left.eq(_WORD_BYTES),
                it.whole.eq(Mux(it.literals == 0, job.first, job.second)),
                it.known.eq(1),
            ]
        with m.Elif(it.words != words):
            first = Mux(job.identifies, IDENTITY.start, Mux(job.counts, STATISTICS.start, job.first[:16]))
            m.d.sync += [
                it.words.eq(it.words + 1),
                it.left.eq(_WORD_BYTES),
                it.whole.eq(word),
                it.known.eq((first + it.words)[: len(core.address)] == where),
            ]
        with m.Else():
            m.d.sync += [
                it.credits.eq(it.credits + 1),
                it.left.eq(CREDIT_BYTES),
                it.whole.eq(Array(credits)[it.credits]),
                it.known.eq(1),
            ]
    telling = job.pulls & (it.literals == 1) & (it.credits == 0) & (it.left <= 2)
    m.d.comb += [
        Assert(~writes | it.builds & ((it.left != 0) | pulls), "a byte too many"),
        Assert(~element | ~it.known | telling | (byte == it.whole[:8]), "another byte"),
        Assert(~writes | (inside["write__addr"] == Cat(it.place[:8], job.slot)), "a byte is written elsewhere"),
        Assert(~core.built | it.builds & complete & (it.left == 0) & ~pulls, "a reply is not whole"),
        Assert(~taken | ~it.builds | core.built, "a job is taken while another is built"),
    ]
    _pulled(m, core, it, (job, output, size), (moves, writes & pulls, byte, credits))
    for slot in range(_BOARD.window):
        kept = Signal(9, name=f"size_{slot}")
        m.d.comb += Assert(inside[f"length_{slot}"] == kept, "another length is kept")
        with m.If(core.built & (job.slot == slot)):
            m.d.sync += kept.eq(it.place)
    once = Signal()
    m.d.sync += [
        once.eq(once | core.built),
        Cover(core.built & job.pulls & (it.count == 3) & output),
        Cover(once & core.built & job.reads & (it.words == 1)),
        Cover(core.built & job.refused),
    ]


def _credits(m: Module, core: Any) -> list[Signal]:
    """Return the credits of all streams: those of outputs fall only by what is pulled."""
    found = [Signal(16, name=f"credit_{i}") for i in range(_STREAMS)]
    begun = Signal(name="begun")
    m.d.sync += begun.eq(1)
    for number, credit in enumerate(found):
        output = number - len(_CORE.inputs)
        value = Signal(16, name=f"credit_{number}_now")
        m.d.comb += [value.eq(Mux(begun, credit, AnyConst(16))), core.credits[number].eq(value)]
        m.d.sync += credit.eq(value - (core.pulled[output] if output >= 0 else 0))
    return [core.credits[number] for number in range(_STREAMS)]


def _pulled(m: Module, core: Any, it: _Reply, of: tuple[Value, ...], events: tuple[Any, ...]) -> None:
    """Assert that payloads are taken whole, from their output only, and as many as are told."""
    job, output, size = of
    moves, copies, byte, credits = events
    data = Mux(output, core.outputs[0].payload.data, core.outputs[1].payload.data)
    there = Mux(output, credits[1], credits[2])
    held = Mux(output, *(_CORE.held(one, _BOARD) for one in _CORE.outputs))
    asked, ended = job.first[16:], (it.pulled + 1)[0] == 0
    whole = Mux(output, ended, 1)
    most = Mux(asked < held, asked, held)
    m.d.comb += [
        Assert(Cat(moves).any() == copies, "bytes are taken that are of no reply"),
        Assert(~copies | (Mux(output, Cat(moves) == 1, Cat(moves) == 2)), "another output is taken from"),
        Assert(~copies | (byte == data), "another byte of a payload"),
        Assert(core.pulled == Mux(copies & whole, Mux(output, 1, 2), 0), "another payload is told to be taken"),
    ]
    with m.If(copies):
        m.d.sync += it.pulled.eq(it.pulled + 1)
    # Nothing is pulled before the number is told.
    with m.If(it.builds & job.pulls & (it.literals == 1) & (it.left == 0) & (it.pulled == 0) & (it.credits == 0)):
        m.d.comb += Assert(it.count == Mux(there < most, there, most), "another number of payloads is told")
    del size


def _component(**_: Any) -> Any:
    kind = with_parts(StreamReplies, memory=SimpleNamespace(Memory=FollowedMemory))
    return kind(_BOARD, _CORE)


PROOFS = (
    Proof(
        "stream_replies",
        "building",
        "for each job, exactly the bytes of its reply are written in order from the start of its slot: header, "
        "literals, registers, the payloads of an output, and the credits of all streams. A PULL tells as many payloads "
        "as there are, at most those asked and those that fit, and takes them whole, from its output only. `built` is "
        "asserted once, after the last byte, and the length is stored",
        _building,
        Method.BOUNDED,
        depth=_DEPTH,
        cover=_DEPTH,
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
