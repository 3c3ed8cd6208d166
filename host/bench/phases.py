"""Searches of a `PhaseIndex` beside a scan of all signatures, part of the suite ``waves``."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ninefold.host.structures import RESONANCE, PhaseIndex, PhaseMatches
from ninefold.spec.benchmark import Figure, Parameter, Request, Size
from ninefold.spec.progress import step
from ninefold.spec.waves import PHASES

from .data import base
from .timing import interleaved

__all__ = ["phase_figures", "signatures"]

_CASE: Final = "search by phases"
#: Most signatures, queries, and rounds.
_PLANS: Final[Mapping[Size, tuple[int, int, int]]] = {
    "tiny": (400, 8, 3),
    "small": (100_000, 200, 5),
    "large": (100_000, 1000, 7),
}
_SCAN: Final = "numpy scan"
_SETTINGS: Final[Mapping[str, Mapping[str, Any]]] = {
    "one bucket": {},
    "delta 0.2": {"delta": 0.2},
    "delta 0.4": {"delta": 0.4},
    "delta pi/4": {"delta": np.pi / 4},
    "delta 0.4, turns": {"delta": 0.4, "turns": True},
    "delta pi/4, turns": {"delta": np.pi / 4, "turns": True},
}
#: Rows from which principal components are computed.
_SAMPLE: Final = 20_000
_BUDGET_S: Final = 60.0

_Signatures = npt.NDArray[np.complex64]


def signatures(rows: npt.NDArray[np.float32], queries: npt.NDArray[np.float32]) -> tuple[_Signatures, _Signatures]:
    """Return the first 18 principal components of rows and queries, paired into nine complex numbers each.

    Parameters
    ----------
    rows : float32 array of shape (N, D)
        Vectors from whose first 20,000 rows the components are computed; D is at least 18.
    queries : float32 array of shape (Q, D)
        Other vectors.

    Returns
    -------
    tuple of complex64 arrays of shapes (N, 9) and (Q, 9)
    """
    sample = rows[:_SAMPLE].astype(np.float64)
    mean = sample.mean(axis=0)
    _, vectors = np.linalg.eigh(np.cov(sample, rowvar=False))
    axes = vectors[:, : -2 * PHASES - 1 : -1]
    found = (np.ascontiguousarray((some - mean) @ axes, np.float32).view(np.complex64) for some in (rows, queries))
    return next(found), next(found)


def phase_figures(request: Request) -> list[Figure]:
    """Measure each setting: time beside a scan, recall and precision, and the share of best matches that are found."""
    most, number, rounds = _PLANS[request.size]
    whole = base(request, number)
    rows, queries = signatures(whole.vectors[:most], whole.queries)
    index = PhaseIndex()
    stored = index.add(rows, np.arange(len(rows)))
    request.note(
        f"search by phases: {len(rows) - int(stored.sum()):,} of {len(rows):,} signatures are not stored, as their "
        f"buckets of 16 are full; the scan finds them, so that recall counts them"
    )
    units = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    truth = np.abs(queries.conj() @ units.T) / np.linalg.norm(queries, axis=1, keepdims=True)
    matches = truth > RESONANCE
    found: dict[str, PhaseMatches] = {}
    with step(f"searching {len(rows):,} signatures"):
        for name, options in _SETTINGS.items():
            found[name] = index.search(queries, len(rows), **options)
        # With one match a query, as the structure is meant to be used; the scan finds the best row of each query.
        contenders = {name: functools.partial(index.search, queries, **options) for name, options in _SETTINGS.items()}
        scan = {_SCAN: lambda: [int(np.abs(units @ query.conj()).argmax()) for query in queries]}
        times = interleaved({**contenders, **scan}, rounds, _BUDGET_S)
    parameters: dict[str, Parameter] = {"signatures": len(rows), "queries": len(queries), "data": whole.name}
    figures = []
    for name in _SETTINGS:
        subject = f"PhaseIndex, {name}"
        shares = _shares(found[name], truth, matches)
        probes, candidates = (counts.mean() for counts in (found[name].probes, found[name].candidates))
        seconds = times.seconds[name]
        figures.append(
            Figure.timed(
                _CASE,
                subject,
                "time of a query",
                [one * 1e6 / len(queries) for one in seconds],
                "µs",
                parameters=parameters,
                better="less",
                beside=_SCAN,
                ratio=times.ratio(name, _SCAN)[0],
                ratio_spread=times.ratio(name, _SCAN)[1],
                detail=f"{probes:,.1f} buckets and {candidates:,.1f} signatures a query",
                task=f"best resonance among {len(rows):,} signatures",
            )
        )
        figures += [
            Figure(_CASE, subject, quantity, value, "", parameters, kind="exact", better="more")
            for quantity, value in shares.items()
        ]
    scans = [one * 1e6 / len(queries) for one in times.seconds[_SCAN]]
    figures.append(Figure.timed(_CASE, _SCAN, "time of a query", scans, "µs", parameters=parameters))
    return figures


def _shares(found: PhaseMatches, truth: npt.NDArray[np.float32], matches: npt.NDArray[np.bool_]) -> dict[str, float]:
    """Return recall and precision over all queries, and the share of queries whose best match is found."""
    returned = int(found.count.sum())
    best = [ids[0] == row for ids, row in zip(found.ids, truth.argmax(axis=1), strict=True)]
    return {
        f"recall of resonance > {RESONANCE}": returned / max(1, int(matches.sum())),
        "precision of the candidates": returned / max(1, int(found.candidates.sum())),
        "recall of the best match": float(np.mean(best)),
    }
