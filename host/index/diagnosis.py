"""Diagnosis of a damaged index: what is damaged, what can be saved, and how."""

from __future__ import annotations

import base64
import contextlib
import errno
import json
import os
import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, TextIO

from ninefold.spec.errors import DamagedDataError, InputError
from ninefold.spec.files import written_aside
from ninefold.spec.programs import ended_by
from ninefold.spec.progress import step
from ninefold.spec.terminal import printable
from ninefold.spec.text import counted

from . import segments, tier_lists
from .environment import DATA, salvaging
from .index import Index
from .manifest import Manifest, locate, missing, read_manifest
from .saved import SavedVectors, line_of
from .segments import SUFFIX, Segment

__all__ = ["Diagnosis", "SegmentState", "diagnose"]

#: Time after which reading the tables is given up: damaged pages may lead round in circles.
_LIMIT_S: Final = 600.0
#: Number of damaged files of tiers that are named.
_SHOWN: Final = 5


@dataclass(frozen=True)
class SegmentState:
    """Segment of an index.

    Attributes
    ----------
    name : str
        Name of its file.
    rows : int
        Number of rows in the list; 0 if that is unknown.
    problem : str
        Error of its check; empty for an undamaged one.
    """

    name: str
    rows: int
    problem: str


@dataclass(frozen=True)
class Diagnosis:
    """State of an index.

    Attributes
    ----------
    name : str
        Name or path of the index.
    folder : Path
    problems : tuple of str
        Errors of opening and verifying; empty for an undamaged index.
    segments : tuple of SegmentState
        Segments in the list, or, if the list is lost, the files.
    entries : int
        Number of entries that can be read from the tables.
    tables : str
        Error of reading the tables; empty if they can be read to the end.
    manifest : Manifest or None
        None if it cannot be read.
    saved : int
        Number of entries that were written to a file.
    tiers : tuple of str
        Errors of the files of its tiers, and the command that writes them again; they are read if nothing else is
        damaged.
    """

    name: str
    folder: Path
    problems: tuple[str, ...] = ()
    segments: tuple[SegmentState, ...] = ()
    entries: int = 0
    tables: str = ""
    manifest: Manifest | None = None
    saved: int = 0
    tiers: tuple[str, ...] = ()

    @property
    def damaged(self) -> bool:
        """True if anything is damaged."""
        return bool(self.problems or self.tiers)

    def lines(self) -> list[str]:
        """Return what can be saved, and how, for people."""
        if not self.problems:
            *errors, advice = self.tiers
            more = [f"and {len(errors) - _SHOWN:,} more files of its tiers"] if len(errors) > _SHOWN else []
            return [*errors[:_SHOWN], *more, f"no entry is lost: {advice}"]
        said = [*self.problems]
        ended = f", and then reading fails: {self.tables}" if self.tables else ""
        said.append(f"tables: {counted(self.entries, 'entry', 'entries')} can be read{ended}")
        for one in self.segments:
            rows = counted(one.rows, "row") if one.rows else "unknown rows"
            said.append(f"segment {one.name[:12]}: {rows}, {one.problem or 'undamaged'}")
        return [*said, *self.advice()]

    def advice(self) -> list[str]:
        """Return the commands that save what can be saved, the best first."""
        name, options, again = printable(self.name), "", ""
        if self.manifest is None:
            again = " (repeat the `--field` and `--no-vectors` that it was built with)"
        else:
            declared = {} if self.manifest.contexts else self.manifest.fields
            options = "".join(f" --field {printable(one)}:{kind}" for one, kind in declared.items())
            options += "" if self.manifest.vectors else " --no-vectors"
        said = [f"with a backup: `ninefold index restore {name} FOLDER --force` restores all of it"]
        if self.entries and self.manifest is not None and self.manifest.contexts:
            said.append(
                f"without one: `ninefold doctor {name} --save FILE.bin` writes the records that can be read, and"
                f" `ninefold index FILE.bin -o {name} --force` builds the index from them, with their numbers as ids"
            )
        elif self.entries and self.manifest is not None and self.manifest.vectors and not self.manifest.model:
            said.append(
                f"without one: `ninefold doctor {name} --save FILE.npy` writes the vectors that can be read, and"
                " FILE.jsonl their ids; docs/howto/backup.md shows how to build the index from them"
            )
        elif self.entries and (self.manifest is None or self.manifest.model):
            said.append(
                f"without one: `ninefold doctor {name} --save FILE.jsonl` writes the entries that can be read, and"
                f" `ninefold index FILE.jsonl -o {name} --force{options}` builds the index from them{again}; texts in"
                " the cache of embeddings are not embedded again"
            )
        else:
            said.append(
                f"without one: `ninefold index SOURCE -o {name} --force{options}` builds it from its source{again}"
            )
        return said


