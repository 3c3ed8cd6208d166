"""A user's core on a board, real or virtual: whole arrays in and out, as `ninefold.host.open_core` gives them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from ninefold.drivers.streams import StreamClient
from ninefold.drivers.transports import open_transport
from ninefold.numerics.payloads import Column, check_columns, pack, unpack
from ninefold.spec.errors import DeviceError, InputError, UnavailableError, installs
from ninefold.spec.manifest import Manifest
from ninefold.spec.progress import step
from ninefold.spec.registry import entries
from ninefold.spec.streams import CoreRegister, StreamLayout

__all__ = ["ANSWERS", "LAYOUTS", "YIELDS", "BoardCore", "Described", "interface_of", "open_board_core"]

#: Group of entry points that tell the streams of a core: ``interface(core, parameters)``.
LAYOUTS: Final = "ninefold.core_interfaces"
#: Group of entry points that compute known answers of a core: ``known_answers(core, parameters, seed, payloads)``.
ANSWERS: Final = "ninefold.core_answers"
#: Group of entry points that tell the payloads of each output for each input payload and for each packet:
#: ``yields(core, parameters)``.
YIELDS: Final = "ninefold.core_yields"
_LAST: Final = "last"
#: Suffix of manifests.
_MANIFEST: Final = ".json"


@dataclass(frozen=True)
class Described:
    """Streams and registers of a core, and the digest of the bitstream that holds it.

    Attributes
    ----------
    streams : sequence of StreamLayout
        Streams, inputs first.
    registers : sequence of CoreRegister
        Registers.
    digest : str
        Digest of the bitstream; empty if it is not known.
    """

    streams: Sequence[StreamLayout]
    registers: Sequence[CoreRegister]
    digest: str = ""


def open_board_core(core: str, device: str, parameters: Mapping[str, Any]) -> BoardCore:
    """Open a core on a board; raises as `ninefold.host.open_core`.

    Parameters
    ----------
    core : str
        Name or path of the core; or of the manifest of its bitstream, which needs no Amaranth and names the bitstream
        that the board must hold.
    device : str
        ``board:NAME`` for a board that this process simulates: ``virtual`` with a FIFO, or a real board's name with its
        UART and clock. Otherwise ``board:URL``.
    parameters : mapping of str to Any
        Parameters of the core.
    """
    place = device.removeprefix("board").removeprefix(":")
    if not place:
        raise InputError(f"device must name a board, as board:virtual or board:serial:///dev/ttyUSB1, not {device!r}")
    found = interface_of(core, parameters)
    with step(f"opening {core} on {place}"):
        url = place
        if "://" not in place and core.endswith(_MANIFEST):
            raise InputError(f"{core} is a manifest, which cannot be simulated: name its core, or the URL of a board")
        if "://" not in place:
            board, mark, options = place.partition("?")
            chosen = ",".join(f"{name}={value}" for name, value in parameters.items())
            word = f"{_absolute(core)}#{chosen}" if chosen else _absolute(core)
            url = f"sim://{board}/{word}{mark}{options}"
        given = None if core.endswith(_MANIFEST) else _yields(core, parameters)
        return BoardCore(StreamClient(open_transport(url), found.streams, found.registers, digest=found.digest), given)


def _yields(core: str, parameters: Mapping[str, Any]) -> Mapping[str, tuple[int, int]] | None:
    """Return the payloads of each output for each input payload and each packet; None if nothing tells."""
    for one in entries(YIELDS).values():
        try:
            found: Mapping[str, tuple[int, int]] | None = one.load()(core, parameters)
        except (ModuleNotFoundError, InputError):
            # The core can be called without: calls then end when no output has come for a while.
            return None
        return found
    return None


def _absolute(core: str) -> str:
    path, colon, member = core.partition(":")
    return f"{Path(path).resolve()}{colon}{member}" if Path(path).exists() else core


def interface_of(core: str, parameters: Mapping[str, Any]) -> Described:
    """Return streams and registers of a core.

    Parameters
    ----------
    core, parameters
        As of `open_board_core`.

    Raises
    ------
    InputError
        There is no such core or manifest, or a parameter is not allowed.
    UnavailableError
        A package is not installed.
    """
    if core.endswith(_MANIFEST):
        if parameters:
            raise InputError(f"{core} is a manifest, which has no parameters, not {', '.join(parameters)}")
        manifest = Manifest.from_json(Path(core).read_bytes(), core)
        if not manifest.streams:
            raise InputError(f"{core} must be the manifest of a core, not of a miner")
        return Described(manifest.streams, manifest.registers, manifest.digest)
    known = entries(LAYOUTS)
    if not known:
        raise UnavailableError("nothing installed tells the streams of a core", installs("rtl"))
    try:
        tell = next(iter(known.values())).load()
    except ModuleNotFoundError as error:
        raise UnavailableError(f"the streams of a core need the package {error.name}", installs("rtl")) from error
    found = tell(core, parameters)
    return Described(found.streams, found.registers)


class BoardCore:
    """Core on a board; see `ninefold.host.own.OpenCore`.

    Parameters
    ----------
    client : StreamClient
        The board.
    yields : mapping of str to (int, int), optional
        Payloads of each output for each input payload and for each packet. A call ends when these have come. Without
        it, or if the core gives others, a call ends when no output has come for a while.

    Attributes
    ----------
    client : StreamClient
        The board, with the registers of the core.
    """

    def __init__(self, client: StreamClient, yields: Mapping[str, tuple[int, int]] | None = None) -> None:
        self.client = client
        self._yields = self._known_yields = yields
        self._due: Counter[str] = Counter()
        self._forget()
        self._into = [one for one in client.streams if one.input]
        self._out = [one for one in client.streams if not one.input]

    @property
    def inputs(self) -> Mapping[str, str]:
        """Name of each argument of a call, with type and shape of its array."""
        return self._described(self._into)

    @property
    def outputs(self) -> Mapping[str, str]:
        """Name of each array of the answer, with its type and shape."""
        return self._described(self._out)

    @property
    def cycles(self) -> int:
        """Clock cycles of the board since a reset."""
        return self.client.statistics().cycles

    def __call__(self, **arrays: npt.ArrayLike) -> dict[str, npt.NDArray[Any]]:
        """Send payloads and return the outputs that they cause."""
        last = arrays.pop(_LAST, None) if any(one.last for one in self._into) else None
        names = [name for name, _, _ in _arguments(self._into)]
        if set(arrays) != set(names):
            raise InputError(f"the core takes {', '.join(names)}, not {', '.join(arrays) or 'nothing'}")
        beats = {}
        for one in self._into:
            own = {column.name: arrays[name] for name, stream, column in _arguments(self._into) if stream is one}
            columns = check_columns(f"the input {one.name}", _columns(one), own)
            beats[one.name] = _beats(one, columns, last)
        found = self._exchanged(beats)
        answer: dict[str, npt.NDArray[Any]] = {}
        for one in self._out:
            columns = unpack(_columns(one), found[one.name])
            answer |= {name: columns[c.name] for name, stream, c in _arguments(self._out) if stream is one}
            if one.last:
                answer[_LAST] = (found[one.name][:, -1] & 1).astype(bool)
        return answer

    def _exchanged(self, beats: Mapping[str, npt.NDArray[np.uint8]]) -> dict[str, npt.NDArray[np.uint8]]:
        """Exchange payloads, and keep account of those that the outputs owe since a reset."""
        expected = self._expected(beats)
        try:
            found = self.client.exchange(beats, expected=expected)
        except BaseException:
            # The board is reset before its next use.
            self._forget()
            raise
        if expected is not None:
            self._due.subtract({name: len(array) for name, array in found.items()})
            if min(self._due.values(), default=0) < 0:
                # The core gives more than was expected, so calls must wait for what else comes.
                self._yields = None
        return found

    def _expected(self, beats: Mapping[str, npt.NDArray[np.uint8]]) -> Mapping[str, int] | None:
        """Return the payloads that each output owes after a call; None if that is not known."""
        if len({len(array) for array in beats.values()}) != 1:
            self._yields = None
        if self._yields is None:
            return None
        payloads = len(next(iter(beats.values())))
        ends = [beats[one.name][:, -1] & 1 for one in self._into if one.last]
        packets = int(ends[0].sum()) if ends else 0
        for name, (each, fixed) in self._yields.items():
            self._due[name] += each * payloads + fixed * packets
        return {name: max(0, self._due[name]) for name in self._yields}

    def _forget(self) -> None:
        """Start the account of a core that is as after power-on."""
        self._yields = self._known_yields
        self._due.clear()

    def selftest(self, core: str, parameters: Mapping[str, Any], seed: int = 0, payloads: int = 1000) -> None:
        """Compare the answers of the core with the answers of its golden function, after a reset.

        Parameters
        ----------
        core : str
            Name or path of the core, which has a golden function.
        parameters : mapping of str to Any
            Parameters of the core.
        seed : int
            Seed of the payloads.
        payloads : int
            Number of payloads of each input.

        Raises
        ------
        DeviceError
            An answer differs; the message names the first.
        """
        known = entries(ANSWERS)
        if not known:
            raise UnavailableError("nothing installed computes known answers of a core", installs("rtl"))
        sent, right = next(iter(known.values())).load()(core, parameters, seed, payloads)
        self.reset()
        found = self(**sent)
        for name, array in right.items():
            if len(found[name]) != len(array):
                raise DeviceError(f"the core gives {len(found[name])} payloads of {name} where {len(array)} are right")
            if wrong := np.flatnonzero((found[name] != array).reshape(len(array), -1).any(axis=1)).tolist():
                at = wrong[0]
                raise DeviceError(
                    f"the core fails its known-answer test: payload {at} of {name} is {found[name][at].tolist()} where "
                    f"{array[at].tolist()} is right"
                )

    def read(self, register: str) -> int:
        """Return the value of a register of the core or of the board."""
        return self.client.read(register)

    def write(self, register: str, value: int) -> None:
        """Write a control register of the core."""
        self.client.write(register, value)
        # The golden function knows the initial value only.
        self._yields = None

    def reset(self) -> None:
        """Reset the core, its registers and its queues."""
        self.client.reset()
        self._forget()

    def close(self) -> None:
        """Release the board."""
        self.client.close()

    def __enter__(self) -> Self:
        """Return the core itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Release the board."""
        self.close()

    def _described(self, streams: Sequence[StreamLayout]) -> dict[str, str]:
        packets = {_LAST: "last: bool (n,)"} if any(one.last for one in streams) else {}
        return {name: str(column) for name, _, column in _arguments(streams)} | packets


def _columns(stream: StreamLayout) -> tuple[Column, ...]:
    return tuple(Column(one.name, one.bits, one.signed, one.shape, one.offset) for one in stream.fields)


def _arguments(streams: Sequence[StreamLayout]) -> Iterator[tuple[str, StreamLayout, Column]]:
    """Yield the columns of streams with their names in a call: with the stream's if two are the same."""
    names = [column.name for one in streams for column in _columns(one)]
    for one in streams:
        for column in _columns(one):
            yield (column.name if names.count(column.name) == 1 else f"{one.name}_{column.name}"), one, column


def _beats(
    stream: StreamLayout, columns: Mapping[str, npt.NDArray[Any]], last: npt.ArrayLike | None
) -> npt.NDArray[np.uint8]:
    """Return payloads as bytes; without `last`, they are one packet."""
    data = pack(_columns(stream), columns, stream.data_bytes)
    if not stream.last:
        return data
    count = len(data)
    ends = np.arange(count) == count - 1 if last is None else np.asarray(last, bool)
    if ends.shape != (count,):
        raise InputError(f"last must have shape {(count,)}, not {ends.shape}")
    return np.concatenate([data, ends[:, None].astype(np.uint8)], axis=1)
