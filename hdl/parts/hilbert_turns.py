"""Turns of the Hilbert curve, which its encoder does from the highest bit down and its decoder from the lowest up."""

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Cat, Mux, Value
from amaranth.lib import data

from ninefold.hdl.checks import check_integer
from ninefold.hdl.parts.feed_forward import Step
from ninefold.spec.errors import InputError
from ninefold.spec.waves import INDEX_BITS

__all__ = ["Turn", "check_curve", "turn_steps", "turns"]

#: Bit and coordinate of a turn.
Turn = tuple[int, int]

#: Turns between two registers. Each adds a LUT to the path through the bits of coordinate 0.
_BETWEEN = 4


def check_curve(dimensions: object, bits: object) -> tuple[int, int]:
    """Check the size of a curve; return the number of dimensions and the bits of a coordinate."""
    size = check_integer("dimensions", dimensions, 1, INDEX_BITS), check_integer("bits", bits, 1, INDEX_BITS)
    if size[0] * size[1] > INDEX_BITS:
        raise InputError(f"dimensions * bits must be at most {INDEX_BITS}, not {size[0]} * {size[1]}")
    return size


def turns(dimensions: int, bits: int) -> list[Turn]:
    """Return the turns in the order of the encoder."""
    return [(bit, i) for bit in range(bits - 1, 0, -1) for i in range(dimensions)]


def turn_steps(point: data.ArrayLayout, order: Sequence[Turn]) -> list[Step]:
    """Return the steps that do turns in an order; each takes and returns a point."""
    return [_step(point, order[first : first + _BETWEEN]) for first in range(0, len(order), _BETWEEN)]


def _step(point: data.ArrayLayout, order: Sequence[Turn]) -> Step:
    def turned(_m: object, given: Any) -> Any:
        x = [given[i] for i in range(point.length)]
        for bit, i in order:
            _turn(x, bit, i)
        return data.View(point, Cat(x))

    return turned


def _turn(x: list[Value], bit: int, i: int) -> None:
    """Invert the bits of coordinate 0 below a bit where coordinate i has it, or else swap them with coordinate i's.

    A turn done twice changes nothing.
    """
    one, first, other = x[i][bit], x[0][:bit], x[i][:bit]
    if i:
        x[i] = Cat(Mux(one, other, first), x[i][bit:])
    x[0] = Cat(Mux(one, ~first, other), x[0][bit:])
