"""Shards: parts of a call's database that are searched separately, and the merges of their results."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ninefold.numerics.ranked import merged
from ninefold.numerics.stages import candidates_call, quantised, rescored
from ninefold.spec.data import Database
from ninefold.spec.errors import InputError
from ninefold.spec.formats import NO_ID
from ninefold.spec.signature import Call, Layout, Resident, Shards, Tensor

__all__ = ["MERGES", "Merge", "bounds_of", "merge", "part_of", "ranked", "shard"]


@dataclass(frozen=True)
class Merge:
    """Search of a divided database.

    Attributes
    ----------
    asked : callable
        ``asked(call)`` gives the call that each part answers, on its own rows.
    join : callable
        ``join(call, firsts, parts)`` gives a call's values from the values of its parts, which begin at rows `firsts`.
    """

    asked: Callable[[Call], Call]
    join: Callable[[Call, Sequence[int], Sequence[Mapping[str, Any]]], dict[str, Any]]


def ranked(firsts: Sequence[int], parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Merge lists by (score descending, id ascending), with ids counted from the first row of each part."""
    ids = [np.where(part["ids"] == NO_ID, NO_ID, part["ids"] + at) for part, at in zip(parts, firsts, strict=True)]
    scores = np.concatenate([part["scores"] for part in parts], axis=-1)
    slots = parts[0]["ids"].shape[-1]  # a list is as long for a part as for all rows
    best, best_scores = merged(np.concatenate(ids, axis=-1), scores, slots)
    found = np.minimum(sum(np.asarray(part["count"]) for part in parts), slots).astype(np.int64)
    return {"ids": best, "scores": best_scores, "count": found}


def _ranked(_: Call, firsts: Sequence[int], parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return ranked(firsts, parts)


def _first_stage(call: Call) -> Call:
    """Return what each part of a call of ``mine`` answers: candidates, as its own best rows may not survive in all."""
    return candidates_call(call) if call.options["scan"] == "signs" else call


def _staged(call: Call, firsts: Sequence[int], parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Merge the first stages of a call of ``mine``, cut them once, and run the second stage."""
    found = ranked(firsts, parts)
    return rescored(call, quantised(call), found) if call.options["scan"] == "signs" else found


#: Name in ``ninefold.spec.signature.MERGES`` -> how parts are asked and joined.
MERGES: Final[Mapping[str, Merge]] = MappingProxyType(
    {"ranked": Merge(lambda call: call, _ranked), "staged": Merge(_first_stage, _staged)}
)


def bounds_of(database: Database) -> list[int]:
    """Return the bounds by which `shard` divides a database into those that it joins, none for any other."""
    return list(accumulate(int(part.attributes["rows"]) for part in database.joins[:-1]))


def shard(call: Call, bounds: Sequence[int]) -> list[Call]:
    """Divide a call's database along the axis that its signature declares.

    Parameters
    ----------
    call : Call
        Call as a device receives it, after the operator's hook ``before``.
    bounds : sequence of int
        First row of each part but the first, ascending, from 0 to the number of rows; `bounds_of` gives the
        bounds of a database that joins others, which is divided in no other way.

    Returns
    -------
    list of Call
        One call for each part: of the same operator, or of ``candidates`` for a scan of signs, whose parts are
        scored by nits only when they are merged. A part of a clustered database has all centroids, so that each part
        searches the lists that are best in the whole database. A part without lists is searched whole.

    Raises
    ------
    InputError
        The operator's database may not be divided, or the bounds do not ascend.
    """
    axis = _divided_axis(call)
    rows = call.sizes[axis.axis]
    edges = [0, *bounds, rows]
    if any(a > b for a, b in pairwise(edges)):
        raise InputError(f"bounds must ascend from 0 to {rows}, not {list(bounds)}")
    asked = MERGES[axis.merge].asked(call)
    calls = []
    for first, last in pairwise(edges):
        part = range(first, last)
        arguments = {a.name: _part(a, asked.arguments[a.name], axis, part) for a in asked.operator.arguments}
        divided = replace(asked, arguments=arguments, sizes={**asked.sizes, axis.axis: len(part)})
        if axis.lists and axis.lists[0] not in divided.database().arrays:
            divided = replace(divided, options={**divided.options, "macro": None, "micro": None})
        calls.append(divided)
    return calls


def merge(call: Call, bounds: Sequence[int], parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the values of a call from the values of its shards, in the order and with the bounds of `shard`."""
    return MERGES[_divided_axis(call).merge].join(call, [0, *bounds], parts)


def _divided_axis(call: Call) -> Shards:
    if call.operator.shards is None:
        raise InputError(f"the database of {call.operator.name} may not be divided")
    return call.operator.shards


def _part(argument: Any, value: Any, axis: Shards, rows: range) -> Any:
    """Return what a part of the database needs of an argument: its rows, its bits, or the argument itself."""
    if value is None:
        return None
    if argument.name in axis.masks:
        bits = np.unpackbits(np.asarray(value), count=rows.stop, bitorder="little")
        return np.packbits(bits[rows.start :], bitorder="little")
    if isinstance(argument, Tensor) and argument.shape[:1] == (axis.axis,):
        return value[rows.start : rows.stop]
    if isinstance(argument, Resident) and isinstance(value, Database):
        return part_of(value, rows, argument.layout, axis)
    return value


def part_of(database: Database, rows: range, layout: Layout, axis: Shards) -> Database:
    """Return the database of some rows: itself, one that it joins, or a new one.

    Parameters
    ----------
    database : Database
    rows : range
    layout, axis : Layout, Shards
        Content of the database, and the axis along which it is divided, as the operator declares them.
    """
    size = next(name for name, symbol in layout.sizes.items() if symbol == axis.axis)
    if len(rows) == database.attributes[size]:
        return database
    if database.joins:
        return database.joins[bounds_of(database).index(rows.start) + 1 if rows.start else 0]
    arrays = dict(database.arrays)
    for field in layout.fields:
        if isinstance(field, Tensor) and field.shape[:1] == (axis.axis,) and field.name in arrays:
            arrays[field.name] = arrays[field.name][rows.start : rows.stop]
    if axis.lists and axis.lists[0] in arrays:
        order, starts = axis.lists
        arrays[order], arrays[starts] = _lists(database.arrays[order], database.arrays[starts], rows)
    return Database(arrays, {**database.attributes, size: len(rows)})


def _lists(order: Any, starts: Any, rows: range) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the lists of a part: its rows by list, counted from its first row, and the start of each list."""
    order, starts = np.asarray(order), np.asarray(starts)
    inside = (order >= rows.start) & (order < rows.stop)
    before = np.concatenate([[0], np.cumsum(inside)])  # rows of the part before each position
    return order[inside] - rows.start, before[starts]
