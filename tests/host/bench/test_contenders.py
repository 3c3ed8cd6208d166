"""Contenders: tuned to a recall, and compared with the best peer that reaches it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np

from ninefold.host.bench.contenders import Contender, beside_best, tuned
from ninefold.host.bench.data import Dataset
from ninefold.host.bench.peers import Search
from ninefold.host.bench.timing import Times

TRUTH = np.arange(1000).reshape(100, 10)
DATA = cast(Dataset, SimpleNamespace(vectors=np.zeros((200, 2)), queries=np.zeros((100, 2)), truth=TRUTH, real=True))


def finds(count: int) -> Search:
    """Return a search that finds the first `count` of all 1,000 rows."""
    found = np.where(count > TRUTH, TRUTH, -1)
    return lambda _q, _k: found


def contender(name: str, recall: float, device: str = "") -> Contender:
    return Contender(name, finds(0), recall, device=device)


def test_the_first_setting_that_reaches_a_recall() -> None:
    notes: list[str] = []
    found = {10: 900, 20: 995, 30: 996}
    settings = {f"ef {ef}": finds(count) for ef, count in found.items()}
    made = list(tuned("graph", settings, DATA, ("0.99", "0.998"), notes.append))
    assert [(one.name, one.recall, one.setting, one.key) for one in made] == [
        ("graph at recall 0.99", 0.995, "ef 20", "graph, ef 20")
    ]
    assert made[0].family == "graph"
    assert notes == ["search: graph does not reach a recall of 0.998 on 200 rows; its last recall was 0.996"]


def test_the_fastest_of_each_side_at_equal_recall() -> None:
    contenders = [
        contender("cpu", 0.9, "cpu"),
        contender("cpu, slow", 1.0, "cpu"),
        contender("cpu, quick", 0.999, "cpu"),
        contender("graph", 0.9985),
        contender("faiss flat", 1.0),
        contender("quick and wrong", 0.5),
    ]
    seconds = dict(zip((one.name for one in contenders), (1.0, 4.0, 2.0, 8.0, 16.0, 0.1), strict=True))
    times = Times({name: [value] * 3 for name, value in seconds.items()})
    sizes: dict[str, Any] = {"queries": 1}
    figures = list(beside_best(contenders, "cpu", DATA, times, sizes, judged=True))
    seen = [(f.case.rpartition(" ")[2], f.value, f.beside, f.ratio, f.target) for f in figures]
    # HNSW's targets are for at least 100,000 rows, the ones of a search without loss for all sizes.
    assert seen == [
        ("0.99", 2e3, "graph", 0.25, ""),
        ("0.998", 2e3, "graph", 0.25, ""),
        ("1.000", 4e3, "faiss flat", 0.25, "<= 0.5"),
    ]
    assert figures[0].task == "search, 200 rows, 1 query, recall >= 0.99"
