"""Proofs of the wave cell: the rule of ``wave_step_fixed`` at small widths, with and without shared multipliers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from amaranth.asserts import AnyConst, AnySeq
from amaranth.hdl import Assert, Assume, Cat, Const, Cover, Module, Mux, Signal, Value, signed

from ninefold.hdl.parts.wave_cell import READ_BEFORE, WaveCell
from ninefold.sim.faults import Edit
from ninefold.sim.formal.dut import Inside
from ninefold.sim.formal.proof import Method, Proof

__all__ = ["PROOFS", "PROOF_FAULTS"]

_BITS, _FRACTION, _ROUNDED = 3, 1, 1
_SMALL = {"bits": _BITS, "fraction": _FRACTION, "coefficient": 2, "rounded": _ROUNDED}
_NUMBERS = ("psi", "v", "left", "right", "up", "down")


def _rule(cycles: int) -> Any:
    """Return the specification for cells that start each ``cycles`` cycles."""

    def specify(m: Module, core: Any, _inside: Inside) -> None:
        starts = Signal(core.latency, name="starts")
        begins = _drive(m, core, cycles, starts)
        m.d.sync += starts.eq(Cat(core.start, starts))
        m.d.comb += Assert(core.done == starts[-1], "a result is lost or made up")
        kept = {name: Signal(signed(_BITS), name=f"kept_{name}") for name in _NUMBERS}
        age = Signal(range(core.latency + 1), name="age")
        with m.If(begins):
            m.d.sync += [age.eq(1), *(kept[name].eq(getattr(core, name)) for name in _NUMBERS)]
        with m.Elif(age == core.latency):
            m.d.sync += age.eq(0)
        with m.Elif(age != 0):
            m.d.sync += age.eq(age + 1)
        psi, v = _after(core, kept)
        with m.If(age == core.latency):
            m.d.comb += [Assert(core.new_v == v, "another v"), Assert(core.new_psi == psi, "another psi")]
        another = starts[0] if core.latency > cycles else Const(1)
        m.d.sync += Cover((age == core.latency) & (v == -(2 ** (_BITS - 1))) & (psi == 1) & another)

    return specify


def _drive(m: Module, core: Any, cycles: int, starts: Signal) -> Value:
    """Start cells at any time that is allowed, with any numbers; return whether one that is followed starts."""
    beat, followed = Signal(range(max(2, cycles)), name="beat"), Signal(name="followed")
    begins = Signal(name="begins")
    m.d.comb += [
        core.start.eq(AnySeq(1) & ((beat == 0) | (starts == 0))),
        begins.eq(core.start & AnySeq(1) & ~followed),
        *(getattr(core, name).eq(AnyConst(len(getattr(core, name)))) for name in "abct"),
    ]
    m.d.sync += [
        beat.eq(Mux(core.start, 1 % cycles, Mux(beat == cycles - 1, 0, beat + 1))),
        followed.eq(followed | begins),
    ]
    rest = Signal(range(cycles), name="rest")
    m.d.sync += rest.eq(Mux(core.start, cycles - 1, Mux(rest == 0, 0, rest - 1)))
    for name in _NUMBERS:
        number, before = getattr(core, name), Signal(signed(_BITS), name=f"{name}_before")
        m.d.comb += [number.eq(AnySeq(_BITS)), Assume((rest == 0) | (number == before))]
        m.d.sync += before.eq(number)
    if cycles >= READ_BEFORE:
        # A start that keeps step never comes READ_BEFORE cycles after a result.
        m.d.comb += Assert(~core.done | (beat != cycles - READ_BEFORE), "a cell is done when another is read")
    return begins


def _after(core: Any, kept: Mapping[str, Signal]) -> tuple[Value, Value]:
    """Return psi and v after a step, as the operator defines them."""
    psi, v = kept["psi"], kept["v"]
    most = 2 ** (_BITS - 1) - 1
    lap = kept["left"] + kept["right"] + kept["up"] + kept["down"] - 4 * psi
    squared = psi * psi >> _FRACTION
    square = Mux(squared > most, most, squared)
    cube = _saturated(square * psi >> _FRACTION)
    new_v = _saturated(v + _to_even(core.c * lap - core.a * v + core.b * cube))
    return _saturated(psi + _to_even(core.t * new_v)), new_v


def _saturated(value: Value) -> Value:
    most = 2 ** (_BITS - 1) - 1
    return Mux(value > most, most, Mux(value < -most - 1, -most - 1, value))


def _to_even(value: Value) -> Value:
    return (value + (2 ** (_ROUNDED - 1) - 1) + value[_ROUNDED]) >> _ROUNDED


PROOFS = tuple(
    Proof(
        "wave_cell",
        name,
        f"each cell that starts is done after the stated cycles, with psi and v of wave_step_fixed, for all numbers of "
        f"{_BITS} bits and all coefficients of 2; {how}",
        _rule(cycles),
        Method.BOUNDED,
        depth=depth,
        cover=depth + 4,
        parameters={"cycles": cycles, **_SMALL, "digit": digit},
        make=WaveCell,
    )
    for name, how, cycles, digit, depth in (
        ("pipelined", "a cell starts in any cycle", 1, 1, 27),
        ("folded", "with shared multipliers, a cell starts each 2 cycles, in step with those inside", 2, 2, 23),
        ("alone", "with one multiplier and one adder, a cell starts each 20 cycles", 20, 2, 22),
    )
)

#: Faults that a proof must find, by the name of the proof.
PROOF_FAULTS: Mapping[str, Sequence[Edit]] = {
    "pipelined": [
        ("hdl.parts.wave_cell", "fold.held(psi, 1) << 2", "fold.held(psi, 1) << 1"),
        ("hdl.parts.folding", "total[shift] ^ lowest", "total[shift]"),
        ("hdl.parts.wave_cell", "(~sign).replicate", "sign.replicate"),
    ],
    "folded": [
        ("hdl.parts.folding", "while at >= timed.at", "while at > timed.at"),
        ("hdl.parts.folding", "Mux(start, 0, later)", "later"),
        ("hdl.parts.wave_cell", "latency += 1", "latency += 0"),
    ],
    "alone": [
        ("hdl.parts.folding", "max(0, self._summed - 2) if self._alone else 0", "0"),
        ("hdl.parts.folding", "one.onto, one.total)", "one.onto)"),
    ],
}
