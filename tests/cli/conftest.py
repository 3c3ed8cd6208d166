"""Fixtures for tests of the command line: separate folders, and small sources to index."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from ninefold.host.cli import cli
from ninefold.host.embedding import find_model
from ninefold.spec.cache import cache_folder

Run = Callable[..., Result]

NOTES = {
    "bread.md": "# Bread\n\nKnead the dough for ten minutes, let it rise, then bake it in a hot oven.\n",
    "house/roof.txt": "Replace cracked tiles before winter, or rain will find its way into the attic.\n\n"
    "A gutter that is full of leaves overflows at the first heavy shower, and the wall behind it stays wet.\n",
    "bees.txt": "A hive is inspected on warm days, when most of the foragers are out collecting nectar.\n",
}


@pytest.fixture
def shared_cache() -> str:
    """Return the cache shared by all tests; must be requested before `folders`, which replaces it."""
    return str(cache_folder())


@pytest.fixture
def folders(shared_cache: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Create separate cache and data folders, with the installed or fetched model."""
    monkeypatch.setenv("NINEFOLD_MODEL", str(find_model().folder))
    monkeypatch.setenv("NINEFOLD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NINEFOLD_DATA", str(tmp_path / "data"))
    # Avoids compilation into the new cache.
    monkeypatch.setenv("NINEFOLD_CPU_PATH", "numpy")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def ninefold(folders: Path) -> Run:
    """Run the command line in this process."""

    def run(*words: str | Path) -> Result:
        result = CliRunner().invoke(cli, [str(word) for word in words], prog_name="ninefold")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


@pytest.fixture
def process(folders: Path) -> Callable[..., subprocess.Popen[str]]:
    """Start the command line in a separate process."""

    def start(*words: str | Path, limit_bytes: int | None = None, prelude: str = "") -> subprocess.Popen[str]:
        # A parent that runs in the background may have left SIGINT ignored.
        code = f"import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n{prelude}\n"
        if limit_bytes is not None:
            code += f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({limit_bytes}, {limit_bytes}))\n"
        code += "from ninefold.host.cli import main; main()"
        command = [sys.executable, "-c", code, *map(str, words)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ)

    return start


@pytest.fixture
def notes(folders: Path) -> Path:
    """Write a small tree of real texts."""
    for name, text in NOTES.items():
        path = folders / "notes" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folders / "notes"


@pytest.fixture
def vectors(folders: Path) -> Path:
    """Write 200 seeded vectors of 16 dimensions."""
    path = folders / "vectors.npy"
    np.save(path, np.random.default_rng(3).normal(0, 1, (200, 16)).astype(np.float32))
    return path


@pytest.fixture
def indexed(ninefold: Run, vectors: Path) -> Path:
    """Index the vectors under the name ``v``."""
    assert ninefold("index", vectors, "-o", "v").exit_code == 0
    return vectors.parent / "data" / "indexes" / "v"


def stopped(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Send Ctrl-C and return exit code and standard error."""
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    return process.returncode, error
