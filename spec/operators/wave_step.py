"""``wave_step``: steps of a complex wave on a periodic lattice of up to nine dimensions."""

from typing import Any

from ..errors import InputError
from ..signature import Bound, Call, Layout, Operator, Option, Resident, Scale, Tensor

__all__ = ["DIMENSIONS_MAX", "OPERATOR", "WAVE"]

#: Largest number of axes of a lattice.
DIMENSIONS_MAX = 9


def _amplitude(call: Any, wanted: Any) -> float:
    """Return the largest |psi| before the call, or |element| after it, times the hundreds of steps if more than one."""
    largest: float = max(float(abs(call.state().arrays["psi"]).max()), float(abs(wanted).max()))
    return largest * max(1.0, int(call.options["steps"]) / 100)


_CLOSE = Bound(
    "absolute",
    1e-4,
    "float32 is rounded in each step, and backends add the neighbours in different orders",
    Scale("the largest abs(psi) a 100 steps", _amplitude),
)


def _complex(name: str, doc: str) -> Tensor:
    # NaN is allowed, because a wave that grows without bound ends in it.
    return Tensor(name, ("...", "X"), ("complex64",), nan=True, tolerance=_CLOSE, doc=doc)


#: The lattice is periodic along each axis, with spacing 1. Neighbours along an extent of 1 are the cell itself.
WAVE = Layout(
    "wave",
    fields=(
        _complex("psi", "displacement"),
        _complex("v", "velocity"),
        _complex("a", "acceleration"),
        Tensor("r", ("...", "X"), ("float32",), 0, 1, doc="memory, which reduces the damping"),
        Tensor("s", ("...", "X"), ("float32",), 0, doc="stiffness, which slows the wave"),
    ),
)


def _check(call: Call) -> None:
    arrays = call.state().arrays
    shape = tuple(arrays["psi"].shape)
    if len(shape) > DIMENSIONS_MAX:
        raise InputError(f"wave.psi must have 1 to {DIMENSIONS_MAX} axes, not {len(shape)}")
    if 0 in shape:
        raise InputError(f"extents of wave.psi must be at least 1, not 0 (shape {shape})")
    given = {f"wave.{name}": array for name, array in arrays.items()}
    if call.arguments["sources"] is not None:
        given["sources"] = call.arguments["sources"]
    for name, array in given.items():
        if tuple(array.shape) != shape:
            raise InputError(f"{name} must have the shape of wave.psi, {shape}, not {tuple(array.shape)}")


#: F = c0^2 / (1 + s)^2 laplacian(psi) + beta |psi|^2 psi + sources, at the new psi; g = alpha (1 - r). A step is
#: psi += v dt + a dt^2 / 2; v_h = v + a dt / 2; v = (v_h + F dt / 2) / (1 + g dt / 2); a = F - g v. It is of second
#: order in dt. Without beta it is stable while dt c0 sqrt(number of axes) < 1.
OPERATOR = Operator(
    name="wave_step",
    summary="Advance a complex wave on a periodic lattice of up to nine dimensions.",
    arguments=(
        Resident("state", "state", WAVE, doc="displacement, velocity, acceleration, memory and stiffness"),
        Tensor("sources", ("...", "X"), ("complex64",), optional=True, doc="constant force on each cell"),
    ),
    options=(
        Option("steps", int, 1, low=1, high=10**6, doc="number of steps"),
        Option("dt", float, 0.1, positive=True, doc="time of a step"),
        Option("c0", float, 1.0, low=0.0, high=1e6, doc="speed of long waves where s is 0, in cells per unit of time"),
        Option("alpha", float, 0.0, low=0.0, high=1e6, doc="damping where r is 0, per unit of time"),
        Option("beta", float, 0.0, low=-1e6, high=1e6, doc="factor of the cubic force"),
    ),
    results=(),
    stateful=True,
    family="wave",
    check=_check,
)
