"""Imports at the start of a command: only the necessary ones, since they dominate the time of a small command."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Run

#: Packages that are slow to import or probe hardware.
HEAVY = {
    *("amaranth", "asyncio", "cocotb", "lark", "nengo", "nengo_loihi", "numpy", "openvino", "prometheus_client"),
    *("pyopencl", "safetensors", "scipy", "serial", "tokenizers", "usb"),
}


def imported(*words: str) -> set[str]:
    """Return the packages of `HEAVY` that a command has imported when it ends."""
    code = (
        "import sys, atexit\n"
        f"atexit.register(lambda: print(sorted({HEAVY} & set(sys.modules)), file=sys.stderr))\n"
        "from ninefold.host.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(ast.literal_eval(done.stderr.splitlines()[-1]))


@pytest.mark.parametrize("words", [["--version"], ["search", "--help"], ["index", "--help"], ["eval", "--help"]])
def test_help_needs_nothing(words: list[str]) -> None:
    assert imported(*words) == set()


def test_a_search_on_the_cpu_looks_for_no_other_device(ninefold: Run, vectors: Path) -> None:
    ninefold("index", vectors, "-o", "v")
    assert imported("search", "v", "3", "--device", "cpu") == {"numpy"}
    # With --device auto, the CPU is known to answer faster than a survey of devices takes.
    assert ninefold("search", "v", "3").exit_code == 0
    assert imported("search", "v", "3") == {"numpy"}
    # Counter-check: packages that the other commands avoid are detected when they are imported.
    assert "prometheus_client" in imported("search", "v", "3", "--metrics", "m")
    assert "lark" in imported("search", "v", "3", "--where", "year == 1")


def test_a_search_for_a_text_imports_the_model_only(ninefold: Run, notes: Path) -> None:
    ninefold("index", notes, "-o", "n")
    # The first search compiles the model, the second loads the cached result.
    found = [imported("search", "n", text, "--device", "cpu") for text in ("bees", "a hive")][1]
    assert found == {"numpy", "openvino", "tokenizers"}
    # The embedding of a text that was asked before is in the cache.
    assert imported("search", "n", "bees", "--device", "cpu") == {"numpy"}
