"""Running tools together: order, and no tool left running after a failure or an interrupt."""

import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from ninefold.hdl import tools
from ninefold.spec import programs
from ninefold.spec.errors import ToolError


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_results_are_in_the_order_of_the_items() -> None:
    made = tools.together(
        lambda n: tools.run(python(f"import time; time.sleep(0.3 - 0.1 * {n}); print({n})")), (0, 1), 2
    )
    assert made == ["0\n", "1\n"]


@pytest.mark.parametrize("items", [("bad", "long"), ("long", "bad")])
def test_a_failure_ends_what_still_runs(tmp_path: Path, items: tuple[str, ...]) -> None:
    def job(item: str) -> str:
        if item == "long":
            return tools.run(python("import pathlib, time; pathlib.Path('began').touch(); time.sleep(600)"), tmp_path)
        while not (tmp_path / "began").exists():
            time.sleep(0.01)
        return tools.run(python("raise SystemExit('full')"))

    began = time.monotonic()
    with pytest.raises(ToolError):
        tools.together(job, items, 2)
    assert time.monotonic() - began < 300


def test_an_interrupt_ends_what_runs(tmp_path: Path) -> None:
    def interrupt() -> None:
        while not (tmp_path / "began").exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    def job(seconds: int) -> str:
        code = f"import pathlib, time; pathlib.Path('began').touch(); time.sleep({seconds})"
        return tools.run(python(code), tmp_path)

    began = time.monotonic()
    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        tools.together(job, (600, 600, 600), 2)
    assert time.monotonic() - began < 300


#: Compiles itself as YoWASP's tools do, and says where.
FAKE = """#!/bin/sh
test -e "$YOWASP_CACHE_DIR/compiled" || {{ touch "$YOWASP_CACHE_DIR/compiled"; echo compiled >> {log}; }}
echo "$@"
exit {code}
"""


@pytest.mark.parametrize("code", [0, 1])
def test_a_tool_compiles_itself_once_into_our_cache(code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NINEFOLD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    program, log = tmp_path / "bin" / "yowasp-fake", tmp_path / "log"
    program.parent.mkdir()
    program.write_text(FAKE.format(log=log, code=code))
    program.chmod(0o755)
    for _ in range(2):
        found = tools.ready("yowasp-fake", "get it")
        assert found.name == "yowasp-fake"
        assert (tmp_path / "cache" / "tools") in found.parents
    assert log.read_text() == "compiled\n"
    ended = programs.execute([found, "a b", "c"], tmp_path)
    assert (ended.code, ended.output) == (code, "a b c\n")
    assert log.read_text() == "compiled\n"
    assert (found.parent / "compiled").exists()
