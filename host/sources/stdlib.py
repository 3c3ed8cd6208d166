"""Documented public objects of Python's standard library as a source."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from ninefold.spec.programs import run

from . import documented
from .entry import Entry, Kind, Skipped

__all__ = ["KIND"]

_NAME = "stdlib"


def _claims(source: str) -> bool:
    return source == _NAME


def _read(_source: str, _column: str | None, skipped: Skipped) -> Iterator[Entry]:
    if Path(_NAME).exists():
        skipped.notes.append(f"{_NAME} is Python's standard library; ./{_NAME} names the one in this folder")
    # Isolated and without site-packages, so that no installed or local module can shadow the standard library.
    command = [sys.executable, "-I", "-S", str(Path(documented.__file__))]
    for line in run(command, work="standard library").splitlines():
        found = json.loads(line)
        entry = skipped.accept(Entry(found["name"], found["name"] + found["signature"], found["doc"]))
        if entry is not None:
            yield entry


KIND = Kind("the standard library", _claims, _read)
