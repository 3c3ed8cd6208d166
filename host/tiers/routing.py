"""Staged routing: the stage whose answer is good enough, and thresholds that keep a recall."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from ninefold.spec.errors import InputError

__all__ = ["STAGES", "Calibration", "Route", "Thresholds", "calibrated", "confidence"]

#: Stages of a question, in order; the last one scores all rows.
STAGES: Final = ("hot", "warm", "cold", "exact")
#: Growth of the confidence by the urgency of a question, and by a hit of the same task.
_URGENCY: Final = 0.2
_SAME_TASK: Final = 1.15
#: Questions that must end in a stage before its threshold is trusted.
_LEAST: Final = 20

_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Thresholds:
    """Confidences at which a question ends in a stage; None for a stage in which none ends.

    The defaults are for vectors of near copies. Of unit vectors, 0.92 takes a cosine of 0.957, which sentences rarely
    reach: `calibrated` finds thresholds that keep a recall.
    """

    hot: float | None = 0.92
    warm: float | None = 0.85
    cold: float | None = 0.70

    def __post_init__(self) -> None:
        for stage in STAGES[:-1]:
            value = self.of(stage)
            if value is not None and not 0 <= value <= 1:
                raise InputError(f"the threshold {stage} must be 0 to 1 or None, not {value!r}")

    def of(self, stage: str) -> float | None:
        """Return the threshold of a stage."""
        value: float | None = getattr(self, stage)
        return value

    def enough(self, stage: str, reached: float) -> bool:
        """Return True if a question with this confidence ends in a stage."""
        least = self.of(stage)
        return least is not None and reached >= least

    @classmethod
    def of_json(cls, content: Mapping[str, Any]) -> Self:
        """Return thresholds from their JSON object."""
        return cls(**{stage: content[stage] for stage in STAGES[:-1]})


@dataclass(frozen=True)
class Route:
    """Route of a question through the tiers.

    Attributes
    ----------
    stage : str
        Stage that answered: hot, warm, cold or exact.
    confidence : float
        Confidence of the best hit, 0 to 1.
    confident : bool
        False if no stage reached its threshold, so that all rows were scored.
    lists : tuple of int
        Lists that are nearest to the question, the nearest first.
    tiers : tuple of str
        Tier of each of them when the question came.
    seconds : mapping of str to float
        Time of each stage that searched.
    """

    stage: str
    confidence: float
    confident: bool
    lists: tuple[int, ...]
    tiers: tuple[str, ...]
    seconds: Mapping[str, float]


@dataclass(frozen=True)
class Calibration:
    """Thresholds that keep a recall, and the result on the questions from which they were chosen.

    Attributes
    ----------
    thresholds : Thresholds
    recall : float
        Mean recall of the answers.
    shares : mapping of str to float
        Share of the questions that end in each stage.
    questions : int
        Number of questions.
    """

    thresholds: Thresholds
    recall: float
    shares: Mapping[str, float]
    questions: int


def confidence(cosine: float, urgency: float = 0.0, *, same_task: bool = False) -> float:
    """Return the confidence of an answer, 0 to 1.

    Parameters
    ----------
    cosine : float
        Cosine of the question and its best hit. Their squared distance, scaled to length 1, is 2 - 2 * cosine.
    urgency : float
        0 to 1; an urgent question ends in an earlier stage.
    same_task : bool
        The hit is of the question's task.
    """
    if not 0 <= urgency <= 1:
        raise InputError(f"urgency must be 0 to 1, not {urgency!r}")
    reached = (1 + _URGENCY * urgency) / (1 + max(0.0, 2 - 2 * cosine))
    return min(1.0, reached * (_SAME_TASK if same_task else 1.0))


def calibrated(confidences: _Floats, recalls: _Floats, recall: float) -> Calibration:
    """Choose for each stage the lowest threshold at which the questions that end there keep a recall on average.

    Parameters
    ----------
    confidences, recalls : float64 arrays (Q, 3)
        Confidence of each question after the stages hot, warm and cold, and recall of its answer there. The stage
        exact has a recall of 1.
    recall : float
        Recall to keep, above 0 and at most 1.

    Raises
    ------
    InputError
        The recall is out of range, or there are fewer than 20 questions.
    """
    if not 0 < recall <= 1:
        raise InputError(f"recall must be above 0 and at most 1, not {recall!r}")
    if len(confidences) < _LEAST:
        raise InputError(f"a calibration needs at least {_LEAST} questions, not {len(confidences)}")
    left = np.ones(len(confidences), np.bool_)
    kept, chosen, shares = np.ones(len(confidences)), {}, {}
    for column, stage in enumerate(STAGES[:-1]):
        least = chosen[stage] = _lowest(confidences[left, column], recalls[left, column], recall)
        ends = left & (confidences[:, column] >= (np.inf if least is None else least))
        kept[ends], shares[stage] = recalls[ends, column], float(ends.mean())
        left &= ~ends
    shares["exact"] = float(left.mean())
    return Calibration(Thresholds(**chosen), float(kept.mean()), shares, len(confidences))


def _lowest(confidences: _Floats, recalls: _Floats, recall: float) -> float | None:
    """Return the lowest threshold for questions that reached a stage, or None."""
    order = np.argsort(-confidences, kind="stable")
    sorted_, means = confidences[order], np.cumsum(recalls[order]) / np.arange(1, len(order) + 1)
    # Questions of equal confidence end together.
    last = np.append(sorted_[1:] < sorted_[:-1], True)[: len(order)]
    good = np.flatnonzero(last & (means >= recall - 1e-12) & (np.arange(1, len(order) + 1) >= _LEAST))
    return float(sorted_[good[-1]]) if len(good) else None
