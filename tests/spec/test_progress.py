"""Progress of steps, by a clock that tests move."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ninefold.spec import progress
from ninefold.spec.cache import cache_folder
from ninefold.spec.programs import execute, run
from ninefold.spec.progress import Lines, listening, look, step


class Clock:
    """Time that passes when a test says so; a listener looks four times a second."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s

    def run(self, seconds: float) -> None:
        for _ in range(round(4 * seconds)):
            self.now_s += 0.25
            look()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Clock:
    monkeypatch.setenv("NINEFOLD_CACHE", str(tmp_path / "cache"))
    made = Clock()
    monkeypatch.setattr(progress, "_now", made)
    return made


@pytest.fixture
def lines(clock: Clock) -> Iterator[list[str]]:
    written: list[str] = []
    with listening(Lines(written.append), every_s=None):
        yield written


def test_a_step_is_mentioned_after_five_seconds_then_each_ten_and_at_its_end(clock: Clock, lines: list[str]) -> None:
    with step("placing ulx3s/full"):
        clock.run(4.75)
        assert lines == []
        clock.run(0.25)
        assert lines == ["placing ulx3s/full: 5 s"]
        clock.run(21)
    assert lines[1:] == ["placing ulx3s/full: 15 s", "placing ulx3s/full: 25 s", "placing ulx3s/full: done in 26 s"]


def test_a_short_step_writes_nothing(clock: Clock, lines: list[str]) -> None:
    for _ in range(20):
        with step("eliminating"), step("common subexpressions"):
            clock.run(4)
    assert lines == []


def test_a_first_step_after_a_long_start_is_mentioned_at_once(clock: Clock, lines: list[str]) -> None:
    clock.run(7)
    with step("searching notes"):
        clock.run(2)
    clock.run(7)
    with step("searching notes"):
        clock.run(2)
    assert lines == ["searching notes", "searching notes: done in 2 s"]


def test_a_call_without_a_listener_is_silent(clock: Clock, capfd: pytest.CaptureFixture[str]) -> None:
    with step("placing", 20) as one:
        one.advance("a line")
        clock.run(60)
    assert capfd.readouterr() == ("", "")


def test_the_next_step_of_that_text_knows_how_long_it_takes(clock: Clock, lines: list[str]) -> None:
    for seconds in (60, 70):
        with step("placing ulx3s/full"):
            clock.run(seconds)
    assert "placing ulx3s/full: 55 s of about 60 s" in lines
    assert "placing ulx3s/full: 65 s, expected 60 s" in lines
    lines.clear()
    with step("placing ulx3s/full"), step("routing ulx3s/full"):
        clock.run(6)
    assert lines[0] == "placing ulx3s/full: 5 s of about 70 s, now routing ulx3s/full: 5 s"


def test_an_expected_time_is_shown_in_minutes_when_it_is_long(clock: Clock, lines: list[str]) -> None:
    with step("building", expected_s=725):
        clock.run(125)
    assert "building: 115 s of about 12 min 5 s" in lines
    assert "building: 2 min 5 s of about 12 min 5 s" in lines


@pytest.mark.parametrize("damaged", [b"", b"[]", b'{"seconds": "x"}', b"\xff"])
def test_a_damaged_duration_is_ignored_and_replaced(clock: Clock, lines: list[str], damaged: bytes) -> None:
    with step("placing"):
        clock.run(20)
    (kept,) = (cache_folder() / "durations").iterdir()
    assert json.loads(kept.read_bytes()) == {"doing": "placing", "seconds": 20.0}
    kept.write_bytes(damaged)
    lines.clear()
    with step("placing"):
        clock.run(8)
    assert lines[0] == "placing: 5 s"
    assert json.loads(kept.read_bytes())["seconds"] == 8.0


def test_no_duration_is_kept_of_what_failed_was_short_or_depends_on_its_items(clock: Clock, lines: list[str]) -> None:
    def fail() -> None:
        clock.run(30)
        raise KeyError

    with pytest.raises(KeyError), step("failing"):
        fail()
    assert lines == ["failing: 5 s", "failing: 15 s", "failing: 25 s"]  # and no end
    with step("short"):
        clock.run(4)
    with step("judging", 3):
        clock.run(6)
    with step("outer"):
        clock.run(6)
        with step("inner"):
            pass
    assert not (cache_folder() / "durations").exists()


