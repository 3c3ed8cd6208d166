"""Measured costs: medians, classes of sizes, and the file between runs."""

from __future__ import annotations

import json
import logging
import math
import statistics
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ninefold.host.scheduler import Scheduler
from ninefold.host.scheduler.costs import KEPT, Costs, size_class
from ninefold.spec.errors import DeviceError
from ninefold.spec.operators import OPERATORS
from tests.host.accidents import ACCIDENTS, Accidents, damaged

from .fakes import Fake, backends, cpu, database, queries


def test_the_class_of_a_call_is_the_bit_length_of_its_sizes() -> None:
    call = OPERATORS["mine"].bind({"q": queries(5), "database": database(40)}, {"k": 10})
    assert size_class(call) == "mine Q3 D5 N6 k4 scan=nits oversample6"
    masked = call.operator.bind({**call.arguments, "allowed": np.zeros(5, np.uint8)}, {"k": 10})
    assert size_class(masked) == f"{size_class(call)} allowed"
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
    again.describe("gpu", "driver 2")  # another device: measured again
    assert again.expected_s("gpu", "a") is None
    assert [p.name for p in path.parent.iterdir()] == ["costs.json"]


def test_the_file_is_written_only_when_a_median_has_moved(tmp_path: Path) -> None:
    path = tmp_path / "costs.json"

    def kept(*seconds: float) -> bool:
        costs, before = Costs(path), path.read_bytes() if path.exists() else b""
        for each in seconds:
            costs.record("cpu", "a", each)
        costs.save()
        return path.read_bytes() != before

    # One more each time, until as many are there as are kept.
    assert all(kept(1.0) for _ in range(KEPT))
    assert not kept(1.0)
    assert not kept(*[1.09] * KEPT)
    assert kept(*[1.11] * KEPT)
    assert Costs(path).expected_s("cpu", "a") == 1.11
    # Small steps add up.
    costs = Costs(path)
    for step in range(KEPT * 3):
        costs.record("cpu", "a", 1.11 + step / 100)
    costs.save()
    assert (Costs(path).expected_s("cpu", "a") or 0) > 1.2


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


QUICK = settings(max_examples=60, deadline=None, derandomize=True)
SECONDS = st.floats(0, 1e9)
NAMES = st.sampled_from(["cpu", "gpu", "board:1"])
SIZES = st.sampled_from(["mine Q3", "topk N6 k4"])
RECORDS = st.lists(st.tuples(NAMES, SIZES, SECONDS), max_size=40)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("costs") / "costs.json"


@QUICK
@given(records=RECORDS)
def test_predictions_are_the_medians_of_the_last_and_come_back_from_the_file(
    file: Path, records: list[tuple[str, str, float]]
) -> None:
    file.unlink(missing_ok=True)
    costs, kept = Costs(file), dict[tuple[str, str], list[float]]()
    for device, size, seconds in records:
        costs.describe(device, "same")
        costs.record(device, size, seconds)
        kept[device, size] = [*kept.get((device, size), []), seconds][-KEPT:]
    costs.save()
    again = Costs(file)
    for device in ("cpu", "gpu", "board:1"):
        again.describe(device, "same")
        for size in ("mine Q3", "topk N6 k4"):
            times = kept.get((device, size))
            wanted = statistics.median(times) if times else None
            assert costs.expected_s(device, size) == again.expected_s(device, size) == wanted
            assert not times or min(times) <= wanted <= max(times)  # type: ignore[operator]


@QUICK
@given(st.lists(st.tuples(SECONDS, SECONDS), min_size=1, max_size=12))
def test_whoever_never_took_longer_is_never_expected_to(pairs: list[tuple[float, float]]) -> None:
    costs = Costs(None)
    for pair in pairs:
        costs.record("quick", "a", min(pair))
        costs.record("slow", "a", max(pair))
        quick, slow = costs.expected_s("quick", "a"), costs.expected_s("slow", "a")
        assert quick is not None
        assert slow is not None
        assert 0 <= quick <= slow


GOOD = json.dumps(
    {"version": 1, "devices": {"cpu": {"description": "", "seconds": {"a": [0.5, 2, 1e-6], "b": [7]}}}}
).encode()


