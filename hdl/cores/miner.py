"""Miner: search behind a byte stream, the design of a bitstream."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ninefold.hdl.checks import check_integer
from ninefold.hdl.core import Core, documented
from ninefold.hdl.cores.frame_receiver import FrameReceiver
from ninefold.hdl.cores.frame_sender import FrameSender
from ninefold.hdl.cores.queue import Queue
from ninefold.hdl.miner.executor import Executor
from ninefold.hdl.miner.parameters import MinerParameters
from ninefold.hdl.miner.registers import RegisterFile
from ninefold.hdl.miner.replies import ReplyStore
from ninefold.hdl.miner.search import NitSearch, SignSearch
from ninefold.hdl.miner.words import ByteQuantiser, WordPacker
from ninefold.hdl.parts.layouts import BYTE
from ninefold.hdl.parts.stage import StreamStage
from ninefold.spec.formats import Mode

__all__ = ["CORE", "Miner"]

#: Maximum number of waiting headers and jobs: enough for any window, and enough to use block RAM.
_QUEUED = 16


class Miner(wiring.Component):
    """Quantiser and search behind the link of ``ninefold.spec.link``.

    The search scores all nits of the rows, or finds candidates by their signs, according to the parameter ``design``.
    Receiving, scoring and replying overlap. A request is received while the previous one is executed, the engine holds
    one query while it scores another, and replies are sent from the memory in which they are kept. Queries that arrive
    fast enough take the engine's ``rows * dimensions / lanes`` cycles each. In the design signs,
    :func:`~ninefold.hdl.miner.search.scan_cycles` gives them. The link carries one byte a cycle. A query of packed nits
    takes ``dimensions / 2`` bytes plus one cycle per word, a reply 6 bytes per result or 4 per candidate. In an idle
    miner, the reply to a READ of one word begins 42 cycles after the last byte of its request, plus one cycle for each
    byte of its first COBS group.

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
        m.submodules.receiver = receiver = FrameReceiver(p.buffer_bytes, _QUEUED)
        m.submodules.executor = executor = Executor(p)
        m.submodules.replies = replies = ReplyStore(p)
        m.submodules.sender = sender = FrameSender()
        m.submodules.registers = registers = RegisterFile(p, self._count_from)
        wiring.connect(m, wiring.flipped(self.rx), receiver.input)
        wiring.connect(m, receiver.headers, executor.headers)
        wiring.connect(m, executor.again, replies.again)
        self._staged(m, "stage", receiver.payload, executor.payload)
        wiring.connect(m, replies.frames, sender.frames)
        self._staged(m, "sent_stage", sender.output, wiring.flipped(self.tx))

        m.submodules.jobs = jobs = Queue(executor.jobs.payload.shape(), _QUEUED)
        wiring.connect(m, executor.jobs, jobs.input)
        wiring.connect(m, jobs.output, replies.jobs)
        m.d.comb += [
            executor.built.eq(replies.built),
            executor.sent.eq(replies.sent),
            executor.sent_slot.eq(replies.sent_slot),
        ]
        m.submodules.search = search = NitSearch(p) if p.design == "miner" else SignSearch(p)
        self._feed(m, executor, search)
        if p.design == "miner":
            self._staged(m, "results_stage", search.results, replies.results)
            m.d.comb += [replies.word.eq(registers.word), registers.events.queries.eq(replies.answered)]
        else:
            self._join_scans(m, executor, search)
            self._join_candidates(m, replies, registers, search)
            m.d.comb += registers.events.queries.eq(executor.scan.valid)
        for name in ("write", "write_address", "write_word", "clear", "clear_epoch", "rows", "load_bytes"):
            m.d.comb += getattr(registers, name).eq(getattr(executor, name))
        m.d.comb += [
            registers.load_check.eq(executor.load_check),
            registers.address.eq(replies.address),
            registers.hold.eq(replies.hold),
            replies.epoch.eq(registers.epoch),
            executor.epoch.eq(registers.epoch),
            registers.events.accepted.eq(search.accepted),
            registers.events.stalls.eq(search.stalls),
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

    def _join_scans(self, m: Module, executor: Executor, search: SignSearch) -> None:
        """Connect the executor's scans and masks to the search."""
        wiring.connect(m, executor.scan, search.scan)
        wiring.connect(m, executor.mask, search.mask)
        m.d.comb += [
            executor.scanned.eq(search.scanned),
            executor.totals.eq(search.totals),
        ]

    def _join_candidates(self, m: Module, replies: ReplyStore, registers: RegisterFile, search: SignSearch) -> None:
        """Read the words of replies from the search or from the registers, by the top bit of their address."""
        *number, half, of_search = replies.address[: len(search.address) - 1], replies.address[-2], replies.address[-1]
        candidate, chosen = Signal.like(search.word, reset_less=True), Signal()
        m.d.sync += [candidate.eq(search.word), chosen.eq(of_search)]
        m.d.comb += [
            search.address.eq(Cat(*number, half)),
            replies.word.eq(Mux(chosen, candidate, registers.word)),
        ]

    def _feed(self, m: Module, executor: Executor, search: NitSearch | SignSearch) -> None:
        """Add quantiser and packer, from the executor's bytes to the words of the search."""
        p = self.parameters
        m.submodules.quantiser = quantiser = ByteQuantiser(p.mode)
        m.submodules.packer = packer = WordPacker(p.word_nits)
        wiring.connect(m, executor.grid, quantiser.input)
        wiring.connect(m, executor.threshold, quantiser.threshold)
        from_grid = executor.of_grid & ~executor.loading
        m.d.comb += [
            packer.restart.eq(executor.restart),
            packer.input.valid.eq(Mux(from_grid, quantiser.output.valid, executor.packed.valid)),
            packer.input.payload.data.eq(Mux(from_grid, quantiser.output.payload.data, executor.packed.payload.data)),
            packer.input.payload.last.eq(executor.packed.payload.last & ~from_grid),
            quantiser.output.ready.eq(packer.input.ready & from_grid),
            executor.packed.ready.eq(packer.input.ready & ~from_grid),
            executor.packing.eq(packer.pending),
            search.query.payload.eq(packer.words.payload),
            search.query.valid.eq(packer.words.valid & ~executor.loading),
            search.load.payload.nits.eq(packer.words.payload.nits),
            search.load.payload.last.eq(packer.words.payload.last | executor.flush),
            search.load.valid.eq((packer.words.valid & executor.loading) | executor.flush),
            packer.words.ready.eq(Mux(executor.loading, search.load.ready & ~executor.flush, search.query.ready)),
            executor.flushed.eq(search.load.ready),
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