def diagnose(name: str, save: Path | None = None) -> Diagnosis:
    """Check all content of an index, and find out what of it can be saved.

    Parameters
    ----------
    name : str
        Name or path of the index.
    save : Path, optional
        File of JSON lines to write the entries to that can be read, which ``ninefold index`` takes. If its name ends
        with ``.bin``, the records of an index of context vectors are written to it. If it ends
        with ``.npy``, the vectors that can be read are written to it, float16 (n, D), and the entries to a file of the
        same name that ends with ``.jsonl``, in the same order.

    Raises
    ------
    InputError
        There is no such index, or it keeps no vectors that could be saved.
    OSError
        The index cannot be read, or the file cannot be written.
    """
    folder = locate(name)
    if not folder.is_dir():
        raise missing(folder)
    manifest = None
    with contextlib.suppress(DamagedDataError):  # it is the problem
        manifest = Manifest.of(read_manifest(folder), folder)
    saved = None
    with step(f"reading the tables of {name}"):
        if save is None:
            entries, listed, tables = _read(folder, lambda _: None)
        elif save.suffix == ".bin":
            if manifest is None or not manifest.contexts:
                why = "its manifest is lost" if manifest is None else "it holds no context vectors"
                raise InputError(f"the records of {name} cannot be saved: {why}; leave .bin out of {save}")
            with written_aside(save) as aside, aside.open("wb") as binary:
                entries, listed, tables = _read(folder, lambda told: _copy(told, binary))
        elif save.suffix == ".npy":
            if manifest is None or not manifest.vectors:
                why = "its manifest is lost" if manifest is None else "it keeps no float vectors"
                raise InputError(f"the vectors of {name} cannot be saved: {why}; leave .npy out of {save}")
            rows = SavedVectors(manifest)
            entries, listed, tables = _read(folder, rows.take, "--vectors")
            saved = rows.write(save, folder / segments.FOLDER, listed)
        else:
            with written_aside(save) as aside, aside.open("w", encoding="utf-8") as file:
                entries, listed, tables = _read(folder, lambda told: _print(told, file))
    problem = _problem(name, folder, tables)
    if not problem:
        tiers = tuple(tier_lists.damage(folder))
        return Diagnosis(name, folder, entries=entries, saved=entries if saved is None else saved, tiers=tiers)
    saved = entries if saved is None else saved
    return Diagnosis(name, folder, (problem,), _segments(folder, listed), entries, tables, manifest, saved)


def _problem(name: str, folder: Path, tables: str) -> str:
    """Return the error of an index; it is opened only if its tables are whole or missing, as others may kill."""
    if tables and (folder / DATA).is_file():
        return f"{folder / DATA} is damaged: it cannot be read to the end"
    try:
        with step(f"verifying {name}"), Index.open(str(folder)) as index:
            index.verify()
    except DamagedDataError as error:
        return str(error)
    return ""


def _print(told: dict[str, Any], file: TextIO) -> None:
    if "entry" in told:
        print(line_of(told["entry"]), file=file)


def _copy(told: dict[str, Any], file: BinaryIO) -> None:
    if "entry" in told:
        file.write(base64.b64decode(told["entry"]["context"]))


def _segments(folder: Path, listed: dict[str, int] | None) -> tuple[SegmentState, ...]:
    """Check the segments that the list names, or without a list all files."""
    place = folder / segments.FOLDER
    if listed is None:
        listed = {path.stem: 0 for path in sorted(place.glob(f"*{SUFFIX}"))} if place.is_dir() else {}
    found = []
    with step("checking segments", len(listed)) as checking:
        for digest, rows in listed.items():
            try:
                Segment.verify(place, digest)
                found.append(SegmentState(digest, rows or len(Segment.open(place, digest)), ""))
            except DamagedDataError as error:
                found.append(SegmentState(digest, rows, str(error)))
            checking.advance()
    return tuple(found)


def _read(
    folder: Path, take: Callable[[dict[str, Any]], object], *options: str
) -> tuple[int, dict[str, int] | None, str]:
    """Read the tables in another process, as damaged pages may kill it.

    Parameters
    ----------
    folder : Path
    take : callable
        Called with what `ninefold.host.index.salvage` prints of each entry, and with the option ``--vectors`` of each
        row in no segment.
    *options : str
        Options of that program.

    Returns
    -------
    int
        Number of entries given to `take`.
    dict of str to int, or None
        Rows of the segments in the list by digest; None if it cannot be read.
    str
        Error that ended the reading; empty at the end of the tables.
    """
    path = folder / DATA
    if not path.is_file():
        return 0, None, f"{path} is missing"
    if not os.access(path, os.R_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
    words = salvaging(folder, *options)
    entries, listed, whole, late = 0, None, False, threading.Event()
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None  # noqa: S101 - a pipe
        assert child.stderr is not None  # noqa: S101 - a pipe

        def give_up() -> None:
            late.set()
            child.kill()

        limit = threading.Timer(_LIMIT_S, give_up)
        limit.start()
        try:
            for line in child.stdout:
                record = json.loads(line) if line.endswith("\n") else {}
                if "listed" in record:
                    listed = record["listed"]
                elif "end" in record:
                    whole = True
                elif record:
                    take(record)
                    entries += "entry" in record
            said = child.stderr.read().strip()
            code = child.wait()
        finally:
            limit.cancel()
            child.kill()  # if `take` has failed
    if whole and not code:
        return entries, listed, ""
    if late.is_set():
        return entries, listed, f"{path}: reading it was given up after {_LIMIT_S:g} seconds"
    return entries, listed, said.splitlines()[-1] if said and code > 0 else f"{path}: reading it {ended_by(code)}"