@settings(max_examples=150, deadline=None, derandomize=True)
@given(accidents=ACCIDENTS)
@example(accidents=[(0.0, "fill", ord("["))])
@example(accidents=[(0.93, "fill", ord("9"))])
def test_damage_costs_measurements_and_nothing_else(file: Path, accidents: Accidents) -> None:
    bad = damaged(GOOD, accidents)
    file.write_bytes(bad)
    survived(file)


@pytest.mark.parametrize("content", [f'{{"version":1,"devices":{"[" * 9}', GOOD[:-6] + b"9" * 400 + b"]}}}}", b"\xff"])
def test_other_damage_costs_no_more(file: Path, content: str | bytes) -> None:
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    survived(file)


def survived(path: Path) -> None:
    """Start from a file, whatever it is, and measure and save as ever."""
    costs = Costs(path)
    for size in ("a", "b"):
        expected = costs.expected_s("cpu", size)
        assert expected is None or 0 <= expected < math.inf
    costs.describe("other", "new")
    costs.record("other", "a", 3.0)
    costs.save()
    assert Costs(path).expected_s("other", "a") == 3.0


@QUICK
@given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 64), st.integers(1, 64))
def test_calls_of_one_class_differ_by_less_than_two_in_each_size(q: int, other: int, k: int, other_k: int) -> None:
    def classed(rows: int, k: int) -> str:
        return size_class(OPERATORS["topk"].bind({"scores": np.zeros((rows, 80), np.int32)}, {"k": k}))

    same = classed(q, k) == classed(other, other_k)
    assert same == all(a.bit_length() == b.bit_length() for a, b in ((q, other), (k, other_k)))
    if same:
        assert max(q, other) < 2 * min(q, other)
        assert max(k, other_k) < 2 * min(k, other_k)


def known(path: Path, **seconds: float) -> Path:
    """Write costs of `CALL` on devices."""
    costs = Costs(path)
    for device, each in seconds.items():
        costs.describe(device, f"fake {device}")
        costs.record(device, size_class(OPERATORS["mine"].bind(dict(zip(("q", "database"), CALL, strict=True)))), each)
    costs.save()
    return path


CALL = (queries(5), database(40))


def test_a_quick_call_waits_for_no_survey(tmp_path: Path) -> None:
    fakes = backends(cpu(), Fake("gpu", rating=9))
    with Scheduler(backends=fakes, costs=known(tmp_path / "costs", cpu=0.001, gpu=0.0001)) as s:
        for _ in range(3):
            result = s.run("mine", *CALL)
            assert result.answered_by == "cpu"
            assert result.why.endswith("ms; other devices were not probed")
            assert fakes["gpu"].probes == 0
        # From then on, what a survey takes may be gained.
        assert s.run("mine", *CALL).why.startswith("earliest expected completion")
        assert fakes["gpu"].probes == 1


@pytest.mark.parametrize("case", ["slow", "unknown", "preferred", "surveyed", "explained"])
def test_a_survey_is_waited_for(tmp_path: Path, case: str) -> None:
    fakes = backends(cpu(), Fake("gpu", rating=9))
    seconds = {"slow": {"cpu": 0.5}, "unknown": {"gpu": 0.1}}.get(case, {"cpu": 0.001})
    with Scheduler(backends=fakes, costs=known(tmp_path / "costs", **seconds)) as s:
        if case == "surveyed":
            s.devices()
        if case == "explained":
            s.explain("mine", *CALL)
        else:
            s.run("mine", *CALL, **({"prefer": "gpu"} if case == "preferred" else {}))
        assert fakes["gpu"].probes == 1


def test_when_the_quick_cpu_fails_the_others_are_looked_for(tmp_path: Path) -> None:
    def fail(*_: object) -> None:
        raise DeviceError("it broke")

    fakes = backends(Fake("cpu", fail, kind="cpu"), Fake("gpu"))
    with Scheduler(backends=fakes, costs=known(tmp_path / "costs", cpu=0.001)) as s:
        result = s.run("mine", *CALL)
    assert (result.answered_by, result.fallbacks) == ("gpu", ("cpu: it broke",))
