"""Settings of a search with their recall: measured at building, chosen by a recall, kept in the manifest."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ninefold.host.clustering import cluster
from ninefold.host.index import Index, build, generations
from ninefold.host.index.settings import Setting, bytes_read, chosen
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
    settings = index.generation.settings
    # All nits of 900 rows are less to read than all signs and the nits of nearly all rows.
    order = [("signs", 2**i) for i in range(5)] + [("nits", 32), ("signs", 32)]
    assert [(s.scan, s.oversample) for s in settings] == order
    recalls = [setting.recall for setting in settings]
    # More rows can only help, and the scan that keeps nearly all rows finds what the scan of nits finds.
    assert recalls == sorted(recalls)
    assert recalls[0] < recalls[3] < 1.0001
    assert recalls[-2] == recalls[-1] > 0.99
    hits = index.search(7, 5, recall=recalls[1], device="cpu")
    assert hits.setting == settings[[recall >= recalls[1] for recall in recalls].index(True)]
    assert hits.result.values["scores"].dtype == np.float64
    for given, value in (("rerank", 4), ("scan", "nits"), ("oversample", 1)):
        with pytest.raises(InputError, match=f"^recall chooses {given} itself: leave out {given} {value}$"):
            index.search(7, 5, recall=0.9, **{given: value})
    signs = index.search(7, 5, scan="signs", oversample=4, rerank=2, device="cpu")
    direct = index.mine(index.vectors[7][None].astype(np.float32), k=5, scan="signs", oversample=4, rerank=2)
    assert [hit.row for hit in signs] == direct.values["ids"][0].tolist()
    assert [hit.row for hit in signs] != [
        hit.row for hit in index.search(7, 5, scan="signs", oversample=1, device="cpu")
    ]


def test_an_index_of_many_rows_has_clusters_to_choose(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generations, "CLUSTERED_ROWS", 900)
    random = np.random.default_rng(4)
    rows = random.normal(0, 1, (900, 64))
    index = index_of(tmp_path, rows.astype(np.float32))
    made = cluster(np.asarray(index.vectors), mode="linear")
    for name, array in made.arrays.items():
        np.testing.assert_array_equal(index.database.arrays[name], array)
    assert index.generation.centroid_scale == index.database.attributes["centroid_scale"] == made.scale
    some = {s.macro: s.recall for s in index.generation.settings if s.macro}
    assert list(some) == [4, 8, 16, 24, 32, 48]
    assert some[4] < some[16] <= some[48]
    costs = [bytes_read(setting, 900, 64) for setting in index.generation.settings]
    assert costs == sorted(costs)
    chosen_one = index.search(5, 10, recall=some[4]).setting
    assert chosen_one is not None


def test_words_for_a_setting() -> None:
    assert str(Setting("signs", 8, 4, 0.9, 16, 16)) == (
        "signs scanned first, oversample 8, in 16 of 64 clusters, rerank 4: recall 0.9000 on the index's own rows"
    )
    assert "in 4 of 64 clusters and 2 of 16 lists of each, rerank" in str(Setting("signs", 8, 4, 0.9, 4, 2))
    # 10 rows of 8 nits: 10 bytes of signs; 4 bytes a row kept; and a quarter of the lists with 1,088 centroids.
    assert bytes_read(Setting("signs", 1, 1, 0.0), 10, 8) == 10 + 40
    assert bytes_read(Setting("nits", 1, 1, 0.0, 16, 16), 40, 8) == 1088 * 4 + 40


def test_indexes_without_a_measurement(tmp_path: Path) -> None:
    rows = np.random.default_rng(3).normal(0, 1, (60, 8)).astype(np.float32)
    (tmp_path / "few").mkdir()
    (tmp_path / "plain").mkdir()
    few, plain = index_of(tmp_path / "few", rows[:30]), index_of(tmp_path / "plain", rows, vectors=False)
    for index in (few, plain):
        assert index.generation.settings == ()
        with pytest.raises(InputError, match=r"^no recall was measured when this index was built"):
            index.search(np.ones(8, np.float32), 3, recall=0.9)
