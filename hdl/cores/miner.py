"""Miner: search behind a byte stream, the design of a bitstream."""

from typing import Any

from amaranth.hdl import Module, Mux
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ninefold.hdl.checks import check_integer
from ninefold.hdl.core import Core, documented
from ninefold.hdl.cores.frame_receiver import FrameReceiver
from ninefold.hdl.cores.frame_sender import FrameSender
from ninefold.hdl.cores.insertion import Insertion
from ninefold.hdl.cores.queue import Queue
from ninefold.hdl.cores.similarity import Similarity
from ninefold.hdl.cores.topk import TopK
from ninefold.hdl.miner.executor import Executor
from ninefold.hdl.miner.parameters import MinerParameters
from ninefold.hdl.miner.registers import RegisterFile
from ninefold.hdl.miner.replies import ReplyStore
from ninefold.hdl.miner.words import ByteQuantiser, WordPacker
from ninefold.hdl.parts.layouts import BYTE
from ninefold.hdl.parts.stage import StreamStage
from ninefold.spec.formats import Mode, score_bits

__all__ = ["CORE", "Miner", "registers_stores", "selects_by_insertion"]

#: Maximum number of waiting headers and jobs: enough for any window, and enough to use block RAM.
_QUEUED = 16
#: Up to this clock the engine has no registers around its stores, to save flip-flops on small devices.
_SLOW_HZ = 30_000_000


def selects_by_insertion(parameters: MinerParameters) -> bool:
    """Return True if scores arrive slowly enough for the small :class:`Insertion`."""
    return parameters.dimensions // parameters.lanes >= parameters.k + 2


def registers_stores(parameters: MinerParameters) -> bool:
    """Return True if the clock is so fast that the engine needs registers around its stores."""
    return parameters.clock_hz > _SLOW_HZ


