"""Text and Markdown: a file, or a folder with everything below it, in paragraphs."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from ninefold.spec.errors import InputError

from .entry import Entry, Kind, Skipped

__all__ = ["KIND", "MARKDOWN", "TEXT"]

MARKDOWN = (".markdown", ".md")
TEXT = (".rst", ".text", ".txt")
#: Paragraphs of a section are joined up to this many characters, and longer ones are split: about what the model reads
#: of one text.
_TOGETHER = 800
#: Where a long paragraph is split, the best first.
_ENDS = ("\n", ". ", "? ", "! ", "; ", ", ", " ")
_HEADING = re.compile(r"(#{1,6})\s+(.*?)\s*#*\s*$")
_FENCE = re.compile(r"\s{0,3}(```|~~~)")


def _read(source: str, _column: str | None, skipped: Skipped) -> Iterator[Entry]:
    root = Path(source)
    if root.is_dir():
        paths = list(_walk(root, skipped))
        if not paths and not skipped.count:
            raise InputError(f"no files: {source} holds none that ends in {', '.join(MARKDOWN + TEXT)}")
    elif root.exists():
        paths = [root]
    else:
        raise InputError(f"{source} is not there; a source is stdlib, a folder, or a file of text, JSON lines or CSV")
    for path in paths:
        name = str(path.relative_to(root)) if root.is_dir() else path.name
        yield from _of_file(path, name, skipped)


def _walk(root: Path, skipped: Skipped) -> Iterator[Path]:
    def unreadable(error: OSError) -> None:
        skipped.add(str(error.filename), error.strerror or "unreadable")

    for folder, inner, names in os.walk(root, onerror=unreadable):
        inner[:] = sorted(name for name in inner if not name.startswith("."))
        for name in sorted(names):
            if name.startswith("."):
                continue
            if name.lower().endswith(MARKDOWN + TEXT):
                yield Path(folder, name)
            else:
                skipped.others += 1


def _of_file(path: Path, name: str, skipped: Skipped) -> Iterator[Entry]:
    try:
        if path.exists() and not path.is_file():
            skipped.add(name, "not a regular file")
            return
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        skipped.add(name, f"not UTF-8 (byte {error.start})")
        return
    except OSError as error:
        skipped.add(name, error.strerror or "unreadable")
        return
    if not text.strip():
        skipped.add(name, "empty")
        return
    before, part = 0, 1
    for line, title, body in _pieces(text, markdown=path.suffix.lower() in MARKDOWN):
        part = part + 1 if line == before else 1
        before = line
        entry = skipped.accept(Entry(f"{name}:{line}" if part == 1 else f"{name}:{line}.{part}", title, body))
        if entry is not None:
            yield entry


@dataclass
class _Section:
    """Paragraphs under one heading, with the number of the line where each begins."""

    title: str
    paragraphs: list[tuple[int, str]] = field(default_factory=list)

    def pieces(self) -> Iterator[tuple[int, str, str]]:
        """Yield line, title and text of runs of paragraphs that are not too long together."""
        start, text = 0, ""
        for line, paragraph in chain.from_iterable(_split(*paragraph) for paragraph in self.paragraphs):
            if text and len(text) + len(paragraph) > _TOGETHER:
                yield start, self.title, text
                text = ""
            start, text = (start, f"{text}\n\n{paragraph}") if text else (line, paragraph)
        if text:
            yield start, self.title, text


def _split(line: int, paragraph: str) -> Iterator[tuple[int, str]]:
    """Yield a paragraph, or its parts where it is too long, each with the number of the line where it begins."""
    start, half = 0, _TOGETHER // 2
    while len(paragraph) - start > _TOGETHER:
        near = paragraph[start : start + _TOGETHER]
        ends = (at + len(mark) for mark in _ENDS if (at := near.rfind(mark, half)) >= 0)
        end = start + next(ends, _TOGETHER)
        yield line + paragraph.count("\n", 0, start), paragraph[start:end].rstrip()
        start = end
    yield line + paragraph.count("\n", 0, start), paragraph[start:]


def _pieces(text: str, *, markdown: bool) -> Iterator[tuple[int, str, str]]:
    headings: list[tuple[int, str]] = []
    section, lines, begun, fenced = _Section(""), list[str](), 0, False

    def close_paragraph() -> None:
        if lines:
            section.paragraphs.append((begun, "\n".join(lines)))
            lines.clear()

    for number, line in enumerate(text.splitlines(), 1):
        if markdown and _FENCE.match(line):
            fenced = not fenced
        heading = _HEADING.match(line) if markdown and not fenced else None
        if heading or (not line.strip() and not fenced):
            close_paragraph()
        else:
            begun = number if not lines else begun
            lines.append(line)
        if heading:
            yield from section.pieces()
            level = len(heading[1])
            headings = [(depth, title) for depth, title in headings if depth < level] + [(level, heading[2])]
            section = _Section(" > ".join(title for _, title in headings))
    close_paragraph()
    yield from section.pieces()


KIND = Kind("text", lambda _: True, _read)
