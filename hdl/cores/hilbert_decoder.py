"""Decoder of the Hilbert curve: indices to points."""

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Cat, Module, Value
from amaranth.lib import data

from ninefold.hdl.core import Core
from ninefold.hdl.parts.feed_forward import FeedForward, Step
from ninefold.hdl.parts.hilbert_turns import check_curve, turn_steps, turns

__all__ = ["CORE", "HilbertDecoder"]


class HilbertDecoder(FeedForward):
    """Point at each index along a Hilbert curve: the inverse of ``HilbertEncoder``.

    Throughput is one index a cycle. Latency is 3 cycles and a cycle for each four, or part of four, of the
    ``(bits - 1) * dimensions`` turns: 17 cycles for 9 coordinates of 7 bits.

    Parameters
    ----------
    dimensions : int
        Coordinates of a point, 1 to 64.
    bits : int
        Bits of a coordinate, 1 to 64; dimensions * bits is at most 64.

    Members
    -------
    input : In(stream.Signature({index: dimensions * bits}))
        Indices.
    output : Out(stream.Signature({coords: unsigned(bits)[dimensions]}))
        Point at each index.

    Raises
    ------
    InputError
        A parameter outside what is allowed.
    """

    def __init__(self, dimensions: int, bits: int) -> None:
        self.dimensions, self.bits = check_curve(dimensions, bits)
        self._point = data.ArrayLayout(bits, dimensions)
        super().__init__(data.StructLayout({"index": dimensions * bits}), data.StructLayout({"coords": self._point}))

    def steps(self) -> Sequence[Step]:
        """Return the step that undoes the Gray code, and the turns from the lowest bit up."""
        return (self._decoded, *turn_steps(self._point, turns(self.dimensions, self.bits)[::-1]))

    def _decoded(self, _m: Module, payload: Any) -> Any:
        """Take the coordinates apart, and subtract from each the one before it, without borrows."""
        index, dimensions = payload.index, self.dimensions
        # Coordinate 0 has the highest bit of each group.
        given = [Cat(index[dimensions - 1 - i :: dimensions]) for i in range(dimensions)]
        x: list[Value] = [given[0] ^ (given[-1] >> 1), *(given[i] ^ given[i - 1] for i in range(1, dimensions))]
        return data.View(self._point, Cat(x))


CORE = Core(
    HilbertDecoder,
    defaults={"dimensions": 9, "bits": 7},
    small={"dimensions": 3, "bits": 4},
    smallest={"dimensions": 2, "bits": 3},
)
