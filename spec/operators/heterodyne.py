"""``heterodyne``: sum and difference frequencies of two waves."""

from typing import Any

from ..errors import InputError
from ..finite import check_finite
from ..signature import Bound, Call, Operator, Scale, Tensor

__all__ = ["AMPLITUDE_MAX", "GAIN", "OPERATOR", "PHASE_MAX"]

#: Factor of each of the two products.
GAIN = 0.1
#: Largest product of amplitudes, so that results are finite in float32.
AMPLITUDE_MAX = 1e38
#: Largest phase of a carrier in radians, so that float64 holds its fraction of a turn to 1e-6.
PHASE_MAX = float(2**30)


def _largest(array: Any) -> float:
    """Return a bound on the magnitudes of an array's numbers: the sum of their parts' largest magnitudes."""
    parts = (array.real, array.imag) if array.dtype.kind == "c" else (array,)
    return sum(max(abs(float(part.min())), abs(float(part.max()))) for part in parts)


def _check(call: Call) -> None:
    given = call.arguments
    if 0 in given["a"].shape:
        return
    for name in ("a", "b", "wa", "wb", "t"):
        check_finite(name, given[name])
    amplitude = _largest(given["a"]) * _largest(given["b"])
    if amplitude > AMPLITUDE_MAX:
        raise InputError(f"the largest |a| times the largest |b| must be at most {AMPLITUDE_MAX:g}, not {amplitude:g}")
    phase = (_largest(given["wa"]) + _largest(given["wb"])) * _largest(given["t"])
    if not phase <= PHASE_MAX:
        raise InputError(f"the largest (|wa| + |wb|) |t| must be at most {PHASE_MAX:.0f} radians, not {phase:g}")


def _amplitude(call: Any, _: Any) -> Any:
    # abs() of complex64 is rounded like a backend's, which does not matter for a bound.
    product = abs(call.arguments["a"]) * abs(call.arguments["b"])
    return 0.2 * product.clip(1, None)


#: 0.1 |a| |b| (exp(i ((wa + wb) t + pa + pb)) + exp(i (|wa - wb| t + pa - pb))), with pa and pb the phases of a and b:
#: 0.1 (a b exp(i (wa + wb) t) + a conj(b) exp(i |wa - wb| t)). Each row has a time, and each column a pair of angular
#: frequencies.
OPERATOR = Operator(
    name="heterodyne",
    summary="Mix two waves: the sum and the difference of their frequencies.",
    arguments=(
        Tensor("a", ("N", "D"), ("complex64",), doc="amplitude and phase of one wave, finite"),
        Tensor("b", ("N", "D"), ("complex64",), doc="amplitude and phase of the other wave, finite"),
        Tensor("wa", ("D",), ("float64",), doc="angular frequency of a, in radians per second"),
        Tensor("wb", ("D",), ("float64",), doc="angular frequency of b, in radians per second"),
        Tensor("t", ("N",), ("float64",), doc="time of each row, in seconds"),
    ),
    results=(
        Tensor(
            "mixed",
            ("N", "D"),
            ("complex64",),
            tolerance=Bound(
                "absolute",
                1e-5,
                "backends compute sines of large phases with different last bits",
                Scale("0.2 max(1, abs(a) abs(b))", _amplitude),
            ),
            doc="mixed wave",
        ),
    ),
    rows="N",
    family="wave",
    check=_check,
)