class Miner(wiring.Component):
    """Quantiser, similarity engine, top-k and store behind the link of ``ninefold.spec.link``.

    Receiving, scoring and replying overlap. A request is received while the previous one is executed, the engine holds
    one query while it scores another, and replies are sent from the memory in which they are kept. Queries that arrive
    fast enough take the engine's ``rows * dimensions / lanes`` cycles each. The link carries one byte a cycle. A query
    of packed nits takes ``dimensions / 2`` bytes plus one cycle per word, a reply 6 bytes per result. In an idle miner,
    the reply to a READ of one word begins 42 cycles after the last byte of its request, plus one cycle for each byte of
    its first COBS group.

    Parameters
    ----------
    parameters : MinerParameters
        Parameters of the miner.
    count_from : int
        Initial value of the counters, modulo their widths; negative values let tests see them wrap around.

    Members
    -------
    rx : In(stream.Signature({data: 8}))
        Bytes from the host.
    tx : Out(stream.Signature({data: 8}))
        Bytes to the host.
    """

    def __init__(self, parameters: MinerParameters, count_from: int = 0) -> None:
        self.parameters = parameters
        self._count_from = check_integer("count_from", count_from, -(2**63), 2**63 - 1)
        super().__init__({"rx": In(stream.Signature(BYTE)), "tx": Out(stream.Signature(BYTE))})

    def elaborate(self, _platform: object) -> Module:
        """Connect link, executor, search and replies."""
        m = Module()
        p = self.parameters
        id_bits = max(1, (p.depth - 1).bit_length())
        m.submodules.receiver = receiver = FrameReceiver(p.buffer_bytes, _QUEUED)
        m.submodules.executor = executor = Executor(p)
        m.submodules.replies = replies = ReplyStore(p, score_bits(p.dimensions), id_bits)
        m.submodules.sender = sender = FrameSender()
        m.submodules.registers = registers = RegisterFile(p, self._count_from)
        wiring.connect(m, wiring.flipped(self.rx), receiver.input)
        wiring.connect(m, receiver.headers, executor.headers)
        wiring.connect(m, executor.again, replies.again)
        self._staged(m, "stage", receiver.payload, executor.payload)
        self._staged(m, "frames_stage", replies.frames, sender.frames)
        self._staged(m, "sent_stage", sender.output, wiring.flipped(self.tx))

        m.submodules.jobs = jobs = Queue(executor.jobs.payload.shape(), _QUEUED)
        wiring.connect(m, executor.jobs, jobs.input)
        wiring.connect(m, jobs.output, replies.jobs)
        m.d.comb += [
            executor.built.eq(replies.built),
            executor.sent.eq(replies.sent),
            executor.sent_slot.eq(replies.sent_slot),
        ]
        self._search(m, executor, replies, registers, id_bits)
        for name in ("write", "write_address", "write_word", "clear", "clear_epoch", "rows", "load_bytes"):
            m.d.comb += getattr(registers, name).eq(getattr(executor, name))
        m.d.comb += [
            registers.load_check.eq(executor.load_check),
            registers.address.eq(replies.address),
            registers.hold.eq(replies.hold),
            replies.word.eq(registers.word),
            replies.epoch.eq(registers.epoch),
            executor.epoch.eq(registers.epoch),
            registers.events.queries.eq(replies.answered),
            registers.events.crc_errors.eq(receiver.crc_error),
            registers.events.dropped.eq(receiver.dropped),
        ]
        return m

    def _staged(self, m: Module, name: str, source: Any, sink: Any) -> None:
        """Connect streams through a pipeline register, so that no path spans both."""
        stage = StreamStage(source.payload.shape())
        m.submodules[name] = stage
        wiring.connect(m, source, stage.input)
        wiring.connect(m, stage.output, sink)

    def _search(
        self, m: Module, executor: Executor, replies: ReplyStore, registers: RegisterFile, id_bits: int
    ) -> None:
        """Add quantiser, engine and top-k, from the executor's bytes to the results."""
        p = self.parameters
        m.submodules.quantiser = quantiser = ByteQuantiser(p.mode)
        m.submodules.packer = packer = WordPacker(p.lanes)
        m.submodules.engine = engine = Similarity(p.dimensions, p.lanes, p.depth, registers_stores(p))
        small = selects_by_insertion(p)
        m.submodules.topk = topk = (Insertion if small else TopK)(p.k, score_bits(p.dimensions), id_bits)
        wiring.connect(m, executor.grid, quantiser.input)
        wiring.connect(m, executor.threshold, quantiser.threshold)
        wiring.connect(m, engine.scores, topk.scores)
        wiring.connect(m, topk.results, replies.results)
        from_grid = executor.of_grid & ~executor.loading
        m.d.comb += [
            packer.restart.eq(executor.restart),
            packer.input.valid.eq(Mux(from_grid, quantiser.output.valid, executor.packed.valid)),
            packer.input.payload.data.eq(Mux(from_grid, quantiser.output.payload.data, executor.packed.payload.data)),
            packer.input.payload.last.eq(executor.packed.payload.last & ~from_grid),
            quantiser.output.ready.eq(packer.input.ready & from_grid),
            executor.packed.ready.eq(packer.input.ready & ~from_grid),
            executor.packing.eq(packer.pending),
            engine.query.payload.eq(packer.words.payload),
            engine.query.valid.eq(packer.words.valid & ~executor.loading),
            engine.load.payload.nits.eq(packer.words.payload.nits),
            engine.load.payload.last.eq(packer.words.payload.last | executor.flush),
            engine.load.valid.eq((packer.words.valid & executor.loading) | executor.flush),
            packer.words.ready.eq(Mux(executor.loading, engine.load.ready & ~executor.flush, engine.query.ready)),
            executor.flushed.eq(engine.load.ready),
            registers.events.accepted.eq(engine.scores.valid & engine.scores.ready),
            registers.events.stalls.eq(topk.results.valid & ~topk.results.ready),
        ]


def _of_parameters(
    dimensions: int,
    lanes: int,
    depth: int,
    k: int,
    mode: Mode,
    window: int,
    buffer_bytes: int,
    reply_bytes: int,
    clock_hz: int,
    count_from: int = 0,
) -> Miner:
    parameters = MinerParameters(dimensions, lanes, depth, k, clock_hz, mode, window, buffer_bytes, reply_bytes)
    return Miner(parameters, count_from)


CORE = Core(
    _of_parameters,
    defaults={
        "dimensions": 32,
        "lanes": 8,
        "depth": 64,
        "k": 8,
        "mode": "tanh",
        "window": 8,
        "buffer_bytes": 2048,
        "reply_bytes": 1024,
        "clock_hz": 100_000_000,
        "count_from": 0,
    },
    small={
        "dimensions": 8,
        "lanes": 4,
        "depth": 16,
        "k": 2,
        "window": 2,
        "buffer_bytes": 128,
        "reply_bytes": 256,
    },
    # The smallest miner that can refuse a query because of its reply. Its counters start shortly before they wrap.
    smallest={
        "dimensions": 4,
        "lanes": 2,
        "depth": 3,
        "k": 2,
        "mode": "tanh",
        "window": 2,
        "buffer_bytes": 128,
        "reply_bytes": 256,
        "clock_hz": 100_000_000,
        "count_from": -100,
    },
    help={**documented(MinerParameters), **documented(Miner)},
)
