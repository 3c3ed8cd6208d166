"""Proof of the connections in miners: row and query bytes on their way to the engine, and ends of loads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from amaranth.asserts import AnyConst
from amaranth.hdl import Assert, Assume, Cover, Module, Mux, Signal, Value

from ninefold.hdl.cores.frame_receiver import FrameReceiver
from ninefold.hdl.cores.frame_sender import FrameSender
from ninefold.hdl.cores.miner import Miner
from ninefold.hdl.cores.queue import Queue
from ninefold.hdl.miner.executor import Executor
from ninefold.hdl.miner.parameters import MinerParameters
from ninefold.hdl.miner.registers import RegisterFile
from ninefold.hdl.miner.replies import ReplyStore
from ninefold.hdl.miner.search import NitSearch, SignSearch
from ninefold.hdl.miner.words import ByteQuantiser
from ninefold.hdl.parts.stage import StreamStage
from ninefold.sim.formal.dut import Inside, with_parts
from ninefold.sim.formal.proof import Method, Proof
from ninefold.sim.formal.stand_ins import AnyCore
from ninefold.sim.formal.streams import drive, follow
from ninefold.spec.link import Design

__all__ = ["PROOFS", "connections"]

_MINER = MinerParameters(
    dimensions=8, lanes=4, depth=3, k=2, clock_hz=12_000_000, window=2, buffer_bytes=64, reply_bytes=256
)
#: Bytes per word of the miners that are proved.
_SIZE = _MINER.word_nits // 2
#: Bytes of grid values for a byte of packed nits, and how many may be inside the quantiser: more than are.
_GRID_BYTES, _HELD_MOST = 4, 32
#: Parts with free behaviour.
_ANY = (
    Queue,
    ByteQuantiser,
    Executor,
    FrameReceiver,
    FrameSender,
    RegisterFile,
    NitSearch,
    ReplyStore,
    SignSearch,
    StreamStage,
)
#: Streams that only connect two parts, in all designs, and in each of them.
_JOINED = (
    ("FrameReceiver.headers", "Executor.headers"),
    ("FrameReceiver.payload", "StreamStage.input"),
    ("StreamStage.output", "Executor.payload"),
    ("ReplyStore.frames", "FrameSender.frames"),
    ("FrameSender.output", "StreamStage 2.input"),
    ("Executor.jobs", "Queue.input"),
    ("Queue.output", "ReplyStore.jobs"),
    ("Executor.again", "ReplyStore.again"),
    ("Executor.grid", "ByteQuantiser.input"),
)
_JOINED_BY: Mapping[Design, Sequence[tuple[str, str]]] = {
    "miner": (("NitSearch.results", "StreamStage 3.input"), ("StreamStage 3.output", "ReplyStore.results")),
    "signs": (("Executor.scan", "SignSearch.scan"), ("Executor.mask", "SignSearch.mask")),
}
#: Signals that only connect two parts: driving part, receiving part, and their names there.
_WIRED = (
    ("ReplyStore", "Executor", ("built", "sent", "sent_slot")),
    ("ReplyStore", "RegisterFile", ("address", "hold")),
    ("RegisterFile", "ReplyStore", ("epoch",)),
    ("RegisterFile", "Executor", ("epoch",)),
    (
        "Executor",
        "RegisterFile",
        ("write", "write_address", "write_word", "clear", "clear_epoch", "rows", "load_bytes", "load_check"),
    ),
)


_WIRED_BY: Mapping[Design, Sequence[tuple[str, str, Sequence[str]]]] = {
    "miner": (("RegisterFile", "ReplyStore", ("word",)),),
    "signs": (("SignSearch", "Executor", ("scanned", "totals")),),
}


def _moves(stream: Any) -> Value:
    return stream.valid & stream.ready


class _Word:
    """Model of the word assembled from bytes of the executor or the quantiser, with its byte at any place.

    Parameters
    ----------
    m : Module
        Module that receives the registers.
    executor, quantiser, engine : Any
        The parts.

    Attributes
    ----------
    count : Signal
        Number of bytes so far.
    place, byte : Signal
        Place and value of the followed byte.
    of_rows, last : Signal
        The bytes belong to rows; the final byte ends the load.
    """

    def __init__(self, m: Module, executor: Any, quantiser: Any, engine: Any) -> None:
        self.count, self.place = Signal(range(_SIZE + 1), name="bytes"), Signal(range(_SIZE), name="place")
        self.byte, self.of_rows, self.last = Signal(8, name="byte"), Signal(name="of_rows"), Signal(name="ends_load")
        of_grid = executor.of_grid & ~executor.loading
        offered = executor.packed.payload
        m.d.comb += self.place.eq(AnyConst(len(self.place)))
        leaves = _moves(engine.load) & ~executor.flush | _moves(engine.query)
        with m.If(executor.restart | leaves):
            m.d.sync += self.count.eq(0)
        with m.Elif(_moves(executor.packed) | _moves(quantiser.output)):
            m.d.sync += [
                self.count.eq(self.count + 1),
                self.of_rows.eq(executor.loading),
                self.last.eq(executor.loading & offered.last),
            ]
            with m.If(self.count == self.place):
                m.d.sync += self.byte.eq(Mux(of_grid, quantiser.output.payload.data, offered.data))


def _search(m: Module, core: Any, inside: Inside) -> None:
    """Let the parts behave freely, and check the inputs of the engine."""
    parts = core.parts
    executor, quantiser = parts["Executor"], parts["ByteQuantiser"]
    design: Design = "signs" if "SignSearch" in parts else "miner"
    engine = parts["SignSearch" if design == "signs" else "NitSearch"]
    drive(m, core.rx)
    follow(m, core.tx)
    word = _Word(m, executor, quantiser, engine)
    held = Signal(range(_HELD_MOST + 2))
    given = _moves(quantiser.output)
    m.d.sync += held.eq(held + _moves(quantiser.input) - Mux(given, _GRID_BYTES, 0))
    m.d.comb += [
        Assume(~_moves(quantiser.input) | (held < _HELD_MOST)),
        Assume(~quantiser.output.valid | (held >= _GRID_BYTES)),
    ]
    _promises(m, executor, word, held)
    of_grid = executor.of_grid & ~executor.loading
    complete, words = word.count == _SIZE, Value.cast(engine.query.payload.nits)
    rows, asks = engine.load.valid & ~executor.flush, engine.query.valid
    loaded = Value.cast(engine.load.payload.nits)
    m.d.comb += [
        Assert(executor.packing == complete, "a word is lost or made up"),
        Assert(rows == (complete & executor.loading & ~executor.flush), "a word of rows waits"),
        Assert(asks == (complete & ~executor.loading), "a word of a query waits"),
        Assert(~rows | word.of_rows, "a word of a query is loaded"),
        Assert(~asks | ~word.of_rows, "a word of rows is asked for"),
        Assert(~rows | (loaded.word_select(word.place, 8) == word.byte), "another byte is loaded"),
        Assert(~asks | (words.word_select(word.place, 8) == word.byte), "another byte is asked for"),
        Assert(~rows | (engine.load.payload.last == word.last), "a load ends elsewhere"),
        Assert(~executor.flush | (engine.load.valid & engine.load.payload.last), "a load is not ended"),
        Assert(executor.flushed == engine.load.ready),
        Assert(~given | of_grid, "a byte of the quantiser is lost"),
        Assert(executor.packed.ready == (~complete & ~of_grid), "a byte waits"),
        Assert(quantiser.output.ready == (~complete & of_grid), "a byte waits"),
    ]
    _stand(m, engine)
    _joined(m, parts, design)
    if design == "miner":
        m.d.comb += Assert(parts["RegisterFile"].events.queries == parts["ReplyStore"].answered)
    else:
        _words(m, parts)
    _packer(m, inside, word, held, executor)
    loads, second = Signal(), Signal()
    m.d.sync += [
        loads.eq(loads | _moves(engine.load) & executor.flush),
        second.eq(second | loads & rows & engine.load.ready & word.last),
        Cover(second & asks & executor.of_grid & (word.byte == 0x4C)),
        Cover(second & asks & ~executor.of_grid),
    ]


def _promises(m: Module, executor: Any, word: _Word, held: Signal) -> None:
    """Assume the proved properties of the executor, and the state when no reply waits.

    Every query is answered then: by the proofs of replies, top-k and similarity, its words have reached the engine.
    """
    packed, grid, loading = executor.packed, executor.grid, executor.loading
    was_loading, of_grid, waits, flushes = (Signal(name=f"before_{i}") for i in range(4))
    m.d.sync += [
        was_loading.eq(loading),
        of_grid.eq(executor.of_grid),
        waits.eq(packed.valid & ~packed.ready | grid.valid & ~grid.ready),
        flushes.eq(executor.flush & ~executor.flushed),
    ]
    another = (executor.of_grid != of_grid) | (loading != was_loading) | executor.restart
    m.d.comb += [
        Assume(~packed.valid | loading | ~executor.of_grid & ~packed.payload.last),
        Assume(~grid.valid | ~loading & executor.of_grid),
        Assume(~another | ~waits),
        Assume((loading == was_loading) | executor.restart | ~loading & (word.count == 0)),
        Assume(~executor.restart | (word.count != _SIZE) & (held == 0) & ((word.count == 0) | was_loading)),
        Assume((executor.of_grid == of_grid) | (held == 0) & (word.count == 0) & ~loading),
        Assume(~executor.restart | ~packed.valid & ~grid.valid),
        Assume(~executor.flush | loading & (word.count == 0) & ~packed.valid),
        Assume(~flushes | executor.flush & ~executor.restart & loading),
    ]


def _stand(m: Module, engine: Any) -> None:
    """Assert that offers to the engine stay stable."""
    for name in ("load", "query"):
        stream = getattr(engine, name)
        payload = Value.cast(stream.payload)
        waits, before = Signal(name=f"{name}_waits"), Signal(len(payload), name=f"{name}_before")
        m.d.sync += [waits.eq(stream.valid & ~stream.ready), before.eq(payload)]
        m.d.comb += Assert(~waits | stream.valid & (payload == before), "an offer to the engine changes")


def _words(m: Module, parts: Any) -> None:
    """Assert that a word of a reply is a candidate or a register, three cycles after its address."""
    replies, registers, search = parts["ReplyStore"], parts["RegisterFile"], parts["SignSearch"]
    of_search, candidate = Signal(), Signal(32, name="candidate_before")
    m.d.sync += [of_search.eq(replies.address[-1]), candidate.eq(search.word)]
    m.d.comb += [
        Assert(search.address[:-1] == replies.address[: len(search.address) - 1], "another candidate"),
        Assert(search.address[-1] == replies.address[-2], "a candidate of another scan"),
        Assert(replies.word == Mux(of_search, candidate, registers.word), "another word"),
        Assert(registers.events.queries == parts["Executor"].scan.valid),
    ]


def _joined(m: Module, parts: Any, design: Design) -> None:
    """Assert that the other streams and signals connect two parts."""

    def find(name: str) -> Any:
        part, _, member = name.partition(".")
        return getattr(parts[part], member)

    for source, sink in (*_JOINED, *_JOINED_BY[design]):
        given, taken = find(source), find(sink)
        m.d.comb += [
            Assert((given.valid == taken.valid) & (given.ready == taken.ready), f"{source} is not joined"),
            Assert(Value.cast(given.payload) == Value.cast(taken.payload), f"{source} changes on its way"),
        ]
    for source, sink, names in (*_WIRED, *_WIRED_BY[design]):
        for name in names:
            given, taken = (Value.cast(getattr(parts[part], name)) for part in (source, sink))
            # The address of a word of a reply is longer than the address of a register.
            m.d.comb += Assert(given[: len(taken)] == taken, f"{name} is another")
    events, receiver = parts["RegisterFile"].events, parts["FrameReceiver"]
    search = parts["SignSearch" if design == "signs" else "NitSearch"]
    m.d.comb += [
        Assert((events.accepted == search.accepted) & (events.stalls == search.stalls)),
        Assert((events.crc_errors == receiver.crc_error) & (events.dropped == receiver.dropped)),
        Assert(parts["ByteQuantiser"].threshold.valid == parts["Executor"].threshold.valid),
        Assert(Value.cast(parts["ByteQuantiser"].threshold.payload) == Value.cast(parts["Executor"].threshold.payload)),
    ]


def _packer(m: Module, inside: Inside, word: _Word, held: Signal, executor: Any) -> None:
    """Assert the invariant: the position of the byte in the packer."""
    m.d.comb += [
        Assert(word.count <= _SIZE),
        Assert(inside["packer.count"] == Mux(word.count == _SIZE, 0, word.count)),
        Assert((word.count != _SIZE) | (inside["packer.last"] == word.last)),
        Assert((word.place >= word.count) | _at(inside["packer.word"], word)),
        Assert((word.count == 0) | (word.of_rows == executor.loading) | executor.restart),
        Assert((held == 0) | executor.of_grid & ~executor.loading),
        Assert(held <= _HELD_MOST),
    ]


def _at(bits: Value, word: _Word) -> Value:
    return bits.word_select((_SIZE - word.count + word.place)[: len(word.place)], 8) == word.byte


def _among_any(parameters: MinerParameters) -> Any:
    """Build a miner of free parts except the packer, available as ``parts``."""
    parts: dict[str, Any] = {}

    def anything(kind: Any) -> Any:
        def make(*given: Any, **named: Any) -> Any:
            # The second and later parts of a kind are named by number.
            alike = sum(name.partition(" ")[0] == kind.__name__ for name in parts)
            name = f"{kind.__name__} {alike + 1}" if alike else kind.__name__
            parts[name] = AnyCore(kind, *given, **named)
            return parts[name]

        return make

    core = with_parts(Miner, **{one.__name__: anything(one) for one in _ANY})(parameters)
    core.parts = parts
    return core


def connections(core: str, parameters: MinerParameters, waits: str) -> Proof:
    """Return the proof of a miner of any design.

    Parameters
    ----------
    core : str
        Name of the core.
    parameters : MinerParameters
        Its parameters; a word has two bytes.
    waits : str
        Reason why no query is on its way to the engine before another format or a load.
    """
    shown = ("dimensions", "lanes", "depth", "keep" if parameters.keep else "k")
    return Proof(
        core,
        "search",
        "every byte of rows, and every byte of queries, packed or from the quantiser, reaches the engine in a word of "
        "its load or of its queries, once, in order and unchanged. `last` is on the word of the load's final byte, "
        "and on the word that ends an aborted load. Offers to the engine and to the host stay stable until accepted. "
        "The other streams and signals connect the right parts. This holds for a miner whose parts, except the "
        "packer, do anything that keeps to their streams, if the executor has its proved properties and begins a load "
        f"or another format only when no query is on its way to the engine. {waits}",
        _search,
        Method.INDUCTION,
        depth=2,
        cover=24,
        parameters={name: getattr(parameters, name) for name in shown},
        make=lambda **_: _among_any(parameters),
    )


PROOFS = (
    connections(
        "miner",
        _MINER,
        "The executor first waits for all replies, and by the proofs of replies, top-k and similarity, no reply comes "
        "before the words of its query",
    ),
)
