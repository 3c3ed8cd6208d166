"""Text and Markdown, from a file or from all files below a folder, in paragraphs."""

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from ninefold.spec.errors import InputError
from ninefold.spec.terminal import printable

from .decode import NotTextError, decoded
from .entry import Entry, Kind, Skipped
from .paragraphs import pieces

__all__ = ["KIND", "MARKDOWN", "TEXT"]

MARKDOWN = (".markdown", ".md")
TEXT = (".rst", ".text", ".txt")
#: Size of the largest file in bytes, about 300,000 entries. Files are read whole.
_LARGEST = 1 << 28
_JSON_LINES = "records must be JSON lines: one object per line, in a file that ends in .jsonl"


def _read(source: str, _column: str | None, skipped: Skipped) -> Iterator[Entry]:
    root = Path(source)
    if root.is_dir():
        paths = list(_walk(root, skipped))
        if not paths and not skipped.count:
            raise InputError(
                f"no files to index: {printable(source)} holds none that ends in {', '.join(MARKDOWN + TEXT)}"
            )
    elif root.exists():
        _check_kind(root, skipped)
        paths = [root]
    else:
        raise InputError(
            f"{printable(source)} does not exist; a source is stdlib, a folder, or a file of text, JSON lines or CSV"
        )
    for path in paths:
        yield from _of_file(path, str(path.relative_to(root)) if root.is_dir() else path.name, skipped)


def _check_kind(path: Path, skipped: Skipped) -> None:
    """Refuse a single file of JSON; note it if a file with an unknown suffix is read as plain text."""
    suffix, name = path.suffix.lower(), printable(path)
    if suffix == ".json":
        raise InputError(f"{name} is JSON, not prose; {_JSON_LINES}")
    if suffix and suffix not in MARKDOWN + TEXT:
        guess = f"{name} ends in {printable(suffix)}, not in one of {', '.join(MARKDOWN + TEXT)}"
        if skipped.strict:
            raise InputError(f"{guess}; without --strict it is read as plain text")
        skipped.notes.append(f"{guess}; read as plain text")


def _walk(root: Path, skipped: Skipped) -> Iterator[Path]:
    def unreadable(error: OSError) -> None:
        skipped.add(str(error.filename), error.strerror or "unreadable")

    for folder, inner, names in os.walk(root, onerror=unreadable):
        skipped.hidden += sum(name.startswith(".") for name in inner + names)
        inner[:] = sorted(name for name in inner if not name.startswith("."))
        for name in inner:
            if Path(folder, name).is_symlink():
                skipped.add(str(Path(folder, name).relative_to(root)), "linked folder, not followed")
        for name in sorted(name for name in names if not name.startswith(".")):
            if name.lower().endswith(MARKDOWN + TEXT):
                yield Path(folder, name)
            else:
                skipped.others += 1


def _of_file(path: Path, name: str, skipped: Skipped) -> Iterator[Entry]:
    try:
        text = _text_of(path, name)
    except NotTextError as error:
        skipped.add(name, str(error), str(error).partition(" (")[0])
        return
    except OSError as error:
        skipped.add(name, error.strerror or "unreadable")
        return
    before, part = 0, 1
    for line, title, body in pieces(text, markdown=path.suffix.lower() in MARKDOWN):
        part = part + 1 if line == before else 1
        before = line
        entry = skipped.accept(Entry(f"{name}:{line}" if part == 1 else f"{name}:{line}.{part}", title, body))
        if entry is not None:
            yield entry


def _text_of(path: Path, name: str) -> str:
    """Return the text of a file, or raise `NotTextError` if it is not prose."""
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise NotTextError("its name is not UTF-8") from error
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise NotTextError("not a regular file")
    if status.st_size > _LARGEST:
        raise NotTextError(f"larger than {_LARGEST >> 20} MiB")
    text = decoded(path.read_bytes())
    if not text.strip():
        raise NotTextError("empty")
    if _is_json(text):
        raise NotTextError(f"JSON, not prose; {_JSON_LINES}")
    return text


def _is_json(text: str) -> bool:
    """Return True if the whole text is one JSON array or object."""
    ends = text.strip()
    if (ends[0], ends[-1]) not in (("[", "]"), ("{", "}")):
        return False
    try:
        json.loads(ends)
    except (ValueError, RecursionError):
        return False
    return True


KIND = Kind("text", lambda _: True, _read)
