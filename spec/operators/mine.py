"""``mine``: search in stages: quantise, scan, score by nits, select."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import InputError
from ..formats import (
    CANDIDATES_MAX,
    DIMENSIONS_MAX,
    K_MAX,
    MACRO_CLUSTERS,
    MICRO_CLUSTERS,
    MODES,
    NO_ID,
    SCANS,
)
from ..signature import Call, Derived, Layout, Limit, Operator, Option, Resident, Shards, Tensor

__all__ = ["ALLOWED", "CLUSTERS", "DATABASE", "OPERATOR", "check_clusters", "check_mask", "check_stages"]

_BYTES = Derived("ceil(D / 2)", lambda sizes: (sizes["D"] + 1) // 2)
_LISTS = MACRO_CLUSTERS * MICRO_CLUSTERS

#: Rows of nits, with the scale and mode of the queries. A clustered database also has the rows by list and the nits of
#: the centroids, which have a scale of their own. List 16 i + j is micro cluster j of macro cluster i.
DATABASE = Layout(
    "database",
    fields=(
        Tensor("nits", ("N", _BYTES), ("uint8",), doc="packed"),
        Tensor("vectors", ("N", "D"), ("float16",), optional=True, doc="float vectors for reranking"),
        Tensor("order", ("N",), ("int64",), optional=True, doc="rows by list, ascending within a list"),
        Tensor("starts", (_LISTS + 1,), ("int64",), optional=True, doc="first position of each list in order"),
        Tensor("macro", (MACRO_CLUSTERS, _BYTES), ("uint8",), optional=True, doc="packed centroids"),
        Tensor("micro", (_LISTS, _BYTES), ("uint8",), optional=True, doc="packed centroids of the lists"),
    ),
    attributes=(
        Option("rows", int, Option.REQUIRED, low=0, doc="number of rows"),
        Option("dimensions", int, Option.REQUIRED, low=1, high=DIMENSIONS_MAX, doc="nits of a row"),
        Option("scale", float, Option.REQUIRED, positive=True, doc="factor of queries before rounding to the grid"),
        Option("mode", str, Option.REQUIRED, choices=MODES, doc="thresholds of the quantiser"),
        Option("centroid_scale", float, None, positive=True, doc="factor of centroids before rounding to the grid"),
    ),
    sizes={"rows": "N", "dimensions": "D"},
)

#: Rows that may be returned, before any stage; the bits behind the last row are 0.
ALLOWED = Tensor(
    "allowed",
    (Derived("ceil(N / 8)", lambda sizes: (sizes["N"] + 7) // 8),),
    ("uint8",),
    optional=True,
    doc="rows that may be returned: row r is bit r mod 8, lowest first, of byte r // 8",
)

#: Part of a clustered database that is searched; both or neither.
CLUSTERS = (
    Option("macro", int, None, low=1, high=MACRO_CLUSTERS, doc="number of clusters to search; needs micro"),
    Option("micro", int, None, low=1, high=MICRO_CLUSTERS, doc="number of lists in each of them; needs macro"),
)
#: Arrays of a clustered database.
_CLUSTERED = ("order", "starts", "macro", "micro")


def _listed(options: Mapping[str, Any]) -> int:
    return int(options["k"]) * int(options["rerank"] or 1)


def _kept(options: Mapping[str, Any]) -> int:
    return _listed(options) * int(options["oversample"]) if options["scan"] == "signs" else 1


def check_clusters(call: Call) -> None:
    """Raise `InputError` if a call asks for clusters that its database does not have."""
    if all(name in call.database().parts[0].arrays for name in _CLUSTERED):
        return
    names = {name for part in call.database().parts for name in part.arrays}
    if missing := [name for name in _CLUSTERED if name not in names]:
        raise InputError(f"macro and micro need a database with clusters; this one has no {', '.join(missing)}")


def check_mask(allowed: Any, rows: int) -> None:
    """Raise `InputError` unless a mask has a bit for each of `rows` rows, and no other bit."""
    ALLOWED.check(allowed, {"N": rows})
    if rows % 8 and int(allowed[-1]) >> rows % 8:
        raise InputError(f"allowed has a bit set for row {rows} or above, and the database has {rows} rows")


def check_stages(call: Call) -> None:
    """Raise `InputError` if ``macro``, ``micro`` and ``allowed`` of a call do not fit together or its database."""
    macro, micro, allowed = call.options["macro"], call.options["micro"], call.arguments["allowed"]
    if (macro is None) != (micro is None):
        given, other = ("macro", "micro") if micro is None else ("micro", "macro")
        raise InputError(f"{given} needs {other} too: both choose the lists that are searched")
    if macro is not None:
        check_clusters(call)
    if allowed is not None:
        check_mask(allowed, call.sizes["N"])


#: Queries are quantised with the scale and mode of the database. Ids are row numbers. One host function applies
#: ``threshold`` and ``rerank`` after any backend, so a backend sees k times rerank as k.
#:
#: Stages, each with ties by the lower row number: rows are those whose bit in ``allowed`` is set and, with ``macro``
#: and ``micro``, those in the best ``micro`` lists of each of the best ``macro`` clusters, by the score of the nits of
#: query and centroid. ``scan="signs"`` keeps the best k * oversample of them by the sum over d of the query's nit,
#: negated where the row's nit is negative. What remains is scored by nits, and the best k are the result.
OPERATOR = Operator(
    name="mine",
    summary="Find the k rows of a database nearest to each query, exactly on nits.",
    arguments=(
        Tensor("q", ("Q", "D"), ("float32",), doc="queries, not quantised"),
        Resident("database", "database", DATABASE, doc="packed nits, scale and mode"),
        ALLOWED,
    ),
    options=(
        Option("k", int, 10, low=1, high=K_MAX, doc="maximum number of results per query"),
        Option("threshold", str, None, choices=("adaptive",), doc="drop results near the mean of the returned scores"),
        Option("rerank", int, None, low=1, high=K_MAX, doc="rescore the best rerank * k by the float vectors"),
        Option("scan", str, "nits", choices=SCANS, doc="score all rows by nits, or first by the signs of their nits"),
        Option("oversample", int, 32, low=1, high=64, doc="the scan of signs keeps k * rerank * oversample rows"),
        *CLUSTERS,
    ),
    results=(
        Tensor("ids", ("Q", "k"), ("int64",), NO_ID, doc="row numbers, best first"),
        Tensor("scores", ("Q", "k"), ("int32", "float64"), doc="integer scores; float64 when reranked"),
        Tensor("count", ("Q",), ("int64",), 0, K_MAX, doc="number of results"),
    ),
    rows="Q",
    shards=Shards("N", merge="staged", masks=("allowed",), lists=("order", "starts")),
    family="nonary",
    limits=(
        Limit("rerank * k", lambda _, options: _listed(options), 1, K_MAX),
        Limit("rows kept by the scan of signs, k * rerank * oversample,", lambda _, o: _kept(o), 1, CANDIDATES_MAX),
    ),
    check=check_stages,
)
