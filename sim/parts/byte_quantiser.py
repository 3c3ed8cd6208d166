"""Proof of the byte quantiser: bytes become values on the way into the quantiser, and nits become bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from amaranth.asserts import AnySeq
from amaranth.hdl import Assert, Cat, Cover, Module, Signal

from ninefold.hdl.cores.quantiser import Quantiser
from ninefold.hdl.miner.words import ByteQuantiser
from ninefold.sim.faults import Edit
from ninefold.sim.formal.dut import Inside, with_parts
from ninefold.sim.formal.proof import Method, Proof
from ninefold.sim.formal.stand_ins import AnyQuantiser
from ninefold.sim.formal.streams import drive, follow
from ninefold.spec.formats import Mode

__all__ = ["PROOFS", "PROOF_FAULTS"]

_MODE: Mode = "tanh"


def _halves(m: Module, core: Any, inside: Inside) -> None:
    """Offer bytes at any time; the quantiser between returns any nits."""
    accepted, left = drive(m, core.input), follow(m, core.output)
    m.d.comb += [core.threshold.valid.eq(AnySeq(1)), core.threshold.payload.as_value().eq(AnySeq(18))]
    byte, nit = core.input.payload.data, inside["quantiser.nits__payload"][:4]
    odd, low, second, first = Signal(), Signal(8), Signal(), Signal(4)
    given = inside["quantiser.nits__valid"] & inside["nits__ready"]
    m.d.sync += [odd.eq(odd ^ accepted), second.eq(second ^ given)]
    with m.If(accepted & ~odd):
        m.d.sync += low.eq(byte)
    with m.If(given & ~second):
        m.d.sync += first.eq(nit)
    held = inside["quantiser.inside"]
    m.d.comb += [
        Assert((inside["values__valid"] & inside["quantiser.values__ready"]) == (accepted & odd), "a value is lost"),
        Assert(~(accepted & odd) | (inside["values__payload"][:16] == Cat(low, byte)), "another value"),
        Assert(core.input.ready | odd, "the first byte of a value waits"),
        Assert(left == (given & second), "a byte is lost or made up"),
        Assert(~core.output.valid | (core.output.payload.data == Cat(first, nit)), "another byte"),
        Assert(inside["nits__ready"] | second, "the first nit of a byte waits"),
        Assert(inside["threshold__valid"] == core.threshold.valid, "a threshold is lost"),
        Assert(inside["threshold__payload"] == core.threshold.payload.as_value(), "another threshold"),
        Assert((inside["high_next"] == odd) & (inside["second_next"] == second)),
        Assert(~odd | (inside["$signal#0"] == low)),
        Assert(~second | (inside["$signal#1"] == first)),
        Assert((held <= Quantiser.CAPACITY) & ((held != 0) | ~inside["quantiser.nits_waits"])),
    ]
    again = Signal()
    m.d.sync += [again.eq(again | left), Cover(again & left & (core.output.payload.data == 0x4C))]


def _around_any(mode: Mode) -> Any:
    return with_parts(ByteQuantiser, Quantiser=AnyQuantiser)(mode)


PROOFS = (
    Proof(
        "byte_quantiser",
        "halves",
        "each two bytes make a value for the quantiser, low byte first, and each two nits of its a byte, the first in "
        "the low half, once, in order, unchanged; bytes are stable until accepted, around a quantiser that behaves "
        "arbitrarily within its streams",
        _halves,
        Method.INDUCTION,
        depth=2,
        cover=14,
        parameters={"mode": _MODE},
        make=_around_any,
    ),
)

#: Faults that a proof must find, by the name of the proof.
PROOF_FAULTS: Mapping[str, Sequence[Edit]] = {
    "halves": [
        ("hdl.miner.words", "~high_next | values.ready", "1"),
        ("hdl.miner.words", "nits.ready.eq(~second_next | self.output.ready)", "nits.ready.eq(1)"),
    ],
}
