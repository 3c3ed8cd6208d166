"""``ninefold bench`` with suites that are made up."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from click.testing import CliRunner, Result

from ninefold.host.cli import cli
from ninefold.host.commands import bench as command
from ninefold.spec.benchmark import Benchmark, Row
from ninefold.spec.errors import UnavailableError

ROWS = [
    Row(
        "exact search, 100,000 x 384, k = 10, queries = 1, avx2 / FAISS",
        0.5,
        "x",
        "<= 0.75",
        "a peer " * 20,
        "more " * 30,
    ),
    Row("pipeline, 6000 x 384, k = 10, 3 queries: simulation", 0.1234, "million cycles/s", ">= 0.1"),
]


def lacks() -> None:
    raise UnavailableError("faiss-cpu is not installed", "pip install it")


@pytest.fixture
def suites(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Install three suites; returns the names of those that ran, in order."""
    ran: list[str] = []

    def suite(name: str) -> Callable[[], list[Row]]:
        def measure() -> list[Row]:
            ran.append(name)
            if name == "gpu":
                lacks()
            return ROWS

        return measure

    there: dict[str, Callable[[], list[Row]]] = {
        "plain": suite("plain"),
        "gpu": suite("gpu"),
        "search": Benchmark(suite("search"), lacks),
    }
    found = {name: SimpleNamespace(load=lambda measure=measure: measure) for name, measure in there.items()}
    monkeypatch.setattr(command, "entries", lambda _: found)
    return ran


def run(*words: str) -> Result:
    return CliRunner(env={"COLUMNS": "80"}).invoke(cli, ["bench", *words])


def test_what_is_missing_is_said_before_anything_runs(suites: list[str]) -> None:
    result = run("plain", "search")
    assert result.exit_code == 2
    assert result.output == "error: search: faiss-cpu is not installed; pip install it\n"
    assert suites == []
    assert run("gpu").exit_code == 2


def test_without_names_what_cannot_run_is_left_out(suites: list[str]) -> None:
    result = run("--json")
    assert result.exit_code == 0
    assert suites == ["plain", "gpu"]
    assert result.stderr.startswith("left out: search: faiss-cpu is not installed; pip install it\n")
    report = json.loads(result.stdout)
    assert list(report["left_out"]) == ["search", "gpu"]
    assert [row["value"] for row in report["suites"]["plain"]] == [0.5, 0.1234]


@pytest.mark.usefixtures("suites")
def test_the_table_fits_80_columns() -> None:
    result = run("plain")
    assert result.exit_code == 0
    assert max(map(len, result.stdout.splitlines())) <= 80
    for whole in ("0.5 x", "<= 0.75", "0.1234 million cycles/s", ">= 0.1"):
        assert whole in result.stdout
