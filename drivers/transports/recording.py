"""Sessions with a board, recorded; and ``replay://file``, which plays one back without the board.

A recording is lines of JSON: a header, then ``{"write": hex}`` and ``{"read": hex}`` as they happened.
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from ninefold.drivers.transports import check_options
from ninefold.spec.errors import DamagedDataError, DeviceError, InputError, LostDeviceError, UnavailableError
from ninefold.spec.protocols import Transport

__all__ = ["Recorder", "Replay", "open_replay"]

_FORMAT = "ninefold recording 1"


class Recorder:
    """Passes everything through, and writes it down; each line is on the disk before the next is made.

    Parameters
    ----------
    transport : Transport
        The stream to the board.
    path : Path
        The file; overwritten.
    url : str
        Of the stream, for whoever reads the file.
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
        """Read, and write down what came."""
        data = self._transport.read(size, timeout_s)
        if data:
            self._note({"read": data.hex()})
        return data

    def write(self, data: bytes, timeout_s: float) -> None:
        """Write down, and write."""
        self._note({"write": data.hex()})
        self._transport.write(data, timeout_s)

    def close(self) -> None:
        """Close stream and file."""
        self._transport.close()
        self._file.close()

    def _note(self, line: dict[str, str]) -> None:
        self._file.write(json.dumps(line) + "\n")


class Replay:
    """Plays a recording back: bytes are read once all that was written before them has been written again.

    Parameters
    ----------
    path : Path
        The recording.

    Raises
    ------
    UnavailableError
        When there is no such file.
    DamagedDataError
        When it is not a recording, with the line.
    """

    def __init__(self, path: Path) -> None:
        self._name = str(path)
        self._steps: deque[tuple[str, bytes]] = deque()
        self._position = 0
        try:
            lines = path.read_text().splitlines()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise UnavailableError(f"{path} cannot be read: {reason}", "record a session first") from error
        for number, line in enumerate(lines, 1):
            self._steps.extend(self._step(number, line))
        if not lines:
            raise DamagedDataError(f"{path} is empty, and no recording")

    def read(self, size: int, timeout_s: float) -> bytes:
        """Return the next recorded bytes, or wait where the recording waits for a write."""
        if not self._steps:
            raise LostDeviceError(f"{self._name} has ended")
        kind, data = self._steps[0]
        if kind == "write":
            # The session read nothing here either, and whoever asks counts the time.
            time.sleep(max(0.0, timeout_s))
            return b""
        self._steps.popleft()
        if len(data) > size:
            self._steps.appendleft(("read", data[size:]))
        return data[:size]

    def write(self, data: bytes, timeout_s: float) -> None:  # noqa: ARG002
        """Compare with what the session wrote.

        Raises
        ------
        DeviceError
            Where it wrote something else.
        """
        while data:
            if not self._steps:
                raise LostDeviceError(f"{self._name} has ended")
            kind, expected = self._steps.popleft()
            size = min(len(expected), len(data))
            if kind != "write" or expected[:size] != data[:size]:
                recorded = f"wrote {expected[:16].hex()}" if kind == "write" else "read"
                raise DeviceError(
                    f"after {self._position} bytes written, {data[:16].hex()} is written where the session of"
                    f" {self._name} {recorded}"
                )
            self._position += size
            if expected[size:]:
                self._steps.appendleft(("write", expected[size:]))
            data = data[size:]

    def close(self) -> None:
        """Forget the rest."""
        self._steps.clear()

    def _step(self, number: int, line: str) -> list[tuple[str, bytes]]:
        try:
            entry = json.loads(line)
            if number == 1:
                if entry["format"] != _FORMAT:
                    raise ValueError(f"its format is {entry['format']!r}, not {_FORMAT!r}")
                return []
            ((kind, data),) = entry.items()
            if kind not in ("read", "write"):
                raise ValueError(f"{kind!r} is neither read nor write")
            return [(kind, bytes.fromhex(data))] if data else []
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DamagedDataError(f"line {number} of {self._name} is not of a recording: {error}") from error


def open_replay(address: str, options: Mapping[str, str]) -> Replay:
    """Open a recording by its path."""
    check_options("replay", options)
    if not address:
        raise InputError("replay:// needs the path of a recording")
    return Replay(Path(address))
