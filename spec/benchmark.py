"""Requests and figures of benchmarks, which are found in the entry-point group ``ninefold.benchmarks``."""

from __future__ import annotations

import operator
import re
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from .errors import InputError

__all__ = ["BENCHMARKS", "SIZES", "Benchmark", "Better", "Figure", "Kind", "Parameter", "Request", "Size", "summary"]

#: Each entry is a `Benchmark`.
BENCHMARKS: Final = "ninefold.benchmarks"

Size = Literal["tiny", "small", "large"]
#: ``tiny`` checks in seconds that a suite works; ``small`` takes minutes; ``large`` has the largest databases.
SIZES: Final[tuple[Size, ...]] = ("tiny", "small", "large")

Kind = Literal["timed", "exact", "projected"]
Better = Literal["less", "more", ""]
Parameter = int | float | str

_TARGET = re.compile(r"(<=|>=|<|>|=) (\d+(?:\.\d+)?)")
_COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
    "=": operator.eq,
}


def summary(values: Sequence[float]) -> tuple[float, float]:
    """Return the median of measured values and their spread, the distance between the first and third quartile.

    Quartiles are interpolated between the values (``statistics.quantiles``, inclusive). One value has no spread.

    Raises
    ------
    InputError
        `values` is empty.
    """
    if not values:
        raise InputError("a summary needs at least one value, not 0")
    if len(values) == 1:
        return values[0], 0.0
    first, middle, third = statistics.quantiles(values, n=4, method="inclusive")
    return middle, third - first


@dataclass(frozen=True)
class Figure:
    """One figure of a benchmark.

    Attributes
    ----------
    case : str
        Work that was measured, e.g. ``"search"``.
    subject : str
        Device, peer or core that did the work.
    quantity : str
        Quantity that was measured, e.g. ``"time"``.
    value : float
        Median of the measured values, or an exact count.
    unit : str
        Unit of the value; empty for a share.
    parameters : mapping of str to int, float or str
        Sizes and data.
    spread : float
        Distance between the quartiles of the measured values; 0 for an exact figure.
    repetitions : int
        Number of values behind the median; 1 for an exact figure.
    kind : str
        ``"timed"``; ``"exact"`` for a figure that every run must repeat, such as cycles, cells and recall;
        ``"projected"`` for a figure that was computed and not measured.
    better : str
        ``"less"`` or ``"more"``; empty for a figure that is not judged, such as the time of a peer.
    beside : str
        Peer that took turns with the subject; empty without one.
    ratio : float or None
        Median of the subject divided by the median of the peer.
    ratio_spread : float
        Distance between the quartiles of the ratios of each turn.
    target : str
        Comparison that the ratio must satisfy, or the value where there is no ratio, e.g. ``"<= 0.75"``; empty without
        a target.
    detail : str
        Further explanation.
    task : str
        Name of the task in the table beside the best peers, e.g. ``"top-k of 4 x 262,144"``; empty for a figure that is
        not in that table.

    Raises
    ------
    InputError
        The target is not a comparison with a number, or the figure has a ratio or a task without a peer.
    """

    case: str
    subject: str
    quantity: str
    value: float
    unit: str
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    spread: float = 0.0
    repetitions: int = 1
    kind: Kind = "timed"
    better: Better = ""
    beside: str = ""
    ratio: float | None = None
    ratio_spread: float = 0.0
    target: str = ""
    detail: str = ""
    task: str = ""

    def __post_init__(self) -> None:
        if self.target and not _TARGET.fullmatch(self.target):
            raise InputError(f"target must be a comparison with a number, such as '<= 0.75', not {self.target!r}")
        if (self.ratio is None) == bool(self.beside):
            raise InputError(f"ratio and beside come together, not {self.ratio!r} beside {self.beside!r}")
        if self.task and not self.beside:
            raise InputError(f"a task must be beside a peer, and {self.task!r} has none")
        if self.repetitions < 1:
            raise InputError(f"repetitions must be at least 1, not {self.repetitions}")

    @classmethod
    def timed(cls, case: str, subject: str, quantity: str, values: Sequence[float], unit: str, **rest: Any) -> Figure:
        """Make a figure from repeated measurements."""
        median, spread = summary(values)
        return cls(case, subject, quantity, median, unit, spread=spread, repetitions=len(values), **rest)

    @property
    def key(self) -> tuple[object, ...]:
        """Identity of the figure: two runs are compared where their figures have the same key."""
        return (self.case, self.subject, self.quantity, self.unit, *sorted(self.parameters.items()))

    @property
    def judged(self) -> float:
        """Number that is compared with the target and other runs: the ratio where there is a peer, else the value."""
        return self.value if self.ratio is None else self.ratio

    @property
    def met(self) -> bool | None:
        """True if the target is met, False if it is missed, None without a target."""
        found = _TARGET.fullmatch(self.target)
        return None if found is None else _COMPARISONS[found[1]](self.judged, float(found[2]))


def _silent(_: str) -> None:
    """Ignore a note."""


@dataclass(frozen=True)
class Request:
    """Request to a benchmark.

    Attributes
    ----------
    size : str
        One of ``SIZES``.
    devices : tuple of str
        Devices to measure; empty to let the benchmark choose.
    threads : int
        Maximum number of threads for devices and peers.
    note : callable
        Function called with a sentence for each omission, and for each fact that is needed to read the figures.
    trace : Path or None
        File for a timeline in the Chrome trace format.
    data : str
        Vectors to search: the path of a ``.npy`` file or the name of an index; empty for the default.
    """

    size: Size = "small"
    devices: tuple[str, ...] = ()
    threads: int = 1
    note: Callable[[str], None] = _silent
    trace: Path | None = None
    data: str = ""

    def __post_init__(self) -> None:
        if self.size not in SIZES:
            raise InputError(f"size must be one of {', '.join(SIZES)}, not {self.size!r}")
        if self.threads < 1:
            raise InputError(f"threads must be at least 1, not {self.threads}")

    def of_backend(self, name: str) -> tuple[str, ...]:
        """Return the requested devices of one backend."""
        return tuple(device for device in self.devices if device.partition(":")[0] == name)


@dataclass(frozen=True)
class Benchmark:
    """Benchmark, with a check of its requirements that runs before any measurement.

    Attributes
    ----------
    measure : callable
        ``measure(request)`` returns the figures. It raises `UnavailableError` if a requirement is missing.
    check : callable
        ``check()`` raises `UnavailableError` if a requirement is missing. It must be quick; its result is ignored.
    backends : tuple of str
        Backends whose devices it measures; empty for a benchmark without devices, ``("*",)`` for all backends.
    """

    measure: Callable[[Request], list[Figure]]
    check: Callable[[], object] = lambda: None
    backends: tuple[str, ...] = ()

    def __call__(self, request: Request | None = None) -> list[Figure]:
        """Return the figures for a request, or for the default `Request`."""
        return self.measure(Request() if request is None else request)

    def measures(self, devices: Sequence[str]) -> bool:
        """Return True if the benchmark measures any of the devices, or if none is named."""
        names = {device.partition(":")[0] for device in devices}
        return not names or "*" in self.backends or bool(names & set(self.backends))
