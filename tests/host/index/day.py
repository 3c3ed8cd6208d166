"""A day in the life of an index: built, changed while another process searches, killed, backed up, restored elsewhere.

``python -m tests.host.index.day texts.jsonl`` uses the command line as a user would, in a temporary folder, and prints
what was done and how long it took. Embeddings come from the user's cache and model.
"""

from __future__ import annotations

import argparse
import gzip
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import numpy as np

from ninefold.host.embedding import EmbeddingCache
from ninefold.host.index.embedding import embedder

__all__ = ["day"]

_NEW, _CHANGED, _REMOVED = 500, 60, 40
#: Embeddings that are compared with the model's, and their least cosine.
_COMPARED, _COSINE = 8, 0.999
#: Searches for a text of the index, one a line of standard input, by a process that keeps it open.
_SEARCHER: Final = """
import select, sys, time
from ninefold.host.index import Index
from ninefold.host.scheduler import Scheduler
index = Index.open(sys.argv[1])
queries = [index.entry(row).sentence for row in range(20)]
times, rows = [], set()
with Scheduler() as scheduler:
    index.search(queries[0], scheduler=scheduler)
    print("ready", flush=True)
    while not sys.stdin.closed:
        start = time.perf_counter()
        with index.snapshot() as snapshot:
            found = snapshot.search(queries[len(times) % 20], 1, device="cpu", scheduler=scheduler)
            rows.add(len(snapshot))
        times.append(time.perf_counter() - start)
        assert found.hits
        if select.select([sys.stdin], [], [], 0.005)[0]:
            break
times.sort()
print(len(times), times[len(times) // 2], times[int(len(times) * 0.99)], *sorted(rows), flush=True)
"""


def ninefold(*words: str, kill_after: float | None = None) -> tuple[str, float]:
    """Run a command, or kill it after some seconds; return its output and the seconds that it took."""
    start = time.perf_counter()
    command = [str(Path(sys.executable).with_name("ninefold")), *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as child:
        try:
            said, _ = child.communicate(timeout=kill_after)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.communicate()
            return "killed", time.perf_counter() - start
    if child.returncode:
        raise SystemExit(f"ninefold {' '.join(words)} ended with {child.returncode}")
    return said.strip(), time.perf_counter() - start


def write(path: Path, entries: dict[str, str]) -> str:
    """Write entries as JSON lines."""
    with path.open("w", encoding="utf-8") as file:
        for name, text in entries.items():
            file.write(json.dumps({"id": name, "text": text}, ensure_ascii=False) + "\n")
    return str(path)


def fill_cache(texts: list[str], vectors: Path) -> None:
    """Put embeddings that were made before into the cache, after comparing some with the model's."""
    rows = np.load(vectors, mmap_mode="r")[: len(texts)].astype(np.float32)
    made = embedder().embed(texts[:_COMPARED])
    assert (np.einsum("ij,ij->i", made, rows[:_COMPARED]) > _COSINE).all(), f"{vectors} is not of these texts"
    with EmbeddingCache() as cache:
        cache.put([embedder().key(text) for text in texts], rows)


def day(texts: list[str], rows: int, folder: Path) -> None:
    """Live one day with an index of texts in a folder."""

    def tell(what: str, done: tuple[str, float]) -> None:
        print(f"{done[1]:8.2f} s  {what}: {done[0].splitlines()[0] if done[0] else ''}", flush=True)  # noqa: T201

    chosen = random.Random(9)
    entries = {f"gloss {n}": text for n, text in enumerate(texts[:rows])}
    name, backups = str(folder / "index"), str(folder / "backups")
    tell("build", ninefold("index", write(folder / "morning.jsonl", entries), "-o", name))
    tell("first backup", ninefold("index", "backup", name, backups))
    names = chosen.sample(list(entries), _CHANGED + _REMOVED)
    for one in names[:_CHANGED]:
        entries[one] += " (revised)"
    for one in names[_CHANGED:]:
        del entries[one]
    entries |= {f"gloss {rows + n}": text for n, text in enumerate(texts[rows : rows + _NEW])}
    source = write(folder / "evening.jsonl", entries)
    update = ("index", source, "-o", name, "--update", "--delete")
    with subprocess.Popen(
        [sys.executable, "-c", _SEARCHER, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as searcher:
        assert searcher.stdout is not None
        assert searcher.stdout.readline() == "ready\n"
        for seconds in (1.0, 2.0, 4.0):
            tell(f"the update, killed after {seconds:g} s", ninefold(*update, kill_after=seconds))
            tell("verify", ninefold("index", "verify", name))
        tell("the update", ninefold(*update))
        tell("the update again", ninefold(*update))
        said, _ = searcher.communicate("\n")
    count, half, most, *seen = said.split()
    print(  # noqa: T201
        f"            meanwhile {count} searches in another process, which saw {' and '.join(seen)} entries:"
        f" p50 {1e3 * float(half):.1f} ms, p99 {1e3 * float(most):.1f} ms"
    )
    tell("second backup", ninefold("index", "backup", name, backups))
    tell("restore", ninefold("index", "restore", str(folder / "elsewhere"), backups))
    found = json.loads(ninefold("index", "info", str(folder / "elsewhere"), "--json")[0])
    assert found["rows"] == len(entries)


def main() -> None:
    """Live one day with the texts of a file of JSON lines."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("texts", type=Path, help="JSON lines with the field text")
    parser.add_argument("--vectors", type=Path, help="their embeddings (.npy), put into the cache before the morning")
    parser.add_argument("--rows", type=int, default=20_000, help="entries in the morning")
    given = parser.parse_args()
    opened = gzip.open if given.texts.suffix == ".gz" else open
    with opened(given.texts, "rt", encoding="utf-8") as file:
        lines = list(itertools.islice(file, given.rows + _NEW))
    texts = [json.loads(line)["text"] for line in lines]
    if given.vectors is not None:
        fill_cache(texts[: given.rows], given.vectors)
    with tempfile.TemporaryDirectory(prefix="ninefold-day-") as folder:
        day(texts, given.rows, Path(folder))


if __name__ == "__main__":
    main()
