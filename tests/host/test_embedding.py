import hashlib
import inspect
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ninefold.host.backends.cpu import Cpu
from ninefold.host.embedding import Embedder, Journal
from ninefold.host.embedding.batches import batches
from ninefold.sim import golden
from ninefold.spec.errors import DamagedDataError, InputError, UnavailableError
from ninefold.spec.operators import OPERATORS

CLOSE = 1e-6


def sentences() -> list[str]:
    """Return the first lines of 100 docstrings of the standard library."""
    import argparse
    import collections
    import pathlib
    import statistics

    found = set()
    for module in (argparse, collections, pathlib, shutil, statistics):
        for name, thing in vars(module).items():
            if not name.startswith("_") and callable(thing) and (doc := inspect.getdoc(thing)):
                found.add(f"{module.__name__}.{name}: {doc.splitlines()[0]}")
    assert len(found) >= 100
    return sorted(found)[:100]


def call_of(sequences: list[Any]) -> Any:
    tokens = np.zeros((len(sequences), max(map(len, sequences))), np.int64)
    mask = np.zeros_like(tokens)
    for row, sequence in enumerate(sequences):
        tokens[row, : len(sequence)] = sequence
        mask[row, : len(sequence)] = 1
    return OPERATORS["embed"].bind({"tokens": tokens, "mask": mask})


@pytest.fixture(scope="module")
def embedder() -> Embedder:
    return Embedder()


def test_agrees_with_the_golden_model_on_100_sentences(embedder: Embedder) -> None:
    texts = sentences()
    got = embedder.embed(texts).astype(np.float64)
    call = call_of(embedder.tokenise(texts))
    want = golden.answer(call)["vectors"].astype(np.float64)
    cosine = (got * want).sum(axis=1) / np.linalg.norm(got, axis=1) / np.linalg.norm(want, axis=1)
    assert cosine.min() >= 0.9999
    # All arithmetic is float32: bfloat16 meets the bound above but not this one.
    np.testing.assert_allclose(got, want, atol=CLOSE)
    np.testing.assert_allclose(np.linalg.norm(got, axis=1), 1, atol=CLOSE)
    answer = Cpu().open().run(call)
    np.testing.assert_allclose(answer.values["vectors"], want, atol=CLOSE)
    assert answer.path == "openvino float32"


def test_a_vector_does_not_depend_on_its_batch(embedder: Embedder) -> None:
    texts = [f"number {n} " + "and some more words " * (n * 7 % 23) for n in range(40)]
    steps: list[tuple[int, int]] = []
    together = embedder.embed(texts, lambda done, total: steps.append((done, total)))
    assert together.shape == (40, 384)
    assert together.dtype == np.float32
    alone = np.concatenate([embedder.embed([text]) for text in texts[::6]])
    np.testing.assert_allclose(together[::6], alone, atol=CLOSE)
    assert steps[0] == (0, 40)
    assert steps[-1] == (40, 40)
    assert len(steps) > 2
    assert steps == sorted(steps)


def test_only_what_is_beyond_256_tokens_is_cut_off(embedder: Embedder) -> None:
    words = ["word"] * 253 + ["cat"] + ["dog"] * 20
    whole, same, other = embedder.embed([" ".join(words), " ".join(words[:254]), " ".join(words[:253])])
    np.testing.assert_allclose(whole, same, atol=CLOSE)
    assert np.abs(whole - other).max() > 100 * CLOSE


