"""Scans and fetches in the executor's proof: their contract, and the meaning of their states."""

from __future__ import annotations

from typing import Any

from amaranth.asserts import AnySeq
from amaranth.hdl import Assert, Assume, Cat, Module, Mux, Signal, Value

from ninefold.sim.formal.dut import Inside
from ninefold.sim.parts.executor_rules import Kept, Request, Scans
from ninefold.spec.link import CANDIDATE_BYTES, FETCH_BYTES, PREFIX_BYTES, TICKET_MAX, Fault, Kind

__all__ = ["scan_states", "scanning"]

#: States that check a CANDIDATES, from the one that knows its faults.
_SIZED = ("CANDIDATES SIZE", "CANDIDATES SIZED", "CANDIDATES WAIT")
#: States of a FETCH of a kept ticket, from the one that takes the number of candidates to the last.
_FETCHES = ("FETCH COUNT", "FETCH SIZED", "FETCH WAIT", "FETCH RANGE", "FETCH RANGED")
#: Faults of the prefix of a CANDIDATES besides its length.
_PREFIX_FAULTS = (Fault.FORMAT, Fault.EMPTY, Fault.EPOCH, Fault.KEEP)


def scanning(m: Module, core: Any, it: Request, kept: Kept) -> None:
    """End scans at any time and in order, and compare the scans that are started with the rules."""
    scans = _scans(kept)
    ends, total = core.scanned, [Value.cast(core.totals[half]) for half in (0, 1)]
    m.d.comb += [
        core.scanned.eq(AnySeq(1)),
        Value.cast(core.totals).eq(AnySeq(len(Value.cast(core.totals)))),
        # Proved of the search and of the store of candidates.
        Assume(~ends | (scans.running != 0)),
    ]
    for half in (0, 1):
        before = Signal.like(total[half], name=f"total_before_{half}")
        m.d.sync += before.eq(total[half])
        # The total changes only with the end of a scan into this half.
        m.d.comb += Assume((total[half] == before) | ends & (scans.ending == half))
    asks = core.headers.valid & it.sound & (it.kind == Kind.CANDIDATES) & ~it.answered & ~it.repeated & ~it.ignored
    scan = core.scan.payload
    m.d.sync += it.starts.eq((it.starts | core.scan.valid) & ~core.headers.ready)
    m.d.comb += [
        Assert(~core.scan.valid | asks & ~it.starts, "a scan is started wrongly"),
        Assert(~core.scan.valid | (scan.keep == it.k) & (scan.masked == it.queries[0]), "another scan"),
        Assert(~core.scan.valid | (scans.running < 2), "a third scan is started"),
        Assert(~core.scan.valid | (kept.waiting == 0), "a scan replaces candidates that are not sent"),
        Assert(scans.running + core.scan.valid <= 2),
        # Tickets that are kept are different, and scans in progress have the last ones.
        Assert(
            ~scans.tickets[1] | scans.tickets[0] & (scans.ticket == Mux(scans.older == TICKET_MAX, 1, scans.older + 1))
        ),
        Assert(~scans.tickets[0] | (scans.ticket != 0)),
    ]


def scan_states(m: Module, core: Any, inside: Inside, it: Request, kept: Kept) -> None:
    """Assert the invariant of the states of scans and fetches."""
    states = vars(core)["_states"].now

    def at(*names: str) -> Value:
        return Cat(*(states[name] for name in names)).any()

    _tickets(m, core, kept, at)
    _prompt(m, core, it, kept, at)
    _candidates(m, core, inside, it, at)
    _fetches(m, core, inside, it, kept, at)


def _scans(kept: Kept) -> Scans:
    scans = kept.scans
    if scans is None:
        raise TypeError("a miner has no scans")
    return scans


def _tickets(m: Module, core: Any, kept: Kept, at: Any) -> None:
    """Assert that the executor's registers are the model's, which is one cycle later."""
    mine, scans, begun = vars(core), _scans(kept), core.scan.valid
    m.d.comb += [
        Assert(mine["_running"] == scans.running + begun),
        Assert(mine["_ticket"] == Mux(begun, scans.following, scans.ticket)),
        Assert(~mine["_tickets_kept"][1] | (mine["_older"] == Mux(begun, scans.ticket, scans.older))),
        Assert(mine["_tickets_kept"] == Mux(begun, Cat(1, scans.tickets[0]), scans.tickets)),
        Assert(mine["_half"] == scans.half ^ begun),
        Assert(~begun | at("JOB")),
        # Of replies and scans there are none if the registers say so, except right after a job.
        Assert(at("DRAIN", "NEXT") | ~mine["_built"] | (mine["_waiting"] == 0)),
        Assert(at("JOB", "OFFER") | ~mine["_quiet"] | (mine["_running"] == 0)),
    ]


def _prompt(m: Module, core: Any, it: Request, kept: Kept, at: Any) -> None:
    """Assert that a scan starts two cycles after it may, and that a FETCH waits for no other scan than its own."""
    scans = _scans(kept)
    overlaps = (scans.running == 1) & (core.of_grid == it.form[0])
    may = at("CANDIDATES WAIT") & (kept.waiting == 0) & ((scans.running == 0) | overlaps)
    might, waited, complete = (Signal(name=name) for name in ("scan_might_start", "scan_waited", "fetch_complete"))
    m.d.sync += [might.eq(may), waited.eq(may & might), complete.eq(at("FETCH WAIT") & it.complete)]
    m.d.comb += [
        Assert(~waited | ~at("CANDIDATES WAIT"), "a scan waits that may start"),
        Assert(~complete | ~at("FETCH WAIT"), "a FETCH waits although its scan is complete"),
    ]


