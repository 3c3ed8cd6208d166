"""Fixtures of several tests of the host: a browser, on demand."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture
def browser() -> Iterator[Any]:
    """Start a headless Chromium, of the system or of playwright."""
    from playwright.sync_api import sync_playwright  # type: ignore[import-not-found, unused-ignore]

    program = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield started
        started.close()
