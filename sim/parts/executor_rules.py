"""Model of a request by the rules of ``ninefold.spec.link``: its faults, and the miner's state."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from operator import or_
from typing import Any

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, Value

from ninefold.hdl.miner.parameters import MinerParameters
from ninefold.spec.link import (
    ACCEPTED,
    CANDIDATE_BYTES,
    FETCH_BYTES,
    FORMAT_GRID,
    PREFIX_BYTES,
    RESULT_BYTES,
    TICKET_MAX,
    TICKETS,
    Fault,
    Kind,
)
from ninefold.spec.registers import REGISTERS

__all__ = ["Kept", "Request", "Scans", "run_from"]

_ADDRESSES = 64


class Scans:
    """Scans and tickets of a miner of design signs, one cycle after the executor starts a scan.

    Parameters
    ----------
    m : Module
        Module that receives the model.
    core : Any
        The executor.

    Attributes
    ----------
    running : Signal
        Number of scans in progress.
    ticket, older : Signal
        The last two tickets.
    tickets : Signal
        Whether the last and the older ticket are kept, one bit each.
    half : Signal
        Half of the store for the candidates of the last ticket.
    following : Value
        Ticket of the next scan.
    ending : Value
        Half of the store of the scan that ends next.
    """

    def __init__(self, m: Module, core: Any) -> None:
        self.running = Signal(range(TICKETS + 1), name="running_model")
        self.ticket, self.older = Signal(16, name="ticket_model"), Signal(16, name="older_model")
        self.tickets, self.half = Signal(TICKETS, name="tickets_model"), Signal(name="half_model", init=1)
        self.following: Value = Mux(self.ticket == TICKET_MAX, 1, self.ticket + 1)[:16]
        self.ending: Value = self.half ^ (self.running == 2)
        m.d.sync += self.running.eq(self.running + core.scan.valid - core.scanned)
        with m.If(core.scan.valid):
            m.d.sync += [
                self.ticket.eq(self.following),
                self.older.eq(self.ticket),
                self.tickets.eq(Cat(1, self.tickets[0])),
                self.half.eq(~self.half),
            ]
        with m.If(core.clear | core.clear_epoch):
            m.d.sync += self.tickets.eq(0)
        with m.If(core.clear):
            m.d.sync += self.ticket.eq(0)


class Kept:
    """State of a miner between requests.

    Parameters
    ----------
    m : Module
        Module that receives the model of scans.
    p : MinerParameters
        The miner.
    core : Any
        The executor.

    Attributes
    ----------
    scans : Scans or None
        Scans of the design signs.
    idle : Value
        No reply is to be built, and no scan is in progress.
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

    def __init__(self, m: Module, p: MinerParameters, core: Any) -> None:
        self.scans = Scans(m, core) if p.design == "signs" else None
        self.known, self.busy = Signal(p.window, name="known_model"), Signal(p.window, name="busy_model")
        self.crcs = [Signal(32, name=f"crc_model_{i}") for i in range(p.window)]
        self.waiting = Signal(range(p.window + 2), name="waiting_model")
        self.epoch = Signal(8, name="epoch_model")
        self.loaded = Signal(range(p.depth * p.row_bytes + 1), name="loaded")
        self.opened, self.flushes = Signal(name="opened"), Signal(name="flushes")
        self.idle: Value = self.waiting == 0
        if self.scans:
            self.idle &= self.scans.running == 0


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
    decides : Value
        The faults of the request are known from now on.
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
    starts : Signal
        The request has started a scan.
    asks : Value
        The request has bytes of queries.
    of_query : Value
        Bytes of the payload before the mask.
    mask_bytes : Signal
        Number of bytes of its mask.
    is_older, half, kept_total, complete, counted : Value
        Of a FETCH: it asks for the older one of two tickets; the half of the store, and the number of its candidates;
        its scan is complete; and its number of candidates.
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
        self.starts = Signal(name="request_starts")
        self.asks: Value = self.kind.matches(Kind.QUERY if p.design == "miner" else Kind.CANDIDATES)
        self.mask_bytes = Signal(range(p.mask_bytes + 1), name="mask_bytes_model")
        self.of_query: Value = self.length - self.mask_bytes
        self.again = Signal(name="known_request")
        self.faults: Mapping[Fault, Signal] = {fault: Signal(name=f"wrong_{fault.name.lower()}") for fault in Fault}
        self.results = Signal(range((p.k or 1) + 1), name="results_model")
        self.total, self.run = Signal(8, name="total"), Signal(range(_ADDRESSES), name="run")
        known = kept.known.bit_select(self.slot, 1) & (Array(kept.crcs)[self.slot] == header.crc)
        m.d.comb += self.again.eq(known)
        self._access(m, p)
        self._load(m, p, core, kept)
        decides = (self.taken == PREFIX_BYTES) | (self.taken == self.length)
        if kept.scans:
            self._candidates(m, p, core, kept)
            self._fetch(m, p, core, kept.scans)
            fetches = (self.kind == Kind.FETCH) & ~self.faults[Fault.LENGTH] & ~self.faults[Fault.TICKET]
            known = (self.taken == FETCH_BYTES) & (self.complete | self.faults[Fault.REPLY])
            decides = Mux(fetches, known, decides)
        else:
            self._query(m, p, core, kept)
        self.decides: Value = core.headers.valid & ~self.decided & decides
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
            Fault.KEEP: p.keep,
        }
        if kept.scans:
            self.details = {**self.details, Fault.TICKET: kept.scans.ticket, Fault.RANGE: self.kept_total}

    def _access(self, m: Module, p: MinerParameters) -> None:
        """Model the faults of kind, address, and length (except for loads and queries)."""
        kind, length, faults = self.kind, self.length, self.faults
        m.d.comb += [
            self.run.eq(Mux(kind == Kind.WRITE, run_from(self.address, "w"), run_from(self.address, "r"))),
            faults[Fault.KIND].eq(~kind.matches(*ACCEPTED[p.design])),
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

    def _candidates(self, m: Module, p: MinerParameters, core: Any, kept: Kept) -> None:
        """Model the faults of a CANDIDATES."""
        faults, masked = self.faults, self.queries
        m.d.comb += self.mask_bytes.eq(Mux(masked[0], (core.rows + 7) // 8, 0))
        size = Mux(self.form == FORMAT_GRID, p.query_bytes[1], p.query_bytes[0]) + self.mask_bytes
        with m.If(self.kind == Kind.CANDIDATES):
            m.d.comb += [
                faults[Fault.LENGTH].eq((masked > 1) | (self.length != PREFIX_BYTES + size)),
                faults[Fault.FORMAT].eq(self.form > FORMAT_GRID),
                faults[Fault.EMPTY].eq(core.rows == 0),
                faults[Fault.EPOCH].eq(core.headers.payload.epoch != kept.epoch),
                faults[Fault.KEEP].eq((self.k == 0) | (self.k > p.keep)),
            ]

    def _fetch(self, m: Module, p: MinerParameters, core: Any, scans: Scans) -> None:
        """Model the faults of a FETCH, whose second four bytes are the last ones taken."""
        faults, ticket, offset = self.faults, self.address, self.count
        is_last = scans.tickets[0] & (ticket == scans.ticket)
        self.is_older: Value = scans.tickets[1] & (ticket == scans.older)
        self.half: Value = scans.half ^ self.is_older
        self.counted: Value = self.recent[:16]
        self.kept_total: Value = core.totals[self.half]
        self.complete: Value = (scans.running == 0) | (scans.running == 1) & self.is_older
        with m.If(self.kind == Kind.FETCH):
            m.d.comb += [
                faults[Fault.LENGTH].eq(self.length != FETCH_BYTES),
                faults[Fault.TICKET].eq(~(is_last | self.is_older)),
                faults[Fault.REPLY].eq(PREFIX_BYTES + CANDIDATE_BYTES * self.counted > p.reply_limit),
                faults[Fault.RANGE].eq(offset + self.counted > self.kept_total),
            ]


def run_from(address: Value, access: str) -> Value:
    """Return the number of consecutive readable or writable registers from an address."""
    there = {at for register in REGISTERS if access == "r" or access in register.access for at in register.addresses}
    runs = [next(n for n in range(_ADDRESSES) if at + n not in there) for at in range(_ADDRESSES)]
    # Not a table, since Yosys infers a memory, which induction cannot constrain.
    return reduce(or_, (Mux(address == at, Const(run, 6), 0) for at, run in enumerate(runs)))
