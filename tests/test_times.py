"""The report of where the time of a run went, and the order of the tests."""

import json
import re
from pathlib import Path

import pytest

from tests import times
from tests.sampling import VARIABLE, sample, spread, turn
from tests.times import KINDS, kind_of, ordered, summary


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_each_worker_begins_with_its_part_of_the_long_tests(workers: int) -> None:
    tests = [f"test{i}" for i in range(20)]
    seconds = {"test3": 5.0, "test11": 9.0, "test12": 7.0, "gone": 100.0}
    order = ordered(tests, seconds, workers)
    assert sorted(order) == list(range(20))
    # As xdist deals them: to each worker an equal part of what is left.
    parts, left = [], order
    for worker in range(workers):
        count = len(left) // (workers - worker)
        parts.append(left[:count])
        left = left[count:]
    firsts = [[i for i in part if tests[i] in seconds] for part in parts]
    assert firsts == [[11, 12, 3][worker::workers] for worker in range(workers)]
    for part, first in zip(parts, firsts, strict=True):
        assert part[: len(first)] == first
        assert part[len(first) :] == sorted(part[len(first) :])


def test_more_long_tests_than_a_worker_takes() -> None:
    tests = [f"test{i}" for i in range(5)]
    assert sorted(ordered(tests, dict.fromkeys(tests, 2.0), 2)) == list(range(5))


def test_the_summary_names_each_kind_and_what_took_most_of_it() -> None:
    tests = [
        {"test": "a", "wall_s": 9.0, "cpu_s": 8.0, "work": {"Yosys": 5.0, "compiling": 1.0}},
        {"test": "b", "wall_s": 2.0, "cpu_s": 2.0, "work": {"Yosys": 2.0}},
        {"test": "c", "wall_s": 1.0, "cpu_s": 0.5, "work": {"compiling": 0.8}},
    ]
    lines = summary({"wall_s": 10.0, "workers": 2, "tests": tests}).splitlines()
    assert lines[0] == "10 s in 2 processes; the tests took 11 s of processor time, 54 % of that available"
    assert re.fullmatch(r" +7.0 s +65 % +Yosys", lines[1])
    assert lines[2].split() == ["5.0", "s", "a"]
    assert lines[3].split() == ["2.0", "s", "b"]
    assert [line.split()[-1] for line in lines if "%" in line][1:] == ["Yosys", "Python", "compiling"]


def test_kinds() -> None:
    found = [
        kind_of(work) for work in ("c++", "g++-12", "verilator_bin", "yosys-abc", "yosys", "yowasp-icepack", "new")
    ]
    assert found == ["compiling", "compiling", "Verilator", "solver", "Yosys", "nextpnr", "new"]
    assert all(kind_of(start) == kind for start, kind in KINDS.items())


def test_the_sample_is_that_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "740003")
    assert (sample(), turn(4), turn(8)) == (740003, 3, 3)
    for wrong in ("abc", "5.5", "-1"):
        monkeypatch.setenv(VARIABLE, wrong)
        with pytest.raises(pytest.UsageError, match=f"must be a whole number from 0 on, not '{wrong}'"):
            sample()
    monkeypatch.setenv(VARIABLE, "")
    today = sample()
    assert today > 739_000
    assert turn(7) == today % 7


def test_each_case_has_its_day(monkeypatch: pytest.MonkeyPatch) -> None:
    cases = [(number, str(number)) for number in range(8)]
    days = []
    for day in range(3):
        monkeypatch.setenv(VARIABLE, str(day))
        found = spread(cases, 3)
        assert [one.values for one in found] == cases
        assert all([mark.name for mark in one.marks] in ([], ["slow"]) for one in found)
        days.append([one.values[0] for one in found if not one.marks])
    assert days == [[0, 3, 6], [1, 4, 7], [2, 5]]


def test_a_report_of_some_tests_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    last, long = tmp_path / "times.json", tmp_path / "long.json"
    monkeypatch.setattr(times, "LAST", last)
    monkeypatch.setattr(times, "LONG", long)
    with pytest.raises(SystemExit, match=r"times\.json is missing: `make test` writes it"):
        times.main([])
    last.write_text("{}")
    with pytest.raises(SystemExit, match=r"times\.json is damaged"):
        times.main([])
    test = {"test": "a", "wall_s": 9.0, "cpu_s": 8.0, "work": {}}
    report = {"wall_s": 10.0, "workers": 2, "whole": False, "tests": [test, {**test, "test": "b", "wall_s": 0.1}]}
    last.write_text(json.dumps(report))
    with pytest.raises(SystemExit, match="of some tests only"):
        times.main(["--keep"])
    last.write_text(json.dumps({**report, "whole": True}))
    times.main(["--keep"])
    assert json.loads(long.read_text()) == {"a": 9.0}
