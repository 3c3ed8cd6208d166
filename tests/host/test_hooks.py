"""Spot checks pass every right answer and see wrong ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ninefold.host import hooks
from ninefold.spec.data import Answer
from ninefold.spec.operators import OPERATORS
from tests.conformance.cases import calls_of
from tests.conformance.judge import expected


def flaw(operator: str, case: str, **changed: Any) -> str:
    values = {name: np.asarray(value) for name, value in expected(operator, case).items()}
    return hooks.check(calls_of(operator)[case], Answer({**values, **changed}), np.random.default_rng(1))


@pytest.mark.parametrize("operator", sorted(name for name in OPERATORS if calls_of(name)))
def test_every_golden_answer_passes(operator: str) -> None:
    checked = 0
    for case, call in calls_of(operator).items():
        if isinstance(hooks.before(call), Answer):
            continue  # never goes to a device
        assert flaw(operator, case) == "", case
        checked += 1
    assert checked


def of(operator: str, case: str, name: str) -> Any:
    return np.array(expected(operator, case)[name])


def test_similarity() -> None:
    scores = of("similarity", "random", "scores")
    assert "the score of query" in flaw("similarity", "random", scores=scores + 1)


def test_quantise() -> None:
    name = "edges, tanh"
    assert "the nit of" in flaw("quantise", name, nits=-of("quantise", name, "nits"))
    assert flaw("quantise", name, nits=of("quantise", name, "nits") + np.int8(1)) == "nits must be -4 to 4, not 5"


def test_superpose() -> None:
    nits = of("superpose", "complex", "nits")
    assert "the nit of" in flaw("superpose", "complex", nits=(nits + (nits < 0)).astype(np.int8))


def test_phase_hash() -> None:
    assert "the hash of point" in flaw("phase_hash", "random", hash=of("phase_hash", "random", "hash") ^ 1)


def test_hilbert_and_its_inverse() -> None:
    index, coords = of("hilbert", "9 x 7 bits", "index"), of("hilbert_inverse", "9 x 7 bits", "coords")
    assert "the index of the point" in flaw("hilbert", "9 x 7 bits", index=index ^ np.uint64(1))
    assert "the index of the point" in flaw("hilbert", "9 x 7 bits", index=index | np.uint64(1 << 63))
    assert "the point at index" in flaw("hilbert_inverse", "9 x 7 bits", coords=coords[:, ::-1])


def test_overlap() -> None:
    found = of("overlap", "random", "overlap")
    assert "the overlap of query" in flaw("overlap", "random", overlap=np.minimum(found + np.float32(2e-6), 1))
    assert flaw("overlap", "random", overlap=found - 1).startswith("overlap must be 0 to 1, not -")


def test_resonance() -> None:
    found = of("resonance", "random", "resonance")
    assert "the resonance of query" in flaw("resonance", "random", resonance=np.minimum(found + np.float32(2e-6), 1))


def test_harmonic_signature() -> None:
    found = of("harmonic_signature", "random", "signature")
    for wrong in (np.minimum(found + 1, 4), np.maximum(found - 1, 0)):
        assert "the signature of number" in flaw("harmonic_signature", "random", signature=wrong.astype(np.int8))


def test_heterodyne() -> None:
    mixed = of("heterodyne", "random", "mixed")
    assert "of row" in flaw("heterodyne", "random", mixed=mixed.conj())


def test_ssm_scan() -> None:
    y, h = (of("ssm_scan", "complex", name) for name in "yh")
    assert "not as computed" in flaw("ssm_scan", "complex", y=y * np.float32(1 + 3e-5))
    assert "the last state of sequence" in flaw("ssm_scan", "complex", h=h * np.float32(1 + 3e-5))


def test_wave_attention() -> None:
    attended = of("wave_attention", "times", "attended")
    assert "the weighted sum of query" in flaw("wave_attention", "times", attended=attended.conj())


def test_eviction_score() -> None:
    score = of("eviction_score", "random", "score")
    assert "the score of entry" in flaw(
        "eviction_score", "random", score=np.where(score < 0, score, score * (1 + 2e-6))
    )
    assert "not -1" in flaw("eviction_score", "all anchored", score=np.zeros_like(score))


def test_topk() -> None:
    case = "own ids"
    ids, scores, count = (of("topk", case, name) for name in ("ids", "scores", "count"))
    assert "largest scores of row 0" in flaw("topk", case, scores=scores - 1)
    assert "holds an id that was not given" in flaw("topk", case, ids=ids + 1)
    assert "the count of row 0 is 10, not 9" in flaw("topk", case, count=count - 1)
    tied = np.flatnonzero(scores[0, 1:] == scores[0, :-1])[0]
    swapped = ids.copy()
    swapped[0, [tied, tied + 1]] = swapped[0, [tied + 1, tied]]
    assert "not in order of arrival" in flaw("topk", case, ids=swapped)
    other = ids.copy()
    other[0, [0, 9]] = other[0, [9, 0]]
    assert flaw("topk", case, ids=other)
    short = "rising, k = 64"
    filled = of("topk", short, "ids")
    filled[0, 63] = 3
    assert "must be empty" in flaw("topk", short, ids=filled)


def test_mine_sees_what_was_left_out() -> None:
    case = "fewer rows than k"
    ids = of("mine", case, "ids")
    ids[0, 9] = 1
    assert "must be empty" in flaw("mine", case, ids=ids)
    # The best is dropped and everything moves up: each score and the order are right, but a row is missing.
    case = "ties, k = 64"
    call = calls_of("mine")[case]
    longer = call.with_options(k=65)
    from ninefold.sim import golden

    values = golden.answer(longer)
    cut = {name: values[name][:, 1:] for name in ("ids", "scores")}
    seen = [
        hooks.check(call, Answer({**cut, "count": values["count"] - 1}), np.random.default_rng(seed))
        for seed in range(9)
    ]
    assert any("omits row" in text for text in seen)


def test_calibrate_and_embed() -> None:
    case = "embeddings, tanh"
    assert "not one of the candidates" in flaw("calibrate", case, scale=of("calibrate", case, "scale") * 1.01)
    vectors = of("embed", "full", "vectors")
    assert "vector 0 has length 2" in flaw("embed", "full", vectors=vectors * 2)
    assert "must not contain NaN" in flaw(
        "embed", "full", vectors=np.where(np.arange(5)[:, None] == 1, np.nan, vectors).astype("f4")
    )


def test_searches_by_signs_lists_and_masks() -> None:
    case = "signs, 5 clusters, 3 lists"
    ids, count = (of("mine", case, name) for name in ("ids", "count"))
    full = int(np.flatnonzero(count == ids.shape[1])[0])
    database = calls_of("mine")[case].database()
    outside = next(row for row in range(300) if row not in np.asarray(expected("mine", case)["ids"]))
    wrong = ids.copy()
    wrong[full, 0] = outside
    assert flaw("mine", case, ids=wrong) != ""
    masked = "2% allowed"
    allowed = np.unpackbits(calls_of("mine")[masked].arguments["allowed"], bitorder="little")
    wrong = of("mine", masked, "ids")
    wrong[0, 0] = np.flatnonzero(allowed[:300] == 0)[0]
    assert "which is not allowed" in flaw("mine", masked, ids=wrong)
    assert "the count of query 0 is" in flaw("mine", masked, count=of("mine", masked, "count") + 1)
    assert database.arrays["starts"][-1] == 300


def test_candidates() -> None:
    case = "ties, keep = 64"
    ids, scores = (of("candidates", case, name) for name in ("ids", "scores"))
    assert "holds a wrong score" in flaw("candidates", case, scores=scores + 2)
    swapped = ids.copy()
    swapped[:, [0, 1]] = swapped[:, [1, 0]]
    assert flaw("candidates", case, ids=swapped) != ""
    # The best row is dropped and the next one added at the end: each score and the order are right.
    call = calls_of("candidates")[case]
    from ninefold.sim import golden

    longer = golden.answer(call.with_options(keep=65))
    cut = {name: longer[name][:, 1:] for name in ("ids", "scores")}
    answer = Answer({**cut, "count": longer["count"] - 1})
    texts = [hooks.check(call, answer, np.random.default_rng(seed)) for seed in range(9)]
    assert any("omits row" in text for text in texts)


def test_probe() -> None:
    case = "24 dimensions, 8 x 4"
    ids, scores, count = (of("probe", case, name) for name in ("ids", "scores", "count"))
    assert "not the nearest ones" in flaw("probe", case, ids=ids[:, ::-1])
    assert "holds a wrong score" in flaw("probe", case, scores=scores - 1)
    assert "the count of query 0 is 32, not 31" in flaw("probe", case, count=count - 1)


def test_similarities_of_context_vectors() -> None:
    found = of("similarity6d", "drawn", "similarity")
    wrong = (found + np.float32(2e-5)).clip(0, 1)
    assert "the similarity of query" in flaw("similarity6d", "drawn", similarity=wrong)
    found = of("batch_similarity", "5 x 66 x 37", "similarity")
    assert "the similarity of query" in flaw("batch_similarity", "5 x 66 x 37", similarity=found + np.float32(2e-5))


def test_search_of_context_vectors() -> None:
    ids, scores = (of("search6d", "drawn", name) for name in ("ids", "scores"))
    assert "has similarity" in flaw("search6d", "drawn", scores=scores - np.float32(2e-5))
    assert "are not in order" in flaw("search6d", "drawn", ids=ids[:, ::-1], scores=scores[:, ::-1])
    assert "the count of query" in flaw("search6d", "drawn", count=np.array([4, 4, 4]))
