"""Tasks: who answers, and what the host does around a device."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ninefold.host import around
from ninefold.host.dispatch import Session, run
from ninefold.spec.data import Database, Task
from ninefold.spec.errors import InputError
from ninefold.spec.formats import INT32_MIN


@pytest.fixture(autouse=True)
def numpy_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NINEFOLD_CPU_PATH", "numpy")


def database(rows: int = 3, **arrays: Any) -> Database:
    nits = np.full((rows, 2), 0x11, np.uint8)
    return Database({"nits": nits, **arrays}, {"rows": rows, "dimensions": 4, "scale": 1.0, "mode": "tanh"})


def topk(device: str | None = None, columns: int = 3) -> Task:
    return Task("topk", {"scores": np.arange(2 * columns, dtype=np.int32).reshape(2, columns)}, {"k": 2}, device=device)


@pytest.mark.parametrize(
    ("asked", "why"), [(None, "the default"), ("auto", "the default"), ("cpu", "asked for by name")]
)
def test_who_was_asked_who_answered_and_why(asked: str | None, why: str) -> None:
    result = run(topk(asked))
    assert (result.asked_for, result.answered_by, result.why) == (asked or "auto", "cpu", why)
    assert result.values["ids"].tolist() == [[2, 1], [2, 1]]
    assert result.path


def test_bad_tasks() -> None:
    with pytest.raises(InputError, match=r"^operator must be one of calibrate, .*, not 'sort'$"):
        run(Task("sort", {}))
    with pytest.raises(InputError, match=r"^device must be auto or one of cpu, .*, not 'gpu'$"):
        run(topk("gpu"))
    with pytest.raises(InputError, match=r"^device must be auto or one of cpu, .*, not 'gpu'$"):
        run(topk("gpu", columns=0))
    with pytest.raises(InputError, match="'vectors'"):
        run(Task("mine", {"q": np.ones((1, 4), np.float32), "database": database()}, {"rerank": 2}))


@pytest.mark.parametrize("rerank", [None, 2])
@pytest.mark.parametrize(("queries", "rows"), [(2, 0), (0, 3), (0, 0)])
def test_nothing_to_mine_is_answered_without_a_device(
    monkeypatch: pytest.MonkeyPatch, queries: int, rows: int, rerank: int | None
) -> None:
    monkeypatch.setattr(Session, "device", None)
    data = database(rows, vectors=np.ones((rows, 4), np.float16))
    arguments = {"q": np.ones((queries, 4), np.float32), "database": data}
    result = run(Task("mine", arguments, {"k": 2, "rerank": rerank}))
    assert (result.answered_by, result.why) == ("host", "there is nothing to compute")
    assert result.values["count"].tolist() == [0] * queries
    assert result.values["ids"].tolist() == [[-1, -1]] * queries
    empty = -np.inf if rerank else INT32_MIN
    assert result.values["scores"].tolist() == [[empty, empty]] * queries


def test_no_scores_are_answered_without_a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Session, "device", None)
    result = run(topk(columns=0))
    assert result.answered_by == "host"
    assert result.values["scores"].tolist() == [[INT32_MIN] * 2] * 2
    floats = run(Task("topk", {"scores": np.zeros((1, 0), np.float32)}, {"k": 1}))
    assert floats.values["scores"].tolist() == [[-np.inf]]
    assert floats.values["scores"].dtype == np.float32


def test_an_operator_without_a_module_goes_straight_to_the_device() -> None:
    result = run(Task("quantise", {"x": np.array([0.5], np.float32)}, {"scale": 1.0}))
    assert result.values["nits"].tolist() == [2]


def test_what_the_host_does_around_an_operator_is_found_by_its_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "quantise.py").write_text(
        "from dataclasses import replace\n"
        "def run(call, on_device):\n"
        "    answer = on_device(call)\n"
        "    return replace(answer, values={'nits': -answer.values['nits']})\n"
    )
    monkeypatch.setattr(around, "__path__", [*around.__path__, str(tmp_path)])
    try:
        result = run(Task("quantise", {"x": np.array([0.5], np.float32)}, {"scale": 1.0}))
    finally:
        sys.modules.pop("ninefold.host.around.quantise")
    assert result.values["nits"].tolist() == [-2]


def test_a_session_opens_a_device_once_and_closes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with Session() as session:
        session.run(topk())
        device = session.device("cpu")
        closed: list[bool] = []
        monkeypatch.setattr(device, "close", lambda: closed.append(True))
        session.run(topk("cpu"))
        assert session.device("cpu") is device
        assert not closed
    assert closed == [True]
