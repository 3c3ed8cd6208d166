"""Numbers and refusals of the wave family."""

from __future__ import annotations

from decimal import Decimal, localcontext
from typing import Any

import numpy as np
import pytest

from ninefold.spec.errors import InputError
from ninefold.spec.operators import OPERATORS
from ninefold.spec.waves import HARMONIC_THRESHOLDS

INF = np.array([1, np.inf], np.float32)
REAL = np.ones((1, 2), np.float32)
WAVES = {"a": REAL[:, :1] * np.complex64(1), "b": REAL[:, :1] * np.complex64(1), "t": np.ones(1)}
WAVES |= {"wa": np.ones(1), "wb": np.ones(1)}
MODEL = {name: np.ones((1, 1), np.float32) for name in "ABC"} | {"x": np.ones((1, 3, 1), np.float32)}
ENTRY = {
    "age": np.zeros(1),
    **{name: np.zeros(1, np.float32) for name in ("resonance", "stability", "density")},
    "uses": np.zeros(1, np.int64),
    "anchored": np.zeros(1, bool),
}
SEEN = {name: np.ones((1, 1), np.complex64) for name in "qkv"} | {"trace": np.zeros(1, np.float32)}
NO_KEYS = "N must be 1 to 2147483647, not 0"


def test_harmonic_thresholds_are_the_nearest_numbers() -> None:
    with localcontext() as context:
        context.prec = 60
        assert list(HARMONIC_THRESHOLDS) == [float(((Decimal(n) / 2).exp() - 1) ** 2) for n in range(1, 5)]


