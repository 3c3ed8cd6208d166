"""StreamBoard: a user's core behind the link."""

from typing import Any

from amaranth.hdl import ClockDomain, ClockSignal, DomainRenamer, Module, ResetSignal, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ninefold.hdl.checks import check_integer
from ninefold.hdl.cores.frame_receiver import FrameReceiver
from ninefold.hdl.cores.frame_sender import FrameSender
from ninefold.hdl.parts.layouts import BYTE
from ninefold.hdl.parts.stage import StreamStage
from ninefold.hdl.stream_board.executor import StreamExecutor
from ninefold.hdl.stream_board.interface import interface_of
from ninefold.hdl.stream_board.parameters import StreamBoardParameters
from ninefold.hdl.stream_board.queues import InputQueue, OutputQueue
from ninefold.hdl.stream_board.registers import StreamRegisters
from ninefold.hdl.stream_board.replies import StreamReplies

__all__ = ["StreamBoard"]

#: COBS groups that wait: two replies without payloads have fewer, and wait while a long one leaves.
_GROUPS = 32


class StreamBoard(wiring.Component):
    """A user's core behind the link of ``ninefold.spec.link``: a queue for each stream, and a register for each port.

    Receiving, executing, building replies and sending overlap. PUSH and PULL together sustain 0.8 payload bytes a cycle
    each way, if the window is 4 or more, requests and replies are as long as the smallest limits allow, and the core
    takes and gives a byte a cycle; with a window of 2 it is 0.45, because all PULLs share a kept reply.

    The core runs in a clock domain of its own, with the board's clock and a reset that RESET asserts for one cycle too.

    Parameters
    ----------
    core : wiring.Component
        The core: see :func:`~ninefold.hdl.stream_board.interface.interface_of`.
    parameters : StreamBoardParameters
        Parameters of the board.
    count_from : int
        Initial value of the counters, modulo their widths; negative values let tests see them wrap around.

    Members
    -------
    rx : In(stream.Signature({data: 8}))
        Bytes from the host.
    tx : Out(stream.Signature({data: 8}))
        Bytes to the host.

    Raises
    ------
    InputError
        The core has a port that is neither stream nor register, or the board cannot hold a payload.
    """

    def __init__(self, core: Any, parameters: StreamBoardParameters, count_from: int = 0) -> None:
        self._core = core
        self.parameters = parameters
        self.interface = interface_of(core)
        self.interface.check(parameters)
        self._count_from = check_integer("count_from", count_from, -(2**63), 2**63 - 1)
        super().__init__({"rx": In(stream.Signature(BYTE)), "tx": Out(stream.Signature(BYTE))})

    def elaborate(self, _platform: object) -> Module:
        """Connect link, executor, queues, core, registers and replies."""
        m = Module()
        p, interface = self.parameters, self.interface
        m.submodules.receiver = receiver = FrameReceiver(p.buffer_bytes, p.window)
        m.submodules.executor = executor = StreamExecutor(p, interface)
        m.submodules.replies = replies = StreamReplies(p, interface)
        m.submodules.sender = sender = FrameSender(_GROUPS)
        m.submodules.registers = registers = StreamRegisters(p, interface, self._count_from)
        wiring.connect(m, wiring.flipped(self.rx), receiver.input)
        wiring.connect(m, receiver.headers, executor.headers)
        wiring.connect(m, receiver.payload, executor.payload)
        wiring.connect(m, executor.jobs, replies.jobs)
        wiring.connect(m, executor.again, replies.again)
        wiring.connect(m, replies.frames, sender.frames)
        m.submodules.sent_stage = stage = StreamStage(BYTE)
        wiring.connect(m, sender.output, stage.input)
        wiring.connect(m, stage.output, wiring.flipped(self.tx))
        for name in ("write", "write_address", "write_word", "clear", "turn"):
            m.d.comb += getattr(registers, name).eq(getattr(executor, name))
        m.d.comb += [
            executor.built.eq(replies.built),
            executor.sent.eq(replies.sent),
            executor.sent_slot.eq(replies.sent_slot),
            registers.address.eq(replies.address),
            registers.hold.eq(replies.hold),
            replies.word.eq(registers.word),
            replies.epoch.eq(registers.epoch),
            registers.events.crc_errors.eq(receiver.crc_error),
            registers.events.dropped.eq(receiver.dropped),
        ]
        self._restart(m, executor.clear)
        in_core = DomainRenamer("core")
        m.submodules.core = in_core(self._core)
        for number, one in enumerate(interface.streams):
            inner = getattr(self._core, one.name)
            shape = inner.payload.shape()
            if one.input:
                source = InputQueue(one, shape, p.queue_bytes)
                m.submodules[f"{one.name}_queue"] = in_core(source)
                wiring.connect(m, source.output, inner)
                m.d.comb += [
                    source.put.eq(executor.put[number]),
                    source.byte.eq(executor.byte),
                    source.commit.eq(executor.commit[number]),
                    source.count.eq(executor.count),
                    source.rollback.eq(executor.rollback),
                    executor.free[number].eq(source.free),
                    replies.credits[number].eq(source.free),
                ]
            else:
                sink, output = OutputQueue(one, shape, p.queue_bytes), number - len(interface.inputs)
                m.submodules[f"{one.name}_queue"] = in_core(sink)
                wiring.connect(m, inner, sink.input)
                wiring.connect(m, sink.output, replies.outputs[output])
                m.d.comb += [replies.credits[number].eq(sink.there), sink.pulled.eq(replies.pulled[output])]
        for number, register in enumerate(interface.registers):
            port = Value.cast(getattr(self._core, register.name))
            if register.access == "rw":
                m.d.comb += port.eq(registers.core[number])
            else:
                m.d.comb += registers.status[number].eq(port)
        return m

    def _restart(self, m: Module, clear: Value) -> None:
        """Add the clock domain of the core, which is reset after power-on, with the board, and by RESET."""
        m.domains.core = core = ClockDomain(local=True)
        restart = Signal(reset_less=True, init=1)
        m.d.sync += restart.eq(clear | ResetSignal("sync", allow_reset_less=True))
        m.d.comb += [core.clk.eq(ClockSignal("sync")), core.rst.eq(restart)]
