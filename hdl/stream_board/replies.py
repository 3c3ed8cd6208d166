"""Replies: built in the slots in which they are kept, and sent from there."""

from typing import Any

from amaranth.hdl import Array, Cat, Module, Mux, Signal
from amaranth.lib import data, fifo, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from ninefold.hdl.miner.replies import ReplyStore
from ninefold.hdl.parts.layouts import BYTE, FRAME_BYTE
from ninefold.hdl.stream_board.interface import Interface
from ninefold.hdl.stream_board.jobs import ADDRESS_BITS, job_layout, slot_bits
from ninefold.hdl.stream_board.parameters import StreamBoardParameters
from ninefold.hdl.stream_board.queues import COUNT_BITS
from ninefold.spec.registers import IDENTITY, STATISTICS

__all__ = ["StreamReplies"]

_WORD_BYTES = 4
#: Bits of a number of words in a reply.
_WORDS_BITS = 6


class StreamReplies(ReplyStore):
    """Reply memory: builds the reply of each job in its slot, sends it, and sends it again on request.

    Building takes 5 cycles, plus 5 per word (header, literal or register), 1 per byte of an output's payloads, and 3
    per stream for its credit, while other replies are sent at one byte a cycle. Building never waits for the link.

    Parameters
    ----------
    parameters : StreamBoardParameters
        Parameters of the board.
    interface : Interface
        Streams and registers of the core.

    Members
    -------
    jobs : In(stream.Signature(job_layout(parameters)))
        Jobs, accepted when their building begins. The slot of a job must not be waiting to be sent.
    outputs : In(stream.Signature({data: 8})).array(outputs)
        Bytes of the payloads of each output.
    pulled : Out(outputs)
        The last byte of a payload of an output is taken.
    credits : In(data.ArrayLayout(COUNT_BITS, streams))
        Free payloads of each input, then payloads at each output. An output's must not fall but by ``pulled``.
    again, frames, epoch, built, sent, sent_slot
        As of :class:`~ninefold.hdl.miner.replies.ReplyStore`.
    address : Out(ADDRESS_BITS)
        Address of a register, whose content must be on ``word`` three cycles later.
    word : In(32)
        Content of the register.
    hold : Out(1)
        High while registers of a reply are read, for at most 255 cycles.
    """

    def __init__(self, parameters: StreamBoardParameters, interface: Interface) -> None:
        # The sender of the base class needs only the window and the size of a reply.
        self._parameters: Any = parameters
        self._interface = interface
        slot = data.StructLayout({"slot": slot_bits(parameters)})
        outputs = len(interface.outputs)
        wiring.Component.__init__(
            self,
            {
                "jobs": In(stream.Signature(job_layout(parameters))),
                "outputs": In(stream.Signature(BYTE)).array(outputs),
                "pulled": Out(outputs),
                "credits": In(data.ArrayLayout(COUNT_BITS, len(interface.streams))),
                "again": In(stream.Signature(slot)),
                "frames": Out(stream.Signature(FRAME_BYTE)),
                "address": Out(ADDRESS_BITS),
                "word": In(32),
                "hold": Out(1),
                "epoch": In(8),
                "built": Out(1),
                "sent": Out(1),
                "sent_slot": Out(slot_bits(parameters)),
            },
        )

    def elaborate(self, _platform: object) -> Module:
        """Build the memory of replies, the builder and the sender."""
        m = Module()
        window, size = self._parameters.window, self._parameters.reply_bytes
        self._job = Signal(job_layout(self._parameters), name="job")
        m.submodules.memory = kept = memory.Memory(shape=8, depth=window * size, init=[], attrs={"ram_style": "block"})
        # A queue of 2 would have no room for the second slot in the cycle after the first.
        m.submodules.queue = queue = fifo.SyncFIFOBuffered(width=slot_bits(self._parameters), depth=max(window, 3))
        lengths = Array(Signal(range(size + 1), name=f"length_{i}") for i in range(window))
        m.d.comb += [
            queue.w_en.eq(self.built | (self.again.valid & self.again.ready)),
            queue.w_data.eq(Mux(self.built, self._job.slot, self.again.payload.slot)),
            self.again.ready.eq(queue.w_rdy & ~self.built),
        ]
        self._build(m, kept.write_port(), lengths)
        self._send(m, kept.read_port(), lengths, queue)
        return m

    def _build(self, m: Module, write: memory.WritePort, lengths: Array) -> None:
        job, offered = self._job, self.jobs.payload
        # Bytes of the current element, and their number; elements of each kind left.
        shifted, left = Signal(32, name="shifted"), Signal(range(_WORD_BYTES + 1), name="left")
        length = Signal(range(self._parameters.reply_bytes + 1))
        literals, words = Signal(2, name="literals"), Signal(_WORDS_BITS, name="words")
        credit = Signal(range(len(self._interface.streams) + 1), name="credit")
        chosen, uncredited = Signal(COUNT_BITS), Signal()
        byte, pulls, counted = self._pull(m)
        # Registered, because memory and counters are far away.
        m.d.sync += [
            chosen.eq(Array(self.credits)[credit]),
            uncredited.eq(credit != len(self._interface.streams)),
            length.eq(length + write.en),
        ]
        m.d.comb += [
            write.addr.eq(Cat(length[: (self._parameters.reply_bytes - 1).bit_length()], job.slot)),
            write.data.eq(Mux(pulls.active, byte, shifted[:8])),
        ]
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += self.jobs.ready.eq(1)
                m.d.sync += [
                    job.eq(offered),
                    shifted.eq(Cat(offered.type, offered.sequence, offered.priority, self.epoch)),
                    left.eq(_WORD_BYTES),
                    length.eq(0),
                    credit.eq(0),
                    literals.eq(Mux(offered.refused, 2, offered.identifies | offered.pulls)),
                ]
                with m.If(self.jobs.valid):
                    m.next = "BEGIN"
            with m.State("BEGIN"):
                m.d.sync += [
                    words.eq(
                        Mux(job.identifies, len(IDENTITY), Mux(job.counts, len(STATISTICS), job.first[16:]))
                        & (job.identifies | job.counts | job.reads).replicate(_WORDS_BITS)
                    ),
                    self.address.eq(Mux(job.identifies, IDENTITY.start, Mux(job.counts, STATISTICS.start, job.first))),
                    self.hold.eq(job.identifies | job.counts | job.reads),
                ]
                m.next = "EMIT"
            with m.State("EMIT"):
                m.d.comb += write.en.eq(1)
                m.d.sync += [shifted.eq(shifted[8:]), left.eq(left - 1)]
                with m.If(left == 1):
                    m.next = "NEXT"
            with m.State("NEXT"):
                m.next = "EMIT"
                m.d.sync += left.eq(_WORD_BYTES)
                with m.If(literals != 0):
                    # The first word of a PULL has the number of its payloads; a refusal has two words.
                    first = Cat(job.first[:16], Mux(job.pulls, counted, job.first[16:]))
                    m.d.sync += [shifted.eq(first), literals.eq(literals - 1)]
                    with m.If(job.refused):
                        m.d.sync += job.first.eq(job.second)
                    with m.If(job.pulls):
                        m.d.comb += pulls.latch.eq(1)
                with m.Elif(words != 0):
                    m.d.sync += [shifted.eq(self.word), words.eq(words - 1), self.address.eq(self.address + 1)]
                with m.Elif(pulls.left):
                    m.next = "PULL"
                with m.Elif(uncredited):
                    m.d.sync += [shifted.eq(chosen), left.eq(2), credit.eq(credit + 1), self.hold.eq(0)]
                with m.Else():
                    m.next = "BUILT"
            with m.State("PULL"):
                m.d.comb += [pulls.active.eq(1), write.en.eq(pulls.moves)]
                with m.If(pulls.moves & pulls.final):
                    m.next = "NEXT"
            with m.State("BUILT"):
                m.d.comb += self.built.eq(1)
                m.d.sync += lengths[job.slot].eq(length)
                m.next = "IDLE"

    def _pull(self, m: Module) -> tuple[Any, Any, Any]:
        """Take the bytes of payloads of an output; return the byte, the control, and the number of payloads."""
        outputs, job = self._interface.outputs, self._job
        inputs = len(self._interface.inputs)
        control = Signal(
            data.StructLayout(dict.fromkeys(("active", "moves", "final", "latch", "left"), 1)), name="pulls"
        )
        counted = Signal(COUNT_BITS)
        if not outputs:
            return 0, control, counted
        number = job.first[:8]
        chosen = Signal(len(outputs))
        most, there = Signal(COUNT_BITS), Signal(COUNT_BITS)
        todo, rest = Signal(COUNT_BITS), Signal(range(max(one.payload_bytes for one in outputs)))
        last, ends = Signal.like(rest), Signal()
        final, left = Signal(), Signal()
        index = Signal(range(max(2, len(outputs))))
        valid = Cat(self.outputs[i].valid & chosen[i] for i in range(len(outputs))).any()
        # The number of payloads is known after four cycles; the header takes as many.
        held = Array(self._interface.held(one, self._parameters) for one in outputs)
        m.d.sync += [
            *(chosen[i].eq(number == inputs + i) for i in range(len(outputs))),
            index.eq(number - inputs),
            last.eq(Array(one.payload_bytes - 1 for one in outputs)[index]),
            there.eq(Array(self.credits[inputs + i] for i in range(len(outputs)))[index]),
            most.eq(Mux(there < held[index], there, held[index])),
            counted.eq(Mux(job.first[16:] < most, job.first[16:], most)),
        ]
        m.d.comb += [
            control.final.eq(final & ends),
            control.left.eq(left),
            control.moves.eq(control.active & valid),
            ends.eq(rest == 0),
            *(self.outputs[i].ready.eq(control.active & chosen[i]) for i in range(len(outputs))),
            self.pulled.eq(chosen & (control.moves & ends).replicate(len(outputs))),
        ]
        with m.If(control.latch):
            m.d.sync += [todo.eq(counted), final.eq(counted == 1), left.eq(counted != 0), rest.eq(last)]
        with m.If(control.moves):
            m.d.sync += rest.eq(Mux(ends, last, rest - 1))
            with m.If(ends):
                m.d.sync += [todo.eq(todo - 1), final.eq(todo == 2), left.eq(todo != 1)]
        return Array(self.outputs[i].payload.data for i in range(len(outputs)))[index], control, counted
