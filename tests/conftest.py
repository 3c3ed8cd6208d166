"""What every test process needs before the first test."""

import os
import signal

import pytest

from tests.sampling import VARIABLE, sample
from tests.times import Times

# Before NumPy is imported: with several test processes, threads inside each only wait for one another.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# A shell starts background jobs with SIGINT ignored, and children inherit that; some tests interrupt themselves or one.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_report_header() -> str:
    return f"{VARIABLE}={sample()} repeats what is sampled today"


def pytest_configure(config: pytest.Config) -> None:
    sample()  # before there are workers, which inherit it
    workers = os.environ.get("PYTEST_XDIST_WORKER_COUNT") or getattr(config.option, "numprocesses", None) or 1
    config.pluginmanager.register(Times(int(workers)))
