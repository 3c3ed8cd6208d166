"""Kill a writer at a point of publication, and compare what is left with what it had acknowledged.

``python -m tests.host.index.crash`` runs thousands of trials and prints the table of crash points. A trial forks a
process that changes an index and reports each change to a pipe before it begins and after it has returned. The process
is killed with SIGKILL at one occurrence of one point. The index must then hold what was acknowledged, with or without
the whole change that was under way. Every other round of the points is of a bounded index (`crash_bounded`).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import numpy as np

from ninefold.host.index import Index, environment, merging, segments, writer
from ninefold.host.index.segments import Stream
from ninefold.host.index.tables import Tables
from ninefold.host.scheduler import Scheduler
from ninefold.host.sources import Entry
from ninefold.numerics.nits import pack
from ninefold.numerics.quantise import quantise
from ninefold.spec.errors import NinefoldError
from tests.host.index import crash_bounded
from tests.host.index.made import made

__all__ = ["POINTS", "Outcome", "State", "base", "change", "judged", "make", "table", "trial"]

DIMENSIONS: Final = 12
IDS: Final = 24
#: Number of changes that a child makes if nothing kills it.
CHANGES: Final = 14

#: Content of an index: text by id.
State = dict[str, str]


def vector_of(text: str) -> np.ndarray:
    """Return the vector of a text, float16 (D,)."""
    seed = int.from_bytes(text.encode())
    return np.random.default_rng(seed).normal(0, 1, DIMENSIONS).astype(np.float16)


def entries_of(state: State) -> tuple[list[Entry], np.ndarray]:
    rows = [vector_of(text) for text in state.values()]
    return [Entry(name, "", text) for name, text in state.items()], np.array(rows).reshape(-1, DIMENSIONS)


def base(folder: Path) -> Path:
    """Write the index from which trials start."""
    state = {f"id {n}": f"0.{n}" for n in range(8)}
    entries, vectors = entries_of(state)
    made(folder, vectors, entries=entries).close()
    return folder


@dataclass(frozen=True)
class Outcome:
    """Result of a trial.

    Attributes
    ----------
    killed : bool
        Whether the child reached the point.
    lost, invented, doubled : int
        Number of entries that were acknowledged and are missing or different, that no one wrote, and that are there, or
        found, twice.
    unsearchable : str
        Error of opening, checking or searching the index; empty if there was none.
    """

    killed: bool
    lost: int = 0
    invented: int = 0
    doubled: int = 0
    unsearchable: str = ""

    @property
    def good(self) -> bool:
        """True if nothing is wrong."""
        return not (self.lost or self.invented or self.doubled or self.unsearchable)


def wrapped(hit: Callable[[], None], home: Any, name: str, *, after: bool) -> None:
    """Call `hit` before or after each call of a function."""
    function = getattr(home, name)

    def call(*arguments: Any, **keywords: Any) -> Any:
        if not after:
            hit()
        result = function(*arguments, **keywords)
        if after:
            hit()
        return result

    setattr(home, name, call)


def at(home: Any, name: str, *, after: bool = False) -> Callable[[Callable[[], None]], None]:
    """Return the function that installs a point before or after a function."""
    return lambda hit: wrapped(hit, home, name, after=after)


def while_writing(hit: Callable[[], None]) -> None:
    """Install a point between the arrays of a segment that is being written."""

    class Hash:
        def __init__(self, *content: bytes) -> None:
            self._hash = segments.hashlib_sha256(*content)  # type: ignore[attr-defined]

        def update(self, content: Any) -> None:
            hit()
            self._hash.update(content)

        def __getattr__(self, name: str) -> Any:
            return getattr(self._hash, name)

    segments.hashlib_sha256 = segments.hashlib.sha256  # type: ignore[attr-defined]
    segments.hashlib = SimpleNamespace(sha256=Hash)  # type: ignore[assignment]


def while_committing(hit: Callable[[], None]) -> None:
    """Install a point at a random time after a commit has begun, inside LMDB."""
    random = np.random.default_rng(os.getpid())

    def begin() -> None:
        delay = float(random.exponential(2e-4))
        threading.Thread(target=lambda: (time.sleep(delay), hit()), daemon=True).start()

    wrapped(begin, environment.Environment, "_committed", after=False)


#: Points at which a writer is killed.
POINTS: Final[dict[str, Callable[[Callable[[], None]], None]]] = {
    "segment is being written": while_writing,
    "before an fsync": at(os, "fsync"),
    "after an fsync": at(os, "fsync", after=True),
    "before a rename": at(Path, "rename"),
    "after a rename": at(Path, "rename", after=True),
    "before a commit": at(environment.Environment, "_committed"),
    "inside a commit": while_committing,
    "after a commit": at(environment.Environment, "_committed", after=True),
    "before a list is switched": at(Tables, "switch"),
    "after a list is switched": at(Tables, "switch", after=True),
    "before a seal's commit": at(Tables, "cut_tail"),
    "before a merge is written": at(writer, "live_columns"),
    "before a file is removed": at(Path, "unlink"),
    "after a file is removed": at(Path, "unlink", after=True),
}


def change(random: np.random.Generator, state: State, number: int, kind: str = "") -> tuple[str, State]:
    """Return a change, of a random kind unless one is given, and the state after it."""
    kind = kind or str(random.choice(["upsert", "upsert", "upsert", "delete", "group", "upkeep", "compact", "replace"]))
    after = dict(state)
    if kind in ("upsert", "group"):
        for one in random.choice(IDS, int(random.integers(1, 5)), replace=False).tolist():
            after.pop(f"id {one}", None)
            after[f"id {one}"] = f"{number}.{one}"
    if kind in ("delete", "group"):
        for one in random.choice(IDS, int(random.integers(1, 4)), replace=False).tolist():
            after.pop(f"id {one}", None)
    if kind == "replace":
        after = {f"id {one}": f"{number}.{one}" for one in range(int(random.integers(1, 9)))}
    return kind, after


def make(index: Index, kind: str, before: State, after: State) -> None:
    """Make a change."""
    new = {name: text for name, text in after.items() if before.get(name) != text}
    gone = [name for name in before if name not in after]
    if kind == "upsert":
        index.upsert(*entries_of(new))
    elif kind == "delete":
        index.delete(gone)
    elif kind == "group":
        with index.transaction():
            index.upsert(*entries_of(new))
            index.delete(gone)
    elif kind == "upkeep":
        index.writer.upkeep()
    elif kind == "compact":
        index.compact()
    else:
        generation = index.generation
        entries, vectors = entries_of(after)
        nits = pack(quantise(vectors.astype(np.float32), generation.scale, generation.mode))
        columns = {"nits": Stream.of(nits), "vectors": Stream.of(vectors)}
        index.writer.replace(generation, entries, columns, None, lambda _: replace(generation))


#: Function that tells a content, and whether it is acknowledged.
Tell = Callable[[Any, bool], None]


def changes(index: Index, seed: int, tell: Tell) -> None:
    """Make random changes; tell each before and after it is made."""
    random = np.random.default_rng(seed)
    state = {entry.id: entry.text for entry in index}
    for number in range(1, CHANGES + 1):
        kind, after = change(random, state, number)
        tell(after, False)
        make(index, kind, state, after)
        tell(after, True)
        state = after


def bounded_changes(index: Index, seed: int, tell: Tell) -> None:
    """Make random changes of a bounded index."""
    crash_bounded.changes(index, seed, lambda content, done: tell(content.told(), done))


def child(folder: Path, point: str, occurrence: int, run: Callable[[Index, Tell], None], pipe: int) -> None:
    """Change an index, reporting to a pipe, until the point occurs for the given time."""
    left = occurrence
    lock = threading.Lock()

    def hit() -> None:
        nonlocal left
        with lock:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
                time.sleep(60)

    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    writer.SEALED_ROWS, merging.MOST_SEGMENTS = 6, 2  # type: ignore[misc]
    index = Index.open(str(folder), "w")
    POINTS[point](hit)
    run(index, lambda content, done: _say(pipe, [content, done]))
    index.close()


def _say(pipe: int, told: list[Any]) -> None:
    os.write(pipe, json.dumps(told).encode() + b"\n")


@contextmanager
def forked(run: Callable[[int], None]) -> Iterator[tuple[int, int]]:
    """Yield the number of a child that runs a function, and the end of its pipe."""
    reading, writing = os.pipe()
    number = os.fork()
    if number == 0:
        code = 1
        try:
            os.close(reading)
            run(writing)
            code = 0
        except BaseException as error:
            os.write(2, f"{type(error).__name__}: {error}\n".encode())
        finally:
            os._exit(code)
    os.close(writing)
    try:
        yield number, reading
    finally:
        os.close(reading)


def trial(
    start: Path, folder: Path, point: str, occurrence: int, seed: int, scheduler: Scheduler, *, bounded: bool = False
) -> Outcome:
    """Kill a writer once, and judge what is left."""
    shutil.copytree(start, folder)
    run = bounded_changes if bounded else changes
    try:
        with forked(
            lambda pipe: child(folder, point, occurrence, lambda index, tell: run(index, seed, tell), pipe)
        ) as (number, pipe):
            told = b""
            while some := os.read(pipe, 1 << 16):
                told += some
            code = os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])
        if code not in (0, -signal.SIGKILL):
            return Outcome(False, unsearchable=f"the child ended with {code}")
        lines = [json.loads(line) for line in told.decode().splitlines()]
        if bounded:
            return bounded_judged(
                folder, code != 0, [(crash_bounded.Content(**c), done) for c, done in lines], scheduler
            )
        acknowledged = next(
            (content for content, done in reversed(lines) if done), {f"id {n}": f"0.{n}" for n in range(8)}
        )
        return judged(folder, code != 0, acknowledged, lines[-1][0] if lines else acknowledged, scheduler)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def bounded_judged(
    folder: Path, killed: bool, told: list[tuple[crash_bounded.Content, bool]], scheduler: Scheduler
) -> Outcome:
    """Compare each content that a bounded index had, and the one that is left, with what its changes may leave."""
    acknowledged = crash_bounded.Content({f"id {n}": f"0.{n}" for n in range(8)})
    under_way = acknowledged
    mistakes = [0, 0]
    for content, done in told:
        if done:
            mistakes = [a + b for a, b in zip(mistakes, crash_bounded.wrong(content, under_way), strict=True)]
            acknowledged = content
        under_way = content
    try:
        with Index.open(str(folder)) as index:
            found = crash_bounded.content_of(index, scheduler)
        with Index.open(str(folder), "w") as index:
            crash_bounded.continued(index, found, scheduler)
    except (NinefoldError, OSError, AssertionError) as error:
        return Outcome(killed, unsearchable=f"{type(error).__name__}: {error}")
    lost, invented = min((crash_bounded.wrong(found, state) for state in (acknowledged, under_way)), key=sum)
    return Outcome(killed, mistakes[0] + lost, mistakes[1] + invented)


def judged(folder: Path, killed: bool, acknowledged: State, under_way: State, scheduler: Scheduler) -> Outcome:
    """Compare an index with the two states that it may have."""
    try:
        # A reader first: it must not need a writer to put anything right.
        with Index.open(str(folder)) as index:
            found = look(index, scheduler)
        with Index.open(str(folder), "w") as index:
            index.upsert([Entry("last", "", "last")], vector_of("last")[None])
            again = look(index, scheduler)
            files = {path.stem for path in (folder / "segments").iterdir()}
            listed = {part.database.digest for part in index.snapshot().parts.parts if not part.on_host}
            if files != listed:
                return Outcome(killed, unsearchable=f"{len(files)} files of segments, {len(listed)} in the list")
    except (NinefoldError, OSError, AssertionError) as error:
        return Outcome(killed, unsearchable=f"{type(error).__name__}: {error}")
    wrong = []
    for state in (acknowledged, under_way):
        lost = sum(found.texts.get(name) != text for name, text in state.items())
        invented = sum(state.get(name) != text for name, text in found.texts.items())
        wrong.append((lost, invented))
    lost, invented = min(wrong)
    if again.texts != {**found.texts, "last": "last"}:
        return Outcome(killed, lost, invented, unsearchable="the index cannot be continued")
    return Outcome(killed, lost, invented, found.doubled + again.doubled)


@dataclass(frozen=True)
class Seen:
    """Content of an index as iteration and search see it."""

    texts: State
    doubled: int


def look(index: Index, scheduler: Scheduler) -> Seen:
    """Read everything, and search for everything."""
    index.verify(pages=False)  # a damaged page ends this program, which no one overlooks
    with index.snapshot() as snapshot:
        entries = list(snapshot)
        texts = {entry.id: entry.text for entry in entries}
        doubled = len(entries) - len(texts)
        if not entries:
            return Seen(texts, doubled)
        vectors = np.array([vector_of(entry.text) for entry in entries])
        assert np.array_equal(snapshot.vectors, vectors), "a row holds the vector of another entry"
        hits = snapshot.search([*vectors.astype(np.float32)], len(entries), device="cpu", scheduler=scheduler)
        for found in hits:
            ids = [hit.id for hit in found]
            doubled += len(ids) - len(set(ids))
            assert set(ids) == set(texts), "a search does not find every entry"
    return Seen(texts, doubled)


def table(trials: int, folder: Path, seed: int = 9, tell: Callable[[str], None] = lambda _: None) -> dict[str, Counter]:
    """Run trials at every point; return counts of trials, lost, invented, doubled and unsearchable by point.

    Ctrl-C ends the trials early.
    """
    random = np.random.default_rng(seed)
    counts: dict[str, Counter] = {point: Counter() for point in POINTS}
    starts = {False: base(folder / "base"), True: crash_bounded.base(folder / "bounded")}
    with closing(Scheduler(costs=None)) as scheduler:
        scheduler.devices()
        with contextlib.suppress(KeyboardInterrupt):
            for number in range(trials):
                point = list(POINTS)[number % len(POINTS)]
                occurrence, own = int(random.integers(1, 12)), int(random.integers(1 << 30))
                bounded = number // len(POINTS) % 2 == 1
                start = starts[bounded]
                outcome = trial(start, folder / f"{number}", point, occurrence, own, scheduler, bounded=bounded)
                counts[point].update(
                    trials=outcome.killed,
                    lost=outcome.lost,
                    invented=outcome.invented,
                    doubled=outcome.doubled,
                    unsearchable=bool(outcome.unsearchable),
                )
                if not outcome.good:
                    tell(f"{point}, occurrence {occurrence}, seed {own}, bounded {bounded}: {outcome}")
    return counts


def main() -> int:
    """Print the table of crash points; Ctrl-C and SIGTERM end the trials early."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=9)
    parser.add_argument("--folder", help="folder of the trials [default: a temporary folder]")
    given = parser.parse_args()
    os.environ["NINEFOLD_CPU_PATH"] = "numpy"
    with tempfile.TemporaryDirectory(prefix="ninefold-crash-", dir=given.folder) as folder:
        counts = table(given.trials, Path(folder), given.seed, lambda text: print(text, file=sys.stderr))  # noqa: T201
    columns = ("trials", "lost", "invented", "doubled", "unsearchable")
    total: Counter = sum(counts.values(), Counter())
    for name, row in [("crash point", None), *counts.items(), ("all", total)]:
        cells = columns if row is None else [row[column] for column in columns]
        print(f"{name:26}", *(f"{cell:>12}" for cell in cells))  # noqa: T201
    return any(total[column] for column in columns[1:])


if __name__ == "__main__":
    sys.exit(main())
