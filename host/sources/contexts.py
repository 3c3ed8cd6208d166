"""``Vector6D`` records, from a file of one record after another."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from ninefold.numerics.similarity6d import unit_embeddings
from ninefold.numerics.vector6d import Vector6DColumns, decode, encode
from ninefold.spec.context import SCORED
from ninefold.spec.errors import DamagedDataError, InputError
from ninefold.spec.terminal import printable
from ninefold.spec.vector6d import MODALITIES

from .declared import DeclaredField
from .entry import Entry

__all__ = ["FIELDS", "check", "claims", "entries_of", "load", "vectors_of"]

#: Fields of records that have columns: time in seconds, and the most likely intent. The field ``modality``, a list of
#: names, has none.
FIELDS = (DeclaredField("time", "float"), DeclaredField("intent", "int"))
#: Records that are converted at once.
_BLOCK = 4096


def claims(source: str) -> bool:
    """Return True if the source is a file of records, by its name."""
    return source.lower().endswith(".bin")


def load(source: str) -> Vector6DColumns:
    """Return the records of a file, at least one.

    Raises
    ------
    InputError
        There is no such file, it has no records, or a number that is scored is not finite.
    DamagedDataError
        A record is cut off or damaged; the message names the file, the record and the position of the wrong byte.
    """
    name, path = printable(source), Path(source)
    if not path.exists():
        raise InputError(f"{name} does not exist")
    if not path.stat().st_size:
        raise InputError(f"{name} holds no records: it is empty")
    try:
        records = decode(np.memmap(path, np.uint8, "r"))
    except DamagedDataError as error:
        raise DamagedDataError(f"{name}: {error}") from error
    check(records, name)
    return records


def check(records: Vector6DColumns, called: str) -> None:
    """Raise `InputError` unless all numbers that are scored are finite; the message names `called` and the record."""
    for field in SCORED:
        numbers = records.arrays[field]
        if len(wrong := np.argwhere(~np.isfinite(numbers))):
            place = tuple(wrong[0].tolist())
            raise InputError(f"{called}: {field} of record {place[0]} must be finite, not {numbers[place]}")


def entries_of(records: Vector6DColumns) -> list[Entry]:
    """Return records as entries, whose ids are their numbers."""
    entries: list[Entry] = []
    for first in range(0, len(records), _BLOCK):
        some = records[first : first + _BLOCK]
        times, modality = (some.arrays["timestamp"] / 1e6).tolist(), some.arrays["modality"].tolist()
        intents = some.arrays["intent"].argmax(axis=1).tolist()
        for row in range(len(some)):
            names = [name for name, bit in MODALITIES.items() if modality[row] & bit]
            fields = {"modality": names, "time": times[row], "intent": intents[row]}
            number, context = str(first + row), encode(some[row : row + 1]).tobytes()
            entries.append(Entry(number, f"record {number}", "", fields, context))
    return entries


def vectors_of(records: Vector6DColumns) -> npt.NDArray[np.float32]:
    """Return the embeddings divided by their lengths, float32 (N, 512); zeros stay zeros."""
    return unit_embeddings(records.arrays["embedding"])
