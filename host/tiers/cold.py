"""Cold tier: arrays of lists in files, compressed with Zstandard, each checked by a digest when it is read."""

from __future__ import annotations

import hashlib
import importlib
import json
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ninefold.spec.errors import DamagedDataError, InputError, UnavailableError
from ninefold.spec.files import sync, written_aside

__all__ = ["ColdStore", "ColdUse"]

#: First bytes of a file; the length of the header follows as uint32, then the header in JSON, then the frame.
_MAGIC: Final = b"NFCOLD1\n"
_LENGTH: Final = struct.Struct("<I")
#: Level of compression; higher ones take several times as long for about 1 %.
_LEVEL: Final = 3
_DTYPES: Final = "uint8", "int8", "float16", "float32", "int32", "int64", "float64"
#: Longest header, so that a damaged length does not read a whole file as JSON.
_HEADER_MAX: Final = 1 << 16


@dataclass(frozen=True)
class ColdUse:
    """Size of a cold tier.

    Attributes
    ----------
    lists : int
        Number of files.
    nbytes, stored : int
        Bytes of the arrays, and of their files.
    """

    lists: int
    nbytes: int
    stored: int

    @property
    def ratio(self) -> float:
        """Bytes of the arrays for each byte of the files; 1 for an empty store."""
        return self.nbytes / self.stored if self.stored else 1.0


class ColdStore:
    """Arrays of numbered lists in one folder, a file for each list.

    The bytes of each number are stored apart, first bytes of all numbers first: the signs and exponents of float16
    numbers are alike, and compress better next to each other.

    Parameters
    ----------
    folder : Path
        Folder of the files, made if it is missing.

    Raises
    ------
    UnavailableError
        The package zstandard is missing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._zstandard = _library()
        folder.mkdir(parents=True, exist_ok=True)

    def path(self, number: int) -> Path:
        """Return the name of a list's file."""
        return self.folder / f"list-{number:06}.cold"

    def write(self, number: int, arrays: Mapping[str, npt.NDArray[Any]], *, durable: bool = True) -> None:
        """Write a list in place of its file, which keeps its content until the new one is complete and synced.

        Parameters
        ----------
        number : int
            Number of the list, at least 0.
        arrays : mapping of str to array
            Arrays by name, of integers or floats.
        durable : bool
            Sync the file now. Otherwise call `sync` after many lists, which is faster.

        Raises
        ------
        InputError
            The number is negative, or an array has another dtype.
        OSError
            The file cannot be written.
        """
        if number < 0:
            raise InputError(f"the number of a list must be at least 0, not {number}")
        for name, array in arrays.items():
            if array.dtype.name not in _DTYPES:
                raise InputError(f"{name} must have a dtype of {', '.join(_DTYPES)}, not {array.dtype}")
        content = b"".join(_apart(array) for array in arrays.values())
        described = [(name, array.dtype.name, tuple(array.shape)) for name, array in arrays.items()]
        about = {"number": number, "arrays": described, "digest": _digest(number, described, content)}
        header = json.dumps(about).encode()
        frame = self._zstandard.ZstdCompressor(level=_LEVEL).compress(content)
        with written_aside(self.path(number), durable=durable) as aside:
            aside.write_bytes(b"".join((_MAGIC, _LENGTH.pack(len(header)), header, frame)))

    def sync(self) -> None:
        """Sync all files."""
        for path in self.folder.glob("list-*.cold"):
            sync(path)
        sync(self.folder)

    def read(self, number: int) -> dict[str, npt.NDArray[Any]]:
        """Return the arrays of a list.

        Raises
        ------
        DamagedDataError
            The file is missing, is not such a file, belongs to another list, or does not have its digest. The message
            names the file.
        """
        path = self.path(number)
        about, frame = _opened(path)
        if about["number"] != number:
            raise DamagedDataError(f"{path} holds list {about['number']}, not {number}")
        size = sum(_size(dtype, shape) for _, dtype, shape in about["arrays"])
        try:
            content = self._zstandard.ZstdDecompressor().decompress(frame, max_output_size=size)
        except self._zstandard.ZstdError as error:
            raise DamagedDataError(f"{path} is damaged: {error}") from error
        if len(content) != size or _digest(number, about["arrays"], content) != about["digest"]:
            raise DamagedDataError(f"{path} is damaged: it does not have the digest in its header")
        arrays, at = {}, 0
        for name, dtype, shape in about["arrays"]:
            length = _size(dtype, shape)
            arrays[name] = _together(content[at : at + length], dtype, shape)
            at += length
        return arrays

    def check(self, numbers: Iterable[int]) -> Iterator[DamagedDataError]:
        """Read lists, and yield the error of each one that is missing or damaged."""
        for number in numbers:
            try:
                self.read(number)
            except DamagedDataError as error:
                yield error

    def use(self) -> ColdUse:
        """Return the size of the store, from the headers of all files."""
        paths = sorted(self.folder.glob("list-*.cold"))
        sizes = [sum(_size(dtype, shape) for _, dtype, shape in _opened(path)[0]["arrays"]) for path in paths]
        return ColdUse(len(paths), sum(sizes), sum(path.stat().st_size for path in paths))


def _library() -> Any:
    try:
        return importlib.import_module("zstandard")
    except ModuleNotFoundError as error:
        raise UnavailableError("the cold tier needs zstandard", "run `pip install 'ninefold[tiers]'`") from error


def _opened(path: Path) -> tuple[dict[str, Any], bytes]:
    """Return the checked header and the frame of a file."""
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise DamagedDataError(f"{path} is missing") from error
    except OSError as error:
        raise DamagedDataError(f"{path} cannot be read: {error.strerror}") from error
    start = len(_MAGIC) + _LENGTH.size
    if not content.startswith(_MAGIC) or len(content) < start:
        raise DamagedDataError(f"{path} is not a file of the cold tier")
    (length,) = _LENGTH.unpack_from(content, len(_MAGIC))
    try:
        if length > min(_HEADER_MAX, len(content) - start):
            raise ValueError(f"it has {length} bytes")
        about = json.loads(content[start : start + length])
        arrays = [(str(name), str(dtype), tuple(map(int, shape))) for name, dtype, shape in about["arrays"]]
        if any(dtype not in _DTYPES or min(shape, default=0) < 0 for _, dtype, shape in arrays):
            raise ValueError(f"its arrays are {arrays}")
        return {"number": int(about["number"]), "digest": str(about["digest"]), "arrays": arrays}, content[
            start + length :
        ]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise DamagedDataError(f"{path} is damaged: its header cannot be read: {error}") from error


def _digest(number: int, described: list[tuple[str, str, tuple[int, ...]]], content: bytes) -> str:
    """Return the SHA-256 of a list: its number, names, dtypes, shapes and bytes."""
    return hashlib.sha256(json.dumps([number, described]).encode() + content).hexdigest()


def _size(dtype: str, shape: tuple[int, ...]) -> int:
    return int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize


def _apart(array: npt.NDArray[Any]) -> bytes:
    """Return the bytes of an array, the first bytes of all numbers first, in little-endian order."""
    little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    return little.reshape(-1).view(np.uint8).reshape(-1, array.dtype.itemsize).T.tobytes()


def _together(content: bytes, dtype: str, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    size = np.dtype(dtype).itemsize
    octets = np.frombuffer(content, np.uint8).reshape(size, -1).T
    return np.ascontiguousarray(octets).reshape(-1).view(np.dtype(dtype).newbyteorder("<")).astype(dtype).reshape(shape)
