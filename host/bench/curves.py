"""Indices along Hilbert curves beside ``numpy-hilbert-curve`` and ``hilbertcurve``, part of the suite ``waves``."""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ninefold.spec.benchmark import Figure, Parameter, Request, Size
from ninefold.spec.errors import DeviceError
from ninefold.spec.operators import OPERATORS
from ninefold.spec.protocols import Device

from .devices import opened
from .timing import interleaved

__all__ = ["curve_figures"]

_Array = npt.NDArray[Any]
_Run = Callable[[], _Array]
#: Points, and rounds.
_PLANS: Final[Mapping[Size, tuple[int, int]]] = {"tiny": (200, 3), "small": (20_000, 9), "large": (200_000, 5)}
#: Dimensions and bits of a coordinate.
_SHAPES: Final = ((3, 21), (9, 7))
_SEED, _BUDGET_S = 9, 15.0
#: Peers by the name of the package on PyPI and of its module. Both use Skilling's transform, as ours does.
_PACKAGES: Final = {"numpy-hilbert-curve": "hilbert", "hilbertcurve": "hilbertcurve"}
_TARGET: Final = "<= 0.02"


def curve_figures(request: Request) -> list[Figure]:
    """Measure ``hilbert`` and ``hilbert_inverse`` on each device beside the packages that are installed."""
    number, rounds = _PLANS[request.size]
    peers = [name for name, module in _PACKAGES.items() if importlib.util.find_spec(module) is not None]
    for name in _PACKAGES.keys() - set(peers):
        request.note(f"waves: {name} is skipped: it is not installed; pip install {name}")
    figures = []
    with opened(request, ("cpu", "opencl")) as devices:
        for dimensions, bits in _SHAPES:
            coords = np.random.default_rng(_SEED).integers(0, 1 << bits, (number, dimensions), np.uint64)
            index = _index(next(iter(devices.values())), coords, bits)()
            cases: dict[str, tuple[_Array, Callable[[Device], _Run], Mapping[str, Callable[[], _Run]]]] = {
                "hilbert": (index, functools.partial(_index, coords=coords, bits=bits), _encoders(coords, bits)),
                "hilbert_inverse": (
                    coords,
                    functools.partial(_coords, index=index, dimensions=dimensions, bits=bits),
                    _decoders(index, dimensions, bits),
                ),
            }
            for case, (wanted, ours, theirs) in cases.items():
                contenders = {name: ours(device) for name, device in devices.items()}
                contenders |= {name: theirs[name]() for name in peers}
                for name, run in contenders.items():
                    # The packages number the points of a curve differently only where one is wrong.
                    if (run() != wanted).any():
                        raise DeviceError(
                            f"{name} differs from {next(iter(devices))} in {case} of {dimensions} x {bits}"
                        )
                times = interleaved(contenders, rounds, _BUDGET_S)
                parameters: dict[str, Parameter] = {"points": number, "dimensions": dimensions, "bits": bits}
                for name in devices:
                    for peer in peers:
                        quantity = "time" if peer == peers[0] else f"time beside {peer}"
                        target = _TARGET if name == "cpu" and request.size != "tiny" else ""
                        task = f"{case} of {number:,} points of {dimensions} x {bits} bits"
                        figures.append(
                            times.figure(
                                case, name, parameters, quantity=quantity, beside=peer, target=target, task=task
                            )
                        )
                figures += [times.figure(case, peer, parameters, better="") for peer in peers]
    return figures


def _index(device: Device, coords: _Array, bits: int) -> _Run:
    call = OPERATORS["hilbert"].bind({"coords": coords}, {"bits": bits})
    return lambda: device.run(call).values["index"]


def _coords(device: Device, index: _Array, dimensions: int, bits: int) -> _Run:
    call = OPERATORS["hilbert_inverse"].bind({"index": index}, {"dimensions": dimensions, "bits": bits})
    return lambda: device.run(call).values["coords"]


def _encoders(coords: _Array, bits: int) -> Mapping[str, Callable[[], _Run]]:
    dimensions = coords.shape[1]

    def vectorised() -> _Run:
        import hilbert

        return lambda: hilbert.encode(coords, dimensions, bits)

    def by_point() -> _Run:
        from hilbertcurve.hilbertcurve import HilbertCurve

        curve, points = HilbertCurve(bits, dimensions), coords.tolist()
        return lambda: np.array(curve.distances_from_points(points), np.uint64)

    return dict(zip(_PACKAGES, (vectorised, by_point), strict=True))


def _decoders(index: _Array, dimensions: int, bits: int) -> Mapping[str, Callable[[], _Run]]:
    def vectorised() -> _Run:
        import hilbert

        return lambda: hilbert.decode(index, dimensions, bits)

    def by_point() -> _Run:
        from hilbertcurve.hilbertcurve import HilbertCurve

        curve, distances = HilbertCurve(bits, dimensions), index.tolist()
        return lambda: np.array(curve.points_from_distances(distances), np.uint64)

    return dict(zip(_PACKAGES, (vectorised, by_point), strict=True))
