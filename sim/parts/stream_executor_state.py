"""Invariant of the proof of the executor of a board of design stream: the meaning of each state of its machine."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Assert, Cat, Module, Mux, Signal, Value

from ninefold.sim.formal.dut import Inside
from ninefold.spec.link import PREFIX_BYTES, Fault, Kind
from ninefold.spec.stream_link import StreamFault, StreamKind

__all__ = ["whereabouts"]

_BEFORE = ("SELECT", "COMPARE", "LOOK UP")
#: States before the prefix is used up.
_CHECKS = ("PARSE", "DISPATCH", "CHECK", "CHECKED", "PUSH", "PUSH CHECK")
_WRITES = ("WRITE WAIT", "WRITE", "STORE", "WRITTEN")
_RESETS = ("RESET WAIT", "RESET")
_PUSHES = ("PUSH", "PUSH CHECK", "PUSH BYTES")
#: States of a request that is executed and not answered yet.
_NEW = ("PREFIX", *_CHECKS, "PUSH BYTES", *_WRITES, *_RESETS, "JOB")


def whereabouts(m: Module, core: Any, inside: Inside, it: Any) -> None:
    """Assert the invariant of each state."""
    mine = vars(core)
    states = mine["_states"].now

    def at(*names: str) -> Value:
        return Cat(*(states[name] for name in names)).any()

    m.d.comb += Assert(sum(states.values()) == 1)
    _anywhere(m, core, it, mine, at)
    _slots(m, core, inside, it, mine, at)
    _bytes(m, it, mine, at)
    _checks(m, inside, it, mine, at)
    _writes(m, inside, it, mine, at)
    _pushes(m, inside, it, mine, at)
    _job(m, it, mine, at)


def _anywhere(m: Module, core: Any, it: Any, mine: Any, at: Any) -> None:
    resets = (it.kind == Kind.RESET) | it.controls
    m.d.comb += [
        Assert(at("IDLE") | core.headers.valid),
        *(Assert(at("IDLE") | (signal == (it.kind == kind))) for kind, signal in mine["_is"].items()),
        Assert(core.headers.ready == at("NEXT")),
        Assert(~core.again.valid | at("AGAIN")),
        Assert(~core.clear | at("JOB") & ~it.cleared),
        Assert(~mine["_refused"] | at("JOB", "DRAIN", "NEXT", "IDLE")),
        Assert(~at(*_NEW) | ~(it.answered | it.repeated | it.ignored)),
        Assert(~at("IDLE", *_BEFORE, "AGAIN") | ~(it.answered | it.repeated)),
        Assert(~at("IDLE", *_BEFORE, "AGAIN", "PREFIX", *_CHECKS) | ~Cat(it.controls, it.writes).any()),
        Assert(~at("DRAIN", "NEXT") | it.answered | it.repeated | it.ignored),
        Assert(~at(*_NEW) | at("JOB") | ~(it.cleared | it.committed | it.discarded)),
        Assert(~at("IDLE", *_BEFORE, "AGAIN") | ~(it.cleared | it.committed | it.discarded)),
        Assert(~(it.ignored | it.repeated) | it.again & core.headers.valid & ~it.answered),
        Assert(~at("IDLE") | (it.taken == 0)),
        Assert(~it.controls | (it.kind == Kind.WRITE)),
        Assert((it.writes == 0) | (it.kind == Kind.WRITE)),
        Assert(mine["_waiting"] == it.waiting),
        Assert(it.waiting <= sum(it.busy[i] for i in range(len(it.busy)))),
        Assert(at("DRAIN") | ~mine["_quiet"] | (it.waiting == 0)),
        Assert(~at("RESET") | (it.waiting == 0) & (it.code == 0) & resets & (~it.controls | (it.writes == it.count))),
        Assert(~at("RESET WAIT") | (it.code == 0) & resets & (~it.controls | (it.writes == it.count))),
    ]
    with m.If(at("JOB") & ~mine["_refused"]):
        m.d.comb += [
            Assert(it.code == 0),
            Assert(~resets | core.clear | it.cleared & (it.known == 0)),
            Assert(~core.clear | resets & (it.waiting == 0) & (~it.controls | (it.writes == it.count))),
            Assert((it.kind != Kind.WRITE) | (it.writes == it.count)),
            Assert((it.kind != StreamKind.PUSH) | it.committed & ~it.data_wrong),
        ]
    with m.If(at("JOB") & mine["_refused"]):
        m.d.comb += Assert(~it.committed & ~core.clear & ~it.cleared & (it.writes == 0))


def _slots(m: Module, core: Any, inside: Inside, it: Any, mine: Any, at: Any) -> None:
    """Assert the invariant of the slots."""
    slot = Signal.like(it.known, name="slot_of_request")
    rows = [inside[f"crcs.row_{i}"] for i in range(len(it.known))]
    row = Mux(it.slot[0], rows[1], rows[0])
    clears = ~mine["_refused"] & at("JOB") & ((it.kind == Kind.IDENTIFY) | (it.kind == Kind.RESET) | it.controls)
    m.d.comb += [
        slot.eq(1 << it.slot),
        Assert(at("IDLE") | (mine["_hot"] == slot)),
        Assert(mine["_busy"] == it.busy),
        Assert(~mine["_keeps"] | at("DRAIN")),
        Assert(~at("LOOK UP", "PREFIX", "AGAIN") | mine["_slot_busy"] | ~(it.busy & slot).any()),
        Assert(~at(*_NEW) | ~(it.busy & slot).any() & ~it.again),
        Assert(~at(*_NEW) | (mine["_known"] == Mux(clears, 0, it.known & ~slot))),
        Assert(at(*_NEW) | (mine["_known"] == it.known)),
        Assert(~at("SELECT") | (mine["_kept"] == row)),
        Assert(~at("COMPARE") | (inside["known"] == (it.known & slot).any())),
        Assert(~at("COMPARE") | ((inside["difference"] == 0) == (row == core.headers.payload.crc))),
        Assert(~at("LOOK UP") | (mine["_repeated"] == it.again)),
        Assert(~at("AGAIN") | it.again & (core.again.payload.slot == it.slot)),
        Assert(~at("AGAIN") | it.ignored | core.again.valid),
        Assert(~core.again.valid | ~(it.busy & slot).any()),
    ]
    for number, one in enumerate(rows):
        pending = mine["_keeps"] & (it.slot == number)
        m.d.comb += [
            Assert(~it.known[number] | pending | (one == it.crcs[number])),
            Assert(~pending | (it.crcs[number] == core.headers.payload.crc)),
        ]


def _bytes(m: Module, it: Any, mine: Any, at: Any) -> None:
    """Assert the invariant of the bytes of the request."""
    left = mine["_left"]
    collects, pushes, drops = mine["_collects"], mine["_pushes"], mine["_drops"]
    m.d.comb += [
        Assert(at("IDLE") | (left + it.taken == it.length)),
        Assert(at("IDLE") | (mine["_more"] == (left != 0))),
        Assert(~collects | at("PREFIX", *_CHECKS, *_WRITES, *_RESETS, "JOB", "DRAIN")),
        Assert(pushes == at("PUSH BYTES")),
        Assert(~pushes | ~collects),
        Assert(~drops | at("AGAIN", "DRAIN")),
        Assert(~at("PREFIX", *_CHECKS, *_WRITES) | collects),
        Assert(~at(*_BEFORE) | (it.taken == 0) & (mine["_count"] == 0) & ~collects),
        Assert(~at("PREFIX") | (mine["_count"] == it.taken) & (it.taken <= PREFIX_BYTES)),
        *(
            Assert(~at("PREFIX") | (it.taken != n) | (mine["_prefix"][-8 * n :] == it.recent[-8 * n :]))
            for n in range(1, PREFIX_BYTES + 1)
        ),
        Assert((it.taken != PREFIX_BYTES) | (it.prefix == it.recent)),
        Assert(~at(*_CHECKS) | (it.taken == PREFIX_BYTES) | (it.taken == it.length)),
        Assert(~at(*_CHECKS) | (it.taken <= PREFIX_BYTES)),
        Assert(~at(*_CHECKS) | (it.taken != PREFIX_BYTES) | (mine["_prefix"] == it.prefix) & mine["_count"][2]),
        Assert(~at(*_CHECKS) | (it.taken == PREFIX_BYTES) | (mine["_count"] == it.taken)),
        Assert(~at("NEXT") | (it.taken == it.length)),
        Assert(at("DRAIN", "NEXT", "IDLE") | (mine["_count"] <= PREFIX_BYTES)),
    ]


def _checks(m: Module, inside: Inside, it: Any, mine: Any, at: Any) -> None:
    """Assert the values computed while a request is checked."""
    whole = it.length >= PREFIX_BYTES
    done = (it.count - mine["_todo"])[:16]
    writes = it.kind == Kind.WRITE
    inputs, streams = 2, 3
    with m.If(at("DISPATCH")):
        m.d.comb += [
            Assert(inside["empty"] == (it.length == 0)),
            Assert(inside["prefixed"] == (it.length == PREFIX_BYTES)),
            Assert(inside["short"] == ~whole),
            Assert(~whole | (inside["counted"] == (it.length == PREFIX_BYTES + 4 * it.count))),
            Assert(whole | ~inside["counted"]),
            Assert(~whole | (inside["none"] == (it.count == 0))),
            Assert(~whole | (inside["turns"] == (it.prefix[8:16] == it.turn))),
            Assert(~whole | (inside["of_output"] == (it.stream >= inputs) & (it.stream < streams))),
            Assert(~whole | (mine["_cursor"] == it.address) & (mine["_todo"] == it.count)),
            Assert(~whole | (mine["_target"] == Cat(it.stream == i for i in range(inputs)))),
        ]
    with m.If(at("CHECK", "CHECKED")):
        m.d.comb += [
            Assert(it.kind.matches(Kind.READ, Kind.WRITE) & whole & (it.count != 0)),
            Assert(it.length == PREFIX_BYTES + Mux(writes, 4 * it.count, 0)),
            Assert((mine["_todo"] <= it.count) & (done <= it.run)),
            Assert(mine["_cursor"] == (it.address + done)[:16]),
        ]
    with m.If(at("CHECKED")):
        m.d.comb += [
            Assert(inside["done"] == (mine["_todo"] == 0)),
            Assert(inside["allowed"] == (done < it.run)),
        ]
    m.d.comb += [
        Assert(~at("CHECKED", *_WRITES[:3]) | ~inside["resets"] | it.controls),
        Assert(~at("CHECKED") | ~inside["resets"]),
    ]


def _writes(m: Module, inside: Inside, it: Any, mine: Any, at: Any) -> None:
    """Assert the progress of a WRITE."""
    with m.If(at(*_WRITES)):
        m.d.comb += [
            Assert((it.kind == Kind.WRITE) & (it.code == 0)),
            Assert(inside["resets"] == it.controls),
            Assert(mine["_cursor"] == (it.address + it.writes)[:16]),
            Assert(it.writes <= it.count),
        ]
    with m.If(at(*_WRITES[:3])):
        m.d.comb += [
            Assert(it.taken == PREFIX_BYTES + 4 * it.writes + mine["_count"]),
            Assert(mine["_prefix"] == it.recent),
            Assert(it.writes < it.count),
        ]
    m.d.comb += [
        Assert(~at("WRITE WAIT") | (it.writes == 0)),
        Assert(~at("WRITE", "STORE") | (it.waiting == 0)),
        Assert(~at("STORE") | mine["_count"][2]),
        Assert(~at("WRITTEN") | (it.writes == it.count) & (it.taken == it.length) & (it.waiting == 0)),
    ]


def _pushes(m: Module, inside: Inside, it: Any, mine: Any, at: Any) -> None:
    """Assert the progress of a PUSH."""
    rest, full, excess = inside["rest"], inside["full"], inside["excess"]
    done = (it.count - mine["_todo"])[:16]
    data = it.taken - PREFIX_BYTES
    m.d.comb += [
        Assert(at("PUSH BYTES") | (it.written == 0)),
        Assert(~at(*_PUSHES) | (it.kind == StreamKind.PUSH) & (it.code == 0) & (it.length >= PREFIX_BYTES)),
        Assert(~at(*_PUSHES) | (mine["_target"] == Cat(it.stream == i for i in range(2)))),
        Assert(~at(*_PUSHES) | (inside["last"] == it.size - 1) & (mine["_prefix"] == it.prefix)),
        Assert(~at("PUSH", "PUSH CHECK") | (mine["_todo"] == it.count)),
        Assert(~at("PUSH") | (mine["_room"] <= it.room)),
    ]
    with m.If(at("PUSH CHECK")):
        m.d.comb += [
            Assert(inside["fits"] == (it.count <= mine["_cursor"])),
            Assert(mine["_cursor"] <= it.room),
        ]
    with m.If(at("PUSH CHECK", "PUSH BYTES")):
        m.d.comb += [
            Assert(full == (mine["_todo"] == 0)),
            Assert((mine["_todo"] <= it.count) & (rest < it.size)),
            Assert(~full | (rest == it.size - 1)),
        ]
    m.d.comb += Assert(~at("PUSH CHECK") | ~excess & (rest == it.size - 1))
    with m.If(at("PUSH BYTES")):
        m.d.comb += [
            Assert(it.count <= it.room),
            Assert(it.taken >= PREFIX_BYTES),
            Assert(it.written == done * it.size + (it.size - 1 - rest)),
            Assert(Mux(excess, full & (data > it.written), data == it.written)),
        ]


def _job(m: Module, it: Any, mine: Any, at: Any) -> None:
    """Assert that the fault to tell is the first that applies."""
    fault = mine["_fault"]
    late = (fault == StreamFault.ROOM) | (fault == Fault.LENGTH) & (it.code == 0)
    with m.If(at("JOB") & mine["_refused"]):
        m.d.comb += [
            Assert(late | (fault == it.code)),
            Assert(~late | (it.code == 0) & (it.kind == StreamKind.PUSH)),
            Assert((fault != StreamFault.ROOM) | (mine["_cursor"] < it.count) & (mine["_cursor"] <= it.room)),
            Assert((fault != StreamFault.ROOM) | (it.taken == PREFIX_BYTES)),
            Assert((fault != Fault.LENGTH) | (it.code != 0) | it.data_wrong),
            Assert(~mine["_collects"] | mine["_count"][2] | (it.taken == it.length)),
            Assert((fault != StreamFault.STREAM) | (mine["_prefix"][:8] == it.stream)),
            Assert((fault != Fault.ADDRESS) | (mine["_cursor"] == (it.address + it.run)[:16])),
        ]
    m.d.comb += Assert(~at(*_NEW[1:]) | (it.taken >= PREFIX_BYTES) | (it.taken == it.length))
    with m.If(at("JOB") & ~mine["_refused"]):
        simple = it.kind.matches(Kind.IDENTIFY, Kind.READ, StreamKind.PULL, StreamKind.PUSH)
        m.d.comb += [
            Assert(~simple | (mine["_prefix"] == it.prefix) & (it.length >= PREFIX_BYTES)),
            Assert(~simple | ~mine["_collects"] | mine["_count"][2]),
            Assert((it.kind != StreamKind.PUSH) | (it.taken == it.length)),
        ]
