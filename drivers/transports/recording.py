"""Sessions with a board, recorded; and ``replay://file``, which plays one back without the board.

A recording is lines of JSON: a header, then ``{"write": hex}`` and ``{"read": hex}`` as they happened.
"""

from __future__ import annotations

import contextlib
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
#: Characters of a line that an error shows.
_SHOWN = 60
#: What ends a replay that goes another way than the session did.
_SAME = "a recording answers only the command that was recorded, with the same options"


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
            reason = error.strerror if isinstance(error, OSError) else "it is no text"
            raise UnavailableError(
                f"{path} cannot be read: {reason}", "`ninefold board selftest URL --record FILE` records one"
            ) from error
        for number, line in enumerate(lines, 1):
            self._steps.extend(self._step(number, line))
        if not lines:
            raise DamagedDataError(f"{path} is empty, and no recording")

    def read(self, size: int, timeout_s: float) -> bytes:
        """Return the next recorded bytes, or wait where the recording waits for a write."""
        if not self._steps:
            raise LostDeviceError(f"{self._name} has ended; {_SAME}")
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
        """Forget the rest."""
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
