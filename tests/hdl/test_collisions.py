"""Reads of a word in the cycle in which it is written."""

from typing import Any

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import Out
from amaranth.sim import Simulator, SimulatorContext

from ninefold.hdl.cores.frame_receiver import FrameReceiver
from ninefold.hdl.elaborate import allow_collisions, rtlil
from ninefold.hdl.parts.counts import CountBank
from tests.hdl.collisions import Colliding


def test_collisions_are_allowed_at_every_port_that_can_have_one() -> None:
    text = rtlil(FrameReceiver(16, 2))
    allowed = allow_collisions(text)
    assert text.count(r"COLLISION_X_MASK 1'0") == allowed.count(r"COLLISION_X_MASK 1'1") == 2
    assert allowed.replace(r"COLLISION_X_MASK 1'1", r"COLLISION_X_MASK 1'0") == text
    # A memory that is only read has no port to collide with.
    constant = r"    parameter \COLLISION_X_MASK 0'0"
    assert allow_collisions(constant) == constant
    # A read of distributed RAM sees the old word: of these three memories, only one is block RAM.
    allowed = allow_collisions(rtlil(CountBank(2, 1, 4)))
    assert (allowed.count(r"COLLISION_X_MASK 1'0"), allowed.count(r"COLLISION_X_MASK 1'1")) == (2, 1)


def test_a_wrong_word_after_a_collision_is_seen_where_it_is_used() -> None:
    class Careless(wiring.Component):
        word: Out(4)
        seen: Out(4)

        def elaborate(self, _platform: object) -> Module:
            m = Module()
            m.submodules.words = words = Memory(shape=4, depth=2, init=[3, 9])
            write, read = words.write_port(), words.read_port()
            m.d.comb += [write.en.eq(1), write.data.eq(self.word), self.seen.eq(read.data)]
            m.d.sync += [self.word.eq(self.word + 1), read.addr.eq(1)]
            return m

    shown = []
    for core in (Careless(), Colliding(Careless())):

        async def tb(ctx: SimulatorContext, core: Any = core) -> None:
            shown.append([(await ctx.tick().sample(core.seen))[-1] for _ in range(4)])

        simulator = Simulator(core)
        simulator.add_clock(1e-6)
        simulator.add_testbench(tb)
        simulator.run()
    plain, colliding = shown
    assert plain == [0, 3, 9, 9]
    assert colliding == [0, ~3 & 15, 9, 9]
