"""Daily samples: a part of the tests that take too long to run in full, the same in all processes of a run."""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterable
from typing import Any

import pytest

#: Environment variable with the number of the sample. A run on another day repeats a sample by it.
VARIABLE = "NINEFOLD_SAMPLE"


def sample() -> int:
    """Return the number of this run's sample: the number of the day on which the run began."""
    value = os.environ.get(VARIABLE) or str(datetime.datetime.now(datetime.UTC).date().toordinal())
    if not (value.isascii() and value.isdigit()):
        raise pytest.UsageError(f"{VARIABLE} must be a whole number from 0 on, not {value!r}")
    os.environ[VARIABLE] = value
    return int(value)


def turn(count: int) -> int:
    """Return the number of the part, of `count`, that is tested in this run, from 0."""
    return sample() % count


def spread(cases: Iterable[tuple[Any, ...]], count: int) -> list[Any]:
    """Return the parameters of a test's cases: one of `count` is tested in this run, the others are marked ``slow``."""
    due = turn(count)
    return [
        pytest.param(*case, marks=() if place % count == due else pytest.mark.slow) for place, case in enumerate(cases)
    ]
