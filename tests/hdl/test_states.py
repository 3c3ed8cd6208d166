"""The machine with a register a state."""

import pytest
from amaranth.hdl import Module, Signal
from amaranth.sim import Simulator
from amaranth.sim import SimulatorContext as Context

from ninefold.hdl.states import OneHot


def test_it_goes_where_it_is_sent_and_waits_otherwise() -> None:
    """From the first state that is named, by one at a time, back again, and to itself."""
    m, states = Module(), OneHot()
    m.submodules.states = states
    go, again = Signal(), Signal()
    with states.at(m, "IDLE"), m.If(go):
        states.go(m, "LOOK UP")
    with states.at(m, "LOOK UP"):
        with m.If(again):
            states.go(m, "LOOK UP")
        with m.Else():
            states.go(m, "END")
    with states.at(m, "END"):
        states.go(m, "IDLE")
    seen = []

    async def drive(context: Context) -> None:
        for inputs in ((0, 0), (0, 1), (1, 0), (0, 1), (0, 1), (0, 0), (1, 1), (0, 0)):
            context.set(go, inputs[0])
            context.set(again, inputs[1])
            seen.append([name for name, now in states.now.items() if context.get(now)])
            await context.tick()

    simulator = Simulator(m)
    simulator.add_clock(1e-6)
    simulator.add_testbench(drive)
    simulator.run()
    assert seen == [["IDLE"], ["IDLE"], ["IDLE"], ["LOOK UP"], ["LOOK UP"], ["LOOK UP"], ["END"], ["IDLE"]]


def test_a_state_that_is_not_described_is_refused() -> None:
    """Else the machine would stay where nothing is done."""
    m, states = Module(), OneHot()
    with states.at(m, "IDLE"):
        states.go(m, "BUSY")
        states.go(m, "AWAY")
    with pytest.raises(NameError, match=r"^states that are not described: AWAY, BUSY$"):
        states.elaborate(None)
