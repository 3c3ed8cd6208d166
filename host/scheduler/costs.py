"""Measured times of calls, saved between runs in a small file."""

from __future__ import annotations

import json
import logging
import platform
from collections import deque
from collections.abc import Collection
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Final

from ninefold.spec.cache import cache_folder, digest_of
from ninefold.spec.files import written_aside
from ninefold.spec.signature import Call, Operator

__all__ = ["Costs", "costs_file", "size_class"]

_LOG = logging.getLogger("ninefold.scheduler")
#: Measurements in the median, the latest ones: it follows changes of the machine but ignores single outliers.
KEPT: Final = 8
_VERSION: Final = 1
#: Relative change of a median that is worth saving; writing the file takes longer than a small task.
_DRIFT: Final = 0.1


def size_class(call: Call) -> str:
    """Return the size class of a call: the bit lengths of sizes and integer options, and the values of other options.

    Within a class each size varies by less than a factor of two. Calls with an optional argument, such as a mask, and
    calls without it are of different classes: a device may take longer for the one, or refuse it.
    """
    extra = tuple([name for name in _optional(call.operator) if call.arguments[name] is not None])
    return _size_class(call.operator.name, tuple(call.sizes.items()), tuple(call.options.items()), extra)


@cache
def _optional(operator: Operator) -> tuple[str, ...]:
    return tuple(one.name for one in operator.arguments if getattr(one, "optional", False))


@lru_cache(maxsize=4096)
def _size_class(
    operator: str, sizes: tuple[tuple[str, int], ...], options: tuple[tuple[str, Any], ...], extra: tuple[str, ...]
) -> str:
    parts = [operator]
    parts += [f"{symbol}{size.bit_length()}" for symbol, size in sizes]
    for name, value in options:
        if isinstance(value, bool | str):
            parts.append(f"{name}={value}")
        elif isinstance(value, int):
            parts.append(f"{name}{value.bit_length()}")
    return " ".join([*parts, *extra])


def costs_file() -> Path:
    """Return this machine's file of measured costs in the cache folder, which several machines may share."""
    return cache_folder() / "costs" / f"{digest_of(platform.node(), platform.machine())}.json"


class Costs:
    """Median of the last measured seconds for each device and size class.

    A device's measurements are valid only for one description: another driver or processor is another device.
    Not thread-safe: its owner's lock guards it.

    Parameters
    ----------
    path : Path or None
        File to read and save; None saves nothing. A damaged file is renamed with a warning. If two processes save at
        once, the later one wins.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._times: dict[str, dict[str, deque[float]]] = {}
        self._medians: dict[tuple[str, str], float] = {}
        #: Medians in the file, for classes with `KEPT` measurements.
        self._settled: dict[tuple[str, str], float] = {}
        self._described: dict[str, str] = {}
        self._changed = False
        if path is not None:
            self._read(path)

    def describe(self, device: str, description: str) -> None:
        """Set a device's description; measurements of another description are dropped."""
        if self._described.get(device, description) != description:
            for size in self._times.pop(device, {}):
                self._medians.pop((device, size), None)
                self._settled.pop((device, size), None)
        self._described[device] = description

    def expected_s(self, device: str, size: str) -> float | None:
        """Return the median of the last measurements in seconds, or None without measurements."""
        return self._medians.get((device, size))

    def record(self, device: str, size: str, seconds: float) -> None:
        """Add a measurement."""
        times = self._times.setdefault(device, {}).setdefault(size, deque(maxlen=KEPT))
        times.append(seconds)
        median = self._medians[device, size] = _median(times)
        settled = self._settled.get((device, size))
        self._changed |= settled is None or abs(median - settled) > _DRIFT * settled

    def save(self) -> None:
        """Write the file atomically if medians have changed; a failure is only a warning."""
        if self._path is None or not self._changed:
            return
        content = {
            "version": _VERSION,
            "devices": {
                device: {
                    "description": self._described.get(device, ""),
                    "seconds": {size: list(kept) for size, kept in times.items()},
                }
                for device, times in self._times.items()
            },
        }
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with written_aside(self._path) as aside:
                aside.write_text(json.dumps(content))
        except OSError as error:
            _LOG.warning("measured costs were not saved", extra={"file": str(self._path), "reason": str(error)})
        else:
            self._settle()

    def _read(self, path: Path) -> None:
        try:
            content = json.loads(path.read_text())
            if content["version"] != _VERSION:
                raise ValueError(f"version {content['version']}, not {_VERSION}")
            for device, record in content["devices"].items():
                self._described[device] = str(record["description"])
                for size, times in record["seconds"].items():
                    kept = [float(t) for t in times]
                    if not kept or not all(0 <= t < float("inf") for t in kept):
                        raise ValueError(f"{device} {size} took {times} seconds")
                    self._times.setdefault(device, {})[size] = deque(kept, maxlen=KEPT)
                    self._medians[device, size] = _median(self._times[device][size])
            self._settle()
        except FileNotFoundError:
            return
        except OSError as error:
            _LOG.warning("measured costs were not read", extra={"file": str(path), "reason": str(error)})
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            self._times, self._medians, self._settled, self._described = {}, {}, {}, {}
            self._set_aside(path, f"{type(error).__name__}: {error}")

    def _settle(self) -> None:
        """Note that the file is up to date."""
        full = ((d, size) for d, sizes in self._times.items() for size, times in sizes.items() if len(times) == KEPT)
        self._settled = {key: self._medians[key] for key in full}
        self._changed = False

    @staticmethod
    def _set_aside(path: Path, reason: str) -> None:
        aside = path.with_suffix(".damaged")
        try:
            path.replace(aside)
        except OSError as error:
            reason = f"{reason}; and renaming it failed: {error}"
        extra = {"file": str(path), "set_aside": str(aside), "reason": reason}
        _LOG.warning("the file of measured costs is damaged: measuring again", extra=extra)


def _median(times: Collection[float]) -> float:
    # `statistics.median` takes longer than a small task.
    ordered, half = sorted(times), len(times) // 2
    return ordered[half] if len(times) % 2 else (ordered[half - 1] + ordered[half]) / 2
