"""Proofs of the phase hash: the quadrant of every pair of parts, in both kinds of number."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Cover, Module, Mux, Signal, Value, signed

from ninefold.sim.formal.dut import Inside
from ninefold.sim.formal.feed_forward import follow_function
from ninefold.sim.formal.proof import Method, Proof

__all__ = ["PROOFS"]

_WIDTH = 6


def _hashes(m: Module, core: Any, inside: Inside) -> None:
    """Follow any point, whose quadrants follow from comparisons with 0."""

    def quadrant(number: Any) -> Value:
        re, im = (_integer(m, core, part) for part in (number.re, number.im))
        found = Signal(2)
        m.d.comb += found.eq(0)
        with m.If((re <= 0) & (im > 0)):
            m.d.comb += found.eq(1)
        with m.Elif((re < 0) & (im <= 0)):
            m.d.comb += found.eq(2)
        with m.Elif((re >= 0) & (im < 0)):
            m.d.comb += found.eq(3)
        return found

    quadrants = Cat(quadrant(core.input.payload.psi[i]) for i in range(core.dimensions))
    watch = follow_function(m, core, inside, lambda _: quadrants)
    m.d.sync += [
        Cover(watch.done & (watch.inside == core.capacity)),
        *(Cover(watch.comes & core.output.valid & (core.output.payload.hash == value)) for value in (0b1100, 0b0110)),
    ]


def _integer(m: Module, core: Any, part: Value) -> Value:
    """Return the number of a part, by the magnitudes of its integers."""
    if not core.floating:
        return part.as_signed()
    value = Signal(signed(core.width))
    m.d.comb += value.eq(Mux(part[-1], -part[:-1], part[:-1]))
    return value


PROOFS = tuple(
    Proof(
        "phase_hash",
        name,
        f"every point leaves once, in order and in time, with the quadrants of its numbers, for all {kind}, and stays "
        "stable until accepted",
        _hashes,
        Method.INDUCTION,
        depth=2,
        cover=12,
        parameters={"dimensions": 2, "width": _WIDTH, "floating": floating},
    )
    for name, kind, floating in (
        ("floating", "signs and magnitudes", True),
        ("integers", "integers of two's complement", False),
    )
)
