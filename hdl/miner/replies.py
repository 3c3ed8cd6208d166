"""Replies: built in the slots in which they are kept, and sent from there."""

from amaranth.hdl import Array, Cat, Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, fifo, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from ninefold.hdl.miner.jobs import address_bits, job_layout, result_layout, slot_bits
from ninefold.hdl.miner.parameters import MinerParameters
from ninefold.hdl.parts.layouts import FRAME_BYTE

__all__ = ["ReplyStore"]

_WORD_BYTES = 4


class ReplyStore(wiring.Component):
    """Reply memory: builds the reply of each job in its slot, sends it, and sends it again on request.

    Building takes 3 cycles, plus 5 per word (header, literal, register or candidate) and 7 per result, while other
    replies are sent at one byte a cycle. Surplus results are accepted and dropped, one a cycle. Building never waits
    for the link.

    Parameters
    ----------
    parameters : MinerParameters
        Parameters of the miner.

    Members
    -------
    jobs : In(stream.Signature(job_layout(parameters)))
        Jobs, accepted in the cycle after they are built. The slot of a job must not be waiting to be sent.
    results : In(stream.Signature(result_layout(parameters)))
        Results of the queries of the jobs. Only a miner has these and ``answered``.
    again : In(stream.Signature({slot: slot_bits(parameters)}))
        Slots to send again, which must be built and not waiting to be sent.
    frames : Out(stream.Signature({data: 8, last: 1}))
        Bytes of header and payload.
    address : Out(address_bits(parameters))
        Address of a register or candidate, whose content must be on ``word`` three cycles later.
    word : In(32)
        Content of the register or candidate.
    hold : Out(1)
        High while registers of a reply are read, for at most 255 cycles.
    epoch : In(8)
        Epoch for reply headers.
    built, answered : Out(1)
        High for one cycle for each job built, and for each query answered.
    sent : Out(1)
        High for one cycle after the last byte of slot ``sent_slot`` was accepted.
    sent_slot : Out(slot_bits(parameters))
        Slot that was sent.
    """

    def __init__(self, parameters: MinerParameters) -> None:
        self._parameters = parameters
        self._scores = parameters.design == "miner"
        slot = data.StructLayout({"slot": slot_bits(parameters)})
        scored = {"results": In(stream.Signature(result_layout(parameters))), "answered": Out(1)}
        super().__init__(
            {
                "jobs": In(stream.Signature(job_layout(parameters))),
                **(scored if self._scores else {}),
                "again": In(stream.Signature(slot)),
                "frames": Out(stream.Signature(FRAME_BYTE)),
                "address": Out(address_bits(parameters)),
                "word": In(32),
                "hold": Out(1),
                "epoch": In(8),
                "built": Out(1),
                "sent": Out(1),
                "sent_slot": Out(slot_bits(parameters)),
            }
        )

    def elaborate(self, _platform: object) -> Module:
        """Build the memory of replies, the builder and the sender."""
        m = Module()
        window, size = self._parameters.window, self._parameters.reply_bytes
        # Always in block RAM, even if its size would fit distributed RAM.
        m.submodules.memory = kept = memory.Memory(shape=8, depth=window * size, init=[], attrs={"ram_style": "block"})
        # A queue of 2 would have no room for the second slot in the cycle after the first.
        m.submodules.queue = queue = fifo.SyncFIFOBuffered(width=slot_bits(self._parameters), depth=max(window, 3))
        lengths = Array(Signal(range(size + 1), name=f"length_{i}") for i in range(window))
        m.d.comb += [
            queue.w_en.eq(self.built | (self.again.valid & self.again.ready)),
            queue.w_data.eq(Mux(self.built, self.jobs.payload.slot, self.again.payload.slot)),
            self.again.ready.eq(queue.w_rdy & ~self.built),
        ]
        self._build(m, kept.write_port(), lengths)
        self._send(m, kept.read_port(), lengths, queue)
        return m

    def _build(self, m: Module, write: memory.WritePort, lengths: Array) -> None:
        job = self.jobs.payload
        # Bytes of the current element, and their number.
        shifted, left = Signal(48 if self._scores else 32, name="shifted"), Signal(range(7), name="left")
        length = Signal(range(self._parameters.reply_bytes + 1))
        literals, words, queries = (Signal.like(job[name], name=name) for name in ("literals", "words", "queries"))
        index, remaining = Signal.like(job.results, name="index"), Signal(name="remaining")
        # Comparisons are registered: counts and job stay the same for at least four cycles before they are used.
        literal_left, first_left, word_left, asks = (
            Signal(name=name) for name in ("literal_left", "first_left", "word_left", "asks")
        )
        m.d.sync += [
            literal_left.eq(literals != 0),
            first_left.eq(literals == job.literals),
            word_left.eq(words != 0),
            asks.eq(job.queries != 0),
        ]
        # A register, not a candidate, which does not change while its reply is built.
        register = ~job.address[-1] if self._parameters.design == "signs" else 1
        m.d.comb += [
            write.addr.eq(Cat(length[: (self._parameters.reply_bytes - 1).bit_length()], job.slot)),
            write.data.eq(shifted),
        ]
        # Registered, because the queue of jobs has long paths of its own.
        m.d.sync += self.jobs.ready.eq(self.built)
        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += [
                    shifted.eq(Cat(job.type, job.sequence, job.priority, self.epoch)),
                    left.eq(_WORD_BYTES),
                    length.eq(0),
                    literals.eq(job.literals),
                    self.address.eq(job.address),
                    words.eq(job.words),
                    queries.eq(job.queries),
                    remaining.eq(job.queries != 0),
                    index.eq(0),
                ]
                with m.If(self.jobs.valid):
                    m.d.sync += self.hold.eq((job.words != 0) & register)
                    m.next = "EMIT"
            with m.State("EMIT"):
                m.d.comb += write.en.eq(1)
                m.d.sync += [shifted.eq(shifted[8:]), left.eq(left - 1), length.eq(length + 1)]
                with m.If(left == 1):
                    m.next = "NEXT"
                    if self._scores:
                        with m.If(~literal_left & ~word_left & asks):
                            m.next = "RESULT"
            with m.State("NEXT"):
                m.d.sync += left.eq(_WORD_BYTES)
                with m.If(literal_left):
                    m.d.sync += [
                        shifted.eq(Mux(first_left, job.first, job.second)),
                        literals.eq(literals - 1),
                    ]
                    m.next = "EMIT"
                with m.Elif(word_left):
                    m.d.sync += [shifted.eq(self.word), words.eq(words - 1), self.address.eq(self.address + 1)]
                    m.next = "EMIT"
                with m.Else():
                    m.next = "BUILT"
            if self._scores:
                self._take_results(m, (shifted, left), (queries, index, remaining))
            with m.State("BUILT"):
                m.d.comb += self.built.eq(1)
                m.d.sync += [lengths[job.slot].eq(length), self.hold.eq(0)]
                m.next = "TAKE"
            with m.State("TAKE"):
                m.next = "IDLE"

    def _take_results(self, m: Module, element: tuple[Signal, Signal], counts: tuple[Signal, Signal, Signal]) -> None:
        """Add the state that takes the results of the job's queries, one by one."""
        (shifted, left), (queries, index, remaining) = element, counts
        job = self.jobs.payload
        score, identifier = Signal(signed(32)), Signal(unsigned(16))
        m.d.comb += [score.eq(self.results.payload.score), identifier.eq(self.results.payload.id)]
        with m.State("RESULT"):
            # The path back to the results is long, so it depends only on the state.
            m.d.comb += self.results.ready.eq(remaining)
            m.d.sync += [shifted.eq(Cat(identifier, score)), left.eq(6)]
            with m.If(~remaining):
                m.next = "BUILT"
            with m.Elif(self.results.valid):
                with m.If(index < job.results):
                    m.d.sync += index.eq(index + 1)
                    m.next = "EMIT"
                with m.If(self.results.payload.last):
                    m.d.comb += self.answered.eq(1)
                    m.d.sync += [index.eq(0), queries.eq(queries - 1), remaining.eq(queries != 1)]

    def _send(self, m: Module, read: memory.ReadPort, lengths: Array, queue: fifo.SyncFIFOBuffered) -> None:
        size = self._parameters.reply_bytes
        position = Signal(range(size + 1))
        # A register follows the memory, because block RAM is slow. `ends` is high from the reading of the last byte
        # until it is accepted.
        shown, ends, advance, moves = (Signal(name=name) for name in ("shown", "ends", "advance", "moves"))
        offered, last = self.frames.valid, self.frames.payload.last
        final = Signal.like(lengths[0])
        ready = Signal()
        # A slot stays in the queue until its last byte is accepted, but is no longer read.
        m.d.comb += [
            moves.eq(shown & (~offered | self.frames.ready)),
            advance.eq(ready & ~ends & (~shown | moves)),
            read.addr.eq(Cat(position[: (size - 1).bit_length()], queue.r_data)),
            read.en.eq(advance),
            self.sent_slot.eq(queue.r_data),
            queue.r_en.eq(self.sent),
        ]
        m.d.sync += [
            self.sent.eq(offered & last & self.frames.ready),
            # One cycle after the queue, like the position of the last byte.
            ready.eq(queue.r_rdy & ~self.sent),
            final.eq(lengths[queue.r_data] - 1),
            shown.eq(advance | (shown & ~moves)),
            offered.eq(moves | (offered & ~self.frames.ready)),
        ]
        with m.If(moves):
            m.d.sync += [self.frames.payload.data.eq(read.data), last.eq(ends)]
        with m.If(advance):
            m.d.sync += [ends.eq(position == final), position.eq(position + 1)]
        with m.If(self.sent):
            m.d.sync += [ends.eq(0), position.eq(0)]
