"""Encoder of the Hilbert curve: points to indices."""

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Cat, Module, Value
from amaranth.lib import data

from ninefold.hdl.core import Core
from ninefold.hdl.parts.feed_forward import FeedForward, Step
from ninefold.hdl.parts.hilbert_turns import check_curve, turn_steps, turns

__all__ = ["CORE", "HilbertEncoder"]


class HilbertEncoder(FeedForward):
    """Index of each point along a Hilbert curve, by Skilling's transform.

    Throughput is one point a cycle. Latency is 4 cycles and a cycle for each four, or part of four, of the
    ``(bits - 1) * dimensions`` turns: 18 cycles for 9 coordinates of 7 bits.

    Parameters
    ----------
    dimensions : int
        Coordinates of a point, 1 to 64.
    bits : int
        Bits of a coordinate, 1 to 64; dimensions * bits is at most 64.

    Members
    -------
    input : In(stream.Signature({coords: unsigned(bits)[dimensions]}))
        Points.
    output : Out(stream.Signature({index: dimensions * bits}))
        Index of each point. Bit 0 of all coordinates gives the lowest ``dimensions`` bits, coordinate 0 the highest of
        them.

    Raises
    ------
    InputError
        A parameter outside what is allowed.
    """

    def __init__(self, dimensions: int, bits: int) -> None:
        self.dimensions, self.bits = check_curve(dimensions, bits)
        self._point = data.ArrayLayout(bits, dimensions)
        super().__init__(data.StructLayout({"coords": self._point}), data.StructLayout({"index": dimensions * bits}))

    def steps(self) -> Sequence[Step]:
        """Return the turns from the highest bit down, the Gray code, and its parity."""
        steps = [*turn_steps(self._point, turns(self.dimensions, self.bits)), self._coded, self._index]
        return (lambda m, payload: steps[0](m, payload.coords), *steps[1:])

    def _coded(self, _m: Module, point: Any) -> Any:
        """Replace each coordinate by the sum of it and those before it, without carries."""
        x: list[Value] = [point[0]]
        for i in range(1, self.dimensions):
            x.append(x[-1] ^ point[i])
        return data.View(self._point, Cat(x))

    def _index(self, _m: Module, point: Any) -> Any:
        """Invert the bits of all coordinates below which the last one has an odd number of ones, and interleave."""
        last = point[self.dimensions - 1]
        odd = [last[bit + 1 :].xor() if bit + 1 < self.bits else 0 for bit in range(self.bits)]
        return Cat(point[i][bit] ^ odd[bit] for bit in range(self.bits) for i in reversed(range(self.dimensions)))


CORE = Core(
    HilbertEncoder,
    defaults={"dimensions": 9, "bits": 7},
    small={"dimensions": 3, "bits": 4},
    smallest={"dimensions": 2, "bits": 3},
)
