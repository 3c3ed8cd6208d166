"""Verilated core that processes whole arrays."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ninefold.sim.verilated.build import build
from ninefold.sim.verilated.design import Design
from ninefold.sim.verilated.streams import Stream
from ninefold.spec import times
from ninefold.spec.errors import DeviceError, InputError, ToolError

__all__ = ["Gaps", "Model", "Run"]

#: Time after which a call into the library returns, so that Python handles signals (Ctrl-C) in a long run.
_SLICE_NS = 50_000_000
_DONE, _HUNG = 0, 2


class _Channel(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_uint64) for name in ("data", "count", "done", "gap", "random", "held"))


class _Progress(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_uint64) for name in ("cycles", "idle", "patience", "slice_ns"))


@dataclass(frozen=True)
class Gaps:
    """Random back-pressure: cycles in which a source offers no new beat, or a sink is not ready.

    Attributes
    ----------
    chance : float
        Probability of such a cycle, independently on each stream; 0 to 0.99.
    seed : int
        Seed; the same seed repeats the same gaps.
    """

    chance: float
    seed: int

    def __post_init__(self) -> None:
        if not 0 <= self.chance <= 0.99:
            raise InputError(f"chance must be 0 to 0.99, not {self.chance}")


@dataclass(frozen=True)
class Run:
    """Result of a run.

    Attributes
    ----------
    outputs : mapping of str to array
        Beats of each requested output, uint8 of shape (count, beat_bytes).
    cycles : int
        Clock cycles simulated.
    """

    outputs: Mapping[str, npt.NDArray[np.uint8]]
    cycles: int


class Model:
    """Instance of a verilated core, which keeps its registers and memories until it is closed.

    Parameters
    ----------
    design : Design
        The core; its shared library is built if it is not in the cache.
    quick : bool
        Compile quickly, for a slower model.
    waves : bool
        Include support for `TracedModel`; implies `quick`.

    Attributes
    ----------
    streams : mapping of str to Stream
        Streams of the core by name.
    cycles : int
        Clock cycles simulated since the model was created.
    """

    def __init__(self, design: Design, *, quick: bool = False, waves: bool = False) -> None:
        self.streams = {stream.name: stream for stream in design.streams}
        self.cycles = 0
        self._library = _library(build(design, quick=quick, waves=waves))
        self._handle: int | None = self._library.ninefold_open()
        for index, stream in enumerate(design.streams):
            size = self._library.ninefold_beat_bytes(self._handle, index)
            if size != stream.beat_bytes:
                raise ToolError(
                    f"a beat of {stream.name} must take {stream.beat_bytes} bytes, not {size} as compiled by Verilator"
                )
        self.reset()

    def reset(self) -> None:
        """Reset the core's registers; memories keep their content."""
        self._library.ninefold_reset(self._open())

    def close(self) -> None:
        """Free the instance; do nothing if it is closed already."""
        if self._handle is not None:
            self._library.ninefold_close(self._handle)
            self._handle = None

    def __del__(self) -> None:
        if getattr(self, "_handle", None) is not None:
            self.close()

    def run(
        self,
        inputs: Mapping[str, npt.NDArray[np.uint8]],
        outputs: Mapping[str, int],
        patience: int = 10_000,
        gaps: Gaps | None = None,
    ) -> Run:
        """Send all beats and collect the requested numbers of beats; the simulation stops when all have moved.

        Parameters
        ----------
        inputs : mapping of str to array
            Beats for input streams, uint8 of shape (count, beat_bytes), as returned by `Stream.pack`.
        outputs : mapping of str to int
            Number of beats to collect from each output stream. The host is never ready for a stream that is not named.
        patience : int
            Maximum number of cycles without a beat on any stream.
        gaps : Gaps or None
            Random back-pressure on every stream.

        Raises
        ------
        DeviceError
            No beat moved for more than `patience` cycles. The core is then reset, as after an interrupt.
        """
        self._open()
        buffers: dict[str, npt.NDArray[np.uint8]] = {}
        for stream in self.streams.values():
            buffers[stream.name] = self._buffer(stream, inputs, outputs)
        channels = _channels(buffers, gaps)
        unknown = {*inputs, *outputs} - set(buffers)
        if unknown:
            raise InputError(f"streams must be among {', '.join(buffers)}, not {', '.join(sorted(unknown))}")
        progress = _Progress(0, 0, patience, _SLICE_NS)
        finished = False
        try:
            status = None
            while status != _DONE:
                status = self._simulate(channels, progress)
                if status == _HUNG:
                    raise DeviceError(self._hung(channels, progress))
            finished = True
        finally:
            self.cycles += progress.cycles
            if not finished:
                self.reset()
        return Run({name: buffers[name] for name in outputs}, int(progress.cycles))

    def exchange(
        self,
        inputs: Mapping[str, npt.NDArray[np.uint8]],
        outputs: Mapping[str, int],
        idle: int,
        gaps: Gaps | Mapping[str, Gaps] | None = None,
        blocked: int = 0,
    ) -> tuple[Run, Mapping[str, int]]:
        """Move beats until all have moved, or none has moved for `idle` cycles; beats in flight stay in the core.

        Parameters
        ----------
        inputs : mapping of str to array
            Beats for input streams, as for `run`.
        outputs : mapping of str to int
            Maximum number of beats to take from each output stream.
        idle : int
            Number of cycles without a beat on any stream, at least 1.
        gaps : Gaps, mapping of str to Gaps, or None
            Random back-pressure on every stream, or on the named streams.
        blocked : int
            Take no output until all inputs have moved, or none has moved for this many cycles because the core is full.

        Returns
        -------
        Run
            The beats that left the core.
        mapping of str to int
            Number of beats of each input that the core took. The next call must offer the remaining beats first.
        """
        self._open()
        buffers = {name: self._buffer(stream, inputs, outputs) for name, stream in self.streams.items()}
        channels = _channels(buffers, gaps)
        progress = _Progress(0, 0, idle, _SLICE_NS)
        wanted = [channel.count for channel in channels]
        for takes in (False, True) if blocked else (True,):
            progress.idle, progress.patience = 0, idle if takes else blocked
            for stream, channel, count in zip(self.streams.values(), channels, wanted, strict=True):
                channel.count = count if stream.input or takes else 0
            while self._simulate(channels, progress) not in (_DONE, _HUNG):
                pass
        self.cycles += progress.cycles
        done = {name: int(channel.done) for name, channel in zip(buffers, channels, strict=True)}
        return Run({name: buffers[name][: done[name]] for name in outputs}, int(progress.cycles)), {
            name: done[name] for name in inputs
        }

    def _buffer(
        self, stream: Stream, inputs: Mapping[str, npt.NDArray[np.uint8]], outputs: Mapping[str, int]
    ) -> npt.NDArray[np.uint8]:
        if stream.name not in (inputs if stream.input else outputs):
            return np.zeros((0, stream.beat_bytes), np.uint8)
        if not stream.input:
            return np.zeros((outputs[stream.name], stream.beat_bytes), np.uint8)
        beats = np.ascontiguousarray(inputs[stream.name])
        if beats.ndim != 2 or beats.shape[1] != stream.beat_bytes or beats.dtype != np.uint8:
            raise InputError(
                f"{stream.name} must be uint8 of shape (beats, {stream.beat_bytes}), not {beats.dtype} {beats.shape}"
            )
        return beats

    def _hung(self, channels: Any, progress: _Progress) -> str:
        moved = ", ".join(
            f"{name} {channel.done} of {channel.count}"
            for name, channel in zip(self.streams, channels, strict=True)
            if channel.count
        )
        return (
            f"the core hung: no beat moved for {progress.idle} cycles ({progress.patience} allowed), "
            f"after {progress.cycles} cycles; beats: {moved}"
        )

    def _simulate(self, channels: Any, progress: _Progress) -> int:
        with times.thread("simulation"):
            return int(self._library.ninefold_run(self._open(), channels, ctypes.byref(progress)))

    def _open(self) -> int:
        if self._handle is None:
            raise DeviceError("the model is closed")
        return self._handle


