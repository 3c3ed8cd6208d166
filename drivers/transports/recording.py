"""Recording of sessions with a board, and ``replay://file``, which replays one without the board.

A recording consists of lines of JSON: a header, then ``{"write": hex}`` and ``{"read": hex}`` in order.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from ninefold.drivers.transports.urls import check_options
from ninefold.spec.errors import DamagedDataError, DeviceError, InputError, LostDeviceError, UnavailableError
from ninefold.spec.protocols import Transport

__all__ = ["Recorder", "Replay", "open_replay"]

_FORMAT = "ninefold recording 1"
#: Maximum number of characters of a line in an error.
_SHOWN = 60
#: End of the error for a replay that differs from the recorded session.
_SAME = "a recording answers only the recorded command with the same options"


class Recorder:
    """Transport that records another one; each line is written to the disk before the next.

    Parameters
    ----------
    transport : Transport
        Byte stream to the board.
    path : Path
        File to write; overwritten.
    url : str
        URL of the stream, for readers of the file.
    """

    def __init__(self, transport: Transport, path: Path, url: str) -> None:
        self._transport = transport
        try:
            self._file: IO[str] = path.open("w", buffering=1)
        except OSError as error:
            transport.close()
            raise InputError(f"{path} cannot be written: {error.strerror}") from error
        self._note({"format": _FORMAT, "url": url})

    def read(self, size: int, timeout_s: float) -> bytes:
        """Read, and record the bytes."""
        data = self._transport.read(size, timeout_s)
        if data:
            self._note({"read": data.hex()})
        return data

    def write(self, data: bytes, timeout_s: float) -> None:
        """Record the bytes, then write them."""
        self._note({"write": data.hex()})
        self._transport.write(data, timeout_s)

    def close(self) -> None:
        """Close the stream and the file."""
        self._transport.close()
        self._file.close()

    def _note(self, line: dict[str, str]) -> None:
        self._file.write(json.dumps(line) + "\n")


class Replay:
    """Transport that replays a recording: bytes can be read once the preceding writes have been repeated.

    Parameters
    ----------
    path : Path
        File of the recording.

    Raises
    ------
    UnavailableError
        The file does not exist.
    DamagedDataError
        The file is no recording; the message names the line.
    """

    def __init__(self, path: Path) -> None:
        self._name = str(path)
        self._steps: deque[tuple[str, bytes]] = deque()
        self._position = 0
        try:
            lines = path.read_text().splitlines()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not text"
            raise UnavailableError(
                f"{path} cannot be read: {reason}", "`ninefold board selftest URL --record FILE` records one"
            ) from error
        for number, line in enumerate(lines, 1):
            self._steps.extend(self._step(number, line))
        if not lines:
            raise DamagedDataError(f"{path} is empty, and no recording")

    def read(self, size: int, timeout_s: float) -> bytes:
        """Return the next recorded bytes, or wait if the recording continues with a write."""
        if not self._steps:
            raise LostDeviceError(f"{self._name} has ended; {_SAME}")
        kind, data = self._steps[0]
        if kind == "write":
            # The recorded session read nothing here either, and the caller measures the time.
            time.sleep(max(0.0, timeout_s))
            return b""
        self._steps.popleft()
        if len(data) > size:
            self._steps.appendleft(("read", data[size:]))
        return data[:size]

    def write(self, data: bytes, timeout_s: float) -> None:  # noqa: ARG002
        """Compare the bytes with the recorded session.

        Raises
        ------
        DeviceError
            The bytes differ.
        """
        while data:
            if not self._steps:
                raise LostDeviceError(f"{self._name} has ended; {_SAME}")
            kind, expected = self._steps.popleft()
            size = min(len(expected), len(data))
            if kind != "write" or expected[:size] != data[:size]:
                recorded = f"wrote {expected[:16].hex()}" if kind == "write" else "read"
                raise DeviceError(
                    f"after {self._position} bytes written, {data[:16].hex()} is written where the session of"
                    f" {self._name} {recorded}; {_SAME}"
                )
            self._position += size
            if expected[size:]:
                self._steps.appendleft(("write", expected[size:]))
            data = data[size:]

    def close(self) -> None:
        """Discard the rest."""
        self._steps.clear()

    def _step(self, number: int, line: str) -> list[tuple[str, bytes]]:
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            entry = None
        if number == 1:
            if not isinstance(entry, dict) or entry.get("format") != _FORMAT:
                wanted = f'{{"format": "{_FORMAT}", ...}}'
                raise DamagedDataError(f"{self._name} is no recording: line 1 must be {wanted}, not {_short(line)}")
            return []
        if isinstance(entry, dict) and len(entry) == 1:
            ((kind, data),) = entry.items()
            if kind in ("read", "write") and isinstance(data, str):
                with contextlib.suppress(ValueError):
                    return [(kind, bytes.fromhex(data))] if data else []
        raise DamagedDataError(
            f'{self._name} is damaged: line {number} must be {{"read": HEX}} or {{"write": HEX}}, not {_short(line)}'
        )


def _short(line: str) -> str:
    return repr(line if len(line) <= _SHOWN else f"{line[:_SHOWN]}...")


def open_replay(address: str, options: Mapping[str, str]) -> Replay:
    """Open a recording by its path."""
    check_options("replay", options)
    if not address:
        raise InputError("replay:// needs the path of a recording")
    return Replay(Path(address))
