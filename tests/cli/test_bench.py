"""``ninefold bench`` with synthetic suites."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner, Result

from ninefold.host.bench.records import Run
from ninefold.host.cli import cli
from ninefold.host.commands import bench as command
from ninefold.spec.benchmark import Benchmark, Figure, Request
from ninefold.spec.errors import UnavailableError, UnsupportedError

SIZES = {"rows": 100_000, "dimensions": 384, "k": 10, "queries": 1, "data": "made up, as all of this is " * 3}
FIGURES = [
    Figure(
        "exact search",
        "cpu",
        "time",
        12.5,
        "ms",
        SIZES,
        spread=1.0,
        repetitions=5,
        better="less",
        beside="a peer " * 12,
        ratio=0.5,
        target="<= 0.75",
        detail="more " * 30,
        task="a task " * 9,
    ),
    Figure("pipeline", "rtl", "cycles", 1234567, "cycles", kind="exact", better="less", target="< 100"),
    Figure("queries", "board", "rate", 5.5, "1/s", kind="projected"),
]


def lacks() -> None:
    raise UnavailableError("faiss-cpu is not installed", "pip install it")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Request]]:
    """Install three suites; return the suites that ran, in order, with their requests."""
    ran: list[tuple[str, Request]] = []

    def suite(name: str) -> Callable[[Request], list[Figure]]:
        def measure(request: Request) -> list[Figure]:
            ran.append((name, request))
            if name == "gpu":
                lacks()
            request.note("a peer is left out")
            return FIGURES

        return measure

    there = {
        "gpu": Benchmark(suite("gpu"), backends=("gpu",)),
        "plain": Benchmark(suite("plain")),
        "search": Benchmark(suite("search"), lacks, ("*",)),
    }
    found = {name: SimpleNamespace(load=lambda measure=measure: measure) for name, measure in there.items()}
    monkeypatch.setattr(command, "entries", lambda _: found)
    return ran


def run(*words: str | Path) -> Result:
    return CliRunner(env={"COLUMNS": "80"}).invoke(cli, ["bench", *map(str, words)])


def test_what_is_missing_is_said_before_anything_runs(asked: list[tuple[str, Request]]) -> None:
    result = run("plain", "search")
    assert result.exit_code == 2
    assert result.output == "error: search: faiss-cpu is not installed; pip install it\n"
    assert asked == []
    assert run("gpu").exit_code == 2
    assert run("nothing").output == "error: suite must be one of gpu, plain, search, not 'nothing'\n"


def test_without_names_what_cannot_run_is_left_out(asked: list[tuple[str, Request]], tmp_path: Path) -> None:
    result = run("--json", tmp_path / "run.json", "--size", "tiny", "--threads", "3")
    assert result.exit_code == 0, result.output
    assert [name for name, _ in asked] == ["gpu", "plain"]
    assert (asked[1][1].size, asked[1][1].threads) == ("tiny", 3)
    assert result.stderr.startswith("skipped: search: faiss-cpu is not installed; pip install it\n")
    made = Run.from_json((tmp_path / "run.json").read_text())
    assert list(made.left_out) == ["search", "gpu"]
    assert made.suites == {"plain": tuple(FIGURES)}
    assert (made.size, made.threads, made.notes) == ("tiny", 3, ("a peer is left out",))
    assert made.machine.processors > 0
    assert "numpy" in made.packages


def test_figures_on_stdout(asked: list[tuple[str, Request]]) -> None:
    result = run("plain", "--json", "-")
    assert json.loads(result.stdout)["suites"]["plain"][0]["ratio"] == 0.5
    assert len(asked) == 1


@pytest.mark.usefixtures("asked")
def test_the_table_fits_80_columns() -> None:
    result = run("plain")
    assert result.exit_code == 0
    assert max(map(len, result.stdout.splitlines())) <= 80
    for whole in (
        "12.5 ms ±0.5",
        "0.5 x a peer",
        "<= 0.75 x",
        "<= 0.75 met",
        "0.5 x ±0 ",
        "1,234,567 cycles",
        "5.5 1/s (projected)",
    ):
        assert whole in result.stdout
    assert result.stdout.endswith(
        "1 of 2 targets met\nmissed: plain: pipeline, rtl, cycles: 1,234,567 cycles, target < 100\n"
    )


def test_devices_choose_suites(asked: list[tuple[str, Request]]) -> None:
    assert run("--device", "cpu", "--list").stdout == "search       faiss-cpu is not installed; pip install it\n"
    assert run("--list").stdout.splitlines()[1] == "plain        ready"
    result = run("plain", "--device", "cpu")
    assert (result.exit_code, result.output) == (2, "error: the suite plain does not measure cpu\n")
    run("--device", "gpu:1")
    assert [(name, request.devices) for name, request in asked] == [("gpu", ("gpu:1",))]


def test_a_suite_that_a_device_cannot_do_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def cannot(_: Request) -> list[Figure]:
        raise UnsupportedError("board does not run quantise: it takes packed nits")

    made = {"quantise": Benchmark(cannot, backends=("*",)), "link": Benchmark(lambda _: FIGURES, backends=("board",))}
    found = {name: SimpleNamespace(load=lambda measure=measure: measure) for name, measure in made.items()}
    monkeypatch.setattr(command, "entries", lambda _: found)
    result = run("--device", "board:virtual/tiny", "--json", "-")
    assert (result.exit_code, list(json.loads(result.stdout)["suites"])) == (0, ["link"])
    assert "skipped: quantise: board does not run quantise: it takes packed nits\n" in result.stderr
    assert run("quantise", "--device", "board").output == "error: board does not run quantise: it takes packed nits\n"


@pytest.mark.usefixtures("asked")
def test_a_regression_ends_with_1(tmp_path: Path) -> None:
    old = tmp_path / "old.json"
    assert run("plain", "--json", old).exit_code == 0
    same = run("plain", "--compare", old)
    assert (same.exit_code, "0 regressions, 0 improvements, of 2 compared; 0 missing, 0 new" in same.stdout) == (
        0,
        True,
    )
    plain = json.loads(old.read_text())
    plain["suites"]["plain"][0]["ratio"] = 0.25
    old.write_text(json.dumps(plain))
    worse = run("plain", "--compare", old)
    assert worse.exit_code == 1
    assert "+100.0 %" in worse.stdout
    assert max(map(len, worse.stdout.splitlines())) <= 80


def test_what_cannot_be_compared_is_refused_before_anything_runs(
    asked: list[tuple[str, Request]], tmp_path: Path
) -> None:
    old = tmp_path / "old.json"
    run("plain", "--json", old)
    asked.clear()
    plain = json.loads(old.read_text())
    plain["machine"]["processor"] = "another"
    old.write_text(json.dumps(plain))
    assert run("plain", "--compare", old).output.startswith("error: the earlier run differs: processor")
    assert run("gpu", "--any-machine", "--compare", old).output == (
        "error: the earlier run must contain one of the suites gpu, not only plain\n"
    )
    assert run("plain", "--html", tmp_path / "page.json").output == (
        "error: the report's name must end in .html, not 'page.json'\n"
    )
    plain["schema"] = 9
    old.write_text(json.dumps(plain))
    assert run("plain", "--compare", old).output.endswith("has schema 9; this version of ninefold reads 1 and 2\n")
    old.write_text("{}")
    assert "is not a record of a benchmark run: schema is missing" in run("plain", "--compare", old).output
    assert run("plain", "--compare", tmp_path / "no.json").output == (
        f"error: {tmp_path / 'no.json'}: No such file or directory\n"
    )
    missing = run("plain", "--html", tmp_path / "no" / "page.html")
    assert missing.output.startswith(f"error: there is no folder {tmp_path / 'no'} to write page.html in")
    assert asked == []


@pytest.mark.usefixtures("asked")
def test_the_report(tmp_path: Path) -> None:
    result = run("plain", "--html", tmp_path / "page.html")
    assert result.exit_code == 0
    assert f"wrote {tmp_path / 'page.html'}\n" in result.stderr
    assert "12.5 ms ±0.5" in (tmp_path / "page.html").read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["page.html", "page.json"]
