"""Proof of the register file: every address shows the word of the register table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from amaranth.asserts import AnySeq
from amaranth.hdl import Array, Assert, Assume, Const, Cover, Module, Signal, Value

from ninefold.hdl.miner.parameters import MinerParameters
from ninefold.hdl.miner.registers import RegisterFile, identity_words
from ninefold.sim.faults import Edit
from ninefold.sim.formal.dut import Inside
from ninefold.sim.formal.proof import Method, Proof
from ninefold.spec.formats import THRESHOLDS, Mode
from ninefold.spec.registers import BY_NAME

__all__ = ["PROOFS", "PROOF_FAULTS"]

_MODE: Mode = "linear"
_MINER = MinerParameters(
    dimensions=4, lanes=2, depth=3, k=2, mode=_MODE, clock_hz=12_000_000, digest=bytes(range(1, 33))
)
_HOLD_MOST = 255


def _file(m: Module, core: Any, inside: Inside) -> None:
    """Read any register at any time and compare with a naive table."""
    for name in ("hold", "write", "clear", "clear_epoch", "rows", "load_bytes", "load_check"):
        m.d.comb += getattr(core, name).eq(AnySeq(len(getattr(core, name))))
    address = Signal(6)
    where, word = core.write_address, core.write_word
    writable = [*BY_NAME["threshold"].addresses, BY_NAME["epoch"].address]
    m.d.comb += [
        core.address.eq(AnySeq(6)),
        where.eq(AnySeq(6)),
        word.eq(AnySeq(32)),
        core.events.as_value().eq(AnySeq(len(core.events.as_value()))),
        Assume(~core.write | where.matches(*writable)),
    ]
    table = _table(m, core, inside)
    cleared = Signal(init=1)
    m.d.sync += cleared.eq(core.clear)
    # Each counter gets its event and is held with the others.
    events = (
        core.events.queries,
        core.events.stalls,
        core.events.crc_errors,
        core.events.dropped,
        1,
        core.events.accepted,
    )
    for i, event in enumerate(events):
        m.d.comb += [
            Assert(inside[f"event#{i}"] == event, "another event is counted"),
            Assert(inside[f"hold#{i}"] == core.hold),
            Assert(inside[f"clear#{i + 1}"] == cleared),
        ]
    expected, chosen, shown = Signal(32), Signal(32), Signal(32)
    chosen_of, shown_of = Signal(6), Signal(6)
    begun = Signal(2)
    words = Array(table.get(i, Const(0, 32)) for i in range(64))
    m.d.sync += [begun.eq(begun + (begun != 3)), address.eq(core.address)]
    m.d.comb += expected.eq(words[address])
    m.d.sync += [chosen.eq(expected), chosen_of.eq(address), shown.eq(chosen), shown_of.eq(chosen_of)]
    with m.If(begun == 3):
        m.d.comb += Assert(core.word == shown, "another word is read")
    m.d.sync += [
        Cover((begun == 3) & (shown_of == BY_NAME["threshold"].address) & (core.word == 77)),
        Cover((begun == 3) & (shown_of == BY_NAME["dropped"].address) & (core.word == 2)),
    ]


def _table(m: Module, core: Any, inside: Inside) -> Mapping[int, Value]:
    """Return the value of each register; the counters have proofs of their own."""
    table: dict[int, Value] = {
        BY_NAME[name].address + i: Const(word, 32)
        for name, words in identity_words(_MINER).items()
        for i, word in enumerate(words)
    }
    epoch = Signal(8, name="epoch_model")
    initial = THRESHOLDS[_MODE].reached_at
    thresholds = [Signal(16, init=value, name=f"threshold_model_{i}") for i, value in enumerate(initial)]
    places = BY_NAME["threshold"].addresses
    with m.If(core.clear):
        m.d.sync += [signal.eq(value) for signal, value in zip(thresholds, initial, strict=True)]
    with m.Elif(core.write):
        for place, signal in zip(places, thresholds, strict=True):
            with m.If(core.write_address == place):
                m.d.sync += signal.eq(core.write_word)
    with m.If(core.clear | core.clear_epoch):
        m.d.sync += epoch.eq(0)
    with m.Elif(core.write & (core.write_address == BY_NAME["epoch"].address)):
        m.d.sync += epoch.eq(core.write_word)
    m.d.comb += [
        Assert(core.epoch == epoch, "another epoch"),
        *(Assert(inside[f"threshold_{i}"] == threshold) for i, threshold in enumerate(thresholds)),
    ]
    table |= dict(zip(places, thresholds, strict=True))
    table[BY_NAME["epoch"].address] = epoch
    for name in ("rows", "load_bytes", "load_check"):
        table[BY_NAME[name].address] = getattr(core, name)
    for name in ("queries", "stalls", "crc_errors", "dropped"):
        table[BY_NAME[name].address] = inside[f"{name}.value#0"]
    for name in ("cycles", "accepted"):
        value = inside[f"{name}.value#0"]
        table[BY_NAME[f"{name}_low"].address], table[BY_NAME[f"{name}_high"].address] = value[:32], value[32:]
    return table


PROOFS = (
    Proof(
        "registers",
        "words",
        "every address shows the word of the register table after three cycles: the values that the configuration "
        "sets, the values written or cleared, the counts, and 0 for a missing register. The counters are proved as "
        "counter",
        _file,
        Method.INDUCTION,
        depth=4,
        cover=9,
        parameters={"mode": _MODE},
        make=lambda **_: RegisterFile(_MINER),
    ),
)

#: Faults that a proof must find, by the name of the proof.
PROOF_FAULTS: Mapping[str, Sequence[Edit]] = {
    "words": [
        ("hdl.miner.registers", "self.clear | self.clear_epoch", "self.clear_epoch"),
        ("hdl.miner.registers", '"stalls": (self.events.stalls', '"stalls": (self.events.dropped'),
    ],
}
