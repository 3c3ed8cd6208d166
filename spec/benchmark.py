"""What a benchmark is asked and reports; benchmarks are found in the entry-point group ``ninefold.benchmarks``."""

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
#: ``tiny`` shows in seconds that a suite works, ``small`` takes minutes, ``large`` has the largest databases.
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
    """Return the median of measured values and their spread: the distance between the first and third quartile.

    Quartiles are interpolated between the values (``statistics.quantiles``, inclusive); one value has no spread.

    Raises
    ------
    InputError
        Without a value.
    """
    if not values:
        raise InputError("a summary needs at least one value, not none")
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
        What was done, e.g. ``"search"``.
    subject : str
        Who did it: a device, a peer, a core.
    quantity : str
        What was measured, e.g. ``"time"``.
    value : float
        The figure: the median of what was measured, or an exact count.
    unit : str
        Its unit; empty for a share.
    parameters : mapping of str to int, float or str
        Sizes and data.
    spread : float
        Distance between the quartiles of what was measured; 0 for what is exact.
    repetitions : int
        How many values the median is of; 1 for what is exact.
    kind : str
        ``"timed"``; ``"exact"`` for what another run must repeat, such as cycles, cells and recall; ``"projected"`` for
        what was computed and not seen.
    better : str
        ``"less"`` or ``"more"``; empty for what is shown and not judged, as the figures of peers are.
    beside : str
        The peer that took turns with the subject, empty without one.
    ratio : float or None
        The subject's median through that of the peer.
    ratio_spread : float
        Distance between the quartiles of the ratios of each turn.
    target : str
        What the ratio, or without one the value, should be, e.g. ``"<= 0.75"``; empty without a target.
    detail : str
        More, in words.

    Raises
    ------
    InputError
        A target that is not a comparison with a number, or a ratio without a peer.
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

    def __post_init__(self) -> None:
        if self.target and not _TARGET.fullmatch(self.target):
            raise InputError(f"target must be a comparison with a number, such as '<= 0.75', not {self.target!r}")
        if (self.ratio is None) == bool(self.beside):
            raise InputError(f"ratio and beside come together, not {self.ratio!r} beside {self.beside!r}")
        if self.repetitions < 1:
            raise InputError(f"repetitions must be at least 1, not {self.repetitions}")

    @classmethod
    def timed(cls, case: str, subject: str, quantity: str, values: Sequence[float], unit: str, **rest: Any) -> Figure:
        """Make the figure of repeated measurements."""
        median, spread = summary(values)
        return cls(case, subject, quantity, median, unit, spread=spread, repetitions=len(values), **rest)

    @property
    def key(self) -> tuple[object, ...]:
        """What another run must have for the two figures to be compared."""
        return (self.case, self.subject, self.quantity, self.unit, *sorted(self.parameters.items()))

    @property
    def judged(self) -> float:
        """What is held against the target and other runs: the ratio where there is a peer, else the value."""
        return self.value if self.ratio is None else self.ratio

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None without one."""
        found = _TARGET.fullmatch(self.target)
        return None if found is None else _COMPARISONS[found[1]](self.judged, float(found[2]))


def _silent(_: str) -> None:
    """Say nothing."""


@dataclass(frozen=True)
class Request:
    """What a benchmark is asked for.

    Attributes
    ----------
    size : str
        One of ``SIZES``.
    devices : tuple of str
        The devices to measure; empty for those that the benchmark chooses.
    threads : int
        Most threads for devices and peers.
    note : callable
        Called with a sentence for each thing that is left out, or that must be known to read the figures.
    trace : Path or None
        Where a timeline in the Chrome trace format may be written.
    """

    size: Size = "small"
    devices: tuple[str, ...] = ()
    threads: int = 1
    note: Callable[[str], None] = _silent
    trace: Path | None = None

    def __post_init__(self) -> None:
        if self.size not in SIZES:
            raise InputError(f"size must be one of {', '.join(SIZES)}, not {self.size!r}")
        if self.threads < 1:
            raise InputError(f"threads must be at least 1, not {self.threads}")

    def of_backend(self, name: str) -> tuple[str, ...]:
        """Return the devices asked for that are of one backend."""
        return tuple(device for device in self.devices if device.partition(":")[0] == name)


@dataclass(frozen=True)
class Benchmark:
    """A benchmark that can tell, before any is run, whether all that it needs is there.

    Attributes
    ----------
    measure : callable
        ``measure(request)`` returns the figures; raises `UnavailableError` when something turns out to be missing.
    check : callable
        ``check()`` raises `UnavailableError` when something is missing; what it returns has no meaning. It is quick.
    backends : tuple of str
        Backends whose devices it measures; none for one that takes no devices, ``("*",)`` for all.
    """

    measure: Callable[[Request], list[Figure]]
    check: Callable[[], object] = lambda: None
    backends: tuple[str, ...] = ()

    def __call__(self, request: Request | None = None) -> list[Figure]:
        """Measure; without a request, what `Request` has by default."""
        return self.measure(Request() if request is None else request)

    def measures(self, devices: Sequence[str]) -> bool:
        """Return whether any of the devices is one that it measures; True where none is named."""
        names = {device.partition(":")[0] for device in devices}
        return not names or "*" in self.backends or bool(names & set(self.backends))
