"""Measured costs: medians, classes of sizes, and the file between runs."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import pytest

from ninefold.host.scheduler.costs import KEPT, Costs, size_class
from ninefold.spec.operators import OPERATORS

from .fakes import database, queries


def test_the_class_of_a_call_is_the_bit_length_of_its_sizes() -> None:
    call = OPERATORS["mine"].bind({"q": queries(5), "database": database(40)}, {"k": 10})
    assert size_class(call) == "mine Q3 D5 N6 k4"
    x = np.zeros((2, 8), np.float32)
    assert size_class(OPERATORS["quantise"].bind({"x": x}, {"scale": 2.0})) == "quantise D4 mode=tanh"


def test_the_median_of_the_last_measurements() -> None:
    costs = Costs(None)
    assert costs.expected_s("cpu", "a") is None
    for seconds in (5.0, 1.0, 2.0):
        costs.record("cpu", "a", seconds)
    assert costs.expected_s("cpu", "a") == 2.0
    for _ in range(KEPT):
        costs.record("cpu", "a", 7.0)
    assert costs.expected_s("cpu", "a") == 7.0
    assert costs.expected_s("cpu", "b") is None
    assert costs.expected_s("gpu", "a") is None


def test_they_are_kept_between_runs(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "costs.json"
    costs = Costs(path)
    costs.describe("gpu", "driver 1")
    costs.record("gpu", "a", 0.5)
    costs.save()
    again = Costs(path)
    again.describe("gpu", "driver 1")
    assert again.expected_s("gpu", "a") == 0.5
    again.describe("gpu", "driver 2")  # another device: measured anew
    assert again.expected_s("gpu", "a") is None
    assert [p.name for p in path.parent.iterdir()] == ["costs.json"]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        '{"version": 2, "devices": {}}',
        '{"version": 1}',
        '{"version": 1, "devices": {"cpu": {"description": "", "seconds": {"a": [-1]}}}}',
        '{"version": 1, "devices": {"cpu": {"description": "", "seconds": {"a": []}}}}',
        '{"version": 1, "devices": {"cpu": {"description": "", "seconds": {"a": ["x"]}}}}',
        '{"version": 1, "devices": {"cpu": {"description": "", "seconds": {"a": [NaN]}}}}',
        '{"version": 1, "devices": {"cpu": 3}}',
    ],
)
def test_a_damaged_file_is_set_aside_with_a_warning(
    content: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "costs.json"
    path.write_text(content)
    with caplog.at_level(logging.WARNING, "ninefold.scheduler"):
        costs = Costs(path)
    assert costs.expected_s("cpu", "a") is None
    assert "damaged" in caplog.text
    assert (tmp_path / "costs.damaged").read_text() == content
    costs.record("cpu", "a", 1.0)
    costs.save()
    assert json.loads(path.read_text())["devices"]["cpu"]["seconds"] == {"a": [1.0]}


def test_a_file_that_cannot_be_written_costs_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").touch()
    costs = Costs(tmp_path / "file" / "costs.json")
    costs.record("cpu", "a", 1.0)
    with caplog.at_level(logging.WARNING, "ninefold.scheduler"):
        costs.save()
    assert "not saved" in caplog.text
