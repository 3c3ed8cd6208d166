"""Common parts of the executor's states: ports, the current request, and its reply."""

from contextlib import AbstractContextManager

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ninefold.hdl.miner.intake import Intake
from ninefold.hdl.miner.jobs import job_layout, slot_bits
from ninefold.hdl.miner.parameters import MinerParameters
from ninefold.hdl.miner.rows import RowCounter
from ninefold.hdl.parts.layouts import BYTE, FRAME_BYTE, HEADER
from ninefold.hdl.states import OneHot
from ninefold.spec.formats import K_MAX
from ninefold.spec.link import ACCEPTED, CHECKS, ERROR, REPLY, TICKETS, Fault, Kind
from ninefold.spec.registers import IDENTITY, STATISTICS

__all__ = ["Execution"]

#: Types of requests whose replies begin with a word that is not a register.
_LITERALS = (Kind.IDENTIFY, Kind.LOAD, Kind.QUERY, Kind.CANDIDATES, Kind.FETCH)


class Execution(wiring.Component):
    """Ports and registers of an :class:`~ninefold.hdl.miner.executor.Executor`, whose states are its subclasses'.

    Parameters
    ----------
    parameters : MinerParameters
        Parameters of the miner.

    Members
    -------
    headers, payload : In
        Headers and payloads from the receiver.
    jobs : Out(stream.Signature(job_layout(parameters)))
        Replies to build. This and the following streams are registered.
    again : Out(stream.Signature({slot: slot_bits(parameters)}))
        Kept replies to send again.
    built, sent, sent_slot : In
        Events of the reply memory.
    packed : Out(stream.Signature({data: 8, last: 1}))
        Bytes of packed nits, for queries or rows.
    grid : Out(stream.Signature({data: 8}))
        Bytes of grid values.
    threshold : Out(stream.Signature({index: 2, value: 16}))
        Thresholds for the quantiser, which is always ready.
    loading : Out(1)
        Complete words belong to rows, not to queries.
    of_grid : Out(1)
        Bytes for queries come from ``grid``.
    packing : In(1)
        A complete word has not been accepted.
    restart : Out(1)
        Discard an incomplete word.
    flush : Out(1)
        End an aborted load by a final word; held until ``flushed``.
    flushed : In(1)
        Acknowledges ``flush``.
    write, write_address, write_word, clear, clear_epoch : Out
        Writes to the registers.
    rows, load_bytes, load_check : Out(32)
        Values of these registers.
    epoch : In(8)
        Epoch of the board.
    scan : Out(stream.Signature({keep: range(keep + 1), masked: 1}, always_ready=True))
        Scans to start, with the number of candidates to keep, and whether a mask follows the query. Only the design
        signs has this and the following members.
    mask : Out(stream.Signature({data: 8, last: 1}))
        Bytes of masks.
    scanned : In(1)
        High for one cycle after the last candidate of a scan, in the order of the scans.
    totals : In(data.ArrayLayout(range(keep + 1), 2))
        Number of candidates of the last two scans, alternately.
    """

    def __init__(self, parameters: MinerParameters) -> None:
        self._p = parameters
        super().__init__(_ports(parameters))
        self._states = OneHot()
        self._intake = Intake(parameters)
        self._way = Signal(5)
        self._counter = RowCounter(parameters)
        # Kind of request, one-hot, so that no state has to decode it.
        self._is = {kind: Signal(name=f"is_{kind.name.lower()}") for kind in ACCEPTED[parameters.design]}
        self._refused, self._fault = Signal(), Signal(4)
        self._detail = Signal(32, reset_less=True)
        self._cursor, self._todo = Signal(16), Signal(16)
        self._results = Signal(K_MAX.bit_length(), reset_less=True)
        # Number of jobs passed on but not built; flags for none, and for no scan either, one cycle late.
        self._waiting, self._built, self._quiet = Signal(range(parameters.window + 2)), Signal(), Signal()
        # One bit per slot: slot of this request, slots with a kept reply, slots being built or sent.
        self._hot, self._known, self._busy = (Signal(parameters.window, name=n) for n in ("hot", "known", "busy"))
        self._slot_busy, self._repeated = Signal(), Signal()
        # The slot is taken for a reply from now on; the CRC of its request is to be kept; the one that was.
        self._takes, self._keeps, self._kept = Signal(), Signal(), Signal(32)
        # Number of scans in progress, and a pulse that counts one. The last two tickets, whether they are kept, and the
        # half of the store of the last one's candidates.
        self._running, self._starts, self._half = Signal(range(TICKETS + 1)), Signal(), Signal(init=1)
        self._ticket, self._older, self._tickets_kept = Signal(16), Signal(16, reset_less=True), Signal(TICKETS)
        # Size of a mask, and the half of the store and the number of candidates of a FETCH.
        self._mask_bytes = Signal(range(parameters.mask_bytes + 1), reset_less=True)
        self._fetched_half, self._total = Signal(reset_less=True), Signal(range(parameters.keep + 1), reset_less=True)
        # Minimal widths, because small devices are short of flip-flops.
        self._rows = Signal(range(parameters.depth + 1))

    @property
    def _length(self) -> Value:
        """Size of the payload in bytes, which is below the size of the receiver's buffer."""
        return self.headers.payload.length[: self._p.buffer_bytes.bit_length()]

    @property
    def _slot(self) -> Value:
        return self.headers.payload.sequence[: slot_bits(self._p)]

    @property
    def _prefix(self) -> Value:
        """First four bytes of the payload, which only a write replaces."""
        return self._intake.recent

    def _at(self, m: Module, state: str) -> AbstractContextManager[None]:
        return self._states.at(m, state)

    def _go(self, m: Module, state: str) -> None:
        self._states.go(m, state)

    def _refuse(self, m: Module, fault: Value | Fault) -> None:
        m.d.sync += self._fault.eq(fault)
        self._go(m, "REFUSE")

    def _refuse_state(self, m: Module, beyond: Signal) -> None:
        """Return the detail of the fault."""
        details: dict[Fault, Value | int] = {
            Fault.LENGTH: self._length,
            Fault.ADDRESS: self._cursor,
            Fault.OFFSET: Mux(self.loading, self._counter.bytes, 0),
            Fault.STORE: self._p.depth * self._p.row_bytes,
            Fault.ROW: beyond,
            Fault.EPOCH: self.epoch,
            Fault.K: self._p.k,
            Fault.KEEP: self._p.keep,
            Fault.TICKET: self._ticket,
            Fault.RANGE: self._total,
            Fault.FORMAT: 0b11,
            Fault.REPLY: self._p.reply_limit,
        }
        with self._at(m, "REFUSE"):
            m.d.sync += [self._refused.eq(1), self._detail.eq(0)]
            with m.Switch(self._fault):
                for fault in sorted({fault for kind in self._is for fault, _ in CHECKS[kind]} & details.keys()):
                    with m.Case(fault):
                        m.d.sync += self._detail.eq(details[fault])
            self._go(m, "JOB")

    def _compose(self, m: Module) -> None:
        """Assemble the job from the request, which is stable until the job is accepted."""
        header, job = self.headers.payload, self.jobs.payload
        prefix, final = self._prefix, self._prefix[31]
        shown = {Kind.IDENTIFY: IDENTITY, Kind.STATISTICS: STATISTICS}
        fields = [
            job.slot.eq(self._slot),
            job.type.eq(header.type | REPLY),
            job.sequence.eq(header.sequence),
            job.priority.eq(header.priority),
            job.literals.eq(Cat(self._is[kind] for kind in _LITERALS if kind in self._is).any()),
            job.second.eq(self._detail),
            job.address.eq(prefix),
            job.words.eq(0),
            job.queries.eq(0),
            job.results.eq(self._results),
            # Of IDENTIFY; others have none, or one of their own.
            job.first.eq(prefix),
        ]
        with m.If(~self.jobs.valid):
            m.d.sync += fields
            with m.If(self._refused):
                m.d.sync += [
                    job.type.eq(ERROR),
                    job.literals.eq(2),
                    job.first.eq(Cat(self._fault, Const(0, 4), header.type)),
                ]
            with m.Elif(self._is[Kind.READ]):
                m.d.sync += job.words.eq(prefix[16:])
            with m.Elif(self._is[Kind.LOAD]):
                m.d.sync += job.first.eq(Mux(final, 0, self._counter.bytes))
            if Kind.QUERY in self._is:
                with m.Elif(self._is[Kind.QUERY]):
                    count = prefix[8:16]
                    m.d.sync += [job.first.eq(Cat(Const(0, 8), count, self._results)), job.queries.eq(count)]
            else:
                with m.Elif(self._is[Kind.CANDIDATES]):
                    m.d.sync += job.first.eq(self._ticket)
                with m.Elif(self._is[Kind.FETCH]):
                    number = self._cursor[: len(job.address) - 2]
                    m.d.sync += [
                        job.first.eq(Cat(self._total | Const(0, 16), prefix[:16])),
                        job.words.eq(prefix),
                        job.address.eq(Cat(number, self._fetched_half, 1)),
                    ]
            for kind, addresses in shown.items():
                with m.If(self._is[kind] & ~self._refused):
                    m.d.sync += [job.address.eq(addresses.start), job.words.eq(len(addresses))]


