"""``wave_attention`` by OpenVINO: complex numbers as pairs of real matrices."""

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ninefold.host.openvino_runtime import Graph, Target
from ninefold.numerics.attention import bias, rotations
from ninefold.numerics.resonance import unit_vectors
from ninefold.spec.data import Answer
from ninefold.spec.operators.wave_attention import EPSILON
from ninefold.spec.signature import Call

if TYPE_CHECKING:
    from .device import OpenVinoDevice

__all__ = ["RATING", "run"]

RATING = {"gpu": 7, "npu": 5, "cpu": 3}

#: Pairs of a query and a position of one call of the graph.
_PAIRS = 1 << 20
#: Beyond these, a score is taken as 0.
_EXPONENT = 60

Array = npt.NDArray[Any]


def run(device: "OpenVinoDevice", call: Call) -> Answer:
    """Attend to all positions, some queries at a time."""
    device.check_exact()
    q, k, v = (np.asarray(call.arguments[name]) for name in ("q", "k", "v"))
    with device.timed() as metrics:
        turns = [rotations(call.arguments[name], len(x)) for name, x in (("tq", q), ("tk", k))]
        heads, dimensions, target = len(turns[0]), q.shape[1], device.target
        queries = np.concatenate([_numbers(q), _parts(turns[0].T)], axis=1)
        # Keys and values are columns: real and imaginary parts, then the lengths.
        keys = np.ascontiguousarray(_numbers(k).T)
        graph = device.graph(
            ("wave_attention", dimensions, heads, target.size(len(k)), target.size(v.shape[1])),
            lambda: _graph(target, dimensions, heads, target.size(len(k)), target.size(2 * v.shape[1])),
        )
        others = keys, _parts(turns[1].T).T, bias(call), _parts(v)
        attended = np.empty((len(q), v.shape[1]), np.complex64)
        rows = max(1, _PAIRS // (heads * len(k)))
        for first in range(0, len(q), rows):
            found = graph(queries[first : first + rows], *others)[0]
            attended[first : first + rows].real, attended[first : first + rows].imag = np.split(found, 2, axis=1)
    return Answer({"attended": attended}, device.path("graph"), metrics)


def _parts(x: Array) -> npt.NDArray[np.float32]:
    """Return real parts, then imaginary parts, along the last axis."""
    return np.concatenate([x.real, x.imag], axis=-1)


def _numbers(x: Array) -> npt.NDArray[np.float32]:
    """Return unit vectors, and significand and exponent of the lengths, (N, 2 D + 2).

    The ratio of two lengths, and their product, are formed without overflow from these.
    """
    wide = x.astype(np.complex128)
    lengths = np.sqrt((wide.real**2 + wide.imag**2).sum(axis=1))
    significands, exponents = np.frexp(lengths)
    # A zero vector has a length that is far below the others, and no direction.
    significands = np.where(lengths == 0, 0.5, significands)
    exponents = np.where(lengths == 0, -300, exponents)
    return np.concatenate(
        [_parts(unit_vectors(x)), np.stack([significands, exponents], axis=1)], axis=1, dtype=np.float32
    )


def _graph(target: Target, dimensions: int, heads: int, positions: int, values: int) -> Graph:
    op = target.op
    query = op.parameter([target.rows, 2 * dimensions + 2 + 2 * heads], np.float32)
    keys = op.parameter([2 * dimensions + 2, positions], np.float32)
    turns, added = op.parameter([2 * heads, positions], np.float32), op.parameter([positions], np.float32)
    v = op.parameter([positions, values], np.float32)
    sizes = [dimensions, dimensions, 1, 1]
    q_re, q_im, q_length, q_exponent, q_cos, q_sin = _split(op, query, 1, [*sizes, heads, heads])
    k_re, k_im, k_length, k_exponent = _split(op, keys, 0, sizes)
    k_cos, k_sin = _split(op, turns, 0, [heads, heads])

    def product(a: Any, b: Any) -> Any:
        return op.matmul(a, b, False, False)

    def power_of_two(x: Any) -> Any:
        return op.power(op.constant(np.float32(2)), op.clamp(x, -_EXPONENT, _EXPONENT))

    # 2 |q| |k| / (|q|^2 + |k|^2 + epsilon) = 2 / (|q| / |k| + |k| / |q| + epsilon / (|q| |k|)).
    ratio = op.multiply(op.divide(q_length, k_length), power_of_two(op.subtract(q_exponent, k_exponent)))
    small = op.multiply(
        op.divide(op.constant(np.float32(EPSILON)), op.multiply(q_length, k_length)),
        power_of_two(op.negative(op.add(q_exponent, k_exponent))),
    )
    inverse = op.divide(op.constant(np.float32(1)), ratio)
    factor = op.divide(op.constant(np.float32(2)), op.add(op.add(ratio, inverse), small))
    re = op.multiply(factor, op.add(product(q_re, k_re), product(q_im, k_im)))
    im = op.multiply(factor, op.subtract(product(q_im, k_re), product(q_re, k_im)))
    # Heads are the second of three axes: the turn of a query less the turn of a key.
    last, first = op.constant(np.int64(2)), op.constant(np.int64(1))
    q_cos, q_sin = op.unsqueeze(q_cos, last), op.unsqueeze(q_sin, last)
    cosine = op.add(op.multiply(q_cos, k_cos), op.multiply(q_sin, k_sin))
    sine = op.subtract(op.multiply(q_sin, k_cos), op.multiply(q_cos, k_sin))
    score = op.subtract(op.multiply(op.unsqueeze(re, first), cosine), op.multiply(op.unsqueeze(im, first), sine))
    weights = op.reduce_mean(op.softmax(op.add(score, added), 2), first, False)
    return target.compile([query, keys, turns, added, v], [product(weights, v).output(0)])


def _split(op: Any, node: Any, axis: int, sizes: list[int]) -> list[Any]:
    return list(op.variadic_split(node, op.constant(np.int64(axis)), op.constant(np.array(sizes, np.int64))).outputs())
