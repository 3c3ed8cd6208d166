"""Proof of the replies: a slot is sent once it is built, and again on request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from amaranth.asserts import AnySeq
from amaranth.hdl import Array, Assert, Assume, Cat, Cover, Module, Mux, Signal

from ninefold.sim.faults import Edit
from ninefold.sim.formal.dut import Inside, states_of
from ninefold.sim.formal.proof import Method, Proof
from ninefold.sim.formal.streams import drive, follow, follow_fifo
from ninefold.sim.parts.replies_building import SIZE, replies

__all__ = ["PROOFS", "PROOF_FAULTS"]

#: Cycles from the request to send a slot, or the end of the previous one, to the offer of its first byte.
_LATE_MOST = 4


class _Orders:
    """Model of the slots to send, in order, each until it is sent.

    Parameters
    ----------
    m : Module
        Module that receives the registers.
    window, bits : int
        Number of slots, and bits of a slot number.

    Attributes
    ----------
    slots : list of Signal
        Slots to send, the next one first.
    count : Signal
        Number of slots to send.
    waiting, written : Signal
        Slots to send, and slots that are built; one bit each.
    """

    def __init__(self, m: Module, window: int, bits: int) -> None:
        self._m = m
        self.slots = [Signal(bits, name=f"order_{i}") for i in range(window)]
        self.count = Signal(range(window + 1), name="orders")
        self.waiting, self.written = Signal(window, name="waiting"), Signal(window, name="written")

    def run(self, built: Any, asked: Any, slot: Any, sent: Any) -> None:
        """Add a slot that is built or requested again; remove the first when it is sent."""
        m = self._m
        moved = [Signal.like(order, name=f"{order.name}_moved") for order in self.slots]
        for i, order in enumerate(moved):
            behind = self.slots[min(i + 1, len(self.slots) - 1)]
            m.d.comb += order.eq(Mux(sent, behind, self.slots[i]))
            m.d.sync += self.slots[i].eq(Mux((built | asked) & (self.count - sent == i), slot, order))
        m.d.sync += self.count.eq(self.count + (built | asked) - sent)
        with m.If(sent):
            m.d.sync += self.waiting.bit_select(self.slots[0], 1).eq(0)
        with m.If(built | asked):
            m.d.sync += self.waiting.bit_select(slot, 1).eq(1)
        with m.If(built):
            m.d.sync += self.written.bit_select(slot, 1).eq(1)
        m.d.comb += [
            Assert(self.count == sum(self.waiting[i] for i in range(len(self.waiting)))),
            Assert(~(built | asked) | (self.count != len(self.slots))),
        ]
        for i, order in enumerate(self.slots):
            with m.If(i < self.count):
                m.d.comb += Assert((self.waiting & self.written).bit_select(order, 1))
                m.d.comb += [Assert(order != other) for other in self.slots[:i]]


def _sending(m: Module, core: Any, inside: Inside) -> None:
    """Build any replies, and follow any byte of any slot to the output."""
    job, again, offer = core.jobs.payload, core.again.payload, core.frames.payload
    drive(m, core.jobs)
    drive(m, core.results)
    asked, left = drive(m, core.again), follow(m, core.frames)
    m.d.comb += [core.word.eq(AnySeq(32)), core.epoch.eq(AnySeq(8))]
    bits = len(job.slot)
    orders = _Orders(m, 2**bits, bits)
    orders.run(core.built, asked, Mux(core.built, job.slot, again.slot), core.sent)
    head = orders.slots[0]
    lengths = Array(inside[f"length_{slot}"] for slot in range(2**bits))
    size, place, byte = Signal(range(SIZE + 1)), Signal(range(SIZE + 1)), Signal(8)
    writes, address, followed = inside["write__en"], inside["write__addr"], inside["memory.followed"]
    with m.If(writes & (address == followed)):
        m.d.sync += byte.eq(inside["write__data"])
    with m.If(core.sent):
        m.d.sync += place.eq(0)
    with m.Elif(left):
        m.d.sync += place.eq(place + 1)
    ended, late = Signal(), Signal(range(_LATE_MOST + 2))
    m.d.sync += [
        ended.eq(left & (place == size - 1)),
        late.eq(Mux((orders.count != 0) & ~core.frames.valid & ~core.sent & ~ended, late + 1, 0)),
    ]
    m.d.comb += [
        size.eq(lengths[head]),
        # Proved of the executor.
        Assume(~core.jobs.valid | core.jobs.ready | ~orders.waiting.bit_select(job.slot, 1)),
        Assume(~core.again.valid | (orders.written & ~orders.waiting).bit_select(again.slot, 1)),
        Assume(~core.again.valid | ~core.jobs.valid | (again.slot != job.slot)),
        # No reply is longer than its slot, by the proof of the building.
        Assume(~writes | (inside["length"] < SIZE)),
        Assert(~writes | (core.jobs.valid & (address[-bits:] == job.slot)), "another slot is written"),
        Assert(~core.frames.valid | ((orders.count != 0) & (place < size)), "a byte is sent that is not asked for"),
        Assert(~core.frames.valid | (offer.last == (place == size - 1)), "a frame ends elsewhere"),
        Assert(~core.frames.valid | (Cat(place[:8], head) != followed) | (offer.data == byte), "another byte is sent"),
        Assert(core.sent == ended, "sent is told at another time"),
        Assert(~core.sent | (core.sent_slot == head), "another slot is told"),
        Assert(~(writes & inside["read__en"]) | (address != inside["read__addr"]), "a byte is read while written"),
        Assert(late <= _LATE_MOST, "a slot is not sent in time"),
    ]
    _machine(m, core, inside, orders, (size, place, byte, late))
    once = Signal()
    m.d.sync += [once.eq(once | core.sent), Cover(once & core.sent & (orders.count == 2))]


def _machine(m: Module, core: Any, inside: Inside, orders: _Orders, frame: tuple[Signal, ...]) -> None:
    """Assert the invariant of the queue and of the first slot's bytes."""
    size, place, byte, late = frame
    state, states = inside["fsm_state"], states_of(inside["fsm_state"])
    shown, ends, offered = inside["shown"], inside["ends"], core.frames.valid
    ready, position, followed = inside["ready"], inside["position"], inside["memory.followed"]
    length, head, there = inside["length"], orders.slots[0], orders.count != 0
    depth = 1 + sum(name.startswith("queue.storage.row_") for name in inside)
    for i, order in enumerate(orders.slots):
        held = follow_fifo(m, inside, "queue.", depth, orders.count > i, i, order)
        m.d.comb += Assert(held == orders.count, "a slot is lost")
    for slot in range(len(orders.slots)):
        m.d.comb += Assert(~orders.written[slot] | (inside[f"length_{slot}"] != 0))
        m.d.comb += Assert(inside[f"length_{slot}"] <= SIZE)
    stage = Mux(shown, 3, Mux(ready, 2, Mux(inside["queue.r_rdy"], 1, 0)))
    m.d.comb += [
        Assert(inside["queue.r_rdy"] | (inside["queue.inner_level"] <= 1)),
        Assert((state == states["IDLE"]) | core.jobs.valid),
        Assert((state == states["TAKE"]) == core.jobs.ready),
        Assert((state < len(states)) & (length <= SIZE)),
        Assert((state != states["EMIT"]) | (length >= 4) | (length + inside["left"] == 4)),
        Assert(state.matches(states["IDLE"], states["EMIT"]) | (length >= 4)),
        Assert(position == place + offered + shown),
        Assert(position <= Mux(there, size, 0)),
        Assert(ends == (there & (position == size))),
        Assert(~ready | (inside["queue.r_rdy"] & (inside["final"] == size - 1))),
        Assert(inside["queue.r_rdy"] | (position == 0)),
        Assert(core.sent == (there & (place == size))),
        Assert((position == 0) | (ready & (ends | shown))),
        Assert(offered | (late <= stage)),
    ]
    with m.If(shown & (Cat((position - 1)[:8], head) == followed)):
        m.d.comb += Assert(inside["memory.read__data"] == byte)
    m.d.comb += Assert(inside["memory.word"] == byte)


PROOFS = tuple(
    Proof(
        "replies",
        name,
        claim,
        _sending,
        Method.INDUCTION,
        depth=1,
        cover=40,
        parameters={"window": window, "reply_bytes": SIZE},
        make=lambda window, **_: replies(window),
    )
    for name, window, claim in (
        (
            "sending",
            4,
            "every slot that is built or requested again is sent once, in that order, starting at most 4 cycles "
            "after the previous one: all its written bytes, in order and unchanged, with `last` on the "
            "final one. Nothing is written there before that. `sent` follows, with the slot",
        ),
        ("sending_of_two", 2, "the same for the smallest window"),
    )
)

#: Faults that a proof must find, by the name of the proof.
PROOF_FAULTS: Mapping[str, Sequence[Edit]] = {
    "sending": [
        ("hdl.miner.replies", "advance.eq(ready & ~ends & (~shown | moves))", "advance.eq(ready & (~shown | moves))"),
        ("hdl.miner.replies", "moves.eq(shown & (~offered | self.frames.ready))", "moves.eq(shown)"),
    ],
    "sending_of_two": [("hdl.miner.replies", "depth=max(window, 3)", "depth=window")],
}
