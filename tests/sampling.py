"""What is too much for each run is tested a part a day: the same for all processes of a run, and printed."""

from __future__ import annotations

import datetime
import os

#: Environment variable with the number of the sample; a run of another day repeats one by it.
VARIABLE = "NINEFOLD_SAMPLE"


def sample() -> int:
    """Return the number of this run's sample: that of the day on which it began."""
    return int(os.environ.setdefault(VARIABLE, str(datetime.datetime.now(datetime.UTC).date().toordinal())))


def turn(count: int) -> int:
    """Return which of so many parts has its turn, from 0."""
    return sample() % count
