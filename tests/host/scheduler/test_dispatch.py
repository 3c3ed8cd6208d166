"""Faults that devices cause: every task is answered once, correctly, with who answered and why."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ninefold.host.scheduler import Scheduler
from ninefold.host.scheduler.worker import Worker
from ninefold.sim import golden
from ninefold.spec.data import Answer, Result
from ninefold.spec.errors import DeviceError, InputError, LostDeviceError, UnavailableError
from ninefold.spec.operators import OPERATORS
from ninefold.spec.signature import Call

from .fakes import Behaviour, Fake, FakeDevice, backends, cpu, database, queries

DATA = database()
WANTED = golden.answer(OPERATORS["mine"].bind({"q": queries(), "database": DATA}, {"k": 3}))


def right(result: Result) -> bool:
    return all(np.array_equal(result.values[name], WANTED[name]) for name in WANTED)


def raises(error: BaseException, times: int = 10**9) -> Behaviour:
    left = [times]

    def behave(_device: FakeDevice, _call: Call) -> None:
        left[0] -= 1
        if left[0] >= 0:
            raise error

    return behave


def wrong(change: Callable[[dict[str, Any]], None]) -> Behaviour:
    def behave(device: FakeDevice, call: Call) -> Answer:
        answer = device.compute(call)
        values = {name: np.array(value) for name, value in answer.values.items()}
        change(values)
        return replace(answer, values=values)

    return behave


class Hang:
    def __init__(self) -> None:
        self.release = threading.Event()
        self.times = 0

    def __call__(self, _device: FakeDevice, _call: Call) -> None:
        self.times += 1
        self.release.wait(60)


@pytest.fixture
def hang() -> Iterator[Hang]:
    made = Hang()
    yield made
    made.release.set()


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (DeviceError("the link answers nothing"), "gpu: the link answers nothing"),
        (RuntimeError("segment 7"), "gpu raised RuntimeError: segment 7"),
        (SystemExit(3), "gpu raised SystemExit: 3"),
        (MemoryError(), "gpu raised MemoryError: "),
    ],
)
def test_a_device_that_raises(error: BaseException, said: str, caplog: pytest.LogCaptureFixture) -> None:
    fakes = backends(cpu(), Fake("gpu", raises(error), rating=9))
    with caplog.at_level(logging.WARNING, "ninefold.scheduler"), Scheduler(backends=fakes, costs=None) as s:
        result = s.run("mine", queries(), DATA, k=3)
    assert right(result)
    assert (result.asked_for, result.answered_by, result.fallbacks) == ("auto", "cpu", (said,))
    assert result.why == f"fell back: {said}"
    (record,) = [r for r in caplog.records if r.message == "a task falls back from a device"]
    assert (record.device, record.operator) == ("gpu", "mine")  # type: ignore[attr-defined]
    kind = "DeviceError"
    assert f'ninefold_fallbacks_total{{device="gpu",operator="mine",reason="{kind}"}} 1.0' in s.metrics()


def test_five_failures_open_the_breaker_and_the_sixth_task_does_not_try() -> None:
    fakes = backends(cpu(), Fake("gpu", raises(DeviceError("no"))))
    with Scheduler(backends=fakes, costs=None) as s:
        results = [s.run("mine", queries(), DATA, k=3, device="gpu") for _ in range(8)]
        assert "ninefold_breaker_state" in s.metrics()
        assert 'ninefold_breaker_state{device="gpu"} 1.0' in s.metrics()
        with pytest.raises(DeviceError, match=r"^gpu is out of use for another \d+ s: no$"):
            s.run("mine", queries(), DATA, device="gpu", strict=True)
    assert fakes["gpu"].calls == 5
    assert all(right(result) for result in results)
    assert results[-1].fallbacks[0].startswith("gpu is out of use for another ")
    assert fakes["gpu"].opened[0].closed


def test_strict_retries_on_its_device_and_then_fails() -> None:
    fakes = backends(cpu(), Fake("gpu", raises(DeviceError("flaky"), times=1)))
    with Scheduler(backends=fakes, costs=None, retries=1) as s:
        result = s.run("mine", queries(), DATA, k=3, device="gpu", strict=True)
        assert (result.answered_by, result.fallbacks) == ("gpu", ("gpu: flaky",))
    fakes = backends(cpu(), Fake("gpu", raises(DeviceError("broken"))))
    with Scheduler(backends=fakes, costs=None, retries=2) as s:
        with pytest.raises(DeviceError, match=r"^broken$"):
            s.run("mine", queries(), DATA, device="gpu", strict=True)
        assert fakes["gpu"].calls == 3
        assert not fakes["cpu"].opened


def test_a_device_that_hangs_is_left_within_its_timeout(hang: Hang) -> None:
    fakes = backends(cpu(), Fake("gpu", hang, rating=9, timeout_s=0.2))
    start = time.monotonic()
    s = Scheduler(backends=fakes, costs=None)
    result = s.run("mine", queries(), DATA, k=3)
    assert time.monotonic() - start < 5
    assert right(result)
    assert result.fallbacks == ("gpu: the call did not end within 0.2 s",)
    assert s.hung == 1
    # The breaker opened at once, and stays open until the call returns, for however long.
    for _ in range(3):
        assert s.run("mine", queries(), DATA, k=3).answered_by == "cpu"
    assert hang.times == 1
    s.close()
    left = [t for t in threading.enumerate() if t.name == "ninefold gpu"]
    assert len(left) == s.hung == 1  # the one that hangs, and it is counted
    hang.release.set()
    left[0].join(10)
    assert s.hung == 0
    assert fakes["gpu"].opened[0].closed


def test_the_answer_of_a_call_that_hung_is_dropped(hang: Hang) -> None:
    fakes = backends(cpu(), Fake("gpu", hang, rating=9, timeout_s=0.1))
    with Scheduler(backends=fakes, costs=None) as s:
        future = s.submit("mine", queries(), DATA, k=3)
        given: list[Any] = []
        future.add_done_callback(given.append)
        result = future.result()
        hang.release.set()
        for thread in [t for t in threading.enumerate() if t.name == "ninefold gpu"]:
            thread.join(10)
    assert result.answered_by == "cpu"
    assert len(given) == 1
    assert s.metrics().count('ninefold_tasks_total{device="cpu",operator="mine",outcome="answered"} 1.0') == 1


def test_a_task_may_state_its_own_patience(hang: Hang) -> None:
    fakes = backends(cpu(), Fake("gpu", hang, timeout_s=None))
    with Scheduler(backends=fakes, costs=None) as s:
        result = s.run("mine", queries(), DATA, k=3, device="gpu", timeout_s=0.1)
        assert result.fallbacks == ("gpu: the call did not end within 0.1 s",)
        hang.release.set()


def test_opening_that_hangs() -> None:
    release = threading.Event()

    class Slow(Fake):
        def open(self, instance: str = "") -> FakeDevice:
            release.wait(30)
            return super().open(instance)

    fakes = backends(cpu(), Slow("gpu", rating=9))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ninefold.host.scheduler.execution.OPEN_S", 0.1)
        with Scheduler(backends=fakes, costs=None) as s:
            result = s.run("mine", queries(), DATA, k=3)
            release.set()
    assert result.fallbacks == ("gpu: opening it did not end within 0.1 s",)


def test_the_opening_of_a_device_without_a_limit_has_none() -> None:
    class Compiles(Fake):
        def open(self, instance: str = "") -> FakeDevice:
            threading.Event().wait(0.4)  # four times the limit of other devices
            return super().open(instance)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ninefold.host.scheduler.execution.OPEN_S", 0.1)
        with Scheduler(backends=backends(cpu(), Compiles("board", timeout_s=None)), costs=None) as s:
            assert s.submit("mine", queries(), DATA, k=3, device="board").result(10).fallbacks == ()


def test_loading_that_hangs_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ninefold.host.scheduler.execution.SLOWEST_BYTES_S", 1e12)
    release, loads = threading.Event(), []

    def hook(method: str) -> None:
        loads.append(method)
        if loads == ["load"]:
            release.wait(30)

    gpu = Fake("gpu", rating=9, timeout_s=0.1, hook=hook)
    with Scheduler(backends=backends(cpu(), gpu), costs=None, cool_s=0.05) as s:
        result = s.run("mine", queries(), DATA, k=3, device="gpu")
        assert result.fallbacks == (f"gpu: loading {DATA.nbytes} bytes did not end within 0.1 s",)
        (thread,) = [t for t in threading.enumerate() if t.name == "ninefold gpu"]
        release.set()
        thread.join(10)
        time.sleep(0.1)
        # The device was reopened, and is not assumed to hold what the hung call loaded on the old one.
        assert s.run("mine", queries(), DATA, k=3, device="gpu").answered_by == "gpu"
    assert len(gpu.opened) == 2
    assert gpu.opened[0].calls == []
    assert gpu.opened[1].loads == [DATA.digest]


@pytest.mark.parametrize("pause_s", [0.0, 0.3])
def test_closing_that_hangs_is_given_up(pause_s: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ninefold.host.scheduler.execution.CLOSE_S", 0.1)
    release = threading.Event()
    retire = Worker._retire

    def later(worker: Worker, *, lent: bool = False) -> bool:
        # A busy machine may begin to close the device when the scheduler already waits for the thread.
        if worker.name == "gpu":
            time.sleep(pause_s)
        return retire(worker, lent=lent)

    monkeypatch.setattr(Worker, "_retire", later)

    def hook(method: str) -> None:
        if method == "close":
            release.wait(30)

    gpu = Fake("gpu", raises(LostDeviceError("gone")), rating=9, hook=hook)
    s = Scheduler(backends=backends(cpu(), gpu), costs=None)
    assert s.run("mine", queries(), DATA, k=3).fallbacks == ("gpu: gone",)
    s.close()
    assert s.hung == 1
    release.set()
    for thread in [t for t in threading.enumerate() if t.name == "ninefold gpu"]:
        thread.join(10)
    assert s.hung == 0


@pytest.mark.parametrize(
    ("change", "flaw"),
    [
        (lambda v: v["scores"].__iadd__(1), "query 0 holds a wrong score"),
        (lambda v: v["ids"].__setitem__((0, 0), 40), "query 0 holds an id outside 0 to 39"),
        (lambda v: [v[n].__setitem__((0, slice(0, 2)), v[n][0, 1::-1]) for n in ("ids", "scores")], "not in order"),
        (lambda v: v["count"].__setitem__(0, 2), "the count of query 0 is 3, not 2"),
        (
            lambda v: v.update(scores=v["scores"].astype(np.float32)),
            "scores must have dtype int32 or float64, not float32",
        ),
        (lambda v: v.update(ids=v["ids"][:, :2]), "ids must have k = 3, not 2"),
        (lambda v: v.pop("count"), "it holds ids, scores"),
    ],
)
def test_a_wrong_answer_is_seen_by_the_spot_check(change: Callable[[Any], None], flaw: str) -> None:
    fakes = backends(cpu(), Fake("gpu", wrong(change), rating=9))
    with Scheduler(backends=fakes, costs=None, check_every=1) as s:
        result = s.run("mine", queries(), DATA, k=3)
    assert right(result)
    assert result.answered_by == "cpu"
    assert flaw in result.fallbacks[0]
    assert result.fallbacks[0].startswith("gpu gave a wrong answer: ")


def test_a_device_that_dies_in_the_middle_of_a_batch() -> None:
    def dies(device: FakeDevice, call: Call) -> None:
        if len(device.calls) == 3:
            raise LostDeviceError("the board does not answer any more")

    fakes = backends(cpu(), Fake("gpu", dies))
    with Scheduler(backends=fakes, costs=None) as s:
        futures = [s.submit("mine", queries(seed=i), DATA, k=i % 7 + 1, device="gpu") for i in range(40)]
        results = [future.result() for future in futures]
    for i, result in enumerate(results):
        call = OPERATORS["mine"].bind({"q": queries(seed=i), "database": DATA}, {"k": i % 7 + 1})
        assert np.array_equal(result.values["ids"], golden.answer(call)["ids"])
    by = Counter(result.answered_by for result in results)
    assert by["cpu"] > 0
    # A lost link opens the breaker at once: the third call was the last.
    assert fakes["gpu"].calls == 3
    assert all(result.fallbacks for result in results if result.answered_by == "cpu")


def test_a_part_of_a_split_batch_moves_on_alone() -> None:
    fakes = backends(cpu(), Fake("gpu", rating=9), Fake("npu"))
    q = queries(60)
    with Scheduler(backends=fakes, costs=None) as s:
        whole = s.run("mine", q, DATA, k=3, device="cpu")
        for device in ("gpu", "npu"):
            s.run("mine", q, DATA, k=3, device=device)
        for device in fakes:
            for _ in range(8):
                s._costs.record(device, "mine Q6 D5 N6 k2 scan=nits oversample6", 0.3)
        fakes["gpu"].device.behaviour = raises(DeviceError("gone"))
        result = s.run("mine", q, DATA, k=3)
    assert "gpu" not in result.answered_by
    assert result.fallbacks == ("gpu: gone",)
    assert all(np.array_equal(result.values[name], whole.values[name]) for name in whole.values)


def test_a_device_that_vanishes_and_comes_back() -> None:
    gpu = Fake("gpu", rating=9)
    with Scheduler(backends=backends(cpu(), gpu), costs=None) as s:
        assert s.run("mine", queries(), DATA, k=3).answered_by == "gpu"
        gpu.missing = "it was unplugged"
        s.refresh()
        result = s.run("mine", queries(), DATA, k=3)
        assert result.answered_by == "cpu"
        assert {c.device: c.refused for c in result.considered}["gpu"] == "it was unplugged"
        with pytest.raises(UnavailableError, match=r"^gpu is not available: it was unplugged; plug gpu in$"):
            s.run("mine", queries(), DATA, device="gpu", strict=True)
        gpu.missing = ""
        s.refresh()
        assert s.run("mine", queries(), DATA, device="gpu").answered_by == "gpu"


def test_devices_are_looked_for_again_while_tasks_come() -> None:
    gpu = Fake("gpu", rating=9, missing="not yet")
    with Scheduler(backends=backends(cpu(), gpu), costs=None, refresh_s=0.01) as s:
        s.run("mine", queries(), DATA)
        gpu.missing = ""
        deadline = time.monotonic() + 10
        states: dict[str, str] = {}
        while states.get("gpu") != "ready" and time.monotonic() < deadline:
            s.run("mine", queries(), DATA)
            states = {status.device: status.state for status in s.devices()}
        assert states == {"cpu": "ready", "gpu": "ready"}


def test_all_devices_but_the_cpu_fail(hang: Hang) -> None:
    fakes = backends(
        cpu(),
        Fake("a", raises(DeviceError("a fails"))),
        Fake("b", raises(LostDeviceError("b is gone"))),
        Fake("c", wrong(lambda v: v["scores"].__iadd__(1))),
        Fake("d", hang, timeout_s=0.1),
    )
    with Scheduler(backends=fakes, costs=None, check_every=1) as s:
        results = [s.run("mine", queries(), DATA, k=3) for _ in range(30)]
        hang.release.set()
    assert all(right(result) for result in results)
    assert {result.answered_by for result in results} == {"cpu"}
    assert {text.split()[0].rstrip(":") for text in results[0].fallbacks} == {"a", "b", "c", "d"}


def test_even_the_cpu_fails() -> None:
    fakes = backends(
        cpu(behaviour=raises(DeviceError("no memory"))), Fake("gpu", raises(DeviceError("no link")), rating=9)
    )
    with Scheduler(backends=fakes, costs=None, retries=1) as s:
        with pytest.raises(DeviceError) as error:
            s.run("mine", queries(), DATA)
        assert fakes["cpu"].calls == 2
    assert str(error.value) == "no device answered mine: gpu: no link; cpu: no memory"


def test_bad_data_is_the_users_and_moves_nothing() -> None:
    fakes = backends(cpu(), Fake("gpu", raises(InputError("nits must be -4 to 4, not 7 at (0, 3)")), rating=9))
    with Scheduler(backends=fakes, costs=None) as s, pytest.raises(InputError, match="not 7"):
        s.run("mine", queries(), DATA)
    assert not fakes["cpu"].opened


def test_a_damaged_cost_file_costs_the_measurements_only(tmp_path: Path) -> None:
    path = tmp_path / "costs.json"
    path.write_text('{"version": 1, "devices": {"cpu"')
    with Scheduler(backends=backends(cpu()), costs=path) as s:
        assert right(s.run("mine", queries(), DATA, k=3))
    assert '"cpu"' in path.read_text()
    with Scheduler(backends=backends(cpu()), costs=path) as s:
        assert s.run("mine", queries(), DATA, k=3).why.startswith("measured at ")


class Erratic:
    """Fails one call in three, in every way but hanging."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def __call__(self, device: FakeDevice, call: Call) -> Answer | None:
        draw = self.random.random()
        if draw < 0.1:
            raise DeviceError("failed")
        if draw < 0.15:
            raise ValueError("raised")
        if draw < 0.3:
            answer = device.compute(call)
            name = next(iter(answer.values))
            values = {**answer.values, name: np.array(answer.values[name]) + 1}
            return replace(answer, values=values)
        if draw < 0.35:
            time.sleep(0.002)
        return None


