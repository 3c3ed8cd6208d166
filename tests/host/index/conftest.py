"""Folders of a test's own."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def own_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep caches in the test's folder, and search with NumPy, which compiles nothing."""
    monkeypatch.setenv("NINEFOLD_CPU_PATH", "numpy")
    monkeypatch.setenv("NINEFOLD_CACHE", str(tmp_path / "cache"))
