"""A new generation of an index: the scale and the clusters that fit its entries now, by one switch."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ninefold.host.index import Index, generations, recalibrate
from ninefold.host.index.recalibrate import recalibrate as run
from ninefold.host.index.status import Fit, fit_of
from ninefold.numerics.nits import unpack
from ninefold.sim.golden.quantise import quantise
from ninefold.spec.errors import InputError
from tests.host.index.made import entries_of, made

DIMENSIONS = 16


@pytest.fixture(autouse=True)
def numpy_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NINEFOLD_CPU_PATH", "numpy")


def vectors_of(rows: int, seed: int, size: float) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, size, (rows, DIMENSIONS)).astype(np.float16)


@pytest.fixture
def grown(tmp_path: Path) -> Iterator[Path]:
    """An index of 40 small vectors, to which 260 large ones were added: 2 of the first are deleted."""
    made(tmp_path / "index", vectors_of(40, 0, 0.02), scale=80.0).close()
    with Index.open(str(tmp_path / "index"), "w") as index:
        index.upsert(entries_of(160, 40), vectors_of(160, 1, 1.0))
        index.writer.seal()
        index.upsert(entries_of(100, 200), vectors_of(100, 2, 1.0))
        index.delete(["id 3", "id 50"])
    return tmp_path / "index"


def nits_of(index: Index) -> np.ndarray:
    return unpack(np.asarray(index.database.arrays["nits"]), DIMENSIONS)


def test_a_drifted_scale_is_found_and_replaced(grown: Path) -> None:
    with Index.open(str(grown)) as reader, reader.snapshot() as before:
        fit = fit_of(reader)
        assert fit.drifted
        assert not fit.fits
        assert fit.recall is not None
        assert fit.best_recall is not None
        assert fit.recall < fit.best_recall - 0.2
        done = run(str(grown))
        assert (done.before.scale, done.after.number, done.rows) == (80.0, 2, 298)
        assert done.after.scale < 8
        # The snapshot keeps its generation, and the reader sees the new one.
        assert before.generation == done.before
        assert reader.generation == done.after
        assert [entry.id for entry in reader] == [f"id {n}" for n in range(300) if n not in (3, 50)]
        assert np.array_equal(reader.vectors, before.vectors)
        assert np.array_equal(nits_of(reader), quantise(reader.vectors.astype(np.float32), done.after.scale, "linear"))
        assert max(setting.recall for setting in done.after.settings) > fit.recall + 0.2
        assert fit_of(reader).fits
        reader.verify()
    assert len(list((grown / "segments").iterdir())) > 1  # files of the snapshot stay until the next writer
    Index.open(str(grown), "w").close()
    assert len(list((grown / "segments").iterdir())) == 1


def test_the_mode_may_change(grown: Path) -> None:
    assert run(str(grown), mode="tanh").after.mode == "tanh"
    index = Index.open(str(grown))
    assert np.array_equal(nits_of(index), quantise(index.vectors.astype(np.float32), index.generation.scale, "tanh"))
    with pytest.raises(InputError, match=r"^mode must be one of tanh, linear, not 'cubic'$"):
        run(str(grown), mode="cubic")  # type: ignore[arg-type]


def test_what_is_written_meanwhile_is_kept(grown: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = recalibrate.content_of
    with Index.open(str(grown), "w") as index:

        def meanwhile(*arguments: Any) -> Any:
            made = chosen(*arguments)
            thread = threading.Thread(
                target=lambda: (index.upsert(entries_of(2, 299), vectors_of(2, 5, 1.0)), index.delete(["id 7"]))
            )
            thread.start()
            thread.join(30)
            return made

        monkeypatch.setattr(recalibrate, "content_of", meanwhile)
        monkeypatch.setattr(recalibrate.Index, "open", classmethod(lambda *_, **__: index))
        monkeypatch.setattr(index, "close", lambda: None)
        run("the same index")
        monkeypatch.undo()
        assert [entry.id for entry in index] == [f"id {n}" for n in range(301) if n not in (3, 7, 50)]
        assert np.array_equal(index.vectors[-2:], vectors_of(2, 5, 1.0))
        assert np.array_equal(
            nits_of(index), quantise(index.vectors.astype(np.float32), index.generation.scale, "linear")
        )
        index.verify()


def test_an_index_that_has_grown_gets_clusters(grown: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generations, "CLUSTERED_ROWS", 298)
    index = Index.open(str(grown))
    assert fit_of(index).lacks_clusters
    done = run(str(grown))
    assert done.after.centroid_scale is not None
    assert {s.macro for s in done.after.settings} == {None, 4, 8, 16, 24, 32, 48}
    assert not fit_of(index).lacks_clusters
    with Index.open(str(grown), "w") as writer:
        writer.upsert(entries_of(30, 300), vectors_of(30, 7, 1.0))
        writer.writer.seal()
        with writer.snapshot() as snapshot:
            assert all("order" in part.database.arrays for part in snapshot.parts.parts)
            q = snapshot.vectors[320:321].astype(np.float32)
            found = snapshot.mine(q, k=1, macro=8, micro=16).values
            assert found["ids"].tolist() == [[320]]
    monkeypatch.setattr(generations, "CLUSTERED_ROWS", 1000)
    assert run(str(grown)).after.centroid_scale is None
    assert "order" not in index.database.arrays


def test_a_kill_before_the_switch_leaves_the_old_generation(grown: Path) -> None:
    child = os.fork()
    if child == 0:
        recalibrate.with_settings = lambda *_: os._exit(7)
        try:
            run(str(grown))
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    index = Index.open(str(grown))
    assert (index.generation.number, index.generation.scale, len(index)) == (1, 80.0, 298)
    index.verify()
    Index.open(str(grown), "w").close()
    assert len(list((grown / "segments").iterdir())) == 1


def test_refusals(tmp_path: Path) -> None:
    made(tmp_path / "plain", vectors_of(5, 0, 1.0), keep=False).close()
    with pytest.raises(InputError, match=r"plain keeps no float vectors, from which nits are made; build it again$"):
        run(str(tmp_path / "plain"))
    assert fit_of(Index.open(str(tmp_path / "plain"))).fits
    made(tmp_path / "empty", vectors_of(5, 0, 1.0)).close()
    with Index.open(str(tmp_path / "empty"), "w") as index:
        index.delete([f"id {n}" for n in range(5)])
        assert fit_of(index) == Fit(None, None, False)
    with pytest.raises(InputError, match=r"empty holds no entries; a new generation is made from them$"):
        run(str(tmp_path / "empty"))
