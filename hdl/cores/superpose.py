"""Floating-point adder, and the quantiser with mode ``linear`` after it."""

from collections.abc import Sequence
from fractions import Fraction
from math import frexp
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data

from ninefold.hdl.checks import check_integer
from ninefold.hdl.core import Core
from ninefold.hdl.parts.feed_forward import FeedForward, Step
from ninefold.spec.formats import GRID_FRACTION_BITS, NIT_BITS, THRESHOLDS

__all__ = ["CORE", "Superpose", "least_magnitude"]

#: Bits below the fraction of the larger number: guard, round and sticky.
_EXTRA = 3
#: Fields that all steps between unpacking and rounding pass on.
_CARRIED = ("sign", "differ", "exponent", "infinite", "invalid")
#: Grid values at which nits begin. All are odd, so a number halfway below one rounds to even, and does not reach it.
_REACHED = THRESHOLDS["linear"].reached_at


def least_magnitude(reached: int, exponent: int, fraction: int) -> int:
    """Return the bits of the least magnitude whose grid value is above an even one; infinity if no number is so large.

    Parameters
    ----------
    reached : int
        Odd grid value, from 1 on.
    exponent, fraction : int
        Bits of exponent and fraction of the floating-point format.
    """
    limit, bias = Fraction(2 * reached - 1, 2 << GRID_FRACTION_BITS), (1 << exponent - 1) - 1
    field = max(frexp(limit)[1] - 1 + bias, 1)
    above = limit // Fraction(2) ** (field - bias - fraction) + 1
    return min(int(above) + (field - 1 << fraction), (1 << exponent) - 1 << fraction)


