"""Pulses to many places."""

import random

import pytest
from amaranth.hdl import Cat, Module, Signal
from amaranth.sim import Simulator
from amaranth.sim import SimulatorContext as Context

from ninefold.hdl.parts.relay import NEAR, relay, relays_to


@pytest.mark.parametrize("relays", range(3))
def test_each_place_has_the_pulses_that_much_later(relays: int) -> None:
    """Single ones, and those that follow each other at once."""
    m, pulse = Module(), Signal()
    places = Signal(10)
    m.d.comb += places.eq(Cat(relay(m, "relayed", pulse, len(places), relays)))
    given = random.Random(relays).choices((0, 1), k=100)
    seen = []

    async def drive(context: Context) -> None:
        for value in given:
            context.set(pulse, value)
            seen.append(context.get(places))
            await context.tick()

    # Without a relay nothing else is in the domain.
    m.d.sync += Signal().eq(pulse)
    simulator = Simulator(m)
    simulator.add_clock(1e-6)
    simulator.add_testbench(drive)
    simulator.run()
    assert seen == [1023 * value for value in [0] * relays + given[: len(given) - relays]]


def test_only_the_way_to_many_has_relays() -> None:
    """Those that are few need none."""
    assert [relays_to(places) for places in (1, NEAR, NEAR + 1)] == [0, 0, 2]
