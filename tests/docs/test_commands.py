"""Every command of the documentation is one that there is; those that are quick are run, as is the code."""

from __future__ import annotations

import doctest
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from ninefold.hdl import cores
from ninefold.hdl.catalogue import own_names
from ninefold.host.cli import cli
from tests.docs.pages import PAGES, PARSED_ONLY, ROOT, Block, Command, blocks, commands, words_of

ALL = [block for page in PAGES for block in blocks(page)]
CONSOLE = [block for block in ALL if block.language == "console"]
LINES = [command for block in CONSOLE for command in commands(block)]
RUN = sorted({block.page for block in CONSOLE if not block.tag})
TITLED = {page: [block for block in blocks(page) if block.title] for page in PAGES}
FOLDERS = ("bitstreams", "drivers", "hdl", "host", "numerics", "sim", "spec", "tests")


def parse(words: list[str]) -> None:
    """Parse a command line as `ninefold` does, and run nothing."""
    command: click.Command = cli
    name, parent = "ninefold", None
    while True:
        context = command.make_context(name, list(words), parent=parent)
        if not isinstance(command, click.Group):
            return
        found, below, words = command.resolve_command(context, [*context._protected_args, *context.args])
        assert found is not None
        assert below is not None
        command, name, parent = below, found, context


def check(words: list[str]) -> None:
    """Raise unless a program and what it is told are there."""
    program, *rest = words
    if program in ("ninefold", ".venv/bin/ninefold"):
        parse(rest)
    elif program == "make":
        assert rest, "make has no target"
        assert set(rest) <= set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    elif program in ("pip", ".venv/bin/pip"):
        extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
        asked = [name for word in rest for group in re.findall(r"\[(.*)\]", word) for name in group.split(",")]
        assert set(asked) <= set(extras)
    elif program == "python" and rest[:2] == ["-m", "pytest"]:
        assert all((ROOT / word).exists() for word in rest[2:] if "/" in word)
    elif program in ("python", "python3") and rest[:2] == ["-m", "venv"]:
        pass
    elif program == "python":
        titles = {block.title for held in TITLED.values() for block in held}
        assert rest[0] in titles or (ROOT / rest[0]).is_file()
    else:
        assert program in {".", "cd", "curl", "export", "git", "gtkwave", "openssl", "ray", "surfer"}, (
            f"{program} is none of the programs of the documentation"
        )


def check_all(text: str) -> None:
    for words in words_of(text):
        check(words)