def test_meaning(embedder: Embedder) -> None:
    query, near, far = embedder.embed(
        ["copy a file and keep its timestamps", "Copy data and metadata of a file", "Return the median of the data"]
    )
    assert query @ near > query @ far + 0.3


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["a", " \n"], "text 1 is empty"),
        (["a", "b", 3], "text 2 must be a string, not int"),
        (["\ud800x"], r"text 0 holds '\\ud800', which is not a Unicode character"),
        ("one", "texts must be a sequence of strings, not one string"),
    ],
)
def test_bad_texts_are_refused(embedder: Embedder, tmp_path: Path, texts: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        embedder.embed(texts)
    with pytest.raises(InputError, match=message):
        embedder.embed_to(tmp_path / "journal", texts)
    assert not (tmp_path / "journal").exists()


def test_no_texts_and_no_threads(embedder: Embedder) -> None:
    assert embedder.embed([]).shape == (0, 384)
    with pytest.raises(InputError, match="threads must be at least 1, not 0"):
        Embedder(threads=0)


def test_the_backend_refuses_what_the_model_does_not_know() -> None:
    ones = np.ones((2, 3), np.int64)
    device = Cpu().open()
    for tokens, mask, message in (
        (ones * 30522, ones, "token ids must be 0 to 30521, not 30522"),
        (ones, ones * np.array([[1], [0]]), "the mask of sequence 1 is all 0"),
        (np.ones((1, 513), np.int64), np.ones((1, 513), np.int64), "1 to 512 tokens, not 513"),
    ):
        call = OPERATORS["embed"].bind({"tokens": tokens, "mask": mask})
        with pytest.raises(InputError, match=message):
            device.run(call)
        with pytest.raises(InputError, match=message):
            golden.answer(call)
    for shape in ((0, 0), (0, 5)):
        nothing = OPERATORS["embed"].bind({"tokens": np.ones(shape, np.int64), "mask": np.ones(shape, np.int64)})
        assert device.run(nothing).values["vectors"].shape == (0, 384)
        assert golden.answer(nothing)["vectors"].shape == (0, 384)


@given(st.lists(st.integers(1, 300), max_size=60), st.integers(1, 2000))
def test_batches_hold_each_sequence_once_within_the_budget(lengths: list[int], budget: int) -> None:
    groups = batches(np.array(lengths, np.int64), budget)
    assert sorted(int(i) for group in groups for i in group) == list(range(len(lengths)))
    for group in groups:
        longest = max(lengths[i] for i in group)
        assert lengths[group[-1]] == longest
        assert len(group) == 1 or len(group) * longest <= budget


# ---- Journal


def rows(start: int, count: int) -> tuple[list[bytes], Any]:
    keys = [hashlib.sha256(str(n).encode()).digest() for n in range(start, start + count)]
    return keys, np.random.default_rng(start).normal(size=(count, 384)).astype(np.float32)


def journal_of(path: Path, *counts: int) -> list[tuple[list[bytes], Any, int]]:
    """Write chunks; return keys, vectors and end of each."""
    written, start = [], 0
    with Journal(path) as journal:
        for count in counts:
            keys, vectors = rows(start, count)
            journal.append(keys, vectors)
            written.append((keys, vectors, path.stat().st_size))
            start += count
    return written


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_a_cut_journal_keeps_every_whole_chunk(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = tmp_path_factory.mktemp("journal") / "journal"
    written = journal_of(path, 2, 1, 3)
    size = data.draw(st.integers(0, path.stat().st_size))
    os.truncate(path, size)
    with Journal(path) as journal:
        for keys, vectors, end in written:
            assert all((key in journal) is (end <= size) for key in keys)
            if end <= size:
                np.testing.assert_array_equal(journal.vectors(keys), vectors)
            else:
                journal.append(keys, vectors)
    with Journal(path) as journal:
        assert len(journal) == 6
        assert journal.lost_bytes == 0
        for keys, vectors, _ in written:
            np.testing.assert_array_equal(journal.vectors(keys), vectors)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_a_flipped_bit_is_never_believed(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = tmp_path_factory.mktemp("journal") / "journal"
    written = journal_of(path, 2, 1, 3)
    content = bytearray(path.read_bytes())
    first = written[0][2] - 2 * (32 + 4 * 384) - 16
    at = data.draw(st.one_of(st.integers(first, len(content) - 1), st.sampled_from([first, first + 4, first + 12])))
    content[at] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(content)
    with Journal(path) as journal:
        assert journal.lost_bytes > 0
        for (keys, vectors, end), start in zip(written, [first, *(w[2] for w in written)], strict=False):
            if at >= end:
                np.testing.assert_array_equal(journal.vectors(keys), vectors)
            elif at >= start:
                assert not any(key in journal for key in keys)
            elif all(key in journal for key in keys):
                np.testing.assert_array_equal(journal.vectors(keys), vectors)


def test_damage_within_a_chunk_costs_only_that_chunk(tmp_path: Path) -> None:
    written = journal_of(tmp_path / "journal", 2, 1, 3)
    content = bytearray((tmp_path / "journal").read_bytes())
    content[written[1][2] - 5] ^= 1
    (tmp_path / "journal").write_bytes(content)
    with Journal(tmp_path / "journal") as journal:
        assert len(journal) == 5
        with pytest.raises(InputError, match=r"has no embedding for key [0-9a-f]{64} \(row 0\)"):
            journal.vectors(written[1][0])


def test_a_foreign_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("my own words")
    with pytest.raises(DamagedDataError, match="is not a journal of embeddings"):
        Journal(path)
    assert path.read_text() == "my own words"


def test_one_process_at_a_time(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal"), pytest.raises(UnavailableError, match="another process is embedding into"):
        Journal(tmp_path / "journal")
    Journal(tmp_path / "journal").close()


def test_a_full_disk_keeps_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "journal"
    keys, vectors = rows(0, 3)
    write = os.pwrite
    with Journal(path) as journal:
        journal.append(keys[:2], vectors[:2])
        size = path.stat().st_size

        def full(file: int, content: Any, at: int) -> int:
            if at > size:
                raise OSError(28, "No space left on device")
            return write(file, content[:100], at)

        monkeypatch.setattr(os, "pwrite", full)
        with pytest.raises(UnavailableError, match="No space left on device; 2 embeddings are kept in it; make room"):
            journal.append(keys[2:], vectors[2:])
        monkeypatch.undo()
        assert path.stat().st_size == size
        journal.append(keys[2:], vectors[2:])
        np.testing.assert_array_equal(journal.vectors(keys), vectors)


def test_a_journal_refuses_other_shapes(tmp_path: Path) -> None:
    keys, vectors = rows(0, 2)
    with Journal(tmp_path / "journal") as journal:
        with pytest.raises(InputError, match=r"must be float32 of shape \(2, 384\), not float64\(2, 384\)"):
            journal.append(keys, vectors.astype(np.float64))
        with pytest.raises(InputError, match="a key must have 32 bytes, not 3"):
            journal.append([b"abc", keys[1]], vectors)
        assert len(journal) == 0


# ---- Interrupted and resumed

LONG = [f"entry {n}: " + "some words that take a while to embed " * 11 for n in range(48)]
CHILD = """
import json, sys
from pathlib import Path
from ninefold.host.embedding import Embedder

def progress(done, total):
    print(done, flush=True)
    if done >= 16:
        sys.stdin.readline()  # so that the run is stopped with batches in work, however quick the machine is

Embedder().embed_to(Path(sys.argv[1]), json.loads(sys.argv[2]), progress)
"""


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGKILL])
def test_a_stopped_run_goes_on_where_it_was(
    embedder: Embedder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: signal.Signals
) -> None:
    path = tmp_path / "journal"
    command = [sys.executable, "-c", CHILD, str(path), json.dumps(LONG)]
    with subprocess.Popen(command, stdin=-1, stdout=-1, stderr=subprocess.DEVNULL, text=True) as child:
        assert child.stdout
        done = 0
        for line in child.stdout:
            done = int(line)
            if done >= 16:
                child.send_signal(stop)
                break
        child.wait(60)
    assert child.returncode == -stop
    assert 16 <= done < len(LONG)
    with Journal(path) as journal:
        assert len(journal) == done
        assert journal.lost_bytes == 0
        kept = [text for text in LONG if embedder.key(text) in journal]
        before = journal.vectors([embedder.key(text) for text in kept])

    tokenised: list[str] = []
    tokenise = embedder.tokenise
    monkeypatch.setattr(embedder, "tokenise", lambda texts: (tokenised.extend(texts), tokenise(texts))[1])
    steps: list[int] = []
    whole = embedder.embed_to(path, LONG, lambda done, _: steps.append(done))
    assert sorted(tokenised) == sorted(set(LONG) - set(kept))
    assert steps[0] == done
    assert steps[-1] == len(LONG)
    np.testing.assert_array_equal(whole[[LONG.index(text) for text in kept]], before)
    tokenised.clear()
    np.testing.assert_array_equal(embedder.embed_to(path, LONG), whole)
    assert tokenised == []
    np.testing.assert_allclose(embedder.embed(LONG[::9]), whole[::9], atol=CLOSE)


def test_a_journal_counts_copies_and_takes_changes(embedder: Embedder, tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    first = embedder.embed_to(tmp_path / "j", ["a", "b", "a"], lambda *step: steps.append(step))
    assert steps == [(0, 3), (3, 3)]
    np.testing.assert_array_equal(first[0], first[2])
    steps.clear()
    second = embedder.embed_to(tmp_path / "j", ["b", "c", "b"], lambda *step: steps.append(step))
    assert steps == [(2, 3), (3, 3)]
    np.testing.assert_array_equal(second[0], first[1])
    with Journal(tmp_path / "j") as journal:
        assert len(journal) == 3


def test_the_name_of_a_new_journal_is_synced_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[Path] = []
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda f: (synced.append(Path(f"/proc/self/fd/{f}").readlink()), fsync(f)))
    for _ in range(2):
        Journal(tmp_path / "folder" / "a.journal").close()
    assert synced.count(tmp_path / "folder") == 1
