"""Contract of a core: its streams as columns of arrays, and the function that says what it computes."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from amaranth.hdl import Shape
from amaranth.lib import data

from ninefold.hdl.catalogue import CatalogueEntry, find_core, make_core
from ninefold.hdl.own.verilog import VerilogCore
from ninefold.numerics.payloads import Column, check_columns, pack, unpack
from ninefold.sim.levels.ports import StreamsOnly
from ninefold.sim.verilated.streams import Stream, streams_of
from ninefold.spec.errors import InputError

__all__ = ["Batch", "Channel", "Contract", "contract_of", "golden_of"]

Columns = Mapping[str, npt.NDArray[Any]]
_LAST = "last"
#: Payloads by which it is tried whether each input is answered by one output.
_TRIED = 16


@dataclass(frozen=True)
class Batch:
    """Payloads of one stream.

    Attributes
    ----------
    columns : mapping of str to array
        Array of each column, with n payloads.
    last : array or None
        Bool of shape (n,): the payload ends a packet; None for a stream without packets.
    """

    columns: Columns
    last: npt.NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        """Return the number of payloads."""
        return len(next(iter(self.columns.values())))

    def part(self, start: int, stop: int) -> Batch:
        """Return some payloads."""
        columns = {name: array[start:stop] for name, array in self.columns.items()}
        return Batch(columns, None if self.last is None else self.last[start:stop])


@dataclass(frozen=True)
class Channel:
    """Stream of a core, with its payload as columns.

    Attributes
    ----------
    stream : Stream
        The stream.
    columns : tuple of Column
        Columns of the payload, without ``last``.
    packets : bool
        The payload has a bit ``last``.
    """

    stream: Stream
    columns: tuple[Column, ...]
    packets: bool

    @property
    def name(self) -> str:
        """Name of the stream."""
        return self.stream.name

    @property
    def all_columns(self) -> tuple[Column, ...]:
        """Columns with ``last``."""
        last = next((f for f in self.stream.fields if f.name == _LAST), None) if self.packets else None
        return (*self.columns, *(() if last is None else (Column(_LAST, 1, False, (), last.offset),)))

    def beats(self, batch: Batch) -> npt.NDArray[np.uint8]:
        """Return the payloads as beats, uint8 of shape (n, beat_bytes)."""
        arrays = dict(batch.columns)
        if self.packets:
            arrays[_LAST] = np.asarray(batch.last, np.uint8)
        return pack(self.all_columns, arrays, self.stream.beat_bytes)

    def batch(self, beats: npt.NDArray[np.uint8]) -> Batch:
        """Return the payloads of beats: the inverse of `beats`."""
        arrays = unpack(self.all_columns, beats)
        last = arrays.pop(_LAST).astype(bool) if self.packets else None
        return Batch(arrays, last)

    def shown(self, batch: Batch, row: int) -> str:
        """Return one payload for messages, as ``x=[1, 2] last=1``."""
        values = [f"{name}={array[row].tolist()}" for name, array in batch.columns.items()]
        return " ".join([*values, *([] if batch.last is None else [f"last={int(batch.last[row])}"])])


@dataclass(frozen=True)
class Contract:
    """Streams and golden function of a core at given parameters.

    Attributes
    ----------
    name : str
        Name of the core.
    parameters : mapping of str to Any
        Parameters of the core.
    channels : tuple of Channel
        Its streams.
    golden : callable or None
        Function from arrays of the inputs' columns to a mapping of arrays of the outputs' columns.
    latency : mapping of str to int
        Declared latency of outputs, in cycles.
    make : callable
        Constructor of the component, whose members are all streams.
    resets : bool
        The core has a reset.
    """

    name: str
    parameters: Mapping[str, Any]
    channels: tuple[Channel, ...]
    golden: Callable[..., Any] | None
    latency: Mapping[str, int]
    make: Callable[[], Any] = field(repr=False)
    resets: bool = True

    @cached_property
    def inputs(self) -> tuple[Channel, ...]:
        """Streams into the core."""
        return tuple(channel for channel in self.channels if channel.stream.input)

    @cached_property
    def outputs(self) -> tuple[Channel, ...]:
        """Streams out of the core."""
        return tuple(channel for channel in self.channels if not channel.stream.input)

    @property
    def packets(self) -> bool:
        """True if the inputs have packets, of which each is one call of the golden function."""
        return any(channel.packets for channel in self.inputs)

    @cached_property
    def one_for_one(self) -> bool:
        """True if each input payload is answered by one payload of each output, which is tried, or has a latency."""
        if self.packets or any(channel.packets for channel in self.outputs):
            return False
        if self.golden is None:
            return set(self.latency) == {channel.name for channel in self.outputs}
        zeros = {
            channel.name: Batch(
                {column.name: np.zeros((_TRIED, *column.shape), column.dtype) for column in channel.columns}
            )
            for channel in self.inputs
        }
        return all(len(batch) == _TRIED for batch in self.expected(zeros).values())

    def argument(self, channel: Channel, column: Column) -> str:
        """Return the name of a column for the golden function: its own, or with its stream's if two are the same."""
        side = self.inputs if channel.stream.input else self.outputs
        same = sum(other.name == column.name for one in side for other in one.columns)
        return column.name if same == 1 else f"{channel.name}_{column.name}"

    def expected(self, inputs: Mapping[str, Batch]) -> dict[str, Batch]:
        """Return what the golden function says of all payloads since a reset.

        Raises
        ------
        InputError
            There is no golden function, it raised an error, or its answer does not fit the outputs.
        """
        if not self.packets:
            return self._call({name: batch.columns for name, batch in inputs.items()})
        parts = [self._call(packet) for packet in self._packets(inputs)]
        return {
            channel.name: Batch(
                {
                    column.name: np.concatenate([part[channel.name].columns[column.name] for part in parts])
                    for column in channel.columns
                },
                np.concatenate([np.asarray(part[channel.name].last) for part in parts]) if channel.packets else None,
            )
            for channel in self.outputs
        }

    def due(self, inputs: Mapping[str, Batch], name: str, count: int) -> npt.NDArray[np.int64]:
        """Return the number of payloads of an output that may have left after each number of accepted inputs.

        Parameters
        ----------
        inputs : mapping of str to Batch
            Payloads of each input.
        name : str
            The output.
        count : int
            Number of its payloads.

        Returns
        -------
        array
            int64 of shape (n + 1,) for n payloads of the shortest input.
        """
        length = min((len(batch) for batch in inputs.values()), default=0)
        if self.packets:
            begun = np.zeros(length + 1, np.int64)
            ends: list[int] = [0]
            for packet in self._packets(inputs):
                ends.append(ends[-1] + len(self._call(packet)[name]))
            first = np.asarray(next(b.last for b in inputs.values() if b.last is not None))[:length]
            begun[1:] = np.concatenate([[0], np.cumsum(first)[:-1]]) + 1
            return np.asarray(ends, np.int64)[np.minimum(begun, len(ends) - 1)]
        if count == length:
            return np.arange(length + 1)
        return np.where(np.arange(length + 1) > 0, count, 0) if length else np.full(1, count)

    def _packets(self, inputs: Mapping[str, Batch]) -> list[dict[str, Columns]]:
        if any(not channel.packets for channel in self.inputs):
            one = next(channel.name for channel in self.inputs if not channel.packets)
            raise InputError(
                f"all inputs of {self.name} must have last, or none, so that golden gets whole packets; {one} has none"
            )
        ends = {name: np.flatnonzero(np.asarray(batch.last)) + 1 for name, batch in inputs.items()}
        count = min(len(found) for found in ends.values())
        return [
            {
                name: batch.part(int(ends[name][i - 1]) if i else 0, int(ends[name][i])).columns
                for name, batch in inputs.items()
            }
            for i in range(count)
        ]

    def _call(self, inputs: Mapping[str, Columns]) -> dict[str, Batch]:
        if self.golden is None:
            raise InputError(f"{self.name} has no golden function: define golden beside CORE")
        given = {
            self.argument(channel, column): inputs[channel.name][column.name]
            for channel in self.inputs
            for column in channel.columns
        }
        more = self._parameters(given)
        try:
            answer = self.golden(**given, **more)
        except Exception as error:  # it is the user's
            raise InputError(f"golden of {self.name} raised {type(error).__name__}: {error}") from error
        return self._answer(answer)

    def _parameters(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the parameters of the core that the function takes; raises for other arguments than the columns."""
        taken = inspect.signature(self.golden or (lambda: None)).parameters
        names = list(taken)
        more = {name: value for name, value in self.parameters.items() if name in names and name not in given}
        open_ended = any(one.kind is one.VAR_KEYWORD for one in taken.values())
        needed = {name for name, one in taken.items() if one.default is one.empty and one.kind is not one.VAR_KEYWORD}
        if not needed <= {*given, *more} or (not open_ended and not set(given) <= set(names)):
            raise InputError(
                f"golden of {self.name} must take {', '.join(given)}, the columns of its inputs, "
                f"not {', '.join(names) or 'nothing'}"
            )
        return more

    def _answer(self, answer: Any) -> dict[str, Batch]:
        names = {
            self.argument(channel, column): (channel, column) for channel in self.outputs for column in channel.columns
        }
        if not isinstance(answer, Mapping):
            raise InputError(
                f"golden of {self.name} must return a dict of {', '.join(names)}, not {type(answer).__name__}"
            )
        if set(answer) != set(names):
            raise InputError(
                f"golden of {self.name} must return {', '.join(names)}, not {', '.join(map(str, answer)) or 'nothing'}"
            )
        found = {}
        for channel in self.outputs:
            what = f"the answer of golden of {self.name}"
            arrays = {column.name: answer[self.argument(channel, column)] for column in channel.columns}
            columns = check_columns(what, channel.columns, arrays)
            count = len(next(iter(columns.values())))
            found[channel.name] = Batch(columns, np.arange(count) == count - 1 if channel.packets else None)
        return found


def contract_of(name: str, parameters: Mapping[str, Any]) -> Contract:
    """Return the contract of a core. Its inputs that are no streams, control registers, have their initial values.

    Parameters
    ----------
    name : str
        Name or path of the core.
    parameters : mapping
        Its parameters; those that are missing have their defaults.

    Raises
    ------
    InputError
        There is no such core, or a parameter is not allowed.
    """
    entry = find_core(name)
    complete = {**entry.core.defaults, **parameters}

    def make() -> Any:
        core = make_core(name, **complete)
        plain = all(
            member.is_signature and isinstance(getattr(core, port).payload, data.View)
            for port, member in core.signature.members.items()
        )
        return core if plain else StreamsOnly(core)

    core = make()
    streams = streams_of(core)
    inner = getattr(core, "_core", core)
    channels = tuple(_channel(stream, getattr(core, stream.name).payload.shape()) for stream in streams)
    latency = inner.latency if isinstance(inner, VerilogCore) else {}
    resets = not isinstance(inner, VerilogCore) or inner.reset is not None
    return Contract(entry.name, complete, channels, golden_of(entry), latency, make, resets)


def golden_of(entry: CatalogueEntry) -> Callable[..., Any] | None:
    """Return the golden function beside a core's ``CORE``; None without one."""
    golden = getattr(importlib.import_module(entry.module), "golden", None)
    if golden is not None and not callable(golden):
        raise InputError(f"golden of {entry.name} must be a function, not {golden!r}")
    return golden


def _channel(stream: Stream, layout: data.StructLayout) -> Channel:
    columns: list[Column] = []
    for name, part in layout:
        columns += _columns(stream.name, str(name), part.shape, part.offset)
    packets = any(column.name == _LAST and column.bits == 1 and not column.shape for column in columns)
    return Channel(stream, tuple(c for c in columns if not (packets and c.name == _LAST)), packets)


def _holds_structures(shape: Any) -> bool:
    while isinstance(shape, data.ArrayLayout):
        shape = shape.elem_shape
    return isinstance(shape, data.StructLayout)


def _columns(stream: str, name: str, shape: Any, offset: int) -> Sequence[Column]:
    if isinstance(shape, data.StructLayout):
        return [c for key, part in shape for c in _columns(stream, f"{name}_{key}", part.shape, offset + part.offset)]
    if isinstance(shape, data.ArrayLayout) and _holds_structures(shape):
        elements = [(f"{name}_{i}", offset + part.offset, part.shape) for i, part in shape]
        return [found for element, at, part in elements for found in _columns(stream, element, part, at)]
    sizes: tuple[int, ...] = ()
    while isinstance(shape, data.ArrayLayout):
        sizes, shape = (*sizes, shape.length), shape.elem_shape
    if isinstance(shape, data.Layout):
        raise InputError(f"{stream}.{name} must be integers, arrays or structures of them, not {shape!r}")
    cast = Shape.cast(shape)
    if not 1 <= cast.width <= 64:
        raise InputError(
            f"{stream}.{name} must be integers of 1 to 64 bits, not {cast.width}; declare an ArrayLayout of narrower "
            "ones"
        )
    return [Column(name, cast.width, cast.signed, sizes, offset)]