def test_a_cache_that_cannot_be_written_costs_the_estimate_only(clock: Clock, lines: list[str]) -> None:
    cache_folder().write_text("no folder")
    with step("placing"):
        clock.run(6)
    assert lines == ["placing: 5 s", "placing: done in 6 s"]


def test_items_give_an_estimate_from_the_rate_so_far(clock: Clock, lines: list[str]) -> None:
    with step("embedding notes") as one:
        one.at(5000, 7000)  # done before
        clock.run(4)
        one.at(5009, 7000)  # too few for a rate
        clock.run(1)
        one.at(6000, 7000)
        clock.run(10)
    assert lines[:2] == [
        "embedding notes: 5,009 of 7,000, 5 s",
        "embedding notes: 6,000 of 7,000, 15 s of about 30 s",
    ]


def test_a_line_about_an_item_is_passed_on_and_counts_as_a_line(clock: Clock, lines: list[str]) -> None:
    with step("building x", 2) as one:
        clock.run(4)
        one.advance("synthesised")
        clock.run(9.75)
        assert lines == ["synthesised"]
        clock.run(0.25)
    assert lines == ["synthesised", "building x: 1 of 2, 14 s", "building x: done in 14 s"]


def test_items_that_a_function_counts(clock: Clock, lines: list[str]) -> None:
    done = 0

    def count() -> tuple[int, int]:
        if done > 2:
            raise OSError
        return done, 4

    with step("judging", count=count):
        done = 2
        clock.run(5)
        done = 3  # nothing can be counted: what was counted before stays
        clock.run(10)
    assert lines[:2] == ["judging: 2 of 4, 5 s", "judging: 2 of 4, 15 s"]


def test_steps_of_threads_belong_to_the_outermost_step(clock: Clock, lines: list[str]) -> None:
    began, go_on = threading.Barrier(3), threading.Event()

    def work(seed: int) -> None:
        with step(f"seed {seed}"):
            began.wait(10)
            go_on.wait(10)

    with step("building x", 2):
        threads = [threading.Thread(target=work, args=(seed,)) for seed in (1, 2)]
        for thread in threads:
            thread.start()
        began.wait(10)
        clock.run(5)
        go_on.set()
        for thread in threads:
            thread.join()
        clock.run(10)
    (first, second, _) = lines
    assert sorted(first.removeprefix("building x: 0 of 2, 5 s, now ").split(" and ")) == ["seed 1: 5 s", "seed 2: 5 s"]
    assert second == "building x: 0 of 2, 15 s"


def test_what_nobody_reads_stops_nothing(clock: Clock) -> None:
    def write(line: str) -> None:
        raise BrokenPipeError

    with listening(Lines(write), every_s=None), step("placing", 1) as one:
        clock.run(5)
        one.advance("placed")


def test_a_thread_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "FIRST_S", 0.0)
    written = threading.Event()
    with listening(Lines(lambda _: written.set()), every_s=0.001), step("placing"):
        assert written.wait(60)


def test_a_program_is_a_step_unless_one_says_what_it_is_for(
    clock: Clock, lines: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = tmp_path / "slow-tool"
    slow.write_text("#!/bin/sh\n")
    slow.chmod(0o755)

    def waited(process: subprocess.Popen[bytes], *_: object) -> float:
        clock.run(6)
        process.returncode = process.wait()
        return 0.0

    monkeypatch.setattr("ninefold.spec.programs._wait", waited)
    execute([slow])
    run([slow], work="yosys")
    with step("synthesising x"):
        run([slow])
    assert [line for line in lines if "done" not in line] == [
        "running slow-tool: 5 s",
        "running yosys: 5 s",
        "synthesising x: 5 s",
    ]


def test_a_command_is_run_as_a_step(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert progress.main(["saying", sys.executable, "-c", "print('said')"]) == 0
    assert capfd.readouterr() == ("said\n", "")
    with pytest.raises(SystemExit) as ended:
        progress.main(["failing", sys.executable, "-c", "import sys; sys.exit(7)"])
    assert ended.value.code == 7
    monkeypatch.setattr(progress, "FIRST_S", -1.0)

    def call(command: list[str]) -> int:
        look()
        return 0

    monkeypatch.setattr(subprocess, "call", call)
    progress.main(["checking types", "mypy"])
    assert capfd.readouterr().err.startswith("checking types\nchecking types: done in 0 s\n")


def test_without_a_thread_the_work_goes_on_and_progress_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    written: list[str] = []
    with listening(Lines(written.append)), step("working"):
        pass
    assert written == ["no thread can be started: progress is not shown"]
