"""Searches with a mask through the scheduler: the k best of the allowed rows, on a device or, visibly, on another."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from ninefold.host.scheduler import Scheduler
from ninefold.sim import golden
from ninefold.sim.conformance import difference
from ninefold.spec.data import Database
from ninefold.spec.errors import UnsupportedError
from ninefold.spec.operators import OPERATORS
from ninefold.spec.signature import Call

from .fakes import Fake, FakeDevice, backends, database, queries

MINE = OPERATORS["mine"]
ROWS, DIMENSIONS = 300, 24
DATA: Database = database(ROWS, DIMENSIONS)
Q = queries(3, DIMENSIONS)


def masks() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(7)
    shares = {f"{share:.0%}": rng.random(ROWS) < share for share in (0, 0.02, 0.5, 1)}
    return {name: np.packbits(bits, bitorder="little") for name, bits in shares.items()}


@pytest.fixture(scope="module")
def scheduler() -> Iterator[Scheduler]:
    with Scheduler(costs=None) as scheduler:
        yield scheduler


@pytest.mark.parametrize("name", masks())
@pytest.mark.parametrize("options", [{"k": 9}, {"k": 4, "scan": "signs", "oversample": 3}], ids=["nits", "signs"])
@pytest.mark.parametrize("device", ["cpu", "opencl", "openvino", "loihi", "rtl"])
def test_every_backend_finds_the_best_allowed_rows(
    scheduler: Scheduler, device: str, options: dict[str, Any], name: str
) -> None:
    arguments = {"q": Q, "database": DATA, "allowed": masks()[name]}
    wanted = golden.answer(MINE.bind(arguments, options))
    strict = (device, options.get("scan")) != ("rtl", None)
    result = scheduler.run("mine", **arguments, **options, device=device, strict=strict)
    assert difference(MINE.bind(arguments, options), result.values, wanted) == ""
    if strict:
        assert result.answered_by.partition(":")[0] == device
        assert result.fallbacks == ()
        return
    # The pipeline of the RTL backend searches all rows of its store.
    assert not result.answered_by.startswith("rtl")
    assert result.fallbacks == ("rtl scores all rows by nits, without allowed",)
    with pytest.raises(UnsupportedError, match=r"^rtl scores all rows by nits, without allowed$"):
        scheduler.run("mine", **arguments, **options, device=device, strict=True)


def test_a_device_that_refuses_masks_is_still_asked_without_one() -> None:
    def refuse(device: FakeDevice, call: Call) -> None:
        if call.arguments["allowed"] is not None:
            raise UnsupportedError(f"{device.name} knows no masks")

    fast = Fake("fast", refuse, rating=9)
    with Scheduler(backends=backends(fast, Fake("slow", rating=2)), costs=None) as s:
        for _ in range(2):
            masked = s.run("mine", Q, DATA, masks()["50%"], k=3, device="fast")
            assert masked.answered_by == "slow"
            assert masked.fallbacks == ("fast knows no masks",)
            assert s.run("mine", Q, DATA, k=3, device="fast").answered_by == "fast"
    assert sum(call.arguments["allowed"] is not None for call in fast.device.calls) == 1


def test_waiting_calls_are_joined_by_their_masks() -> None:
    started, go = threading.Event(), threading.Event()

    def wait(_device: FakeDevice, _call: Call) -> None:
        started.set()
        assert go.wait(60)

    only, masked = Fake("only", wait), masks()
    with Scheduler(backends=backends(only), costs=None) as s:
        first = s.submit("mine", Q, DATA, k=3, device="only")
        assert started.wait(60)
        names = ["50%", "50%", "2%", "50%", "50%", "50%"]
        futures = [s.submit("mine", Q, DATA, masked[name].copy(), k=3, device="only") for name in names]
        go.set()
        for name, future in zip(names, futures, strict=True):
            call = MINE.bind({"q": Q, "database": DATA, "allowed": masked[name]}, {"k": 3})
            assert difference(call, future.result(60).values, golden.answer(call)) == ""
        first.result(60)
    calls = [len(call.arguments["q"]) // len(Q) for call in only.device.calls]
    assert calls == [1, 2, 1, 3]
