"""``ninefold devices``, ``doctor`` and the options of ``search`` that show the scheduler at work."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from ninefold.host.backends.null import Null
from ninefold.host.conformance import conformance_matrix
from ninefold.spec import registry
from ninefold.spec.operators import OPERATORS
from ninefold.spec.protocols import Backend
from tests.cli.conftest import Run

PAGE = Path(__file__).parents[2] / "docs" / "conformance.md"


@pytest.fixture
def index(ninefold: Run, notes: Path) -> str:
    assert ninefold("index", notes, "-o", "notes").exit_code == 0
    return "notes"


@pytest.mark.parametrize("width", [60, 80])
def test_devices_in_a_narrow_terminal(ninefold: Run, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    lines = [line.rstrip() for line in ninefold("devices").stdout.splitlines()]
    assert max(map(len, lines)) <= width
    at = lines.index("null")
    assert lines[at + 1].startswith("  cpu; returns zeros, to measure overhead")
    assert lines[lines.index("board:virtual/demo") + 1].startswith(
        "  simulation; simulated: virtual/demo, 8,192 rows of"
    )


def test_a_remote_that_does_not_answer_is_named(ninefold: Run, index: str) -> None:
    result = ninefold("--remote", "http://127.0.0.1:9", "search", index, "rain")
    assert result.exit_code == 0
    assert "warning: remote:127.0.0.1:9: no answer from http://127.0.0.1:9: " in result.stderr
    assert "start `ninefold serve` at http://127.0.0.1:9" in result.stderr


def test_devices(ninefold: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    result = ninefold("devices")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["device", "class", "description", "state"]
    assert any(line.startswith("cpu  ") and line.rstrip().endswith("ready") for line in lines)
    assert any(line.startswith("null") and "only by name" in line for line in lines)
    assert "missing" in result.stdout  # no machine has AVX-512, a GPU and an NPU
    assert "power: " in result.stdout


def test_devices_as_json(ninefold: Run) -> None:
    devices = {entry["device"]: entry for entry in json.loads(ninefold("devices", "--json").stdout)}
    assert devices["cpu"]["state"] == "ready"
    assert devices["cpu"]["unit"] == "host"
    assert devices["cpu"]["operators"] == dict.fromkeys(OPERATORS)
    assert devices["null"]["named_only"] is True
    assert all(entry["reason"] for entry in devices.values() if entry["state"] == "missing")


def test_devices_as_resources_of_a_ray_node(ninefold: Run) -> None:
    resources = json.loads(ninefold("devices", "--ray").stdout)
    assert resources["ninefold"] == resources["ninefold:cpu"] == 1
    assert "ninefold:null" not in resources  # chosen by name only


def test_devices_with_an_index_on_them(ninefold: Run, index: str) -> None:
    result = ninefold("devices", "--load", index)
    assert result.exit_code == 0
    assert "holds " in result.stdout
    assert "one search took" in result.stdout


def test_doctor(ninefold: Run) -> None:
    result = ninefold("doctor")
    assert result.exit_code == 0
    assert result.stdout.startswith("ready    ")
    assert " cpu, " in result.stdout
    assert "missing  loihi:hardware: " in result.stdout


def test_the_matrix_in_the_docs_is_that_of_the_code(ninefold: Run) -> None:
    assert PAGE.read_text() == conformance_matrix(), "run `ninefold devices --matrix > docs/conformance.md`"
    assert ninefold("devices", "--matrix").stdout == PAGE.read_text()
    for operator in OPERATORS:
        assert f"| `{operator}` | " in PAGE.read_text()


def test_the_matrix_leaves_out_what_cannot_be_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    class Wrong(Null):
        def operators(self) -> Any:
            return ["mine"]

    def backend(name: str) -> Backend:
        if name == "null":
            return Wrong()
        if name == "loihi":
            raise ImportError("no module")
        return make(name)

    make = registry.backend
    monkeypatch.setattr(registry, "backend", backend)
    page = conformance_matrix()
    assert "`loihi` cannot be queried: ImportError: no module\n" in page
    wanted = "operators() must return a mapping from operator to None or a reason, not ['mine']"
    assert f"`null` cannot be queried: TypeError: {wanted}\n" in page
    assert "| cpu |" in page


def test_search_explains(ninefold: Run, index: str) -> None:
    result = ninefold("search", index, "rain", "--explain")
    assert result.exit_code == 0
    table = result.stdout[result.stdout.index("device") :].splitlines()
    assert table[0].split() == ["device", "score", "run", "load", "wait", "in", "all"]
    rows = {line.split()[0]: line for line in table[1:] if line[:1].isalpha()}
    assert "cpu" in rows
    # With other hardware, such as a GPU, the scheduler compares candidates.
    assert "no other hardware searches" in rows["cpu"] if len(rows) == 1 else "rated highest" in " ".join(table)
    named = ninefold("search", index, "rain", "--explain", "--device", "cpu")
    assert "asked for by name" in named.stdout


def test_a_fallback_is_visible(ninefold: Run, index: str) -> None:
    result = ninefold("search", index, "rain", "--device", "loihi:hardware", "--json")
    assert result.exit_code == 0
    assert result.stderr.startswith("warning: loihi:hardware is not available: ")
    shown = ninefold("search", index, "rain", "--device", "loihi:hardware")
    assert "answered by cpu in place of loihi:hardware; score: " in shown.stdout
    report = json.loads(result.stdout)
    assert (report["asked_for"], report["answered_by"]) == ("loihi:hardware", "cpu")
    assert report["fallbacks"][0].startswith("loihi:hardware is not available")
    strict = ninefold("search", index, "rain", "--device", "loihi:hardware", "--strict")
    assert strict.exit_code == 2
    assert strict.stderr.startswith("error: loihi:hardware is not available: ")
    assert strict.stdout == ""


def test_timeline_metrics_and_log(ninefold: Run, index: str) -> None:
    files = ("--timeline", "trace.json", "--metrics", "metrics.txt")
    assert ninefold("--log", "log.jsonl", "search", index, "rain", "--device", "loihi:hardware", *files).exit_code == 0
    events = json.loads(Path("trace.json").read_text())["traceEvents"]
    names = [e["name"] for e in events if e["ph"] == "X"]
    assert [name.partition(" ")[0] for name in names] == ["open", "embed", "load", "mine"]
    metrics = Path("metrics.txt").read_text()
    for operator in ("embed", "mine"):
        assert f'ninefold_tasks_total{{device="cpu",operator="{operator}",outcome="answered"}} 1.0' in metrics
    records = [json.loads(line) for line in Path("log.jsonl").read_text().splitlines()]
    # What the process does after the command goes to no log of it.
    assert logging.getLogger("ninefold").level == logging.NOTSET
    assert not any(isinstance(handler, logging.FileHandler) for handler in logging.getLogger("ninefold").handlers)
    (moved,) = [record for record in records if record["message"] == "a task falls back from a device"]
    assert (moved["levelname"], moved["operator"], moved["asked_for"]) == ("WARNING", "mine", "loihi:hardware")


@pytest.mark.parametrize("device", ["cpu", "openvino", "opencl", "loihi"])
def test_every_device_finds_the_same(device: str, ninefold: Run, index: str) -> None:
    def hits(name: str) -> list[tuple[int, int]]:
        result = ninefold("search", index, "rain in the attic", "--device", name, "--strict", "--json")
        assert result.exit_code == 0, result.stderr
        return [(hit["row"], hit["score"]) for hit in json.loads(result.stdout)["hits"]]

    assert hits(device) == hits("cpu:numpy")
