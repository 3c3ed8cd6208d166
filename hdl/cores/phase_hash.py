"""Hash of points by the quadrants of their phases."""

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Cat, Module, Value
from amaranth.lib import data

from ninefold.hdl.checks import check_integer
from ninefold.hdl.core import Core
from ninefold.hdl.parts.feed_forward import FeedForward, Step

__all__ = ["CORE", "PhaseHash"]

#: Bits of a part that one LUT tests.
_TESTED = 4
_FLAGS = data.StructLayout({"negative": 1, "nonzero": 1})


class PhaseHash(FeedForward):
    """Quadrant of each complex number of a point, decided by signs and zeros.

    A quadrant begins on its first axis and ends before the next; the quadrant of the number 0 is 0. The sign of a zero
    of floating point does not count, and a number that is NaN counts by its sign.

    Throughput is one point a cycle, latency 5 cycles.

    Parameters
    ----------
    dimensions : int
        Complex numbers of a point, 1 to 32.
    width : int
        Bits of a real or imaginary part, 2 to 64.
    floating : bool
        Parts are sign and magnitude, as in IEEE 754, and not two's complement.

    Members
    -------
    input : In(stream.Signature({psi: {re: width, im: width}[dimensions]}))
        Points.
    output : Out(stream.Signature({hash: 2 * dimensions}))
        Two bits a number, number 0 lowest.

    Raises
    ------
    InputError
        A parameter outside what is allowed.
    """

    def __init__(self, dimensions: int, width: int, *, floating: bool = True) -> None:
        self.dimensions = check_integer("dimensions", dimensions, 1, 32)
        self.width = check_integer("width", width, 2, 64)
        self.floating = floating
        number = data.StructLayout({"re": width, "im": width})
        super().__init__(
            data.StructLayout({"psi": data.ArrayLayout(number, dimensions)}),
            data.StructLayout({"hash": 2 * dimensions}),
        )

    def steps(self) -> Sequence[Step]:
        """Return the tests of a few bits, the tests of parts, and the quadrants."""
        return (self._tested, self._signed, self._hashed)

    def _tested(self, _m: Module, payload: Any) -> Any:
        """Test each part for ones in groups of bits."""
        counted = self.width - self.floating
        places = range(0, counted, _TESTED)
        flags = data.StructLayout({"sign": 1, "ones": len(places)})
        parts = [part for i in range(self.dimensions) for part in (payload.psi[i].re, payload.psi[i].im)]
        tested = (Cat(part[-1], *(part[:counted][at : at + _TESTED].any() for at in places)) for part in parts)
        return data.View(data.ArrayLayout(flags, len(parts)), Cat(tested))

    def _signed(self, _m: Module, parts: Any) -> Any:
        """Tell which parts are below 0, and which are not 0."""
        flags = (Cat(parts[i].sign & parts[i].ones.any(), parts[i].ones.any()) for i in range(2 * self.dimensions))
        return data.View(data.ArrayLayout(_FLAGS, 2 * self.dimensions), Cat(flags))

    def _hashed(self, _m: Module, parts: Any) -> Any:
        return Cat(_quadrant(parts[2 * i], parts[2 * i + 1]) for i in range(self.dimensions))


def _quadrant(re: Any, im: Any) -> Value:
    above = im.nonzero & ~im.negative
    left, right = re.negative, re.nonzero & ~re.negative
    return Cat((~left & im.negative) | (~right & above), (~left & im.negative) | (left & ~above))


CORE = Core(
    PhaseHash,
    defaults={"dimensions": 9, "width": 32, "floating": True},
    small={"dimensions": 2},
    smallest={"dimensions": 2, "width": 6, "floating": True},
)