class Superpose(FeedForward):
    """Sum of two floating-point numbers, rounded to the nearest (ties to even), and its nit.

    Numbers are binary formats of IEEE 754, with subnormal numbers and infinities. The nit is the nearest of -4 to 4 on
    the grid of 1/4096, ties toward zero. A NaN or the sum of opposite infinities gives a quiet NaN and the nit 0.

    Throughput is one element a cycle, latency 12 cycles.

    Parameters
    ----------
    exponent : int
        Bits of the exponent, 3 to 11.
    fraction : int
        Bits of the fraction, 2 to 52.

    Members
    -------
    input : In(stream.Signature({a: 1 + exponent + fraction, b: 1 + exponent + fraction}))
        Pairs of numbers.
    output : Out(stream.Signature({sum: 1 + exponent + fraction, nit: signed(4)}))
        Sum and nit of each pair.

    Raises
    ------
    InputError
        A parameter outside what is allowed.
    """

    def __init__(self, exponent: int, fraction: int) -> None:
        self.exponent = check_integer("exponent", exponent, 3, 11)
        self.fraction = check_integer("fraction", fraction, 2, 52)
        width = 1 + exponent + fraction
        super().__init__(
            data.StructLayout({"a": width, "b": width}),
            data.StructLayout({"sum": width, "nit": signed(NIT_BITS)}),
        )

    def steps(self) -> Sequence[Step]:
        """Return the steps of the sum: order, align, add, normalise and round; and of its nit."""
        return (
            self._ordered,
            self._unpacked,
            self._far_moved,
            self._moved,
            self._added,
            self._measured,
            self._normalised,
            self._rounded,
            self._compared,
            self._quantised,
        )

    def _ordered(self, m: Module, payload: Any) -> Any:
        """Put the number of the larger magnitude first."""
        a, b, swaps = payload.a, payload.b, Signal()
        m.d.comb += swaps.eq(a[:-1] < b[:-1])
        return _struct(large=Mux(swaps, b, a), small=Mux(swaps, a, b))

    def _unpacked(self, _m: Module, given: Any) -> Any:
        """Take the numbers apart. Subnormal numbers have the exponent of the smallest normal ones."""
        fields = data.StructLayout({"fraction": self.fraction, "exponent": self.exponent, "sign": 1})
        large, small = data.View(fields, given.large), data.View(fields, given.small)
        power, other = (Cat(one.exponent[0] | ~one.exponent.any(), one.exponent[1:]) for one in (large, small))
        differ, infinite = large.sign ^ small.sign, large.exponent.all()
        return _struct(
            sign=large.sign,
            differ=differ,
            exponent=power,
            infinite=infinite,
            invalid=infinite & (large.fraction.any() | (differ & small.exponent.all())),
            large=Cat(large.fraction, large.exponent.any()),
            small=Cat(Const(0, _EXTRA), small.fraction, small.exponent.any()),
            distance=(power - other)[: self.exponent],
        )

    def _far_moved(self, _m: Module, given: Any) -> Any:
        """Move the smaller number down by the high bits of the distance."""
        small, distance = given.small, given.distance
        places = min(len(distance), (len(small) - 1).bit_length())
        moved = Mux(distance[places:].any(), small.any(), _down(small, distance, range(places // 2, places)))
        return _struct(**_carried(given), large=given.large, small=moved, distance=distance[: places // 2])

    def _moved(self, _m: Module, given: Any) -> Any:
        """Move it down by the low bits of the distance."""
        distance = given.distance
        return _struct(**_carried(given), large=given.large, small=_down(given.small, distance, range(len(distance))))

    def _added(self, _m: Module, given: Any) -> Any:
        """Add or subtract the smaller number; the lowest bit of both terms gives the carry of a subtraction."""
        differ, width = given.differ, len(given.small) + 1
        large = given.large << _EXTRA
        small = Cat(given.small, Const(0, 1)) ^ differ.replicate(width)
        total = (Cat(differ, large) + Cat(differ, small))[1 : width + 1]
        return _struct(**_carried(given), total=total)

    def _measured(self, m: Module, given: Any) -> Any:
        """Find the distance to the highest one, but no more than the exponent allows."""
        zeros, exponent = _leading_zeros(given.total), given.exponent
        fewer = Signal()
        m.d.comb += fewer.eq(zeros < exponent)
        return _struct(**_carried(given), total=given.total, shift=Mux(fewer, zeros, exponent)[: len(zeros)])

    def _normalised(self, m: Module, given: Any) -> Any:
        """Move the sum up, and tell whether it is rounded up."""
        total = Signal(len(given.total))
        m.d.comb += total.eq(given.total << given.shift)
        rest, guard, fraction, normal = total[:_EXTRA], total[_EXTRA], total[_EXTRA + 1 : -1], total[-1]
        power = (given.exponent + 1 - given.shift)[: self.exponent] & normal.replicate(self.exponent)
        return _struct(
            sign=given.sign & ~(given.differ & ~total.any()),
            infinite=given.infinite | power.all(),
            invalid=given.invalid,
            magnitude=Cat(fraction, power),
            up=guard & (rest.any() | fraction[0]),
        )

    def _rounded(self, _m: Module, given: Any) -> Any:
        """Round, with a carry into the exponent, and replace what has no finite sum."""
        magnitude = (given.magnitude + given.up)[: len(given.magnitude)]
        special = Cat(Const(0, self.fraction - 1), given.invalid, Const(-1, self.exponent))
        magnitude = Mux(given.infinite, special, magnitude)
        return _struct(sum=Cat(magnitude, given.sign & ~given.invalid), invalid=given.invalid)

    def _compared(self, m: Module, given: Any) -> Any:
        """Compare the magnitude with the least one of each nit."""
        reached = Signal(len(_REACHED))
        for n, grid in enumerate(_REACHED):
            m.d.comb += reached[n].eq(given.sum[:-1] >= least_magnitude(grid, self.exponent, self.fraction))
        return _struct(sum=given.sum, reached=reached & ~given.invalid.replicate(len(_REACHED)))

    def _quantised(self, m: Module, given: Any) -> Any:
        """Count the nits reached."""
        count = sum(given.reached)
        out = Signal(self.output.payload.shape(), name="quantised")
        m.d.comb += [out.sum.eq(given.sum), out.nit.eq(Mux(given.sum[-1], -count, count))]
        return out


def _struct(**fields: Any) -> Any:
    """Return values as one, by name."""
    return data.View(data.StructLayout({name: len(value) for name, value in fields.items()}), Cat(*fields.values()))


def _carried(given: Any) -> dict[str, Value]:
    return {name: given[name] for name in _CARRIED}


def _down(value: Value, distance: Value, places: range) -> Value:
    """Return a value moved down by some bits of a distance; its lowest bit tells whether ones were moved out."""
    for place in places:
        moved = Cat(value[: (1 << place) + 1].any(), value[(1 << place) + 1 :])
        value = Mux(distance[place], moved, value)
    return value


def _leading_zeros(value: Value) -> Value:
    """Return the number of zeros above the highest one of a value that is not 0."""
    width = 1 << (len(value) - 1).bit_length()
    value = Cat(Const(0, width - len(value)), value)
    if width == 2:
        return ~value[1]
    high, low = value[width // 2 :], value[: width // 2]
    empty = ~high.any()
    return Cat(Mux(empty, _leading_zeros(low), _leading_zeros(high)), empty)


CORE = Core(
    Superpose,
    defaults={"exponent": 8, "fraction": 23},
    small={"exponent": 5, "fraction": 10},
    smallest={"exponent": 3, "fraction": 2},
)
