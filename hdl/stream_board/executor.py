"""Executor: turns requests into reply jobs, bytes for the queues, and writes of registers."""

from contextlib import AbstractContextManager

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from ninefold.hdl.parts.layouts import BYTE, HEADER
from ninefold.hdl.states import OneHot
from ninefold.hdl.stream_board.interface import Interface
from ninefold.hdl.stream_board.jobs import ADDRESS_BITS, job_layout, slot_bits
from ninefold.hdl.stream_board.parameters import StreamBoardParameters
from ninefold.hdl.stream_board.queues import COUNT_BITS
from ninefold.spec.link import ERROR, PREFIX_BYTES, REPLY, Fault, Kind
from ninefold.spec.registers import BY_NAME
from ninefold.spec.stream_link import STREAM_KINDS, StreamFault, StreamKind
from ninefold.spec.streams import board_registers

__all__ = ["StreamExecutor"]

#: Type of request -> flag of its job.
_PARTS = {Kind.IDENTIFY: "identifies", Kind.READ: "reads", Kind.STATISTICS: "counts", StreamKind.PULL: "pulls"}


class StreamExecutor(wiring.Component):
    """Executor: checks and executes each request, and orders its reply.

    Requests are executed in order of arrival, while the replies to earlier ones are built. Writes and resets wait until
    all earlier replies are built. A refused request changes nothing: the bytes of a PUSH are written tentatively.

    A request with the sequence number and the CRC of a request whose reply is kept is not executed. Its reply is sent
    again, unless it is being built or sent. A new request waits until the previous reply of its slot is sent. A refusal
    with TURN is not kept, so that the same request can be executed later.

    A request takes 12 to 17 cycles, plus one for each byte and two for each register, if its reply can be built.

    Parameters
    ----------
    parameters : StreamBoardParameters
        Parameters of the board.
    interface : Interface
        Streams and registers of the core.

    Members
    -------
    headers, payload : In
        Headers and payloads from the receiver.
    jobs : Out(stream.Signature(job_layout(parameters)))
        Replies to build.
    again : Out(stream.Signature({slot: slot_bits(parameters)}))
        Kept replies to send again.
    built, sent, sent_slot : In
        Events of the reply memory.
    free : In(data.ArrayLayout(COUNT_BITS, inputs))
        Number of payloads that the queue of each input has room for.
    put : Out(inputs)
        Write ``byte`` to the queue of an input.
    byte : Out(8)
        Byte of a payload.
    commit : Out(inputs)
        Add the payloads of a request to the queue of an input.
    count : Out(COUNT_BITS)
        Their number.
    rollback : Out(1)
        Discard the payloads of a request.
    write, write_address, write_word : Out
        Writes to the registers.
    clear : Out(1)
        Reset queues, registers and core.
    turn : Out(8)
        Value of this register.
    """

    def __init__(self, parameters: StreamBoardParameters, interface: Interface) -> None:
        self._p, self._interface = parameters, interface
        inputs = len(interface.inputs)
        slot = data.StructLayout({"slot": slot_bits(parameters)})
        super().__init__(
            {
                "headers": In(stream.Signature(HEADER)),
                "payload": In(stream.Signature(BYTE)),
                "jobs": Out(stream.Signature(job_layout(parameters))),
                "again": Out(stream.Signature(slot)),
                "built": In(1),
                "sent": In(1),
                "sent_slot": In(slot_bits(parameters)),
                "free": In(data.ArrayLayout(COUNT_BITS, inputs)),
                "put": Out(inputs),
                "byte": Out(8),
                "commit": Out(inputs),
                "count": Out(COUNT_BITS),
                "rollback": Out(1),
                "write": Out(1),
                "write_address": Out(ADDRESS_BITS),
                "write_word": Out(32),
                "clear": Out(1),
                "turn": Out(8),
            }
        )
        self._states = OneHot()
        # Kind of request, one-hot, so that no state has to decode it.
        self._is = {kind: Signal(name=f"is_{kind.name.lower()}") for kind in STREAM_KINDS}
        self._refused, self._fault = Signal(), Signal(5)
        self._cursor, self._todo = Signal(16), Signal(16)
        # First four bytes of the payload; a WRITE collects its words there.
        self._prefix, self._count = Signal(32), Signal(3)
        # Bytes of the request left, and whether there are any.
        self._left, self._more = Signal(parameters.buffer_bytes.bit_length()), Signal()
        # The way of the bytes of a request: into the prefix, to a queue, or to nothing.
        self._collects, self._pushes, self._drops = Signal(), Signal(), Signal()
        self._moves = Signal()
        # The register of jobs is free; a job enters it. Number of jobs that are not built; flag for none, a cycle late.
        self._idle, self._hands = Signal(), Signal()
        self._waiting, self._quiet = Signal(range(parameters.window + 2)), Signal()
        # One bit per slot: slot of this request, slots with a kept reply, slots being built or sent.
        self._hot, self._known, self._busy = (Signal(parameters.window, name=n) for n in ("hot", "kept", "busy"))
        self._slot_busy, self._repeated = Signal(), Signal()
        # The slot is taken for a reply from now on; the CRC of its request is to be kept; the one that was.
        self._takes, self._keeps, self._kept = Signal(), Signal(), Signal(32)
        # Input of a PUSH, one-hot, and what its queue has room for.
        self._target, self._room = Signal(inputs), Signal(COUNT_BITS)

    @property
    def _length(self) -> Value:
        """Size of the payload in bytes, which is below the size of the receiver's buffer."""
        return self.headers.payload.length[: self._p.buffer_bytes.bit_length()]

    @property
    def _slot(self) -> Value:
        return self.headers.payload.sequence[: slot_bits(self._p)]

    def _at(self, m: Module, state: str) -> AbstractContextManager[None]:
        return self._states.at(m, state)

    def _go(self, m: Module, state: str) -> None:
        self._states.go(m, state)

    def _refuse(self, m: Module, fault: Fault | StreamFault) -> None:
        m.d.sync += [self._fault.eq(fault), self._refused.eq(1)]
        self._go(m, "JOB")

    def elaborate(self, _platform: object) -> Module:
        """Build the state machine: look-up, checks, one group of states per command, and the output of the job."""
        m = Module()
        m.submodules.states = self._states
        m.d.sync += [self.headers.ready.eq(0), self.clear.eq(0)]
        self._take_bytes(m)
        self._mark(m)
        self._begin(m)
        self._look_up(m)
        self._dispatch(m)
        self._registers(m)
        self._push(m)
        self._end(m)
        return m

    def _take_bytes(self, m: Module) -> None:
        """Route the bytes of the request."""
        m.d.comb += [
            self.payload.ready.eq(self._more & ((self._collects & ~self._count[2]) | self._pushes | self._drops)),
            self._moves.eq(self.payload.valid & self.payload.ready),
            self.byte.eq(self.payload.payload.data),
        ]
        with m.If(self._moves):
            m.d.sync += [self._left.eq(self._left - 1), self._more.eq(self._left != 1)]
        with m.If(self._moves & self._collects):
            m.d.sync += [self._prefix.eq(Cat(self._prefix, self.byte)[8:]), self._count.eq(self._count + 1)]

    def _mark(self, m: Module) -> None:
        """Track each slot: the CRC of its request, and whether its reply is being built or sent."""
        sent = Signal.like(self._busy)
        m.d.comb += [
            self._takes.eq(0),
            sent.eq(self.sent << self.sent_slot),
            self._idle.eq(~self.jobs.valid | self.jobs.ready),
            self._hands.eq(0),
        ]
        m.d.sync += [
            self._keeps.eq(0),
            self._busy.eq((self._busy | (self._hot & self._takes.replicate(len(sent)))) & ~sent),
            self._waiting.eq(self._waiting + self._hands - self.built),
            self._quiet.eq(self._waiting == 0),
        ]
        m.submodules.crcs = crcs = memory.Memory(shape=32, depth=self._p.window, init=[])
        write, read = crcs.write_port(), crcs.read_port()
        m.d.comb += [
            write.addr.eq(self._slot),
            write.data.eq(self.headers.payload.crc),
            write.en.eq(self._keeps),
            read.addr.eq(self._slot),
            self._kept.eq(read.data),
        ]

    def _begin(self, m: Module) -> None:
        header = self.headers.payload
        known, difference = Signal(name="known"), Signal(32, reset_less=True, name="difference")
        m.d.sync += [
            *(signal.eq(header.type == kind) for kind, signal in self._is.items()),
            self._hot.eq(1 << self._slot),
            # A slot may be free one cycle before this shows it.
            self._slot_busy.eq((self._busy & self._hot).any()),
        ]
        with self._at(m, "IDLE"):
            m.d.sync += [
                self._refused.eq(0),
                self._count.eq(0),
                self._left.eq(self._length),
                self._more.eq(self._length != 0),
            ]
            with m.If(self.headers.valid):
                self._go(m, "SELECT")
        with self._at(m, "SELECT"):
            m.d.sync += [difference.eq(self._kept ^ header.crc), known.eq((self._known & self._hot).any())]
            self._go(m, "COMPARE")
        with self._at(m, "COMPARE"):
            m.d.sync += self._repeated.eq(known & (difference == 0))
            self._go(m, "LOOK UP")

    def _look_up(self, m: Module) -> None:
        with self._at(m, "LOOK UP"):
            m.d.sync += self.again.payload.slot.eq(self._slot)
            with m.If(self._repeated):
                m.d.sync += [self._drops.eq(1), self.again.valid.eq(~self._slot_busy)]
                self._go(m, "AGAIN")
            with m.Elif(~self._slot_busy):
                m.d.sync += [self._known.eq(self._known & ~self._hot), self._collects.eq(1)]
                self._go(m, "PREFIX")
        with self._at(m, "AGAIN"), m.If(~self.again.valid | self.again.ready):
            m.d.comb += self._takes.eq(self.again.valid)
            m.d.sync += self.again.valid.eq(0)
            self._go(m, "DRAIN")
        with self._at(m, "PREFIX"), m.If(self._count[2] | ~self._more):
            self._go(m, "PARSE")

    def _dispatch(self, m: Module) -> None:
        length, count = self._length, self._prefix[16:]
        is_ = self._is
        # Operands are registered here and below, because each comparison takes most of a cycle.
        empty, prefixed, counted, none, short, turns = (
            Signal(name=n) for n in ("empty", "prefixed", "counted", "none", "short", "turns")
        )
        inputs, streams = len(self._interface.inputs), len(self._interface.streams)
        number = self._prefix[:8]
        of_output = Signal()
        with self._at(m, "PARSE"):
            m.d.sync += [
                empty.eq(length == 0),
                prefixed.eq(length == PREFIX_BYTES),
                short.eq(length < PREFIX_BYTES),
                counted.eq(length == (count << 2) + PREFIX_BYTES),
                none.eq(count == 0),
                turns.eq(self._prefix[8:16] == self.turn),
                *(self._target[i].eq(number == i) for i in range(inputs)),
                of_output.eq((number >= inputs) & (number < streams)),
                self._cursor.eq(self._prefix[:16]),
                self._todo.eq(count),
            ]
            self._go(m, "DISPATCH")
        with self._at(m, "DISPATCH"):
            with m.If(is_[Kind.IDENTIFY] & prefixed):
                m.d.sync += self._known.eq(0)
                self._go(m, "JOB")
            with m.Elif((is_[Kind.READ] & prefixed & ~none) | (is_[Kind.WRITE] & counted & ~none)):
                self._go(m, "CHECK")
            with m.Elif(is_[Kind.STATISTICS] & empty):
                self._go(m, "JOB")
            with m.Elif(is_[Kind.RESET] & empty):
                self._go(m, "RESET WAIT")
            with m.Elif((is_[StreamKind.PUSH] & ~short) | (is_[StreamKind.PULL] & prefixed)):
                with m.If(~turns):
                    self._refuse(m, StreamFault.TURN)
                with m.Elif(~Mux(is_[StreamKind.PULL], of_output, self._target.any())):
                    self._refuse(m, StreamFault.STREAM)
                with m.Elif(is_[StreamKind.PULL]):
                    self._go(m, "JOB")
                with m.Else():
                    self._go(m, "PUSH")
            with m.Elif(Cat(*is_.values()).any()):
                self._refuse(m, Fault.LENGTH)
            with m.Else():
                self._refuse(m, Fault.KIND)

    def _registers(self, m: Module) -> None:
        table = board_registers(self._interface.registers)
        writes, control = self._is[Kind.WRITE], BY_NAME["control"].address
        done, allowed, resets = (Signal(name=n) for n in ("done", "allowed", "resets"))
        readable = [a for register in table for a in register.addresses]
        writable = [a for register in table if "w" in register.access for a in register.addresses]
        with self._at(m, "CHECK"):
            m.d.sync += [
                done.eq(self._todo == 0),
                allowed.eq(Mux(writes, self._cursor.matches(*writable), self._cursor.matches(*readable))),
                resets.eq(0),
            ]
            self._go(m, "CHECKED")
        with self._at(m, "CHECKED"):
            with m.If(done):
                m.d.sync += [self._cursor.eq(self._prefix[:16]), self._count.eq(Mux(writes, 0, self._count))]
                with m.If(writes):
                    self._go(m, "WRITE WAIT")
                with m.Else():
                    self._go(m, "JOB")
            with m.Elif(allowed):
                self._go(m, "CHECK")
                m.d.sync += [self._cursor.eq(self._cursor + 1), self._todo.eq(self._todo - 1)]
            with m.Else():
                self._refuse(m, Fault.ADDRESS)
        with self._at(m, "WRITE WAIT"), m.If(self._quiet):
            self._go(m, "WRITE")
        m.d.comb += [self.write_address.eq(self._cursor), self.write_word.eq(self._prefix)]
        with self._at(m, "WRITE"), m.If(self._count[2]):
            self._go(m, "STORE")
        with self._at(m, "STORE"):
            m.d.comb += self.write.eq(1)
            m.d.sync += [
                self._count.eq(0),
                self._cursor.eq(self._cursor + 1),
                resets.eq(resets | ((self._cursor == control) & self._prefix[0])),
            ]
            with m.If(self._more):
                self._go(m, "WRITE")
            with m.Else():
                self._go(m, "WRITTEN")
        with self._at(m, "WRITTEN"):
            with m.If(resets):
                self._go(m, "RESET WAIT")
            with m.Else():
                self._go(m, "JOB")
        with self._at(m, "RESET WAIT"), m.If(self._quiet):
            self._go(m, "RESET")
        with self._at(m, "RESET"):
            m.d.sync += [self.clear.eq(1), self._known.eq(0), self.turn.eq(0)]
            self._go(m, "JOB")

    def _push(self, m: Module) -> None:
        """Write payloads to a queue tentatively, count them, and commit them if all are whole."""
        sizes = [one.payload_bytes for one in self._interface.inputs]
        last, rest = (Signal(range(max(sizes, default=1)), name=n) for n in ("last", "rest"))
        fits, full, excess, ends = (Signal(name=n) for n in ("fits", "full", "excess", "ends"))
        number = self._prefix[: max(1, (len(sizes) - 1).bit_length())]
        m.d.comb += [
            self.put.eq(self._target & (self._moves & self._pushes & ~full).replicate(len(self.put))),
            self.count.eq(self._prefix[16:]),
            ends.eq(rest == 0),
        ]
        if sizes:
            m.d.sync += [
                self._room.eq(Array(self.free)[number]),
                last.eq(Array(size - 1 for size in sizes)[number]),
            ]
        with self._at(m, "PUSH"):
            m.d.sync += [
                fits.eq(self.count <= self._room),
                full.eq(self._todo == 0),
                excess.eq(0),
                rest.eq(last),
                # A refusal tells it, while payloads leave the queue.
                self._cursor.eq(self._room),
            ]
            self._go(m, "PUSH CHECK")
        with self._at(m, "PUSH CHECK"):
            with m.If(fits):
                m.d.sync += [self._collects.eq(0), self._pushes.eq(1)]
                self._go(m, "PUSH BYTES")
            with m.Else():
                self._refuse(m, StreamFault.ROOM)
        with m.If(self._moves & self._pushes):
            with m.If(full):
                m.d.sync += excess.eq(1)
            with m.Else():
                m.d.sync += rest.eq(Mux(ends, last, rest - 1))
                with m.If(ends):
                    m.d.sync += [self._todo.eq(self._todo - 1), full.eq(self._todo == 1)]
        with self._at(m, "PUSH BYTES"), m.If(~self._more):
            m.d.sync += self._pushes.eq(0)
            with m.If(full & ~excess):
                m.d.comb += self.commit.eq(self._target)
                self._go(m, "JOB")
            with m.Else():
                m.d.comb += self.rollback.eq(1)
                self._refuse(m, Fault.LENGTH)

    def _end(self, m: Module) -> None:
        header, job = self.headers.payload, self.jobs.payload
        is_ = self._is
        detail = Signal(16)
        with m.Switch(self._fault):
            with m.Case(Fault.LENGTH):
                m.d.comb += detail.eq(self._length)
            with m.Case(StreamFault.TURN):
                m.d.comb += detail.eq(self.turn)
            with m.Case(StreamFault.STREAM):
                m.d.comb += detail.eq(self._prefix[:8])
            with m.Case(Fault.ADDRESS, StreamFault.ROOM):
                m.d.comb += detail.eq(self._cursor)
        with m.If(self.jobs.ready):
            m.d.sync += self.jobs.valid.eq(0)
        with self._at(m, "JOB"), m.If(self._idle):
            m.d.comb += [self._takes.eq(1), self._hands.eq(1)]
            m.d.sync += [
                self.jobs.valid.eq(1),
                job.slot.eq(self._slot),
                job.type.eq(Mux(self._refused, ERROR, header.type | REPLY)),
                job.sequence.eq(header.sequence),
                job.priority.eq(header.priority),
                job.first.eq(Mux(self._refused, Cat(self._fault, Const(0, 3), header.type), self._prefix)),
                job.second.eq(detail),
                job.refused.eq(self._refused),
                *(job[part].eq(is_[kind] & ~self._refused) for kind, part in _PARTS.items()),
                self._keeps.eq(1),
                self._drops.eq(1),
            ]
            with m.If(~is_[Kind.IDENTIFY] & ~(self._refused & (self._fault == StreamFault.TURN))):
                m.d.sync += self._known.eq(self._known | self._hot)
            with m.If((is_[StreamKind.PUSH] | is_[StreamKind.PULL]) & ~self._refused):
                m.d.sync += self.turn.eq(self.turn + 1)
            self._go(m, "DRAIN")
        with self._at(m, "DRAIN"), m.If(~self._more):
            m.d.sync += [self.headers.ready.eq(1), self._drops.eq(0), self._collects.eq(0)]
            self._go(m, "NEXT")
        with self._at(m, "NEXT"):
            self._go(m, "IDLE")