def _ports(parameters: MinerParameters) -> dict[str, wiring.Member]:
    """Return the members of an executor."""
    threshold = data.StructLayout({"index": 2, "value": 16})
    slot = data.StructLayout({"slot": slot_bits(parameters)})
    keep = range(parameters.keep + 1)
    scans = {
        "scan": Out(stream.Signature(data.StructLayout({"keep": keep, "masked": 1}), always_ready=True)),
        "mask": Out(stream.Signature(FRAME_BYTE)),
        "scanned": In(1),
        "totals": In(data.ArrayLayout(keep, TICKETS)),
    }
    return {
        **(scans if parameters.design == "signs" else {}),
        "headers": In(stream.Signature(HEADER)),
        "payload": In(stream.Signature(BYTE)),
        "jobs": Out(stream.Signature(job_layout(parameters))),
        "again": Out(stream.Signature(slot)),
        "built": In(1),
        "sent": In(1),
        "sent_slot": In(slot_bits(parameters)),
        "packed": Out(stream.Signature(FRAME_BYTE)),
        "grid": Out(stream.Signature(BYTE)),
        "threshold": Out(stream.Signature(threshold)),
        "loading": Out(1),
        "of_grid": Out(1),
        "packing": In(1),
        "restart": Out(1),
        "flush": Out(1),
        "flushed": In(1),
        "write": Out(1),
        "write_address": Out(6),
        "write_word": Out(32),
        "clear": Out(1),
        "clear_epoch": Out(1),
        "rows": Out(32),
        "load_bytes": Out(32),
        "load_check": Out(32),
        "epoch": In(8),
    }
