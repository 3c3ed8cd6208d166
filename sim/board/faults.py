"""Seeded faults of a byte stream and of a board: equal options give equal faults."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np

from ninefold.spec.errors import InputError

__all__ = ["Faults", "Line"]

_CHANCES = ("flip", "drop", "repeat", "cut", "delay")


@dataclass(frozen=True)
class Faults:
    """Faults to inject into a board and its byte stream.

    Attributes
    ----------
    flip, drop, repeat, cut, delay : float
        Probability per byte and direction, 0 to 1. ``flip`` inverts one bit of the byte; ``drop`` loses it; ``repeat``
        delivers it twice; ``cut`` loses it and all bytes up to the next 0; ``delay`` delivers it and all later bytes
        `delay_s` late.
    delay_s : float
        Delay in seconds, 0 to 60.
    seed : int
        Seed of the faults; the same seed repeats the same faults for the same bytes.
    hang : int or None
        Number of received bytes after which the board hangs forever: it discards further bytes and sends no reply.
    reset : int or None
        Number of received bytes after which the board loses its state, as after a loss of power.
    identity : {'right', 'wrong'}
        ``wrong``: the board reports the digest of another bitstream.

    Raises
    ------
    InputError
        A value is not allowed.
    """

    flip: float = 0.0
    drop: float = 0.0
    repeat: float = 0.0
    cut: float = 0.0
    delay: float = 0.0
    delay_s: float = 0.05
    seed: int = 0
    hang: int | None = None
    reset: int | None = None
    identity: str = "right"

    def __post_init__(self) -> None:
        for name in _CHANCES:
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name} must be a chance from 0 to 1, not {getattr(self, name)}")
        if not 0 <= self.delay_s <= 60:
            raise InputError(f"delay_s must be 0 to 60 s, not {self.delay_s}")
        for name in ("seed", "hang", "reset"):
            if (getattr(self, name) or 0) < 0:
                raise InputError(f"{name} must be 0 or more, not {getattr(self, name)}")
        if self.identity not in ("right", "wrong"):
            raise InputError(f"identity must be right or wrong, not {self.identity!r}")

    @classmethod
    def of(cls, options: Mapping[str, str]) -> Faults:
        """Return the faults given by options, which have the names of the attributes.

        Raises
        ------
        InputError
            An option is unknown, or its value is not allowed.
        """
        known = {field.name for field in fields(cls)}
        values: dict[str, float | int | str] = {}
        for name, text in options.items():
            if name not in known:
                raise InputError(f"an option of sim:// must be one of {', '.join(sorted(known))}, not {name!r}")
            kind = str if name == "identity" else int if name in ("seed", "hang", "reset") else float
            try:
                values[name] = kind(text)
            except ValueError as error:
                raise InputError(f"{name} must be a number, not {text!r}") from error
        return cls(**values)  # type: ignore[arg-type]


class Line:
    """One direction of a byte stream, with its faults.

    Parameters
    ----------
    faults : Faults
        Faults to inject.
    direction : int
        0 or 1; each direction has its own faults.
    """

    def __init__(self, faults: Faults, direction: int) -> None:
        self._faults = faults
        self._chances = np.array([getattr(faults, name) for name in _CHANCES])
        self._random = np.random.default_rng([faults.seed, direction])
        self._cut = False
        #: Time at which bytes arrive, and the bytes.
        self._queue: deque[tuple[float, bytes]] = deque()
        self._due = 0.0

    def put(self, data: bytes) -> None:
        """Send bytes."""
        if data and self._chances.any():
            for byte, happens in zip(data, self._draw(len(data)), strict=True):
                self._one(byte, happens)
        elif data:
            self._queue.append((0.0, data))

    def take(self) -> bytes:
        """Return the bytes that have arrived."""
        out = bytearray()
        while self._queue and self._queue[0][0] <= time.monotonic():
            out += self._queue.popleft()[1]
        return bytes(out)

    def _draw(self, count: int) -> list[list[float]]:
        # One row per byte, so that the faults do not depend on how the bytes were grouped. The last column selects the
        # bit to flip.
        numbers = self._random.random((count, len(_CHANCES) + 1))
        happens = (numbers[:, :-1] < self._chances).astype(float)
        return [[*row, float(last)] for row, last in zip(happens.tolist(), numbers[:, -1], strict=True)]

    def _one(self, byte: int, happens: list[float]) -> None:
        flip, drop, repeat, cut, delay, which = happens
        if delay:
            self._due = max(self._due, time.monotonic()) + self._faults.delay_s
        self._cut = self._cut or bool(cut)
        if self._cut:
            self._cut = byte != 0
            return
        if flip:
            byte ^= 1 << int(8 * which)
        if not drop:
            self._queue.append((self._due, bytes([byte] * (2 if repeat else 1))))
