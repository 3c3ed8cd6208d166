"""Proofs of the queues of a board of design stream: payloads pass once, whole and in order, and credits are right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from amaranth.asserts import AnySeq
from amaranth.hdl import Array, Assert, Assume, Cover, Module, Mux, Signal, Value
from amaranth.lib import data

from ninefold.hdl.stream_board.queues import InputQueue, OutputQueue
from ninefold.sim.faults import Edit
from ninefold.sim.formal.dut import Inside
from ninefold.sim.formal.proof import Method, Proof
from ninefold.sim.formal.streams import Watch, drive, follow
from ninefold.spec.streams import PayloadField, StreamLayout

__all__ = ["PROOFS", "PROOF_FAULTS"]

#: Payloads of two bytes, the first one padded and the second one with the end of a packet, in a queue of two of them.
_BITS, _SIZE, _DEPTH = 7, 2, 4
_CAPACITY = _DEPTH // _SIZE
_PAYLOAD = data.StructLayout({"data": _BITS, "last": 1})


def _layout(into: bool) -> StreamLayout:
    return StreamLayout("a" if into else "y", into, (PayloadField("data", _BITS, False, (), 0),), True)


def _input(m: Module, core: Any, inside: Inside) -> None:
    """Write, commit and discard at any time, within the room, and follow any byte of any payload."""
    left = follow(m, core.output)
    put, commit, rollback = (Signal(name=n) for n in ("puts", "commits", "discards"))
    byte, count = Signal(8, name="given_byte"), Signal(16, name="given_count")
    tentative, waiting = Signal(range(_DEPTH + 1), name="tentative"), Signal(range(3 * _DEPTH), name="waiting")
    m.d.comb += [
        *(one.eq(AnySeq(len(one))) for one in (put, commit, rollback, byte, count)),
        *(core_.eq(one) for core_, one in ((core.put, put), (core.commit, commit), (core.rollback, rollback))),
        core.byte.eq(byte),
        core.count.eq(count),
        # Proved of the executor.
        Assume(~put | (tentative < core.free * _SIZE)),
        Assume(~(put & (commit | rollback)) & ~(commit & rollback)),
        Assume(~commit | (tentative == count * _SIZE)),
    ]
    commits = Mux(commit, tentative, 0)
    leaves = Mux(left, _SIZE, 0)
    m.d.sync += [
        tentative.eq(Mux(commit | rollback, 0, tentative + put)),
        # Bytes committed that have not left.
        waiting.eq(waiting + commits - leaves),
    ]
    # The followed byte: bytes before it that have not left, and whether it is written, and committed.
    ahead, held, sound, done = Signal(range(3 * _DEPTH), name="ahead"), Signal(), Signal(), Signal()
    word, begins = Signal(8, name="followed"), Signal(name="begins")
    m.d.comb += begins.eq(put & AnySeq(1) & ~held & ~done)
    with m.If(begins):
        m.d.sync += [held.eq(1), sound.eq(0), word.eq(byte), ahead.eq(waiting + tentative - leaves)]
    with m.Elif(held):
        m.d.sync += ahead.eq(ahead - leaves)
        with m.If(commit):
            m.d.sync += sound.eq(1)
        with m.If(rollback & ~sound):
            m.d.sync += held.eq(0)
        with m.If(left & (ahead < _SIZE)):
            m.d.sync += [held.eq(0), done.eq(1)]
    payload = Value.cast(core.output.payload)
    first, last = held & sound & (ahead == 0), held & sound & (ahead == 1)
    late = Signal(range(_SIZE + 5), name="late")
    m.d.sync += late.eq(Mux((waiting != 0) & ~core.output.valid, late + 1, 0))
    m.d.comb += [
        Assert(~core.output.valid | (waiting >= _SIZE), "a payload is offered that is not committed"),
        Assert(~(core.output.valid & first) | (payload[:_BITS] == word[:_BITS]), "another byte comes out"),
        Assert(~(core.output.valid & last) | (payload[_BITS] == word[0]), "another end comes out"),
        Assert(core.free <= _CAPACITY, "more is free than there is room"),
        Assert(late <= _SIZE + 1, "a payload is offered too late"),
    ]
    _input_state(m, core, inside, (tentative, waiting, ahead, held, sound, word, late))
    m.d.sync += Cover(done & (waiting == 3 * _SIZE) & (core.free == 0))


def _input_state(m: Module, core: Any, inside: Inside, model: tuple[Signal, ...]) -> None:
    """Assert the invariant: where each byte is."""
    tentative, waiting, ahead, held, sound, word, late = model
    taken, sure, end = (inside[name] for name in ("taken", "sound", "end"))
    shown, whole, rest = inside["shown"], inside["whole"], inside["rest"]
    rows = Array(inside[f"memory.row_{i}"] for i in range(_DEPTH))
    stored, gathered, out = Signal.like(taken, name="stored"), Signal(range(_SIZE + 1)), Signal(range(2 * _SIZE + 2))
    place, register = Signal(range(_DEPTH)), inside["held"]
    m.d.comb += [
        stored.eq(sure - taken),
        gathered.eq(_SIZE - 1 - rest),
        # Bytes behind the memory.
        out.eq(Mux(whole, _SIZE, 0) + gathered + shown),
        place.eq((taken + ahead - out)[:2]),
        Assert((end - sure)[: len(taken)] == tentative),
        Assert(stored <= _DEPTH),
        Assert(rest < _SIZE),
        Assert(waiting == stored + out),
        Assert(~whole | (gathered == 0)),
        Assert((_CAPACITY - core.free) * _SIZE == stored + gathered + shown),
        Assert(tentative <= core.free * _SIZE),
        Assert(~held | (ahead < waiting + tentative)),
        Assert(~held | (sound == (ahead < waiting))),
    ]
    with m.If(held & (ahead >= out)):
        m.d.comb += Assert(rows[place] == word)
    with m.Elif(held & shown & (ahead == out - 1)):
        m.d.comb += Assert(inside["memory.read__data"] == word)
    with m.Elif(held & whole):
        m.d.comb += Assert(register.word_select(ahead[0], 8) == word)
    with m.Elif(held & (gathered == 1)):
        m.d.comb += Assert(register[8:] == word)
    m.d.comb += [
        # Reason: each cycle moves the first byte one step.
        Assert((waiting != 0) | (late == 0)),
        Assert(late <= Mux(whole, _SIZE + 1, gathered + shown)),
    ]


def _output(m: Module, core: Any, _inside: Inside) -> None:
    """Take bytes of whole payloads at any time, and follow any payload."""
    accepted, moved = drive(m, core.input), follow(m, core.output)
    odd, left = Signal(name="odd"), Signal(name="left_whole")
    m.d.sync += odd.eq(odd ^ moved)
    m.d.comb += [left.eq(moved & odd), core.pulled.eq(left), Assume(~moved | (core.there != 0) | odd)]
    watch = Watch(m, accepted, left, _CAPACITY + 3)
    word = Signal(_BITS + 1, name="followed")
    with m.If(watch.begins):
        m.d.sync += word.eq(core.input.payload)
    late = Signal(2, name="late")
    m.d.sync += late.eq(Mux((core.there != 0) & ~core.output.valid, late + 1, 0))
    offered, byte = core.output.valid & watch.comes, core.output.payload.data
    m.d.comb += [
        Assert(core.there <= watch.inside, "a payload is counted that is missing"),
        Assert(watch.inside <= core.there + 1, "a payload is not counted"),
        Assert(~(offered & ~odd) | (byte == word[:_BITS]), "another byte"),
        Assert(~(offered & odd) | (byte == word[_BITS]), "another end"),
        Assert(late <= 2, "a payload that is counted is offered too late"),
    ]
    once = Signal()
    m.d.sync += [once.eq(once | watch.done), Cover(once & (core.there == _CAPACITY) & ~core.input.ready)]


PROOFS = (
    Proof(
        "stream_queues",
        "input",
        "every committed payload is offered once, whole, in order and unchanged, until it is accepted, and at most "
        f"{_SIZE + 1} cycles after the payload before it left; no byte that is discarded comes out. `free` tells how "
        "many payloads fit",
        _input,
        Method.INDUCTION,
        depth=4,
        cover=24,
        parameters={"bytes": _SIZE, "depth": _DEPTH},
        make=lambda **_: InputQueue(_layout(True), _PAYLOAD, _DEPTH),
    ),
    Proof(
        "stream_queues",
        "output",
        "the bytes of every accepted payload are offered once, padded, in order and unchanged, until they are "
        "accepted; `there` counts whole payloads, whose first byte is offered within two cycles",
        _output,
        Method.BOUNDED,
        depth=18,
        cover=20,
        parameters={"bytes": _SIZE, "depth": _DEPTH},
        make=lambda **_: OutputQueue(_layout(False), _PAYLOAD, _DEPTH),
    ),
)

#: Faults that the proofs must find.
PROOF_FAULTS: Mapping[str, Sequence[Edit]] = {
    "input": [
        ("hdl.stream_board.queues", "Mux(self.rollback, sound, end + self.put)", "end + self.put"),
        ("hdl.stream_board.queues", "moves.eq(shown & (~whole | self.output.ready))", "moves.eq(shown)"),
        ("hdl.stream_board.queues", "self.free + returns - Mux", "self.free + moves - Mux"),
    ],
    "output": [
        ("hdl.stream_board.queues", "self.there + ends - self.pulled", "self.there + moves - self.pulled"),
        ("hdl.stream_board.queues", "Const(0, data_bits - bits), payload[bits:]", "payload[bits:]"),
        ("hdl.stream_board.queues", "self.input.ready.eq(~busy | ends)", "self.input.ready.eq(~busy | moves)"),
    ],
}
