"""What the states of the executor share: its ports, the request that is executed, and how it is answered."""

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ninefold.hdl.link.layouts import BYTE, FRAME_BYTE, HEADER
from ninefold.hdl.miner.intake import Intake
from ninefold.hdl.miner.jobs import job_layout, slot_bits
from ninefold.hdl.miner.parameters import MinerParameters
from ninefold.hdl.miner.rows import RowCounter
from ninefold.spec.link import ERROR, Fault

__all__ = ["Execution"]


class Execution(wiring.Component):
    """Ports and registers of an :class:`~ninefold.hdl.miner.executor.Executor`, whose states are its subclasses'.

    Parameters
    ----------
    parameters : MinerParameters
        The miner.

    Members
    -------
    headers, payload : In
        From the receiver.
    jobs : Out(stream.Signature(job_layout(parameters)))
        Replies to build.
    again : Out(stream.Signature({slot: slot_bits(parameters)}))
        Replies to send again.
    built, sent, sent_slot : In
        From the replies.
    packed : Out(stream.Signature({data: 8, last: 1}))
        Bytes of packed nits, of queries or rows.
    grid : Out(stream.Signature({data: 8}))
        Bytes of grid values.
    threshold : Out(stream.Signature({index: 2, value: 16}))
        Thresholds for the quantiser, which is always ready.
    loading : Out(1)
        Words that are complete belong to rows, not to queries.
    of_grid : Out(1)
        Bytes for queries come from ``grid``.
    packing : In(1)
        A word is complete and not taken.
    restart : Out(1)
        Forget a word that is not complete.
    flush : Out(1)
        End a load that was broken off, by a word that is the last one; until ``flushed``.
    flushed : In(1)
        See above.
    write, write_address, write_word, clear, clear_epoch : Out
        To the registers.
    rows, load_bytes, load_check : Out(32)
        Values of these registers.
    epoch : In(8)
        The board's.
    """

    def __init__(self, parameters: MinerParameters) -> None:
        self._p = parameters
        threshold = data.StructLayout({"index": 2, "value": 16})
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
        )
        self._kind = Signal(8)
        self._fault = Signal(4)
        self._intake = Intake(parameters)
        self._way = Signal(5)
        self._counter = RowCounter(parameters)
        self._job = Signal(job_layout(parameters))
        self._cursor, self._todo = Signal(16), Signal(16)
        self._waiting = Signal(range(parameters.window + 2))
        self._known = Signal(parameters.window)
        self._busy = Signal(parameters.window)
        self._repeated = Signal()
        # No wider than they need be: on small devices each bit counts.
        self._rows = Signal(range(parameters.depth + 1))
        self._crcs = Array(Signal(32, name=f"crc_{i}") for i in range(parameters.window))

    @property
    def _length(self) -> Value:
        """Bytes of the payload, which the receiver keeps below the size of its buffer."""
        return self.headers.payload.length[: self._p.buffer_bytes.bit_length()]

    @property
    def _slot(self) -> Value:
        return self.headers.payload.sequence[: slot_bits(self._p)]

    def _refuse(self, m: Module, fault: Fault) -> None:
        m.d.sync += self._fault.eq(fault)
        m.next = "REFUSE"

    def _refuse_state(self, m: Module, beyond: Signal) -> None:
        """Answer with the fault, and with the detail that belongs to it."""
        details: dict[Fault, Value | int] = {
            Fault.LENGTH: self._length,
            Fault.ADDRESS: self._cursor,
            Fault.OFFSET: Mux(self.loading, self._counter.bytes, 0),
            Fault.STORE: self._p.depth * self._p.row_bytes,
            Fault.ROW: beyond,
            Fault.EPOCH: self.epoch,
            Fault.K: self._p.k,
            Fault.FORMAT: 0b11,
            Fault.REPLY: self._p.reply_limit,
        }
        with m.State("REFUSE"):
            m.d.sync += [
                self._job.type.eq(ERROR),
                self._job.literals.eq(2),
                self._job.first.eq(Cat(self._fault, Const(0, 4), self._kind)),
                self._job.second.eq(0),
                self._job.words.eq(0),
            ]
            with m.Switch(self._fault):
                for fault, detail in details.items():
                    with m.Case(fault):
                        m.d.sync += self._job.second.eq(detail)
            m.next = "JOB"

    def _show(self, m: Module, addresses: range) -> None:
        """Answer with registers."""
        m.d.sync += [self._job.address.eq(addresses.start), self._job.words.eq(len(addresses))]
        m.next = "JOB"