def _candidates(m: Module, core: Any, inside: Inside, it: Request, at: Any) -> None:
    """Assert the progress of a CANDIDATES' check, and of its bytes."""
    p, mine = vars(core)["_p"], vars(core)
    masked = it.queries
    packed, grid = p.query_bytes
    size = PREFIX_BYTES + Mux(it.form[0], grid, packed)
    short = it.length < PREFIX_BYTES
    started = (it.kind == Kind.CANDIDATES) & it.sound & at("JOB", "OFFER", "DRAIN") & ~it.repeated & ~it.ignored
    left = inside["intake.left"]
    follows = core.of_grid == it.form[0]
    m.d.comb += [
        Assert(~at("CANDIDATES", "CANDIDATES CHECK", *_SIZED) | (it.kind == Kind.CANDIDATES)),
        Assert(~(at(*_SIZED) | started) | (mine["_mask_bytes"] == it.mask_bytes)),
        Assert(~(at(*_SIZED[1:]) | started) | (inside["intake.first"] == it.mask_bytes + 1)),
        Assert(~at("CANDIDATES WAIT") | it.sound & ~it.starts),
        Assert(~(started & at("OFFER", "DRAIN")) | it.starts),
        Assert(~at("JOB") | ~it.starts),
        Assert(~it.starts | (it.kind == Kind.CANDIDATES) & it.sound & at("OFFER", "DRAIN", "NEXT")),
        Assert(at("NEXT", "IDLE") | (inside["intake.of_mask"] == (started & at("DRAIN") & (left <= it.mask_bytes)))),
    ]
    with m.If(at("CANDIDATES CHECK")):
        m.d.comb += [
            Assert(inside["wrong_length"] == (short | (masked > 1))),
            *(Assert(short | (inside[f"wrong_{one.name.lower()}"] == it.faults[one])) for one in _PREFIX_FAULTS),
            Assert(short | (inside["size#1"] == size)),
            Assert(short | (mine["_mask_bytes"] == it.mask_bytes)),
        ]
    with m.If(at(*_SIZED)):
        m.d.comb += [
            Assert(~short & (masked <= 1)),
            *(Assert(~it.faults[fault]) for fault in _PREFIX_FAULTS),
            Assert(inside["size#1"] == size + it.mask_bytes),
        ]
    with m.If(at(*_SIZED[1:])):
        m.d.comb += Assert(inside["follows"] == follows)
    with m.If(at("CANDIDATES SIZED")):
        m.d.comb += Assert(inside["exact"] == ~it.faults[Fault.LENGTH])


def _fetches(m: Module, core: Any, inside: Inside, it: Request, kept: Kept, at: Any) -> None:
    """Assert the progress of a FETCH."""
    mine, scans, p = vars(core), _scans(kept), vars(core)["_p"]
    count, taken = inside["intake.count"], it.taken
    is_last = scans.tickets[0] & (it.address == scans.ticket)
    long = PREFIX_BYTES + CANDIDATE_BYTES * it.counted > p.reply_limit
    end = it.count + it.counted
    fetches = it.kind == Kind.FETCH
    answers = fetches & it.sound & at("JOB", "OFFER")
    kept_ticket = fetches & ~it.faults[Fault.LENGTH] & ~it.faults[Fault.TICKET]
    m.d.comb += [
        Assert(~it.decided | ~kept_ticket | (taken == FETCH_BYTES) & (it.complete | it.faults[Fault.REPLY])),
        Assert(~at("FETCH", "FETCH CHECK", *_FETCHES) | fetches),
        Assert(~at(*_FETCHES) & ~answers | (mine["_cursor"] == it.count) & (mine["_fetched_half"] == it.half)),
        Assert(~at("FETCH COUNT") | (taken == PREFIX_BYTES + count)),
        Assert(~at(*_FETCHES[1:]) & ~answers | (taken == FETCH_BYTES) & (count == PREFIX_BYTES)),
        Assert(~at(*_FETCHES[1:]) & ~answers | (inside["intake.recent"] == it.recent)),
        Assert(~at("FETCH RANGE", "FETCH RANGED") & ~answers | it.complete & (mine["_total"] == it.kept_total)),
    ]
    told = Mux(at("OFFER"), core.jobs.payload.first[:8], mine["_fault"])
    with m.If(at("REFUSE", "JOB", "OFFER") & it.decided & ~it.sound & (told == Fault.RANGE)):
        m.d.comb += Assert(kept_ticket & it.complete & (at("OFFER") | (mine["_total"] == it.kept_total)))
    with m.If(at("FETCH CHECK")):
        m.d.comb += [
            Assert(inside["short"] == (it.length != FETCH_BYTES)),
            Assert(inside["short"] | (inside["is_last"] == is_last)),
            Assert(inside["short"] | (inside["is_older"] == it.is_older)),
            Assert(inside["short"] | (mine["_cursor"] == it.count)),
        ]
    with m.If(at(*_FETCHES)):
        m.d.comb += [
            Assert(~it.faults[Fault.LENGTH] & ~it.faults[Fault.TICKET]),
            Assert(inside["is_older"] == it.is_older),
        ]
    with m.If(at("FETCH SIZED")):
        m.d.comb += Assert(inside["long"] == long)
    with m.If(at(*_FETCHES[2:])):
        m.d.comb += Assert(~long)
    with m.If(at(*_FETCHES[1:])):
        m.d.comb += Assert(inside["fetch_end"] == end)
    with m.If(at("FETCH RANGED")):
        m.d.comb += Assert(inside["beyond_total"] == it.faults[Fault.RANGE])
    for n in range(1, PREFIX_BYTES + 1):
        with m.If(at("FETCH COUNT") & (count == n)):
            m.d.comb += Assert(inside["intake.recent"][32 - 8 * n :] == it.recent[32 - 8 * n :])