@pytest.mark.parametrize(
    ("operator", "arguments", "options", "said"),
    [
        ("hilbert", {"coords": np.array([[8, 0]])}, {"bits": 3}, "coords must be below 8, as bits is 3, not 8"),
        ("hilbert", {"coords": np.array([[-1, 0]])}, {"bits": 3}, "coords must be at least 0, not -1"),
        ("hilbert", {"coords": np.zeros((1, 9), int)}, {"bits": 8}, r"D \* bits must be 1 to 64, not 72"),
        ("hilbert", {"coords": np.zeros((1, 0), int)}, {"bits": 8}, r"D \* bits must be 1 to 64, not 0"),
        ("hilbert", {"coords": np.zeros((1, 2))}, {"bits": 8}, "coords must have dtype uint64 or uint32 or int64, not"),
        (
            "hilbert_inverse",
            {"index": np.array([64])},
            {"dimensions": 2, "bits": 3},
            r"index must be below 64, as dimensions \* bits is 6, not 64",
        ),
        (
            "hilbert_inverse",
            {"index": np.array([0])},
            {"dimensions": 9, "bits": 8},
            r"dimensions \* bits must be 1 to 64, not 72",
        ),
        ("phase_hash", {"psi": np.full((1, 9), complex(0, np.nan), np.complex64)}, {}, "psi must not contain NaN"),
        ("phase_hash", {"psi": np.zeros((1, 8), np.complex64)}, {}, "psi must have 9 = 9, not 8"),
        ("superpose", {"a": INF, "b": INF[:1]}, {}, r"b must have D = 2, not 1"),
        ("superpose", {"a": INF, "b": INF[None]}, {}, r"b must have the shape of a, \(2,\), not \(1, 2\)"),
        ("superpose", {"a": INF, "b": INF * np.nan}, {}, "b must not contain NaN"),
        ("superpose", {"a": INF, "b": -INF}, {}, "a \\+ b must be a number, not the sum of opposite infinities at el"),
        ("overlap", {"a": REAL, "b": INF[None]}, {}, "b must be finite, not inf"),
        (
            "overlap",
            {"a": np.full((1, 2), complex(0, -np.inf), np.complex64), "b": REAL},
            {},
            "a must be finite, not -inf",
        ),
        ("overlap", {"a": REAL * np.nan, "b": REAL}, {}, "a must not contain NaN"),
        ("overlap", {"a": REAL, "b": REAL[:, :1]}, {}, r"b must have D = 2, not 1 \(shape \(1, 1\)\)"),
        ("overlap", {"a": REAL[:, :0], "b": REAL[:, :0]}, {}, "D must be 1 to 65536, not 0"),
        ("overlap", {"a": REAL.astype(float), "b": REAL}, {}, "a must have dtype complex64 or float32, not float64"),
        ("resonance", {"a": REAL, "b": INF[None]}, {}, "b must be finite, not inf"),
        ("resonance", {"a": REAL, "b": np.zeros((1, 3), np.complex64)}, {}, "b must have D = 2, not 3"),
        ("resonance", {"a": REAL[0], "b": REAL}, {}, r"a must have shape \(Q, D\), not \(2,\)"),
        ("harmonic_signature", {"psi": np.zeros((1, 8), np.complex64)}, {}, "psi must have 9 = 9, not 8"),
        ("harmonic_signature", {"psi": np.full((1, 9), np.nan, np.complex64)}, {}, "psi must not contain NaN"),
        ("harmonic_signature", {"psi": np.zeros((1, 9))}, {}, "psi must have dtype complex64, not float64"),
        ("heterodyne", {**WAVES, "t": np.array([np.inf])}, {}, "t must be finite, not inf"),
        ("heterodyne", {**WAVES, "wa": np.array([np.nan])}, {}, "wa must not contain NaN"),
        (
            "heterodyne",
            {**WAVES, "a": np.full((1, 1), complex(-np.inf, 0), np.complex64)},
            {},
            "a must be finite, not -inf",
        ),
        ("heterodyne", {**WAVES, "wb": np.ones(2)}, {}, "wb must have D = 1, not 2"),
        (
            "heterodyne",
            {**WAVES, "a": WAVES["a"] * np.float32(1e20), "b": WAVES["b"] * np.float32(1e20)},
            {},
            r"the largest \|a\| times the largest \|b\| must be at most 1e\+38, not 1e\+40",
        ),
        (
            "heterodyne",
            {**WAVES, "t": np.array([2.0**30])},
            {},
            r"the largest \(\|wa\| \+ \|wb\|\) \|t\| must be at most 1073741824 radians, not 2.14748e\+09",
        ),
        ("ssm_scan", {**MODEL, "A": np.zeros((1, 2), np.float32)}, {}, r"A must have S = 1, not 2 \(shape \(1, 2\)\)"),
        ("ssm_scan", {**MODEL, "C": np.full((1, 1), np.inf, np.float32)}, {}, "C must be finite, not inf"),
        ("ssm_scan", {**MODEL, "h0": np.full((1, 1), np.nan, np.float32)}, {}, "h0 must not contain NaN"),
        ("ssm_scan", {**MODEL, "h0": np.zeros((2, 1), np.float32)}, {}, "h0 must have N = 1, not 2"),
        ("ssm_scan", {**MODEL, "C": np.zeros((0, 1), np.float32)}, {}, "P must be 1 to 4096, not 0"),
        ("ssm_scan", {**MODEL, "x": np.zeros((1, 3, 1))}, {}, "x must have dtype complex64 or float32, not float64"),
        (
            "wave_attention",
            {**SEEN, "k": SEEN["k"][:0], "v": SEEN["k"][:0], "trace": ENTRY["density"][:0]},
            {},
            NO_KEYS,
        ),
        ("wave_attention", {**SEEN, "tq": np.zeros(1)}, {}, "tq and tk must be given together, not tq alone"),
        ("wave_attention", {**SEEN, "tk": np.zeros(1)}, {}, "tq and tk must be given together, not tk alone"),
        ("wave_attention", {**SEEN, "tk": np.full(1, 2e6)}, {}, "tk must be -1000000 to 1000000, not 2000000.0"),
        ("wave_attention", {**SEEN, "trace": ENTRY["density"] + 10}, {}, "trace must be 0 to 9, not 10.0"),
        ("wave_attention", {**SEEN, "v": np.full((1, 1), np.inf, np.complex64)}, {}, "v must be finite, not inf"),
        ("eviction_score", {**ENTRY, "age": np.array([np.inf])}, {}, "age must be 0 to 1000000000000000, not inf"),
        ("eviction_score", {**ENTRY, "age": np.array([-1.0])}, {}, "age must be 0 to 1000000000000000, not -1.0"),
        ("eviction_score", {**ENTRY, "age": np.array([np.nan])}, {}, "age must not contain NaN"),
        ("eviction_score", {**ENTRY, "resonance": ENTRY["resonance"] + 2}, {}, "resonance must be 0 to 1, not 2.0"),
        ("eviction_score", {**ENTRY, "uses": np.array([-1])}, {}, "uses must be 0 to 9007199254740992, not -1"),
        ("eviction_score", {**ENTRY, "stability": ENTRY["stability"] - 1}, {}, "stability must be 0 to 1, not -1.0"),
        ("eviction_score", {**ENTRY, "density": ENTRY["density"] + np.nan}, {}, "density must not contain NaN"),
        ("eviction_score", {**ENTRY, "anchored": np.array([2], np.uint8)}, {}, "anchored must be 0 to 1, not 2"),
        ("eviction_score", {**ENTRY, "uses": np.array([1, 2])}, {}, "uses must have N = 1, not 2"),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value")
def test_refusals(operator: str, arguments: dict[str, Any], options: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=f"^{said}"):
        OPERATORS[operator].bind(arguments, options)


def test_the_largest_coordinate_and_index_are_taken() -> None:
    most = np.array([2**64 - 1], np.uint64)
    OPERATORS["hilbert"].bind({"coords": most[:, None]}, {"bits": 64})
    OPERATORS["hilbert_inverse"].bind({"index": most}, {"dimensions": 64, "bits": 1})


def test_imaginary_infinities_have_sums() -> None:
    z = np.zeros(2, np.complex64)
    z.imag = np.inf
    OPERATORS["superpose"].bind({"a": z, "b": z.conj()})