@pytest.mark.parametrize("seed", [1])
def test_ten_thousand_mixed_tasks_while_a_third_of_the_devices_fails(seed: int) -> None:
    rng = np.random.default_rng(seed)
    fakes = backends(
        cpu(),
        *(Fake(f"good{i}", rating=6) for i in range(3)),
        *(Fake(f"bad{i}", Erratic(seed + i), rating=9) for i in range(2)),
    )
    calls, wanted = [], []
    data = [database(seed=i) for i in range(3)]
    for _ in range(40):
        shapes: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
            "mine": ({"q": queries(2, seed=int(rng.integers(99))), "database": data[rng.integers(3)]}, {"k": 4}),
            "topk": ({"scores": rng.integers(-9, 9, (3, 30)).astype(np.int32)}, {"k": 5}),
            "quantise": ({"x": rng.normal(0, 1, (4, 16)).astype(np.float32)}, {"scale": 2.0, "mode": "linear"}),
            "similarity": (
                {name: rng.integers(-4, 5, (5, 8)).astype(np.int8) for name in ("q", "c")},
                {"normalised": bool(rng.integers(2))},
            ),
        }
        for operator, (arguments, options) in shapes.items():
            calls.append((operator, arguments, options))
            wanted.append(golden.answer(OPERATORS[operator].bind(arguments, options)))
    answered: Counter[int] = Counter()
    with Scheduler(backends=fakes, costs=None, check_every=1, cool_s=0.05, queue_size=500) as s:
        futures = []
        for number in range(10_000):
            operator, arguments, options = calls[number % len(calls)]
            settings: dict[str, Any] = {"priority": int(rng.integers(1, 11))}
            if rng.random() < 0.2:
                settings["device"] = rng.choice([*fakes])
            future = s.submit(operator, **arguments, **options, **settings)
            future.add_done_callback(lambda _, number=number: answered.update([number]))
            futures.append((number, settings.get("device", "auto"), future))
        by: Counter[str] = Counter()
        for number, asked_for, future in futures:
            result = future.result(timeout=120)
            expected = wanted[number % len(calls)]
            assert all(np.array_equal(result.values[name], expected[name]) for name in expected), number
            assert result.asked_for == asked_for
            assert result.why
            if asked_for not in ("auto", result.answered_by):
                assert result.fallbacks
                assert result.fallbacks[0].startswith(asked_for)
            by[result.answered_by] += 1
    assert sorted(answered) == list(range(10_000))
    assert set(answered.values()) == {1}
    assert by.total() == 10_000
    assert sum(by[f"good{i}"] for i in range(3)) > 0
