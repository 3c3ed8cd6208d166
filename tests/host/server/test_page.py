from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from ninefold.host.server.keys import KeyFile
from ninefold.host.server.service import Service
from ninefold.host.sources import Entry

from ..index.made import made
from .conftest import serving


def test_the_page_asks_its_server_and_nothing_else(http: httpx.Client) -> None:
    answer = http.get("/")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "connect-src 'self'" in policy
    assert "unsafe" not in policy
    assert not re.findall(r"""(?:src|href)=["'](?!data:)""", answer.text)
    assert "innerHTML" not in answer.text
    for word in ("fetch(", "localStorage"):
        assert answer.text.count(word) == (word == "fetch(")


@pytest.fixture
def texts(service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Service:
    """Serve an index of texts too, whose model embeds by the first word."""
    words = ["bees", "cats", "dogs"]
    rows = np.eye(3, 6, dtype=np.float16)
    entries = [Entry(word, f"<b>{word}</b>", f"all about {word}", {"year": n}) for n, word in enumerate(words)]
    made(tmp_path / "indexes" / "texts", rows, entries=entries, model="0" * 64, fields={"year": "int"}).close()
    service._open(str(tmp_path / "indexes" / "texts"))

    def embedded(self: Any, query: str, scheduler: Any) -> Any:
        from ninefold.spec.data import Result

        first = words.index(query.split(maxsplit=1)[0])
        return Result({"vectors": np.eye(3, 6, dtype=np.float32)[[first]]}, answered_by="cpu")

    monkeypatch.setattr("ninefold.host.index.read.Snapshot._embedded", embedded)
    return service


@pytest.fixture
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_person_searches_by_keyboard_on_a_phone(texts: Service, browser: Any, tmp_path: Path, scheme: str) -> None:
    keys = KeyFile(tmp_path / "keys.json")
    _, token = keys.add("anna", "read")
    with serving(texts, keys) as url:
        page = browser.new_page(viewport={"width": 390, "height": 800}, color_scheme=scheme)
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(url)
        page.get_by_role("status").filter(has_text="a key is needed").wait_for()
        page.get_by_label("Key").fill(token)
        page.keyboard.press("Tab")
        page.locator("#index option", has_text="texts").wait_for(state="attached")
        assert page.evaluate("sessionStorage.getItem('ninefold-key')") == token
        page.keyboard.press("Escape")
        page.keyboard.type("cats in")
        page.get_by_role("status").filter(has_text="3 hits by cpu").wait_for()
        first = page.get_by_role("listitem").first
        assert first.locator("a").inner_text() == "<b>cats</b>"  # text, not markup
        page.get_by_label("Filter").fill("year == 0")
        page.get_by_role("status").filter(has_text="1 hits by cpu").wait_for()
        page.get_by_label("Filter").fill("year ==")
        page.locator("#status.bad").wait_for()
        page.get_by_label("Filter").fill("")
        page.get_by_role("status").filter(has_text="3 hits").wait_for()
        page.get_by_role("listitem").first.locator("a").focus()
        page.keyboard.press("Enter")
        page.locator("#entry pre", has_text="all about cats").wait_for()
        assert page.url == f"{url}/#texts/cats"
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert page.evaluate("document.activeElement.tagName") == "H2"
        assert errors == []
