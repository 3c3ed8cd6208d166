"""Databases of ``search6d``, and its two stages: ``mine`` on the embeddings, and similarities of what it finds."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ninefold.spec.context import CANDIDATES, check_scored, columns
from ninefold.spec.data import Database
from ninefold.spec.formats import Mode
from ninefold.spec.operators import OPERATORS
from ninefold.spec.signature import Call
from ninefold.spec.tensors import Record
from ninefold.spec.vector6d import EMBEDDING

from .databases import check_database, joined_rows
from .nits import pack
from .quantise import quantise
from .ranked import best, empty
from .rows import take
from .similarity6d import unit_embeddings

__all__ = ["check_records", "embeddings_call", "record_database", "rescored"]

_Columns = Mapping[str, npt.NDArray[Any]]
#: Function of columns of queries and of their candidates that returns the similarities (Q, candidates of each).
Compare = Callable[[_Columns, _Columns], npt.NDArray[np.float32]]

_RECORD = Record("records", columns("N"))
#: Databases whose values passed the check; they do not change.
_CHECKED: weakref.WeakSet[Database] = weakref.WeakSet()
#: Records that are quantised, and candidates that are scored, at once.
_BLOCK = 1 << 14


def record_database(records: _Columns, scale: float, mode: Mode) -> Database:
    """Return the database of records, with the nits of their embeddings.

    Parameters
    ----------
    records : mapping of str to array
        Columns, as `ninefold.numerics.vector6d.Vector6DColumns.arrays`.
    scale, mode : float, str
        As `quantise` takes them; the operator ``calibrate`` chooses a scale for embeddings of length 1.
    """
    rows = len(records["links"])
    nits = np.empty((rows, EMBEDDING // 2), np.uint8)
    for first in range(0, rows, _BLOCK):
        part = slice(first, first + _BLOCK)
        nits[part] = pack(quantise(unit_embeddings(records["embedding"][part]), scale, mode))
    arrays = {name: np.ascontiguousarray(column) for name, column in records.items()}
    attributes: dict[str, int | float | str] = {"rows": rows, "dimensions": EMBEDDING, "scale": scale, "mode": mode}
    return Database({"nits": nits, **arrays}, attributes)


def check_records(database: Database) -> None:
    """Check the values of a database, or of each that it joins, once a process.

    Raises
    ------
    InputError
        A nibble is no nit, a number that is scored is not finite, or a record has more than 8 links.
    """
    check_database(database)
    for part in database.parts:
        if part not in _CHECKED:
            found = {name: np.asarray(array) for name, array in part.arrays.items() if name != "nits"}
            _RECORD.check(found, {})
            check_scored("records", found)
            _CHECKED.add(part)


def embeddings_call(call: Call) -> Call:
    """Return the call of ``mine`` that is the first stage of a call of ``search6d``."""
    arguments = {
        "q": unit_embeddings(np.asarray(call.arguments["q"]["embedding"])),
        "database": call.database(),
        "allowed": call.arguments["allowed"],
    }
    sizes = {**call.sizes, "D": EMBEDDING}
    return OPERATORS["mine"].settled(arguments, {"k": CANDIDATES * call.options["k"]}, sizes)


def rescored(call: Call, found: Mapping[str, npt.NDArray[Any]], compare: Compare) -> dict[str, npt.NDArray[Any]]:
    """Return the result of ``search6d``: the best k of its candidates by similarity, ties by row number.

    Parameters
    ----------
    call : Call
        Call of ``search6d``.
    found : mapping of str to array
        Values of its first stage. All queries have equally many candidates.
    compare : callable
        ``compare(queries, candidates)``: similarities of each query with its own candidates, one after another.
    """
    k, database, queries = call.options["k"], call.database(), call.arguments["q"]
    each = int(found["count"].max(initial=0))
    ids, scores = empty(len(found["ids"]), k, np.float32)
    names = [field.name for field in _RECORD.fields]
    for first in range(0, len(ids) if each else 0, step := max(1, _BLOCK // max(1, each))):
        part = slice(first, first + step)
        # In the order of their numbers, since of equal scores the first is the best.
        rows = np.sort(found["ids"][part, :each], axis=1)
        candidates = {name: joined_rows(database, name)[rows.ravel()] for name in names}
        places, top = best(compare(take(queries, part), candidates), k)
        number = places.shape[1]
        ids[part, :number], scores[part, :number] = np.take_along_axis(rows, places, axis=1), top
    return {"ids": ids, "scores": scores, "count": np.full(len(ids), min(k, each), np.int64)}
