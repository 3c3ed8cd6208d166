import re

import numpy as np
import pytest
from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ninefold.hdl import yosys
from ninefold.hdl.elaborate import verilog
from ninefold.hdl.parts.store import WordStore
from ninefold.hdl.spram import SpramMemories
from ninefold.sim.verilated import Design, Model, elaborate

WIDTH, DEPTH = 24, 12_288


class StoreTestbench(wiring.Component):
    """An exclusive store behind streams: a request writes a word, or has one read; the sink must be ready."""

    def __init__(self, registered: bool, depth: int = DEPTH) -> None:
        self._registered = registered
        self._depth = depth
        request = data.StructLayout({"word": WIDTH, "address": 16, "write": 1})
        word = data.StructLayout({"word": WIDTH})
        super().__init__({"requests": In(stream.Signature(request)), "words": Out(stream.Signature(word))})

    def elaborate(self, _platform: object) -> Module:
        m = Module()
        m.submodules.store = store = WordStore(WIDTH, self._depth, exclusive=True, registered=self._registered)
        request, line = self.requests.payload, Signal(store.latency)
        m.d.sync += line.eq(Cat(self.requests.valid & ~request.write, line))
        m.d.comb += [
            self.requests.ready.eq(1),
            store.write.eq(self.requests.valid & request.write),
            store.write_word.eq(request.word),
            store.write_address.eq(request.address),
            store.read_address.eq(request.address),
            self.words.payload.word.eq(store.read_word),
            self.words.valid.eq(line[-1]),
        ]
        return m


def spram_design(registered: bool, depth: int) -> Design:
    """The same in Yosys' model of the RAM."""
    text = verilog(StoreTestbench(registered, depth), platform=SpramMemories())
    assert len(re.findall(r"\bSB_SPRAM256KA\b", text)) == -(-WIDTH // 16) * -(-depth // 16_384)
    cells = (yosys.share() / "ice40" / "cells_sim.v").read_text()
    cell = re.search(r"^module SB_SPRAM256KA \(.*?^endmodule", cells, re.MULTILINE | re.DOTALL)
    assert cell is not None
    return Design(text + "\n" + cell[0], elaborate(StoreTestbench(registered, depth)).streams)


def words(design: Design, depth: int = DEPTH) -> int:
    """Write all words, then write and read at random, and compare what was read; returns the cycles that it took."""
    random = np.random.default_rng(3)
    model = Model(design, quick=True)
    address = np.concatenate([np.arange(depth), random.integers(depth, size=20_000)])
    write = np.concatenate([np.ones(depth, int), random.integers(2, size=20_000)])
    word = random.integers(2**WIDTH, size=len(address))
    beats = model.streams["requests"].pack(len(address), {"word": word, "address": address, "write": write})
    run = model.run({"requests": beats}, {"words": int(np.sum(write == 0))})
    expected, held = [], np.zeros(depth, int)
    for a, w, value in zip(address, write, word, strict=True):
        if w:
            held[a] = value
        else:
            expected.append(held[a])
    found = model.streams["words"].unpack(run.outputs["words"])["word"]
    np.testing.assert_array_equal(found, expected)
    return run.cycles


@pytest.mark.parametrize(("registered", "depth"), [(False, DEPTH), (True, DEPTH), (False, 40_000)])
def test_a_store_in_spram_reads_what_was_written_in_as_many_cycles(registered: bool, depth: int) -> None:
    plain = elaborate(StoreTestbench(registered, depth))
    assert words(spram_design(registered, depth), depth) == words(plain, depth)


def test_small_memories_stay_with_amaranth() -> None:
    store = WordStore(16, 64, exclusive=True)
    assert "SB_SPRAM256KA" not in verilog(store, platform=SpramMemories())
