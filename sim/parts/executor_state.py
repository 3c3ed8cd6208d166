"""Invariant of the executor's proof: the meaning of each state of its machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from amaranth.hdl import Array, Assert, Cat, Module, Mux, Signal, Value

from ninefold.hdl.miner.intake import Way
from ninefold.sim.formal.dut import Inside
from ninefold.sim.parts.executor_rules import Kept, Request
from ninefold.spec.link import FETCH_BYTES, FORMAT_GRID, PREFIX_BYTES, RESULT_BYTES, Design, Fault, Kind

__all__ = ["whereabouts"]

_BEFORE = ("SELECT", "COMPARE", "LOOK UP")
#: States before any action.
_CHECKS = ("PARSE", "DISPATCH", "CHECK", "CHECKED", "REFUSE")
#: States that check requests that search, by the design, and states of a FETCH.
_SEARCHES: Mapping[Design, Sequence[str]] = {
    "miner": ("QUERY", "QUERY CHECK", "QUERY SIZE", "QUERY SIZED"),
    "signs": ("CANDIDATES", "CANDIDATES CHECK", "CANDIDATES SIZE", "CANDIDATES SIZED", "CANDIDATES WAIT"),
}
_FETCHES: Mapping[Design, Sequence[str]] = {
    "miner": (),
    "signs": (
        "FETCH",
        "FETCH CHECK",
        "FETCH COUNT",
        "FETCH SIZED",
        "FETCH WAIT",
        "FETCH RANGE",
        "FETCH RANGED",
    ),
}
_LOAD_CHECKS = ("LOAD", "LOAD OFFSET", "LOAD END", "LOAD CHECK", "LOAD FITS", "LOAD ROWS", "LOAD WAIT")
_LOADS = ("LOAD FLUSH", "LOAD BYTES", "LOADED")
_WRITES = ("WRITE WAIT", "WRITE", "STORE", "WRITTEN")
_RESETS = ("RESET WAIT", "RESET")
#: States in which the job is assembled and offered.
_JOB = ("JOB", "OFFER")
_NEW_OF_ALL = ("PREFIX", *_CHECKS, *_LOAD_CHECKS, *_LOADS, *_WRITES, *_RESETS, *_JOB)
#: States of a FETCH whose prefix is taken and no more.
_FETCH_PREFIX = 2
#: States of a request that has its outcome, or gets it soon.
_END = ("DRAIN", "NEXT")


class _Machine:
    """Registers and state of the executor.

    Parameters
    ----------
    core : Any
        Executor under proof.
    """

    def __init__(self, core: Any) -> None:
        mine = vars(core)
        self.kinds, self.way, self.results = (mine[f"_{name}"] for name in ("is", "way", "results"))
        self.refused, self.fault, self.detail = (mine[f"_{name}"] for name in ("refused", "fault", "detail"))
        self.cursor, self.todo = mine["_cursor"], mine["_todo"]
        self.waiting, self.quiet = mine["_waiting"], mine["_quiet"]
        self.hot, self.known, self.busy = (mine[f"_{name}"] for name in ("hot", "known", "busy"))
        self.slot_busy, self.repeated, self.keeps, self.kept = (
            mine[f"_{name}"] for name in ("slot_busy", "repeated", "keeps", "kept")
        )
        self.states = mine["_states"].now
        design = mine["_p"].design
        self.searches, self.fetches = _SEARCHES[design], _FETCHES[design]
        self.checks = (*_CHECKS, *self.searches, *self.fetches)
        self.new = (*_NEW_OF_ALL, *self.searches, *self.fetches)

    def at(self, *names: str) -> Value:
        """Return whether the executor is in one of these states."""
        return Cat(*(self.states[name] for name in names)).any()


def whereabouts(m: Module, core: Any, inside: Inside, it: Request, kept: Kept) -> None:
    """Assert the invariant of each state."""
    machine = _Machine(core)
    m.d.comb += Assert(sum(machine.states.values()) == 1)
    _anywhere(m, core, it, machine)
    _slots(m, core, (it, kept), machine)
    _outcome(m, core, inside, (it, kept), machine)
    _taken(m, inside, it, machine)
    _refusals(m, inside, it, machine)
    _accesses(m, core, inside, it, machine)
    _load_checks(m, core, inside, (it, kept), machine)
    _loads(m, core, inside, (it, kept), machine)
    if Kind.QUERY in machine.kinds:
        _queries(m, core, inside, it, machine)


def _anywhere(m: Module, core: Any, it: Request, machine: _Machine) -> None:
    """Assert the invariant of the request."""
    at = machine.at
    early = at("IDLE", *_BEFORE, "AGAIN", "PREFIX", *machine.checks, *_LOAD_CHECKS)
    begun = (it.kind == Kind.LOAD) & at(*_LOADS, *_JOB, "AGAIN", *_END)
    asks = it.sound & it.asks
    # A FETCH of a kept ticket is known to be sound only when its scan is complete.
    fetches = (it.kind == Kind.FETCH) & ~it.faults[Fault.LENGTH] & ~it.faults[Fault.TICKET]
    pending = fetches & at("PARSE", "DISPATCH", *machine.fetches[:-2])
    m.d.comb += [
        Assert(at("IDLE") | core.headers.valid),
        *(Assert(at("IDLE") | (signal == (it.kind == kind))) for kind, signal in machine.kinds.items()),
        Assert(core.headers.ready == at("NEXT")),
        Assert(core.jobs.valid == at("OFFER")),
        Assert(~core.again.valid | at("AGAIN")),
        Assert(~early | ~Cat(it.writes, it.resets, it.controls, it.begun).any()),
        Assert(~it.sound | it.decided),
        Assert(~it.controls | (it.sound & (it.kind == Kind.WRITE))),
        Assert((it.writes == 0) | (it.kind == Kind.WRITE)),
        Assert(~it.decided | begun | (it.sound == ~it.any)),
        Assert(~it.decided | begun | (it.kind != Kind.LOAD) | (it.goal == it.total)),
        Assert(~it.decided | (it.taken >= PREFIX_BYTES) | (it.taken == it.length)),
        Assert(~at("IDLE") | ~it.decided),
        Assert(~at(*machine.new) | at("PREFIX") | it.decided | pending),
        Assert(~it.answered | it.decided),
        Assert(~at(*_END) | ~asks | ~it.answered | (core.of_grid == it.form[0])),
    ]


def _slots(m: Module, core: Any, model: tuple[Request, Kept], machine: _Machine) -> None:
    """Assert the invariant of the slots."""
    (it, kept), at = model, machine.at
    slot = Signal.like(kept.known, name="slot_of_request")
    changes = Signal()
    resets = (it.kind == Kind.RESET) | it.controls
    m.d.comb += [
        slot.eq(1 << it.slot),
        changes.eq(
            at(*_JOB) & it.sound & ((it.kind == Kind.IDENTIFY) | resets) | at("RESET") & (it.resets + core.clear != 0)
        ),
        Assert(at("IDLE") | (machine.hot == slot)),
        Assert(~at("IDLE", *_BEFORE, "AGAIN", *_END) | (machine.known == kept.known)),
        Assert(~at(*machine.new) | (machine.known == Mux(changes, 0, kept.known & ~slot))),
        Assert(~at("RESET", *_JOB) | (it.resets == 0) | (kept.known == 0)),
        Assert(machine.busy == kept.busy),
        Assert(~at(*machine.new) | (machine.known & slot == 0) & (machine.busy & slot == 0)),
        Assert(~at("LOOK UP") | (machine.busy & slot == 0) | machine.slot_busy),
        Assert(~at("SELECT") | (machine.kept == Array(kept.crcs)[it.slot])),
        Assert(~at("LOOK UP") | (machine.repeated == it.again)),
    ]


def _outcome(m: Module, core: Any, inside: Inside, model: tuple[Request, Kept], machine: _Machine) -> None:
    """Assert the outcome of a request and the state kept of it."""
    (it, kept), at = model, machine.at
    resets = (it.kind == Kind.RESET) | it.controls
    m.d.comb += [
        Assert(~at("IDLE", *_BEFORE) | ~(it.answered | it.repeated)),
        Assert(~at("IDLE") | ~it.ignored),
        Assert(~at(*_BEFORE) | ~it.ignored | it.again),
        # A busy slot is seen one cycle late, but never early.
        Assert(~at("LOOK UP") | ~it.again | ~machine.slot_busy | it.ignored),
        Assert(~at("AGAIN") | it.again & ~it.answered & ~it.repeated & (core.again.valid | it.ignored)),
        Assert(~at(*machine.new) | ~(it.again | it.answered | it.repeated | it.ignored)),
        Assert(~at(*_END) | (it.answered ^ (it.repeated | it.ignored))),
        Assert(inside["handed"] == machine.keeps),
        Assert(~machine.keeps | at("DRAIN") & it.answered),
        Assert(kept.waiting == machine.waiting + machine.keeps),
        # A waiting reply is seen one cycle late, but before the next request.
        Assert(at(*_END) | ~machine.quiet | (machine.waiting == 0)),
        Assert(kept.waiting <= sum(kept.busy[i] for i in range(len(kept.busy)))),
        Assert(~at("WRITE", "STORE", "WRITTEN", "RESET", *_LOADS) | kept.idle),
        Assert(~at(*_JOB) | ~it.sound | ~((it.kind == Kind.LOAD) | resets) | kept.idle),
    ]
    for i, crc in enumerate(kept.crcs):
        newer = machine.keeps & (it.slot == i)
        m.d.comb += Assert(crc == Mux(newer, core.headers.payload.crc, inside[f"crcs.row_{i}"]))


def _taken(m: Module, inside: Inside, it: Request, machine: _Machine) -> None:
    """Assert the number of bytes taken and their destination."""
    at, way, left, count = machine.at, machine.way, inside["intake.left"], inside["intake.count"]
    recent, short = inside["intake.recent"], it.length < PREFIX_BYTES
    writes, loads = it.sound & (it.kind == Kind.WRITE), it.sound & (it.kind == Kind.LOAD)
    asks = it.sound & it.asks & it.answered
    fetched = (it.kind == Kind.FETCH) & (it.taken == FETCH_BYTES) & (count == PREFIX_BYTES)
    prefixed = Mux(short, it.taken == it.length, it.taken == PREFIX_BYTES) & (count == it.taken)
    numbered = machine.fetches[_FETCH_PREFIX:]
    whole = tuple(name for name in machine.checks if name != "REFUSE" and name not in numbered)
    done = it.taken == it.length
    m.d.comb += [
        Assert(inside["intake.more"] == (left != 0)),
        Assert(at("IDLE") | (it.taken + left == it.length)),
        Assert(count <= PREFIX_BYTES),
        Assert(~at("IDLE", *_BEFORE) | ((way == Way.HOLD) & (it.taken == 0))),
        Assert(~at(*_BEFORE) | (count == 0)),
        Assert(~at("PREFIX") | ((way == Way.COLLECT) & (count == it.taken))),
        Assert(~at(*whole, *_LOAD_CHECKS, "LOAD FLUSH") | ((way == Way.COLLECT) & prefixed)),
        Assert(~at("REFUSE") | (way == Way.COLLECT) & (prefixed | fetched)),
        Assert(~at(*numbered) | (way == Way.COLLECT)),
        Assert(~at(*_JOB) | loads | (way == Way.COLLECT) & Mux(writes, done, prefixed | fetched)),
        Assert(~at(*_JOB) | ~loads | done & (way == Way.ROWS)),
        Assert(~at("LOAD BYTES", "LOADED") | (way == Way.ROWS)),
        Assert(~at(*_WRITES, *_RESETS) | (way == Way.COLLECT)),
        Assert(~at("RESET WAIT", "RESET", "WRITTEN") | done & (writes | prefixed)),
        Assert(~at("WRITE", "STORE") | (it.taken == PREFIX_BYTES + 4 * it.writes + count)),
        Assert(~at("STORE") | (count == PREFIX_BYTES)),
        Assert(~at("WRITE WAIT") | prefixed & ~short),
        Assert(~at("AGAIN") | (way == Way.DROP)),
        Assert(~at("NEXT") | done & (way == Way.HOLD)),
    ]
    with m.If(at("DRAIN")):
        ways = Mux(it.form[0], Way.QUERY_GRID, Way.QUERY_PACKED)
        m.d.comb += Assert(way == Mux(asks, ways, Way.DROP))
        m.d.comb += Assert(~it.answered | done | (it.taken >= PREFIX_BYTES) & ~loads)
    with m.If(at(*whole, *_LOAD_CHECKS, *_LOADS, "WRITE WAIT") | at("REFUSE", "JOB") & (it.writes == 0)):
        m.d.comb += Assert(short | fetched | (recent == it.prefix))
    for n in range(1, PREFIX_BYTES + 1):
        with m.If(at("PREFIX", "WRITE", "STORE") & (count == n)):
            m.d.comb += Assert(recent[32 - 8 * n :] == it.recent[32 - 8 * n :])
    with m.If(at("PREFIX") & (it.taken == PREFIX_BYTES)):
        m.d.comb += Assert(it.prefix == it.recent)


def _refusals(m: Module, inside: Inside, it: Request, machine: _Machine) -> None:
    """Assert that a refusal has a fault that applies, and the position of its detail."""
    at = machine.at
    m.d.comb += [
        Assert(~at(*_BEFORE, *machine.new) | at(*_JOB) | ~machine.refused),
        Assert(~at(*_JOB) | (machine.refused == ~it.sound)),
    ]
    with m.If(at("REFUSE") | at("JOB") & machine.refused):
        m.d.comb += Assert(machine.fault.matches(*Fault))
        for fault, wrong in it.faults.items():
            m.d.comb += Assert((machine.fault != fault) | wrong)
    with m.If(at("REFUSE")):
        m.d.comb += [
            Assert((machine.fault != Fault.ADDRESS) | (machine.cursor == it.details[Fault.ADDRESS])),
            Assert((machine.fault != Fault.ROW) | (inside["beyond"] == it.details[Fault.ROW])),
        ]
    with m.If(at("JOB") & machine.refused):
        for fault, detail in it.details.items():
            m.d.comb += Assert((machine.fault != fault) | (machine.detail == detail))


def _accesses(m: Module, core: Any, inside: Inside, it: Request, machine: _Machine) -> None:
    """Assert the registers checked and written, and the progress of a reset."""
    at, resets = machine.at, it.resets + core.clear
    words = Signal(16, name="registers_checked")
    m.d.comb += words.eq(it.count - machine.todo)
    with m.If(at("CHECK", "CHECKED")):
        m.d.comb += [
            Assert(it.kind.matches(Kind.READ, Kind.WRITE) & ~it.faults[Fault.LENGTH]),
            Assert((words <= it.run) & (words <= it.count)),
            Assert(machine.cursor == (it.address + words)[:16]),
        ]
    with m.If(at(*_WRITES)):
        m.d.comb += [
            Assert((it.kind == Kind.WRITE) & it.sound),
            Assert(machine.cursor == (it.address + it.writes)[:16]),
            Assert(Mux(at("WRITTEN"), it.writes == it.count, it.writes < it.count)),
            Assert(~at("WRITE WAIT") | (it.writes == 0)),
            Assert(inside["resets"] == it.controls),
        ]
    m.d.comb += [
        Assert(~at(*_RESETS) | it.sound & ((it.kind == Kind.RESET) & (it.writes == 0) | it.controls)),
        Assert(~at(*_RESETS) | (it.kind == Kind.RESET) | (it.writes == it.count)),
        Assert(at(*_RESETS, *_JOB, *_END) | (it.resets == 0)),
        Assert(~at("RESET WAIT") | (it.resets == 0)),
        Assert(~core.clear | at("RESET", "JOB")),
        Assert(~at("RESET") | (resets < 4)),
        Assert(inside["index"] == Mux(at("RESET"), resets, 0)),
        Assert(~core.restart | core.clear | at("LOAD FLUSH")),
        Assert(~core.clear_epoch | at("LOAD FLUSH")),
        Assert(~core.flush | at("LOAD FLUSH")),
    ]


def _load_checks(m: Module, core: Any, inside: Inside, model: tuple[Request, Kept], machine: _Machine) -> None:
    """Assert the values computed while a load is checked."""
    (it, kept), at = model, machine.at
    begins, beyond = it.offset == 0, inside["beyond"]
    # A CANDIDATES has signals of the same names, which are driven later.
    its_begins, its_size = (inside[name if name in inside else f"{name}#0"] for name in ("begins", "size"))
    continues = core.loading & (it.offset == kept.loaded)
    row_bytes, size = vars(core)["_p"].row_bytes, it.length - PREFIX_BYTES
    m.d.comb += [
        Assert(~at(*_LOAD_CHECKS, *_LOADS) | (it.kind == Kind.LOAD)),
        Assert(~at(*_LOAD_CHECKS[2:], "LOAD FLUSH") | (it.length < PREFIX_BYTES) | (its_begins == begins)),
        Assert(~at("LOAD WAIT") | it.sound),
    ]
    with m.If(at("LOAD OFFSET", "LOAD END")):
        m.d.comb += [
            Assert(its_size == size[: len(its_size)]),
            Assert(inside["bare"] == (it.length <= PREFIX_BYTES)),
            Assert(inside["end"] == kept.loaded),
            Assert(beyond == kept.loaded % row_bytes),
        ]
    with m.If(at("LOAD OFFSET") & (size >= 0)):
        m.d.comb += [
            Assert((inside["offset_set"] == 0) == begins),
            Assert((inside["offset_other"] == 0) == (it.offset == kept.loaded)),
        ]
    with m.If(at("LOAD END", "LOAD CHECK") & (size >= 0)):
        m.d.comb += Assert(inside["continues"] == continues)
    with m.If(at("LOAD CHECK") & (size > 0)):
        m.d.comb += [
            Assert(inside["end"] == it.total),
            Assert(beyond == Mux(begins, 0, kept.loaded % row_bytes) + size),
        ]
    with m.If(at("LOAD FITS", "LOAD ROWS")):
        m.d.comb += [
            Assert(~it.faults[Fault.LENGTH] & ~it.faults[Fault.OFFSET]),
            Assert(inside["beyond_store"] == it.faults[Fault.STORE]),
            Assert(beyond % row_bytes == it.total % row_bytes),
            Assert(at("LOAD FITS") | (it.final & ~it.faults[Fault.STORE])),
        ]
    with m.If(at("LOAD FITS")):
        m.d.comb += Assert((inside["whole_row"] == (beyond >= row_bytes)) & (inside["part_row"] == (beyond != 0)))


def _loads(m: Module, core: Any, inside: Inside, model: tuple[Request, Kept], machine: _Machine) -> None:
    """Assert the progress of a load."""
    (it, kept), at = model, machine.at
    coming, begun = inside["intake.row_byte__valid"], inside["begun"]
    bytes_, part, rows = (inside[f"counter.{name}"] for name in ("bytes", "row_bytes", "rows"))
    row_bytes, store = vars(core)["_p"].row_bytes, vars(core)["_p"].depth * vars(core)["_p"].row_bytes
    loads = it.sound & (it.kind == Kind.LOAD)
    m.d.comb += [
        Assert(bytes_ + coming == kept.loaded),
        Assert(rows * row_bytes + part == bytes_),
        Assert(kept.loaded <= store),
        Assert(~coming | at("LOAD BYTES")),
        Assert(at("LOAD FLUSH") | ~kept.flushes),
        Assert(at(*_LOADS) | (begun == kept.opened)),
        Assert(~core.loading | kept.opened | at(*_LOADS)),
        Assert(~at("LOAD WAIT", *_LOADS, *_JOB) | ~loads | (it.goal <= store)),
        Assert(~at("LOAD WAIT", *_LOADS, *_JOB) | ~loads | ~it.final | (it.goal % row_bytes == 0)),
        Assert(~at(*_LOADS) | (it.sound & core.loading & (core.rows == 0))),
        Assert(~at(*_LOADS) | (it.length > PREFIX_BYTES)),
    ]
    with m.If(at("LOAD FLUSH")):
        m.d.comb += [
            Assert(it.offset == 0),
            Assert((core.restart == ~it.begun) & (core.clear_epoch == core.restart)),
            Assert(core.flush == kept.flushes),
            Assert(Mux(core.restart, ~core.flush & (begun == kept.opened), begun & kept.opened & core.flush)),
            Assert(core.restart | (kept.loaded == 0)),
            Assert(it.goal == it.length - PREFIX_BYTES),
        ]
    with m.If(at("LOAD BYTES", "LOADED")):
        m.d.comb += [
            Assert(kept.loaded + inside["intake.left"] == it.goal),
            Assert(it.begun == (it.offset == 0)),
            Assert(it.taken >= PREFIX_BYTES),
            Assert(begun & (kept.opened == ~(it.final & (it.taken == it.length)))),
        ]
    with m.If(at("LOADED")):
        m.d.comb += Assert((it.taken == it.length) & it.emptied)


def _queries(m: Module, core: Any, inside: Inside, it: Request, machine: _Machine) -> None:
    """Assert the progress of a query's check."""
    at, asked, answer = machine.at, inside["asked"], inside["answer"]
    earlier = (Fault.FORMAT, Fault.EMPTY, Fault.EPOCH, Fault.K)
    done = Signal(8, name="queries_sized")
    packed, grid = vars(core)["_p"].query_bytes
    size = Mux(it.form == FORMAT_GRID, done * grid, done * packed)
    m.d.comb += [
        done.eq(it.queries - machine.todo),
        Assert(~at("QUERY", "QUERY CHECK", "QUERY SIZE", "QUERY SIZED") | (it.kind == Kind.QUERY)),
    ]
    with m.If(at("QUERY SIZE", "QUERY SIZED")):
        m.d.comb += [
            Assert((it.length >= PREFIX_BYTES) & (it.queries != 0)),
            *(Assert(~it.faults[fault]) for fault in earlier),
            Assert(machine.results == it.results),
            Assert(machine.todo <= it.queries),
            Assert(asked == PREFIX_BYTES + size),
            Assert(answer == PREFIX_BYTES + RESULT_BYTES * done * it.results),
        ]
    with m.If(at("QUERY SIZED")):
        m.d.comb += [
            Assert(inside["goes_on"] == ((machine.todo != 0) & (asked <= it.length))),
            Assert(inside["exact"] == (asked == it.length)),
            Assert(inside["small"] == (answer <= vars(core)["_p"].reply_limit)),
        ]
