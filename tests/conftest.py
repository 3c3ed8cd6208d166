"""Setup of every test process before the first test."""

import gc
import os
import signal

import pytest

from tests.sampling import VARIABLE, sample
from tests.times import Times

# Before NumPy is imported: with several test processes, threads inside each only wait for one another.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# A shell starts background jobs with SIGINT ignored, and children inherit that; some tests interrupt themselves or one.
signal.signal(signal.SIGINT, signal.default_int_handler)
# Tests compare what is written to standard error, which must not depend on the load of the computer.
os.environ["NINEFOLD_QUIET"] = "1"


# Tests make many objects and few cycles. With Python's own thresholds the collector takes much of their time.
gc.set_threshold(100_000, 20, 100)


def pytest_collection_finish() -> None:
    gc.freeze()  # what is imported stays


def pytest_report_header() -> str:
    return f"sample: {sample()}; {VARIABLE}={sample()} repeats it"


def pytest_configure(config: pytest.Config) -> None:
    sample()  # before there are workers, which inherit it
    workers = os.environ.get("PYTEST_XDIST_WORKER_COUNT") or getattr(config.option, "numprocesses", None) or 1
    whole = config.args_source is config.ArgsSource.TESTPATHS and not config.option.keyword
    config.pluginmanager.register(Times(int(workers), whole))
