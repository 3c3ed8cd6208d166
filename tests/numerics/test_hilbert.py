"""The Hilbert curve of every size: each index once, neighbours adjacent, the way back, and published values."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from ninefold.host.backends.cpu import Cpu
from ninefold.numerics import hilbert
from ninefold.sim.golden.hilbert import index_of
from ninefold.sim.golden.hilbert_inverse import point_of
from ninefold.spec.operators import OPERATORS
from ninefold.spec.protocols import Device
from ninefold.spec.waves import INDEX_BITS

Words = npt.NDArray[np.uint64]
#: Both directions: ``encode(points, bits)`` and ``decode(indices, dimensions, bits)``.
Curve = tuple[Callable[[Any, int], Words], Callable[[Any, int, int], Words]]

#: Bits of the largest curves that are walked in full: in each run, and with ``-m slow``.
FULL, DEEP = 12, 20


def sizes(most: int) -> list[tuple[int, int]]:
    return [(d, most // d) for d in range(1, most + 1)]


def on(device: Device) -> Curve:
    def encode(coords: Any, bits: int) -> Words:
        found: Words = device.run(OPERATORS["hilbert"].bind({"coords": coords}, {"bits": bits})).values["index"]
        return found

    def decode(index: Any, dimensions: int, bits: int) -> Words:
        call = OPERATORS["hilbert_inverse"].bind({"index": index}, {"dimensions": dimensions, "bits": bits})
        found: Words = device.run(call).values["coords"]
        return found

    return encode, decode


@pytest.fixture(scope="module", params=["numpy", "portable"])
def curve(request: pytest.FixtureRequest) -> Iterator[Curve]:
    device = Cpu(path=request.param, threads=2).open()
    yield on(device)
    device.close()


def walk(curve: Curve, dimensions: int, bits: int) -> None:
    """Every index once, each beside the one before it, and back."""
    encode, decode = curve
    index = np.arange(1 << dimensions * bits, dtype=np.uint64)
    points = decode(index, dimensions, bits)
    assert points.shape == (len(index), dimensions)
    assert (points < 1 << bits).all()
    steps = np.abs(np.diff(points.astype(np.int64), axis=0))
    assert (steps.sum(axis=1) == 1).all(), (dimensions, bits)
    np.testing.assert_array_equal(encode(points, bits), index)


# A smaller curve of the same dimensions is the beginning of a larger one up to the order of its axes.
@pytest.mark.parametrize(("dimensions", "bits"), [(d, b) for d, most in sizes(FULL) for b in range(1, most + 1)])
def test_every_small_curve(curve: Curve, dimensions: int, bits: int) -> None:
    walk(curve, dimensions, bits)


@pytest.mark.slow
@pytest.mark.parametrize(("dimensions", "bits"), [(d, b) for d, most in sizes(DEEP) for b in range(1, most + 1)])
def test_every_large_curve(curve: Curve, dimensions: int, bits: int) -> None:
    walk(curve, dimensions, bits)


@pytest.mark.parametrize("dimensions", range(1, INDEX_BITS + 1))
def test_the_largest_indices_of_each_number_of_dimensions(curve: Curve, dimensions: int) -> None:
    bits = INDEX_BITS // dimensions
    rng = np.random.default_rng(dimensions)
    coords = rng.integers(0, (1 << bits) - 1, (67, dimensions), np.uint64, endpoint=True)
    coords[0], coords[1] = 0, (1 << bits) - 1
    index = np.array([index_of(point, bits) for point in coords.tolist()], np.uint64)
    np.testing.assert_array_equal(curve[0](coords, bits), index)
    np.testing.assert_array_equal(curve[1](index, dimensions, bits), coords)


def test_published_values() -> None:
    # The example of Skilling's paper: three coordinates of five bits.
    assert index_of([5, 10, 20], 5) == 0b001111010111001
    assert point_of(0b001111010111001, 3, 5) == [5, 10, 20]
    # Hilbert's own figure of 1891, of 16 squares, in the direction in which the first step of a 4 x 4 curve is along
    # axis 0.
    walked = [point_of(i, 2, 2) for i in range(16)]
    assert walked[:8] == [[0, 0], [1, 0], [1, 1], [0, 1], [0, 2], [0, 3], [1, 3], [1, 2]]
    assert walked[8:] == [[2, 2], [2, 3], [3, 3], [3, 2], [3, 1], [2, 1], [2, 0], [3, 0]]


def test_numpy_takes_any_integers() -> None:
    points = np.array([[5, 10, 20]], np.int8)
    assert hilbert.encoded(points, 5).tolist() == [7865]
    assert hilbert.decoded(np.array([7865], np.int16), 3, 5).tolist() == [[5, 10, 20]]
