"""Golden models of the similarity of context vectors, against values worked out by hand."""

from __future__ import annotations

from math import e, exp
from typing import Any

import numpy as np
import pytest

from ninefold.numerics.vector6d import Vector6DColumns
from ninefold.sim.golden.batch_similarity import batch_similarity
from ninefold.sim.golden.similarity6d import similarity6d

#: Similarity of two records of zeros: no embedding and no modality, the same time, even intents, no links.
ZEROS = 0.2 + 0.15 / 256 + 0.025 + 0.05


def record(**fields: Any) -> dict[str, Any]:
    made = {name: array[0].copy() for name, array in Vector6DColumns.zeros(1).arrays.items()}
    for name, value in fields.items():
        made[name] = np.array(value, made[name].dtype) if np.ndim(made[name]) == 0 else made[name]
        if np.ndim(made[name]):
            made[name][: len(value)] = value
    return made


@pytest.mark.parametrize(
    ("a", "b", "wanted"),
    [
        ({}, {}, ZEROS),
        ({"embedding": [3, 4]}, {"embedding": [4, 3]}, ZEROS + 0.4 * 24 / 25),
        ({"embedding": [1]}, {"embedding": [-2]}, max(ZEROS - 0.4, 0)),
        ({"timestamp": 300_000_000}, {}, ZEROS - 0.2 + 0.2 / e),
        ({}, {"timestamp": 2**64 - 1}, ZEROS - 0.2),
        ({"timestamp": 600_000_000, "horizon": 100}, {"horizon": 600}, ZEROS - 0.2 + 0.2 / e),
        ({"modality": 0b0111}, {"modality": 0b1110}, ZEROS + 0.15 * 2 / 4),
        ({"modality": 1}, {}, ZEROS),
        ({"intent": [60000]}, {"intent": [60000]}, ZEROS - 0.15 / 256 + 0.15),
        ({"intent": [60000]}, {"intent": [0, 60000]}, ZEROS - 0.15 / 256),
        ({"links": 2, "link_hash": [5, 5]}, {"links": 2, "link_hash": [5, 6]}, ZEROS - 0.025 + 0.05 / 2),
        ({"links": 1, "link_hash": [0]}, {"links": 1, "link_hash": [255]}, ZEROS - 0.025),
        ({"links": 1}, {}, ZEROS),
        ({"confidence": 0.25}, {}, ZEROS - 0.05 / 4),
        ({"confidence": -60000}, {"confidence": 60000}, ZEROS - 0.05),
    ],
)
def test_similarities_by_hand(a: dict[str, Any], b: dict[str, Any], wanted: float) -> None:
    assert similarity6d(record(**a), record(**b)) == pytest.approx(wanted, abs=1e-12)
    assert similarity6d(record(**b), record(**a)) == pytest.approx(wanted, abs=1e-12)


def test_a_record_is_similar_to_itself_except_for_even_intents() -> None:
    same = record(embedding=range(512), modality=9, intent=[0, 30000], links=1, link_hash=[7], confidence=0.5)
    assert similarity6d(same, same) == pytest.approx(1)


def test_similarities_with_times_by_hand() -> None:
    assert batch_similarity([0.6, 0.8], [0.8, 0.6], 0) == pytest.approx(0.7 * 0.96 + 0.3)
    assert batch_similarity([1.0], [-1.0], -600) == pytest.approx(-0.7 + 0.3 * exp(-2))
