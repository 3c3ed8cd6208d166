"""Databases to search: what is real and what is not, and recall worked by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ninefold.host.bench import data as module
from ninefold.host.bench.data import Base, base, dataset, recall
from ninefold.numerics.nits import unpack
from ninefold.spec.benchmark import Request
from ninefold.spec.errors import InputError


@pytest.fixture
def small() -> Base:
    rng = np.random.default_rng(1)
    vectors = rng.standard_normal((60, 16), np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return Base("texts", vectors[12:], vectors[:12], 2.0, "tanh", real=True)


def test_recall() -> None:
    truth = np.array([[1, 2], [3, 4]])
    assert recall(truth[:, ::-1], truth) == 1
    assert recall(np.array([[1, 9], [8, -1]]), truth) == 0.25


def test_rows_of_the_base_are_real(small: Base) -> None:
    made = dataset(small, 30)
    assert (made.name, made.real) == ("texts, real", True)
    assert np.array_equal(made.vectors, small.vectors[:30])
    scores = small.queries @ made.vectors.T
    wanted = np.argsort(-scores, axis=1)[:, :10]
    assert np.array_equal(np.sort(made.truth), np.sort(wanted))
    assert np.array_equal(unpack(made.database.arrays["nits"], 16), made.nits)
    assert made.database.attributes == {"rows": 30, "dimensions": 16, "scale": 2.0, "mode": "tanh"}


def test_more_rows_are_tiled_and_say_so(small: Base, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BLOCK", 32)  # so that blocks end inside
    made = dataset(small, 130)
    assert (made.name, made.real) == ("texts, tiled with noise", False)
    assert np.array_equal(made.vectors[:48], small.vectors)
    copies = made.vectors[48:96]
    np.testing.assert_allclose(np.linalg.norm(copies, axis=1), 1, rtol=1e-5)
    cosines = (copies * small.vectors).sum(axis=1)
    # 1 / sqrt(1 + 0.3^2) on average.
    assert 0.9 < cosines.mean() < 0.99
    assert cosines.max() < 1
    assert np.array_equal(dataset(small, 130).vectors, made.vectors)
    scores = small.queries @ made.vectors.T
    assert np.array_equal(np.sort(made.truth), np.sort(np.argsort(-scores, axis=1)[:, :10]))


def test_without_an_index_the_data_is_seeded_and_said_to_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NINEFOLD_DATA", str(tmp_path))
    notes: list[str] = []
    made = base(Request(note=notes.append), 5)
    assert (made.name, made.real, made.queries.shape) == ("normal", False, (5, 384))
    assert len(notes) == 1
    assert notes[0].startswith("the data are seeded random numbers, whose recall is meaningless:")
    assert dataset(made, 20).name == "normal, seeded"


def test_given_vectors_are_searched(tmp_path: Path) -> None:
    vectors = np.random.default_rng(2).standard_normal((40, 8)).astype(np.float16)
    np.save(tmp_path / "mine.npy", vectors)
    made = base(Request(data=str(tmp_path / "mine.npy")), 10)
    assert (made.name, made.real, made.vectors.shape, made.queries.shape) == ("mine", True, (30, 8), (10, 8))
    rows = np.concatenate([made.vectors, made.queries])
    assert np.array_equal(np.sort(rows, axis=0), np.sort(vectors.astype(np.float32), axis=0))
    assert made.scale > 0
    with pytest.raises(InputError, match="mine must have at least 42 rows for 21 queries, not 40"):
        base(Request(data=str(tmp_path / "mine.npy")), 21)
    assert base(Request(data=str(tmp_path)), 10).name == "mine"
    np.save(tmp_path / "one.npy", vectors[0])
    with pytest.raises(InputError, match=f"{tmp_path} must hold one .npy file of vectors, not 2"):
        base(Request(data=str(tmp_path)), 1)
    with pytest.raises(InputError, match=r"one\.npy must have shape \(N, D\), not \(8,\)"):
        base(Request(data=str(tmp_path / "one.npy")), 1)
