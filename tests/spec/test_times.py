import json
import subprocess
import sys
from pathlib import Path

import pytest

from ninefold.spec import programs, times

BUSY = "import time\nend = time.process_time() + 0.2\nwhile time.process_time() < end: pass"


@pytest.fixture
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(times.VARIABLE, str(tmp_path / "times"))
    return tmp_path / "times"


def read(notes: Path) -> list[dict[str, float | str]]:
    return [json.loads(line) for line in notes.read_text().splitlines()]


def test_a_program_notes_its_own_processor_time_and_that_of_its_children(notes: Path) -> None:
    child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {BUSY!r}])"
    programs.run([sys.executable, "-c", child], work="child")
    programs.run([sys.executable, "-c", "import time; time.sleep(0.2)"])
    first, second = read(notes)
    assert first["work"] == "child"
    assert float(first["cpu_s"]) >= 0.2
    assert second["work"] == Path(sys.executable).name
    assert float(second["cpu_s"]) < 0.2 <= float(second["wall_s"])


def test_a_program_that_fails_is_noted_too(notes: Path) -> None:
    assert programs.execute([sys.executable, "-c", "raise SystemExit(3)"], work="failing").code == 3
    assert [line["work"] for line in read(notes)] == ["failing"]


def test_blocks(notes: Path) -> None:
    with times.children("library"):
        subprocess.run([sys.executable, "-c", BUSY])
    with times.thread("native"):
        sum(i * i for i in range(300_000))
    library, native = read(notes)
    assert float(library["cpu_s"]) >= 0.2
    assert native["work"] == "native"
    assert float(native["cpu_s"]) > 0


def test_nothing_is_written_where_no_file_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(times.VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)
    with times.thread("native"), times.children("library"):
        times.note("x", 1.0, 1.0)
    assert list(tmp_path.iterdir()) == []
