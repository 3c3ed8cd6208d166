"""The site: it is made without a warning, needs no network, and what is generated is as the project is."""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from ninefold import host
from tests.docs.pages import PAGES, ROOT

_LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    return folder


def test_it_needs_no_network(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 20
    for page in pages:
        text = page.read_text()
        loaded = re.findall(r'<(?:script|img|iframe)[^>]+src="([^"]+)"|<link[^>]+href="([^"]+)"', text)
        assert [a or b for a, b in loaded if (a or b).startswith(("http:", "https:", "//"))] == [], page.name
        assert "```" not in re.sub(r"<pre.*?</pre>", "", text, flags=re.DOTALL), f"{page.name}: a fence was not taken"


def test_the_picture_is_one_file() -> None:
    tree = ET.parse(ROOT / "docs" / "architecture.svg")  # noqa: S314  # our own
    assert not [node for node in tree.iter() if node.tag.endswith(("image", "script", "use"))]
    words = {text.strip() for node in tree.iter() if (text := node.text)}
    assert {"scheduler", "golden models", "miner", "loihi", "similarity"} <= words


def test_the_reference_of_the_command_line_is_as_it_is() -> None:
    # In a process of its own: a command that was called by itself keeps the --help that it had then.
    made = subprocess.run([sys.executable, ROOT / "docs" / "reference.py"], capture_output=True, text=True, check=True)
    written = (ROOT / "docs" / "cli.md").read_text()
    assert written == made.stdout, "`python docs/reference.py > docs/cli.md` renews it"


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    text = (ROOT / page).read_text()
    for link in _LINK.findall(text):
        if "://" not in link and not link.startswith("api/"):  # made with the site, which checks links to it
            assert (ROOT / page).parent.joinpath(link).exists(), f"{page}: {link}"


@pytest.mark.parametrize(
    ("remote", "address"),
    [
        ("https://example.org/a/b.git", "https://example.org/a/b"),
        ("https://user:secret@example.org/a/b", "https://example.org/a/b"),
        ("git@example.org:a/b.git", "https://example.org/a/b"),
        ("ssh://git@example.org:22/a/b.git", "https://example.org/a/b"),
        ("/srv/git/b.git", None),
        ("file:///srv/git/b.git", None),
        ("", None),
    ],
)
def test_the_repository_is_linked_where_it_has_a_web_address(remote: str, address: str | None) -> None:
    assert runpy.run_path(str(ROOT / "docs" / "api.py"))["web_address"](remote) == address


def test_the_api_has_every_public_name_of_the_front_door(site: Path) -> None:
    page = (site / "api" / "ninefold.host.html").read_text()
    assert [name for name in host.__all__ if f"ninefold.host.{name}" not in page] == []
    assert "Run one task" in (site / "api" / "ninefold.host.scheduler.html").read_text()
