"""Settings of a search with their recall: measured at building, chosen by a recall, kept in the manifest."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ninefold.host.index import Index, build
from ninefold.host.index.settings import Setting, chosen
from ninefold.spec.errors import InputError

KNOWN = (Setting("signs", 2, 4, 0.9), Setting("signs", 8, 4, 0.97), Setting("nits", 32, 4, 0.99))


@pytest.fixture(autouse=True)
def numpy_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NINEFOLD_CPU_PATH", "numpy")


def index_of(folder: Path, rows: np.ndarray, vectors: bool = True) -> Index:
    np.save(folder / "rows.npy", rows)
    build(str(folder / "rows.npy"), str(folder / "index"), vectors=vectors)
    return Index.open(str(folder / "index"))


def test_the_cheapest_setting_is_chosen() -> None:
    assert chosen(KNOWN, 0.5) is KNOWN[0]
    assert chosen(KNOWN, 0.9) is KNOWN[0]
    assert chosen(KNOWN, 0.9001) is KNOWN[1]
    assert chosen(KNOWN, 0.98) is KNOWN[2]
    for recall, message in (
        (0.0, "recall must be above 0 and at most 1, not 0.0"),
        (1.5, "recall must be above 0 and at most 1, not 1.5"),
        (float("nan"), "recall must be above 0 and at most 1, not nan"),
        (0.995, "recall must be at most 0.99, the highest that was measured, not 0.995"),
    ):
        with pytest.raises(InputError, match=f"^{message}$"):
            chosen(KNOWN, recall)
    with pytest.raises(InputError, match=r"^no recall was measured"):
        chosen((), 0.9)


def test_an_index_keeps_what_was_measured_and_searches_by_it(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    centres = random.normal(0, 1, (40, 24))
    rows = centres[random.integers(0, 40, 900)] + random.normal(0, 0.7, (900, 24))
    index = index_of(tmp_path, rows.astype(np.float32))
    settings = index.manifest.settings
    assert [(s.scan, s.oversample) for s in settings] == [("signs", 2**i) for i in range(6)] + [("nits", 32)]
    recalls = [setting.recall for setting in settings]
    # More rows can only help, and the scan that keeps nearly all rows finds what the scan of nits finds.
    assert recalls == sorted(recalls)
    assert recalls[0] < recalls[3] < 1.0001
    assert recalls[-2] == recalls[-1] > 0.99
    hits = index.search(7, 5, recall=recalls[1], device="cpu")
    assert hits.setting == settings[[recall >= recalls[1] for recall in recalls].index(True)]
    assert hits.result.values["scores"].dtype == np.float64
    with pytest.raises(InputError, match=r"^recall chooses rerank itself: leave out rerank 4$"):
        index.search(7, 5, recall=0.9, rerank=4)


def test_indexes_without_a_measurement(tmp_path: Path) -> None:
    rows = np.random.default_rng(3).normal(0, 1, (60, 8)).astype(np.float32)
    (tmp_path / "few").mkdir()
    (tmp_path / "plain").mkdir()
    few, plain = index_of(tmp_path / "few", rows[:30]), index_of(tmp_path / "plain", rows, vectors=False)
    for index in (few, plain):
        assert index.manifest.settings == ()
        with pytest.raises(InputError, match=r"^no recall was measured when this index was built"):
            index.search(np.ones(8, np.float32), 3, recall=0.9)
