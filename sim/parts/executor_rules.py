"""Model of a request by the rules of ``ninefold.spec.link``: its faults, and the miner's state."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from operator import or_
from typing import Any

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, Value

from ninefold.hdl.miner.parameters import MinerParameters
from ninefold.spec.link import FORMAT_GRID, PREFIX_BYTES, RESULT_BYTES, Fault, Kind
from ninefold.spec.registers import REGISTERS

__all__ = ["Kept", "Request", "run_from"]

_ADDRESSES = 64


class Kept:
    """State of a miner between requests.

    Parameters
    ----------
    p : MinerParameters
        The miner.

    Attributes
    ----------
    known, busy : Signal
        Slots with a reply that may be repeated, and slots whose reply is being built or sent; one bit each.
    crcs : list of Signal
        CRC of each slot's request.
    waiting : Signal
        Number of jobs passed on whose reply is not built.
    epoch : Signal
        Epoch of the board.
    loaded : Signal
        Number of bytes of the load so far.
    opened, flushes : Signal
        The engine has part of a load; it must be told that the load ends.
    """

    def __init__(self, p: MinerParameters) -> None:
        self.known, self.busy = Signal(p.window, name="known_model"), Signal(p.window, name="busy_model")
        self.crcs = [Signal(32, name=f"crc_model_{i}") for i in range(p.window)]
        self.waiting = Signal(range(p.window + 2), name="waiting_model")
        self.epoch = Signal(8, name="epoch_model")
        self.loaded = Signal(range(p.depth * p.row_bytes + 1), name="loaded")
        self.opened, self.flushes = Signal(name="opened"), Signal(name="flushes")


class Request:
    """Request in execution.

    Parameters
    ----------
    m : Module
        Module that receives the model.
    p : MinerParameters
        The miner.
    core : Any
        The executor.
    kept : Kept
        State of the miner.

    Attributes
    ----------
    kind, length, slot : Value
        Fields of the header.
    prefix, recent, taken : Signal
        First four bytes of the payload, last four bytes taken, and number of bytes taken.
    address, count, offset, final, form, queries, k : Value
        Fields of the prefix, depending on the kind.
    again : Signal
        The request is a repeat, by slot and CRC.
    faults : mapping of Fault to Signal
        Faults of the request, given the miner's state before it.
    details : mapping of Fault to Value
        Detail of each fault.
    run, total, results : Signal
        Consecutive registers from the first address, bytes of the load after this block, and results per query.
    decided, sound, goal : Signal
        The prefix is complete; the request had no fault then; `total` at that time.
    answered, repeated, ignored : Signal
        The reply was ordered; a repeat of it was ordered; the request repeats one whose reply is in progress.
    writes, resets : Signal
        Number of registers written so far, and of steps of a reset.
    controls, begun, emptied : Signal
        The request has written a reset; it has begun a load; all its row bytes have left.
    """

    def __init__(self, m: Module, p: MinerParameters, core: Any, kept: Kept) -> None:
        header = core.headers.payload
        self.kind, self.length = header.type, header.length[: p.buffer_bytes.bit_length()]
        self.slot = header.sequence[: len(core.sent_slot)]
        self.prefix, self.recent = Signal(32, name="prefix"), Signal(32, name="recent_model")
        self.address, self.count = self.prefix[:16], self.prefix[16:]
        self.offset, self.final = self.prefix[:31], self.prefix[31]
        self.form, self.queries, self.k = self.prefix[:8], self.prefix[8:16], self.prefix[16:]
        self.taken, self.goal = Signal(range(p.buffer_bytes), name="taken"), Signal(8, name="goal")
        self.writes, self.resets = Signal(6, name="writes"), Signal(range(5), name="resets_model")
        self.decided, self.sound = Signal(name="decided"), Signal(name="sound")
        self.answered, self.repeated, self.ignored = (Signal(name=n) for n in ("answered", "repeated", "ignored"))
        self.controls, self.begun, self.emptied = (Signal(name=n) for n in ("controls", "request_begun", "emptied"))
        self.again = Signal(name="known_request")
        self.faults: Mapping[Fault, Signal] = {fault: Signal(name=f"wrong_{fault.name.lower()}") for fault in Fault}
        self.results = Signal(range(p.k + 1), name="results_model")
        self.total, self.run = Signal(8, name="total"), Signal(range(_ADDRESSES), name="run")
        known = kept.known.bit_select(self.slot, 1) & (Array(kept.crcs)[self.slot] == header.crc)
        m.d.comb += self.again.eq(known)
        self._access(m)
        self._load(m, p, core, kept)
        self._query(m, p, core, kept)
        self.any = Cat(self.faults.values()).any()
        self.details: Mapping[Fault, Value | int] = {
            **dict.fromkeys(Fault, 0),
            Fault.LENGTH: self.length,
            Fault.ADDRESS: (self.address + self.run)[:16],
            Fault.OFFSET: Mux(core.loading, kept.loaded, 0),
            Fault.STORE: p.depth * p.row_bytes,
            Fault.ROW: self.total % p.row_bytes,
            Fault.EPOCH: kept.epoch,
            Fault.K: p.k,
            Fault.FORMAT: 0b11,
            Fault.REPLY: p.reply_limit,
        }

    def _access(self, m: Module) -> None:
        """Model the faults of kind, address, and length (except for loads and queries)."""
        kind, length, faults = self.kind, self.length, self.faults
        m.d.comb += [
            self.run.eq(Mux(kind == Kind.WRITE, run_from(self.address, "w"), run_from(self.address, "r"))),
            faults[Fault.KIND].eq(~kind.matches(*Kind)),
            faults[Fault.ADDRESS].eq(kind.matches(Kind.READ, Kind.WRITE) & (self.count > self.run)),
        ]
        wrong = faults[Fault.LENGTH]
        with m.Switch(kind):
            with m.Case(Kind.IDENTIFY):
                m.d.comb += wrong.eq(length != PREFIX_BYTES)
            with m.Case(Kind.READ):
                m.d.comb += wrong.eq((length != PREFIX_BYTES) | (self.count == 0))
            with m.Case(Kind.WRITE):
                m.d.comb += wrong.eq((length != PREFIX_BYTES + 4 * self.count) | (self.count == 0))
            with m.Case(Kind.LOAD):
                m.d.comb += wrong.eq(length <= PREFIX_BYTES)
            with m.Case(Kind.STATISTICS, Kind.RESET):
                m.d.comb += wrong.eq(length != 0)

    def _load(self, m: Module, p: MinerParameters, core: Any, kept: Kept) -> None:
        """Model the faults of a load."""
        loads, faults, begins = self.kind == Kind.LOAD, self.faults, self.offset == 0
        m.d.comb += [
            self.total.eq(Mux(begins, 0, kept.loaded) + self.length - PREFIX_BYTES),
            faults[Fault.OFFSET].eq(loads & ~begins & (~core.loading | (self.offset != kept.loaded))),
            faults[Fault.STORE].eq(loads & (self.total > p.depth * p.row_bytes)),
            faults[Fault.ROW].eq(loads & self.final & (self.total % p.row_bytes != 0)),
        ]

    def _query(self, m: Module, p: MinerParameters, core: Any, kept: Kept) -> None:
        """Model the faults of a query."""
        faults, queries = self.faults, Signal(8, name="queries_asked")
        size = Mux(self.form == FORMAT_GRID, p.query_bytes[1] * queries, p.query_bytes[0] * queries)
        m.d.comb += [
            queries.eq(self.queries),
            self.results.eq(Mux(self.k[: len(self.results)] < core.rows, self.k[: len(self.results)], core.rows)),
        ]
        with m.If(self.kind == Kind.QUERY):
            m.d.comb += [
                faults[Fault.LENGTH].eq((queries == 0) | (self.length != PREFIX_BYTES + size)),
                faults[Fault.FORMAT].eq(self.form > FORMAT_GRID),
                faults[Fault.EMPTY].eq(core.rows == 0),
                faults[Fault.EPOCH].eq(core.headers.payload.epoch != kept.epoch),
                faults[Fault.K].eq((self.k == 0) | (self.k > p.k)),
                faults[Fault.REPLY].eq(PREFIX_BYTES + RESULT_BYTES * queries * self.results > p.reply_limit),
            ]


def run_from(address: Value, access: str) -> Value:
    """Return the number of consecutive readable or writable registers from an address."""
    there = {at for register in REGISTERS if access == "r" or access in register.access for at in register.addresses}
    runs = [next(n for n in range(_ADDRESSES) if at + n not in there) for at in range(_ADDRESSES)]
    # Not a table, since Yosys infers a memory, which induction cannot constrain.
    return reduce(or_, (Mux(address == at, Const(run, 6), 0) for at, run in enumerate(runs)))
