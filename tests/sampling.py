"""Daily samples: a part of the tests that take too long to run in full, the same in all processes of a run."""

from __future__ import annotations

import datetime
import os

#: Environment variable with the number of the sample. A run on another day repeats a sample by it.
VARIABLE = "NINEFOLD_SAMPLE"


def sample() -> int:
    """Return the number of this run's sample, which is that of the day on which the run began."""
    return int(os.environ.setdefault(VARIABLE, str(datetime.datetime.now(datetime.UTC).date().toordinal())))


def turn(count: int) -> int:
    """Return the number of the part, of `count`, that is tested in this run, from 0."""
    return sample() % count
