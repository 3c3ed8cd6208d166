"""Runs that are made up."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ninefold.host.bench.machine import Machine
from ninefold.host.bench.records import SCHEMA, Run
from ninefold.spec.benchmark import Figure

MACHINE = Machine("a processor", 2, 8 << 30, "Linux", "performance", "3.11.2")


def run(*figures: Figure, suite: str = "search", **changes: Any) -> Run:
    made = Run(
        schema=SCHEMA,
        date="2026-01-02T03:04:05+00:00",
        size="tiny",
        threads=2,
        commit="0123456789ab",
        machine=MACHINE,
        packages={"numpy": "2.0"},
        suites={suite: figures},
        left_out={"gpu": "there is none"},
        notes=("a note",),
    )
    return replace(made, **changes)


def search_figures(rows: tuple[int, ...] = (100, 1000), queries: tuple[int, ...] = (1, 64)) -> list[Figure]:
    """Return figures as the suite `search` gives them, for a device and two peers."""
    figures = [
        Figure("roof", "machine", "memory read", 20.0, "GB/s", {"threads": 2}),
        Figure("roof", "machine", "int8 rate", 400.0, "Gop/s", {"threads": 2}),
    ]
    for n in rows:
        base = {"rows": n, "dimensions": 384, "k": 10, "data": "made up, tiled with noise"}
        for i, name in enumerate(("cpu", "faiss flat", "faiss <SQ4>")):
            figures.append(Figure("search", name, "recall@10", 1 - i / 10, "", base, kind="exact"))
            for q in queries:
                sizes = {**base, "queries": q}
                figures.append(
                    Figure.timed("search", name, "time", [n * q * (1 + i) / 1e3] * 3, "ms", parameters=sizes)
                )
                if name == "cpu":
                    figures += [
                        Figure("search", name, "operations", 768 * n * q, "", sizes, kind="exact"),
                        Figure("search", name, "bytes read", 192 * n, "byte", sizes, kind="exact"),
                        Figure("search", name, "rate", 100.0, "Gop/s", sizes),
                    ]
    return figures
