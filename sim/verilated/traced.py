"""Verilated core that records waveforms."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

from ninefold.sim.verilated.design import Design
from ninefold.sim.verilated.model import Model

__all__ = ["TracedModel"]

_NEVER = 2**64 - 1


class TracedModel(Model):
    """Model that records some cycles of its run and reports the cycle of a beat; compiled quickly, but slow.

    Cycles are counted from 0, as in `Model.cycles`; a cycle takes 10 ns in a waveform.

    Parameters
    ----------
    design : Design
        The core.
    """

    def __init__(self, design: Design) -> None:
        super().__init__(design, waves=True)
        for name, arguments in (
            ("record", [ctypes.c_char_p, ctypes.c_uint64, ctypes.c_uint64]),
            ("watch", [ctypes.c_uint64, ctypes.c_uint64]),
            ("watched", []),
        ):
            function = getattr(self._library, f"ninefold_{name}")
            function.argtypes = [ctypes.c_void_p, *arguments]
            function.restype = ctypes.c_uint64 if name == "watched" else None

    def record(self, path: Path, first: int, last: int) -> None:
        """Record the cycles `first` to `last` as VCD; the file is complete when the model is closed."""
        self._library.ninefold_record(self._open(), os.fsencode(path), first, last)

    def watch(self, stream: str, beat: int) -> None:
        """Watch for a beat of a stream, counted from 0."""
        self._library.ninefold_watch(self._open(), list(self.streams).index(stream), beat)

    @property
    def watched(self) -> int | None:
        """Cycle in which the watched beat moved; None if it has not moved."""
        cycle = int(self._library.ninefold_watched(self._open()))
        return None if cycle == _NEVER else cycle
