"""Loss of power at every file operation of a session that seals, merges, deletes and replaces.

``python -m tests.host.index.power`` records a session, makes the folders that a loss of power after each operation may
leave (`replay`), opens each, and prints what was lost.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Final

import numpy as np

from ninefold.host.index import Index, merging, writer
from ninefold.host.scheduler import Scheduler
from tests.host.index.crash import Outcome, State, base, change, forked, judged, make
from tests.host.index.replay import HOWS, Operation, States, recorded, recorder

__all__ = ["KINDS", "losses", "recording"]

#: Changes of a session, in order.
KINDS: Final = (
    *("upsert", "upsert", "delete", "upkeep", "upsert", "group", "upsert", "upkeep", "upsert", "compact"),
    *("replace", "upsert", "group", "upkeep", "upsert", "delete", "replace", "upsert", "compact", "delete"),
)
#: File of the session's reports, beside the index.
_REPORTS: Final = "reports"


def session(folder: Path, seed: int) -> None:
    """Change an index, and report each change before it begins and after it has returned."""
    writer.SEALED_ROWS, merging.MOST_SEGMENTS = 6, 2  # type: ignore[misc]
    reports = os.open(folder / _REPORTS, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    random = np.random.default_rng(seed)
    with Index.open(str(folder / "index"), "w") as index:
        state = {entry.id: entry.text for entry in index}
        for number, kind in enumerate(KINDS, 1):
            _, after = change(random, state, number, kind)
            os.write(reports, json.dumps(after).encode())
            make(index, kind, state, after)
            os.write(reports, b"done")
            state = after


def recording(folder: Path, seed: int) -> tuple[Path, list[Operation]]:
    """Return the folder from which a session started, and its file operations."""
    start, work = folder / "start", folder / "work"
    base(start / "index")
    shutil.copytree(start, work)
    words = ["-m", "tests.host.index.power", "--session", str(work), "--seed", str(seed)]
    return start, recorded(recorder(folder), work, folder / "log", words)


def losses(
    start: Path,
    operations: list[Operation],
    folder: Path,
    seed: int,
    chosen: Callable[[int, str], bool] = lambda *_: True,
) -> Iterator[tuple[int, str, Outcome]]:
    """Yield the number of operations before each loss of power, the fate of what was not synced, and the outcome.

    Indexes are opened in another process, which damaged pages may kill; that ends the losses.
    """

    def judge(pipe: int) -> None:
        with closing(Scheduler(costs=None)) as scheduler:
            for number, how, outcome in _losses(start, operations, folder, seed, scheduler, chosen):
                os.write(pipe, json.dumps([number, how, asdict(outcome)]).encode() + b"\n")

    with forked(judge) as (child, pipe), os.fdopen(os.dup(pipe)) as said:
        number, how, ended = 0, "", False
        try:
            for line in said:
                number, how, outcome = json.loads(line)
                yield number, how, Outcome(**outcome)
            ended = True
        finally:
            if not ended:
                os.kill(child, signal.SIGKILL)
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code:
        yield number, how, Outcome(True, unsearchable=f"the next one ends the process with {code}")


def _losses(
    start: Path,
    operations: list[Operation],
    folder: Path,
    seed: int,
    scheduler: Scheduler,
    chosen: Callable[[int, str], bool],
) -> Iterator[tuple[int, str, Outcome]]:
    states = States(start)
    with Index.open(str(start / "index")) as index:
        acknowledged: State = {entry.id: entry.text for entry in index}
    under_way = acknowledged
    for number, operation in enumerate([*operations, None]):
        for at, how in enumerate(HOWS):
            if chosen(number, how):
                place = folder / f"{number} {how}"
                place.mkdir()
                states.left(place, how, np.random.default_rng((seed, number, at)), operation)
                yield number, how, judged(place / "index", True, acknowledged, under_way, scheduler)
                shutil.rmtree(place)
        if operation is None:
            return
        states.apply(operation)
        if operation.path == _REPORTS and operation.data:
            if operation.data == b"done":
                acknowledged = under_way
            else:
                under_way = json.loads(operation.data)


def main() -> int:
    """Print the table of the fates of what was not synced."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=9)
    parser.add_argument("--session", type=Path, help="change the index in this folder, and do nothing else")
    given = parser.parse_args()
    os.environ["NINEFOLD_CPU_PATH"] = "numpy"
    if given.session is not None:
        session(given.session, given.seed)
        return 0
    counts: dict[str, Counter] = {how: Counter() for how in HOWS}
    with tempfile.TemporaryDirectory(prefix="ninefold-power-") as folder:
        start, operations = recording(Path(folder), given.seed)
        for number, how, outcome in losses(start, operations, Path(folder), given.seed):
            counts[how].update(
                trials=1,
                lost=outcome.lost,
                invented=outcome.invented,
                doubled=outcome.doubled,
                unsearchable=bool(outcome.unsearchable),
            )
            if not outcome.good:
                print(f"after {number} operations, {how}: {outcome}", file=sys.stderr)  # noqa: T201
    columns = ("trials", "lost", "invented", "doubled", "unsearchable")
    total: Counter = sum(counts.values(), Counter())
    print(f"{len(operations)} file operations of {len(KINDS)} changes")  # noqa: T201
    for name, row in [("not synced, and", None), *counts.items(), ("all", total)]:
        cells = columns if row is None else [row[column] for column in columns]
        print(f"{name:26}", *(f"{cell:>12}" for cell in cells))  # noqa: T201
    return any(total[column] for column in columns[1:])


if __name__ == "__main__":
    sys.exit(main())