@pytest.fixture
def added_cores(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the cores be found that the page of a command adds, by name and as a package in the current folder."""
    page = request.getfixturevalue("command").place.rpartition(":")[0]
    added = [block for block in TITLED[page] if block.title.startswith("hdl/cores/")]
    # Files beside each other, such as a user's core with its Verilog.
    files = [block for block in TITLED[page] if "/" not in block.title and page != "README.md"]
    for block in added:
        package = tmp_path / Path(block.title).stem
        package.mkdir()
        (package / "core.py").write_text(block.text)
        (tmp_path / "cores").mkdir(exist_ok=True)
        shutil.copyfile(package / "core.py", tmp_path / "cores" / Path(block.title).name)
    for block in files:
        (tmp_path / block.title).write_text(block.text)
        sys.modules.pop(Path(block.title).stem, None)
    if added or files:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "path", [*sys.path])
        monkeypatch.setattr(cores, "__path__", [*cores.__path__, str(tmp_path / "cores")])
    own_names.cache_clear()
    yield
    own_names.cache_clear()
    for block in files:
        sys.modules.pop(Path(block.title).stem, None)
    for block in added:
        for name in (f"{cores.__name__}.{Path(block.title).stem}", f"{Path(block.title).stem}.core"):
            sys.modules.pop(name, None)


@pytest.mark.usefixtures("added_cores")
@pytest.mark.parametrize("command", LINES, ids=lambda command: command.place)
def test_a_command_is_one_that_there_is(command: Command) -> None:
    check_all(command.text)


@pytest.mark.parametrize(
    "text",
    [
        "ninefold serach x y",
        "ninefold search x y --nearest 3",
        "ninefold board fly",
        "ninefold elaborate sorter",
        "ninefold estimate",
        "make coffee",
        'pip install "ninefold[gold]"',
        "sudo reboot",
        "ninefold devices && ninefold cache melt",
    ],
)
def test_one_that_is_not_there_is_seen(text: str) -> None:
    with pytest.raises((AssertionError, click.ClickException)):
        check_all(text)


def test_tags_are_known_and_commands_stand_in_console_blocks() -> None:
    assert {block.tag for block in CONSOLE} <= {"", *PARSED_ONLY}
    for page in PAGES:
        text = (ROOT / page).read_text()
        fenced = "".join(block.text for block in blocks(page))
        loose = re.findall(r"^(?:    |\t)(?:\.venv/bin/)?(?:ninefold|make|pip) .*$", text, re.MULTILINE)
        assert [line for line in loose if line not in fenced] == [], f"{page}: commands in no console block"


def test_commands_of_a_line() -> None:
    assert words_of("a 'b c' --d=e > f && g | h  # i") == [["a", "b c", "--d=e"], ["g"], ["h"]]
    assert words_of('x "sim://y?a=1&b=2"') == [["x", "sim://y?a=1&b=2"]]
    block = Block("p.md", 3, "console", "", "", "$ a \\\n    b\n1\n\n$ c\n")
    assert commands(block) == [Command("p.md:4", "a b", ("1",)), Command("p.md:8", "c", ())]


def set_up(page: str, folder: Path) -> dict[str, str]:
    """Make the folder in which the commands of a page run, with the files that it shows; returns the environment."""
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "NINEFOLD_DATA": str(folder / "data"),
        "COLUMNS": "200",
    }
    shown = TITLED[page]
    if any(block.title.split("/")[0] in FOLDERS for block in shown):
        # A checkout, to which the page adds files; `typing/ninefold` leads to its folders.
        for name in FOLDERS:
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copytree(ROOT / "typing", folder / "typing", symlinks=True)
        shutil.copyfile(ROOT / "pyproject.toml", folder / "pyproject.toml")
        environment["PYTHONPATH"] = str(folder / "typing")
    for block in shown:
        (folder / block.title).parent.mkdir(exist_ok=True)
        (folder / block.title).parent.mkdir(parents=True, exist_ok=True)
        (folder / block.title).write_text(block.text)
    return environment


@pytest.mark.parametrize("page", RUN)
def test_the_commands_of_a_page_run(page: str, tmp_path: Path) -> None:
    environment = set_up(page, tmp_path)
    for block in blocks(page):
        if block.language != "console" or block.tag:
            continue
        for command in commands(block):
            done = subprocess.run(
                ["bash", "-c", command.text],
                cwd=tmp_path,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
            )
            printed = [" ".join(line.split()) for line in (done.stdout + done.stderr).splitlines()]
            assert done.returncode == 0, f"{command.place}: {command.text}\n{done.stdout}{done.stderr}"
            for line in command.expected:
                pattern = ".*".join(re.escape(part) for part in " ".join(line.split()).split("..."))
                assert any(re.fullmatch(pattern, text) for text in printed), (
                    f"{command.place}: no {line!r} in {printed}"
                )


@pytest.mark.parametrize("page", [page for page in PAGES if any(b.language == "pycon" for b in blocks(page))])
def test_the_sessions_of_a_page_give_what_they_show(page: str) -> None:
    text = "\n".join(block.text for block in blocks(page) if block.language == "pycon")
    session = doctest.DocTestParser().get_doctest(text, {}, page, page, 0)
    outcome = doctest.DocTestRunner(verbose=False).run(session)
    assert outcome.attempted
    assert not outcome.failed


@pytest.mark.parametrize("block", [b for b in ALL if b.language == "python"], ids=lambda b: f"{b.page}:{b.line}")
def test_python_is_python(block: Block) -> None:
    compile(block.text, block.page, "exec")


def test_the_backend_of_its_page_is_found_and_conforms(tmp_path: Path) -> None:
    page = "docs/howto/backend.md"
    for block in TITLED[page]:
        (tmp_path / block.title).parent.mkdir(exist_ok=True)
        (tmp_path / block.title).write_text(block.text)
    # What pip writes for the entry point of the page.
    (entry,) = [block.text for block in blocks(page) if block.language == "toml"]
    installed = tmp_path / "sortbox-0.1.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: sortbox\nVersion: 0.1\n")
    line = entry.splitlines()[1].replace('"', "")
    (installed / "entry_points.txt").write_text(f"[ninefold.backends]\n{line}\n")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "COLUMNS": "200"}

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True)

    matrix = run(str(Path(sys.executable).parent / "ninefold"), "devices", "--matrix").stdout
    assert "| rtl | sortbox |" in matrix
    assert "- **sortbox, mine**: sortbox has no program for it: it only sorts" in matrix
    suite = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/conformance/test_conformance.py", "-k", "sortbox"]
    judged = run(sys.executable, *suite)
    assert judged.returncode == 0, judged.stdout + judged.stderr
    wrong = (tmp_path / "sortbox/topk.py").read_text().replace("best(scores, k)", "best(scores[:, ::-1], k)")
    (tmp_path / "sortbox/topk.py").write_text(wrong)
    assert "1 failed" in run(sys.executable, *suite).stdout