def _channels(buffers: Mapping[str, npt.NDArray[np.uint8]], gaps: Gaps | Mapping[str, Gaps] | None) -> Any:
    channels = (_Channel * len(buffers))()
    for index, (name, buffer) in enumerate(buffers.items()):
        own = gaps.get(name) if isinstance(gaps, Mapping) else gaps
        chance = int(own.chance * 2**32) if own else 0
        # Seeds differ by multiples of SplitMix64's increment, so that streams do not pause in the same cycles.
        random = ((own.seed * len(channels) + index + 1) * 0x9E3779B97F4A7C15) % 2**64 if own else 0
        channels[index] = _Channel(buffer.ctypes.data, len(buffer), 0, chance, random | 1, 0)
    return channels


@functools.cache
def _library(path: Path) -> ctypes.CDLL:
    library = ctypes.CDLL(str(path))
    library.ninefold_open.restype = ctypes.c_void_p
    library.ninefold_open.argtypes = []
    library.ninefold_close.restype = None
    library.ninefold_close.argtypes = [ctypes.c_void_p]
    library.ninefold_reset.restype = None
    library.ninefold_reset.argtypes = [ctypes.c_void_p]
    library.ninefold_beat_bytes.restype = ctypes.c_uint64
    library.ninefold_beat_bytes.argtypes = [ctypes.c_void_p, ctypes.c_uint64]
    library.ninefold_run.restype = ctypes.c_int
    library.ninefold_run.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]
    return library
