"""Specification of the cores that compute a function of each element: its value, order and time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import reduce
from operator import or_
from typing import Any

from amaranth.hdl import Assert, Cat, Module, Mux, Signal, Value
from amaranth.lib import data

from ninefold.sim.formal.dut import Inside
from ninefold.sim.formal.streams import Watch, drive, follow, follow_fifo

__all__ = ["computed", "follow_function", "looked_up"]


def computed(m: Module, core: Any, payload: Any, first: int = 0) -> Value:
    """Return the function of an element without registers, from one of its steps on."""
    for step in core.steps()[first:]:
        made = step(m, payload)
        # A signal after each step keeps expressions, in which a value may occur twice a step, from growing with powers.
        payload = Signal(made.shape())
        m.d.comb += Value.cast(payload).eq(Value.cast(made))
    return Value.cast(payload)


def looked_up(values: Iterable[int], index: Value) -> Value:
    """Return one of some values, without logic that Yosys infers as a memory, which induction cannot constrain."""
    return reduce(or_, (Mux(index == i, value, 0) for i, value in enumerate(values)))


def follow_function(m: Module, core: Any, inside: Inside, model: Callable[[Any], Value]) -> Watch:
    """Assert that any element leaves once, in order and in time, with the value of a model; return the element.

    The invariant is the place of the element, and that the steps after it give the value of the model.
    """
    accepted, left = drive(m, core.input), follow(m, core.output)
    watch = Watch(m, accepted, left, core.capacity)
    due = Signal(len(Value.cast(core.output.payload)), name="due")
    with m.If(watch.begins):
        m.d.sync += due.eq(model(core.input.payload))
    m.d.comb += Assert(~core.output.valid | (watch.inside != 0), "an element that was not given comes out")
    with m.If(watch.comes & core.output.valid):
        m.d.comb += Assert(Value.cast(core.output.payload) == due, "another value than the model's")
    full, at = inside["accepted"][1:], Signal(len(core.steps()), name="at")
    m.d.sync += at.eq(Cat(watch.begins, at))
    held = follow_fifo(m, inside, "queue.queue.", core.capacity, watch.waits & ~at.any(), watch.ahead, due)
    value = core.input.payload
    for number, step in enumerate(core.steps()):
        shape = step(m, value).shape()
        value = inside[f"step_{number}"]
        value = data.View(shape, value) if isinstance(shape, data.Layout) else value
        rest = computed(m, core, value, number + 1)
        with m.If(at[number]):
            m.d.comb += [
                Assert(watch.waits & full[number] & (watch.ahead == held + sum(full[number + 1 :]))),
                Assert(rest == due),
            ]
    m.d.comb += [
        Assert(at & (at - 1) == 0),
        Assert(~watch.waits | at.any() | (watch.ahead < held)),
        Assert(watch.inside == held + sum(full), "an element was lost or repeated"),
        Assert(inside["queue.credits"] + watch.inside == core.capacity),
    ]
    _in_time(m, core, watch, full, inside["queue.queue.inner_level"])
    return watch


def _in_time(m: Module, core: Any, watch: Watch, full: Value, queued: Value) -> None:
    """Assert that an element is offered within the latency after it could follow the one before."""
    waiting = Signal(range(core.latency + 2))
    m.d.sync += waiting.eq(Mux((watch.inside != 0) & ~core.output.valid, waiting + 1, 0))
    m.d.comb += Assert(waiting < core.latency, "an element is not offered in time")
    # Reason: the first element advances one step a cycle.
    most: Value | int = 0
    for number in range(len(full)):
        most = Mux(full[number], number, most)
    m.d.comb += Assert(core.output.valid | (waiting <= Mux(queued != 0, len(full), most)))
