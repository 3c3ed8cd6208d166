"""The suite ``store`` at its smallest, beside a peer of the test's own and those that are installed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ninefold.host.bench import stores
from ninefold.host.bench.store import PLANS, store
from ninefold.host.bench.stores import OURS, STORES, Store
from ninefold.spec.benchmark import Request

QUANTITIES = {
    *("upserts", "search, p50", "search, p99", "search during upserts, p50", "search during upserts, p99"),
    *("bytes a row", "opening"),
}


class Plain:
    """Store that holds its rows in memory."""

    def __init__(self, folder: Path) -> None:
        self.rows = np.load(folder / "rows.npy")

    def upsert(self, ids: Sequence[int], rows: Any) -> None:
        assert len(ids) == 100
        self.rows[list(ids)] = rows

    def search(self, query: Any, k: int) -> list[int]:
        return [int(one) for one in np.argsort(-(self.rows @ query), kind="stable")[:k]]

    def compact(self) -> None:
        pass

    def close(self) -> None:
        pass


def test_the_store_beside_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NINEFOLD_CPU_PATH", "numpy")
    rows = np.random.default_rng(3).normal(0, 1, (400, 32)).astype(np.float32)
    np.save(tmp_path / "rows.npy", rows / np.linalg.norm(rows, axis=1, keepdims=True))
    plain = Store("numpy", "", lambda folder, given: np.save(folder / "rows.npy", given), Plain, "exact scan")
    missing = Store("no_such_module", "pip install it", plain.fill, plain.open, "")
    monkeypatch.setattr("ninefold.host.bench.store.STORES", {OURS: STORES[OURS], "plain": plain, "missing": missing})
    notes: list[str] = []
    figures = store(Request("tiny", threads=1, data=str(tmp_path / "rows.npy"), note=notes.append))
    assert max(Counter(figure.key for figure in figures).values()) == 1
    said = "store: missing is skipped: no_such_module is not installed; pip install it"
    assert [note for note in notes if note.startswith("store")] == [said]
    assert {figure.parameters["rows"] for figure in figures} == {400 - PLANS["tiny"].queries}
    by = {(figure.subject, figure.quantity): figure for figure in figures}
    for scan in ("nits", "signs"):
        eight = by["eight segments", f"search of {scan}, processor time"]
        assert (eight.beside, eight.target) == ("one segment", "")  # few rows have no target
    for quantity in QUANTITIES:
        ours, its = by[OURS, quantity], by["plain", quantity]
        assert (ours.beside, its.beside) == ("plain", "")
        assert ours.ratio == pytest.approx(ours.value / its.value)
        assert ours.target == (">= 1" if quantity == "upserts" else "<= 1")
        assert ours.value > 0
    assert by["plain", "bytes a row"].value == pytest.approx(32 * 4, rel=0.02)
    assert by["plain", "recall@10"].value == 1
    assert by[OURS, "recall@10"].value >= 0.95
    assert by[OURS, "p99 during upserts / idle"].target == "<= 2"


def test_a_sqlite_without_extensions_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "_sqlite3", lambda: None)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: object())
    assert STORES["sqlite-vec"].missing == "this Python's sqlite3 loads no extensions; pip install pysqlite3-binary"
    assert STORES["lancedb"].missing == ""
