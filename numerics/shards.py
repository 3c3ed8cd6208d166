"""Shards: parts of a call's database that are searched separately, and the merges of their results."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from ninefold.numerics.ranked import merged
from ninefold.spec.data import Database
from ninefold.spec.errors import InputError
from ninefold.spec.formats import NO_ID
from ninefold.spec.signature import Call, Resident, Tensor

__all__ = ["MERGES", "merge", "shard"]


def ranked(call: Call, firsts: Sequence[int], parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Merge lists by (score descending, id ascending), with ids counted from the first row of each part."""
    k = call.options["k"]
    ids = [np.where(part["ids"] == NO_ID, NO_ID, part["ids"] + at) for part, at in zip(parts, firsts, strict=True)]
    scores = np.concatenate([part["scores"] for part in parts], axis=-1)
    best, best_scores = merged(np.concatenate(ids, axis=-1), scores, k)
    found = np.minimum(sum(np.asarray(part["count"]) for part in parts), k).astype(np.int64)
    return {"ids": best, "scores": best_scores, "count": found}


#: Function ``(call, firsts, parts) -> values`` of each merge in ``ninefold.spec.signature.MERGES``.
MERGES: Final[Mapping[str, Callable[[Call, Sequence[int], Sequence[Mapping[str, Any]]], dict[str, Any]]]] = (
    MappingProxyType({"ranked": ranked})
)


def shard(call: Call, bounds: Sequence[int]) -> list[Call]:
    """Divide a call's database along the axis that its signature declares.

    Parameters
    ----------
    call : Call
        Call as a device receives it, after the operator's hook ``before``.
    bounds : sequence of int
        First row of each part but the first, ascending, from 0 to the number of rows.

    Returns
    -------
    list of Call
        One call for each part.

    Raises
    ------
    InputError
        The operator's database may not be divided, or the bounds do not ascend.
    """
    operator, axis = call.operator, call.operator.shards
    if axis is None:
        raise InputError(f"the database of {operator.name} may not be divided")
    rows = call.sizes[axis.axis]
    edges = [0, *bounds, rows]
    if any(a > b for a, b in pairwise(edges)):
        raise InputError(f"bounds must ascend from 0 to {rows}, not {list(bounds)}")
    calls = []
    for first, last in pairwise(edges):
        part = slice(first, last)
        arguments = {a.name: _part(a, call.arguments[a.name], axis.axis, part) for a in operator.arguments}
        calls.append(replace(call, arguments=arguments, sizes={**call.sizes, axis.axis: last - first}))
    return calls


def merge(call: Call, bounds: Sequence[int], parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the values of a call from the values of its shards, in the order and with the bounds of `shard`."""
    if call.operator.shards is None:
        raise InputError(f"the database of {call.operator.name} may not be divided")
    return MERGES[call.operator.shards.merge](call, [0, *bounds], parts)


def _part(argument: Any, value: Any, axis: str, rows: slice) -> Any:
    """Return the rows of an argument that has the axis, else the argument itself."""
    if isinstance(argument, Tensor) and argument.shape[:1] == (axis,) and value is not None:
        return value[rows]
    if not isinstance(argument, Resident) or not isinstance(value, Database):
        return value
    layout = argument.layout
    divided = {field.name for field in layout.fields if isinstance(field, Tensor) and field.shape[:1] == (axis,)}
    arrays = {name: array[rows] if name in divided else array for name, array in value.arrays.items()}
    sizes = {name: rows.stop - rows.start for name, symbol in layout.sizes.items() if symbol == axis}
    return Database(arrays, {**value.attributes, **sizes})
