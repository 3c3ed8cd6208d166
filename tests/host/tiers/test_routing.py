"""Thresholds of staged routing end each question in the first stage that is good enough, and keep a recall."""

from __future__ import annotations

import re

import numpy as np
import pytest

from ninefold.host.tiers.routing import STAGES, Thresholds, calibrated, confidence
from ninefold.spec.errors import InputError


def test_confidence_is_of_the_distance() -> None:
    assert confidence(1.0) == 1
    assert confidence(1.0 + 1e-9) == 1  # rounding
    assert confidence(0.5) == 0.5
    assert confidence(-1.0) == pytest.approx(1 / 5)
    assert confidence(0.957) == pytest.approx(0.92, abs=1e-3)
    assert confidence(0.5, urgency=1.0) == pytest.approx(0.6)
    assert confidence(0.5, same_task=True) == pytest.approx(0.575)
    assert confidence(0.5, 0.5, same_task=True) == pytest.approx(0.5 * 1.1 * 1.15)
    assert confidence(0.95, 1.0, same_task=True) == 1
    with pytest.raises(InputError, match=r"^urgency must be 0 to 1, not 1.5$"):
        confidence(0.5, 1.5)


def test_a_stage_ends_at_its_threshold() -> None:
    default = Thresholds()
    assert [default.of(stage) for stage in STAGES[:-1]] == [0.92, 0.85, 0.70]
    assert default.enough("hot", 0.92)
    assert not default.enough("hot", 0.9199)
    assert not Thresholds(None, None, None).enough("cold", 1.0)
    for value in (-0.1, 1.1, float("nan")):
        with pytest.raises(InputError, match=rf"^the threshold warm must be 0 to 1 or None, not {value}$"):
            Thresholds(warm=value)


def test_thresholds_keep_the_recall_of_every_stage() -> None:
    rng = np.random.default_rng(5)
    recalls = rng.random((400, 3))
    confidences = np.clip(recalls + rng.normal(0, 0.1, recalls.shape), 0, 1)
    found = calibrated(confidences, recalls, 0.9)
    left = np.ones(400, bool)
    for column, stage in enumerate(STAGES[:-1]):
        least = found.thresholds.of(stage)
        assert least is not None
        ends = left & (confidences[:, column] >= least)
        assert recalls[ends, column].mean() >= 0.9
        assert found.shares[stage] == ends.mean() > 0.02
        # One more question would be too many.
        lower = confidences[left & (confidences[:, column] < least), column].max()
        assert recalls[left & (confidences[:, column] >= lower), column].mean() < 0.9
        left &= ~ends
    assert found.recall >= 0.9
    assert sum(found.shares.values()) == pytest.approx(1)


def test_a_stage_without_a_good_threshold_ends_no_question() -> None:
    confidences = np.tile(np.linspace(0, 1, 50)[:, None], 3)
    poor = np.zeros((50, 3))
    assert calibrated(confidences, poor, 0.9).thresholds == Thresholds(None, None, None)
    assert calibrated(confidences, poor, 0.9).shares["exact"] == 1
    perfect = np.ones((50, 3))
    assert calibrated(confidences, perfect, 1.0).thresholds.hot == 0
    # A few lucky questions do not count, and equal confidences are not divided.
    lucky = (confidences > 0.9).astype(float)
    assert calibrated(confidences, lucky, 0.9).thresholds.hot is None
    equal = calibrated(np.full((50, 3), 0.5), np.repeat([1.0, 0.0], 25)[:, None].repeat(3, 1), 0.9)
    assert equal.thresholds.hot is None


@pytest.mark.parametrize("recall", [0.0, 1.1, float("nan")])
def test_bad_calibrations_are_refused(recall: float) -> None:
    with pytest.raises(InputError, match=re.escape(f"recall must be above 0 and at most 1, not {recall}")):
        calibrated(np.zeros((30, 3)), np.zeros((30, 3)), recall)
    with pytest.raises(InputError, match=r"^a calibration needs at least 20 questions, not 19$"):
        calibrated(np.zeros((19, 3)), np.zeros((19, 3)), 0.9)
