import inspect
import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ninefold.host.backends.cpu import Cpu
from ninefold.host.embedding import Embedder
from ninefold.host.embedding.batches import batches
from ninefold.sim import golden
from ninefold.spec.errors import InputError
from ninefold.spec.operators import OPERATORS
from tests.host.embeddings import cache_in

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
def test_bad_texts_are_refused(embedder: Embedder, texts: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        embedder.embed(texts)


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


# ---- Interrupted and resumed

LONG = [f"entry {n}: " + "some words that take a while to embed " * 11 for n in range(48)]
CHILD = """
import json, os, sys
from unittest.mock import patch
from ninefold.host.embedding import Embedder, EmbeddingCache

with patch.dict(os.environ, NINEFOLD_CACHE=sys.argv[2]):  # the compiled model stays in the shared cache
    cache = EmbeddingCache()

def progress(done, total):
    print(done, flush=True)
    if done >= 16:
        sys.stdin.readline()  # so that the run is stopped with batches in work, however quick the machine is

with cache:
    Embedder().embed(json.loads(sys.argv[1]), progress, cache)
"""


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGKILL])
def test_a_stopped_run_goes_on_where_it_was(
    embedder: Embedder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: signal.Signals
) -> None:
    command = [sys.executable, "-c", CHILD, json.dumps(LONG), str(tmp_path)]
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
    with cache_in(tmp_path) as cache:
        before = cache.get([embedder.key(text) for text in LONG])
        assert len(before) == done
        kept = [text for text in LONG if embedder.key(text) in before]
        tokenised: list[str] = []
        tokenise = embedder.tokenise
        monkeypatch.setattr(embedder, "tokenise", lambda texts: (tokenised.extend(texts), tokenise(texts))[1])
        steps: list[int] = []
        whole = embedder.embed(LONG, lambda done, _: steps.append(done), cache)
        assert sorted(tokenised) == sorted(set(LONG) - set(kept))
        assert steps[0] == done
        assert steps[-1] == len(LONG)
        for text in kept:
            np.testing.assert_array_equal(whole[LONG.index(text)], before[embedder.key(text)])
        tokenised.clear()
        np.testing.assert_array_equal(embedder.embed(LONG, cache=cache), whole)
        assert tokenised == []
    np.testing.assert_allclose(embedder.embed(LONG[::9]), whole[::9], atol=CLOSE)


def test_copies_are_counted_and_embedded_once(embedder: Embedder, tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    with cache_in(tmp_path) as cache:
        first = embedder.embed(["a", "b", "a"], lambda *step: steps.append(step), cache)
        assert steps == [(0, 3), (3, 3)]
        np.testing.assert_array_equal(first[0], first[2])
        steps.clear()
        second = embedder.embed(["b", "c", "b"], lambda *step: steps.append(step), cache)
        assert steps == [(2, 3), (3, 3)]
        np.testing.assert_array_equal(second[0], first[1])
        assert len(cache.get([embedder.key(text) for text in "abcd"])) == 3
