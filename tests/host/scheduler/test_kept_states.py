"""States that their device keeps: copied every few steps and when needed, rebuilt from the log after a loss."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ninefold.host.scheduler import Scheduler
from ninefold.numerics.states import load_state
from ninefold.spec.data import Answer, Kept, State
from ninefold.spec.errors import DeadlineError, DeviceError, InputError, LostDeviceError, UnsupportedError
from ninefold.spec.signature import Call

from .fakes import ALL, Behaviour, Fake, FakeDevice, backends, cpu, total

STEPS = 10


def scheduler(*fakes: Fake, copy_every: int = 4, **settings: Any) -> Scheduler:
    return Scheduler(backends=backends(*fakes), operators=ALL, costs=None, copy_every=copy_every, **settings)


def x(value: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array([value], np.int64)


def at(step: int, behaviour: Behaviour) -> Behaviour:
    """Do something at a call of the device, counted from 0."""
    return lambda device, call: behaviour(device, call) if len(device.calls) - 1 == step else None


def ahead(error: Exception) -> Behaviour:
    """Make the step, and then fail."""

    def behave(device: FakeDevice, call: Call) -> None:
        device.compute(call)
        raise error

    return behave


def hang(device: FakeDevice, call: Call) -> None:
    threading.Event().wait(0.5)


@pytest.mark.parametrize("step", range(STEPS))
@pytest.mark.parametrize(
    "behaviour",
    [ahead(LostDeviceError("unplugged")), ahead(DeviceError("a glitch")), hang],
    ids=["lost", "glitch", "hangs"],
)
def test_a_device_lost_at_any_step_changes_no_result(step: int, behaviour: Behaviour) -> None:
    gpu, npu = Fake("gpu", at(step, behaviour), timeout_s=0.1, keeps=True), Fake("npu", keeps=True)
    delivered: list[int] = []
    with scheduler(gpu, npu, cool_s=0.0) as s:
        state = s.load(total())
        futures = [s.submit("running_sum", x(10**i), state, device="gpu") for i in range(STEPS)]
        for future in futures:
            future.add_done_callback(lambda done: delivered.append(int(done.result().values["total"])))
        results = [future.result(10) for future in futures]
        assert (state.state.version, int(state.state.arrays["total"])) == (STEPS, int("1" * STEPS))
    expected = [int("1" * (i + 1)) for i in range(STEPS)]
    assert [int(r.values["total"]) for r in results] == expected
    assert delivered == expected
    assert [bool(r.fallbacks) for r in results].count(True) >= 1
    assert results[step].answered_by == "npu"


@pytest.mark.parametrize(("copy_every", "copies"), [(1, range(1, 11)), (4, (4, 8, 10)), (100, (10,))])
def test_the_host_copies_every_few_steps_and_at_the_end(copy_every: int, copies: Any) -> None:
    gpu = Fake("gpu", keeps=True)
    with scheduler(cpu(), gpu, copy_every=copy_every) as s:
        state = s.load(total())
        results = [s.run("running_sum", x(1), state, device="gpu") for _ in range(STEPS)]
    assert gpu.device.fetched == [f"sum@{version}" for version in copies]
    assert gpu.device.loads == ["sum@0"]
    assert (state.state.version, int(state.state.arrays["total"])) == (10, 10)
    kept = [isinstance(result.state, Kept) for result in results]
    assert kept == [number % copy_every != 0 for number in range(1, STEPS + 1)]


def test_a_call_of_a_kept_state_has_no_old_arrays() -> None:
    gpu = Fake("gpu", keeps=True)
    with scheduler(cpu(), gpu) as s:
        state = s.load(total())
        for _ in range(3):
            s.run("running_sum", x(1), state, device="gpu")
    assert [(call.state().version, dict(call.state().arrays)) for call in gpu.device.calls[1:]] == [(1, {}), (2, {})]


def test_the_handle_copies_once() -> None:
    gpu = Fake("gpu", keeps=True)
    with scheduler(cpu(), gpu) as s:
        state = s.load(total())
        s.run("running_sum", x(3), state, device="gpu")
        assert state.state is state.state
        assert int(state.state.arrays["total"]) == 3
        assert gpu.device.fetched == ["sum@1"]
        s.run("running_sum", x(1), state, device="gpu")
        s.unload(state)
        assert int(state.state.arrays["total"]) == 4
    assert gpu.device.fetched == ["sum@1", "sum@2"]
    assert gpu.device.loads == ["sum@0"]


def test_tasks_without_a_device_stay_where_the_state_is() -> None:
    gpu = Fake("gpu", keeps=True)
    with scheduler(cpu(), gpu, Fake("npu", rating=9)) as s:
        state = s.load(total())
        s.run("running_sum", x(3), state, device="gpu")
        results = [s.run("running_total", state), s.run("running_sum", x(1), state)]
        assert [(r.answered_by, r.why) for r in results] == [("gpu", "it keeps the state")] * 2
        assert s.explain("running_total", state).why == "it keeps the state"


@pytest.mark.parametrize("settings", [{"device": "npu"}, {"prefer": "npu"}])
def test_another_device_gets_a_copy(settings: dict[str, str]) -> None:
    gpu, npu = Fake("gpu", keeps=True), Fake("npu", kind="npu", rating=9)
    with scheduler(cpu(), gpu, npu) as s:
        state = s.load(total())
        for _ in range(3):
            s.run("running_sum", x(1), state, device="gpu")
        result = s.run("running_sum", x(1), state, **settings)
        assert (result.answered_by, int(result.values["total"])) == ("npu", 4)
    assert gpu.device.fetched == ["sum@3"]
    assert npu.device.loads == ["sum@3"]
    assert len(npu.device.calls) == 1


def test_a_lost_device_is_replaced_by_one_that_repeats_the_log() -> None:
    gpu, other = Fake("gpu", at(7, ahead(LostDeviceError("unplugged"))), keeps=True), cpu()
    with scheduler(other, gpu) as s:
        state = s.load(total())
        numbers = [x(i) for i in range(8)]
        for number in numbers:
            s.run("running_sum", number, state, device="gpu")
            number[:] = -99  # the log has its own arrays
        assert int(state.state.arrays["total"]) == 28
    assert other.device.loads == ["sum@4"]
    assert [int(call.arguments["x"][0]) for call in other.device.calls[:-1]] == [4, 5, 6]


def test_a_vanished_device_is_replaced_when_the_handle_wants_the_state() -> None:
    gpu = Fake("gpu", keeps=True)
    with scheduler(cpu(), gpu) as s:
        state = s.load(total())
        for i in range(6):
            s.run("running_sum", x(i), state, device="gpu")
        gpu.missing = "unplugged"
        s.refresh()
        assert (state.state.version, int(state.state.arrays["total"])) == (6, 15)
    assert gpu.device.fetched == ["sum@4"]


def lost(device: FakeDevice, call: Call) -> None:
    raise LostDeviceError("unplugged")


@pytest.mark.parametrize("task", ["step", "read", "handle"])
def test_versions_that_no_device_can_rebuild_are_named(task: str) -> None:
    gpu = Fake("gpu", keeps=True)
    with scheduler(cpu(behaviour=lost), gpu) as s:
        state = s.load(total())
        for i in range(7):
            s.run("running_sum", x(i), state, device="gpu")
        gpu.missing = "unplugged"
        s.refresh()
        text = "versions 5 to 7 of sum are lost: no device could repeat the steps after version 4; "
        with pytest.raises(DeviceError, match=f"^{re.escape(text)}no device answered (.*)cpu: unplugged"):
            {
                "step": lambda: s.run("running_sum", x(1), state),
                "read": lambda: s.run("running_total", state),
                "handle": lambda: state.state,
            }[task]()
        assert (state.state.version, int(state.state.arrays["total"])) == (4, 6)
        gpu.missing = ""
        s.refresh()
        assert int(s.run("running_sum", x(1), state, device="gpu").values["total"]) == 7
        assert state.state.version == 5


def test_a_device_that_returns_does_not_bring_lost_versions_back() -> None:
    gpu, other = Fake("gpu", keeps=True), cpu(behaviour=lost)
    with scheduler(other, gpu, cool_s=0.0) as s:
        state = s.load(total())
        for _ in range(3):
            s.run("running_sum", x(1), state, device="gpu")
        gpu.missing = "unplugged"
        s.refresh()
        with pytest.raises(DeviceError, match=r"^versions 1 to 3 of sum are lost"):
            s.run("running_sum", x(1), state)
        gpu.missing, other.behaviour = "", None
        s.refresh()
        for _ in range(3):
            s.run("running_sum", x(10), state, device="cpu")
        result = s.run("running_sum", x(10), state, device="gpu")
        assert (result.answered_by, int(result.values["total"])) == ("gpu", 40)


def test_a_strict_step_loses_nothing() -> None:
    gpu = Fake("gpu", at(2, ahead(LostDeviceError("unplugged"))), keeps=True)
    with scheduler(cpu(), gpu) as s:
        state = s.load(total())
        s.run("running_sum", x(1), state, device="gpu")
        s.run("running_sum", x(2), state, device="gpu")
        with pytest.raises(DeviceError, match="unplugged"):
            s.run("running_sum", x(4), state, device="gpu", strict=True)
        assert (state.state.version, int(state.state.arrays["total"])) == (2, 3)


def test_a_late_step_leaves_no_trace() -> None:
    release = threading.Event()

    def slow(device: FakeDevice, call: Call) -> None:
        release.wait(10)

    gpu = Fake("gpu", at(2, slow), keeps=True)
    with scheduler(cpu(), gpu) as s:
        state = s.load(total())
        for _ in range(2):
            s.run("running_sum", x(1), state, device="gpu")
        late = s.submit("running_sum", x(100), state, device="gpu", deadline_s=0.1)
        with pytest.raises(DeadlineError):
            late.result(10)
        following = s.submit("running_sum", x(1), state, device="gpu")
        release.set()
        assert int(following.result(10).values["total"]) == 3
    assert (state.state.version, int(state.state.arrays["total"])) == (3, 3)
    assert gpu.device.loads == ["sum@0", "sum@0"]


def test_a_step_that_a_device_refuses_before_it_begins_leaves_the_state_there() -> None:
    def too_large(device: FakeDevice, call: Call) -> None:
        raise UnsupportedError("gpu takes 1 number, not 2")

    gpu = Fake("gpu", at(1, too_large), keeps=True)
    with scheduler(gpu) as s:
        state = s.load(total())
        s.run("running_sum", x(1), state)
        with pytest.raises(UnsupportedError, match="gpu takes 1 number, not 2"):
            s.run("running_sum", np.array([1, 2]), state)
        assert (state.state.version, int(state.state.arrays["total"])) == (1, 1)
    assert gpu.device.loads == ["sum@0"]


@pytest.mark.parametrize(
    ("copy", "flaw"),
    [
        (
            lambda state: replace(state, version=state.version - 1),
            "gpu returned version 3 of sum, not version 4 of sum",
        ),
        (lambda state: replace(state, id="other"), "gpu returned version 4 of other, not version 4 of sum"),
        (lambda _: None, "gpu returned NoneType, not version 4 of sum"),
        (
            lambda state: replace(state, arrays={"total": np.int32(1)}),
            "gpu returned a wrong copy of sum: total.total must have dtype int64, not int32",
        ),
    ],
)
def test_a_wrong_copy_is_refused(copy: Callable[[State], State], flaw: str, monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = Fake("gpu", keeps=True)
    with scheduler(cpu(), gpu) as s:
        state = s.load(total())
        s.run("running_sum", x(1), state, device="gpu")
        fetch = gpu.device.fetch  # type: ignore[attr-defined]
        monkeypatch.setattr(gpu.device, "fetch", lambda key: copy(fetch(key)))
        results = [s.run("running_sum", x(1), state, device="gpu") for _ in range(3)]
        assert results[-1].fallbacks == (flaw,)
        assert results[-1].answered_by == "cpu"
        assert (state.state.version, int(state.state.arrays["total"])) == (4, 4)


def test_a_device_without_fetch_may_not_keep_states() -> None:
    def keeps(device: FakeDevice, call: Call) -> Answer:
        answer = device.compute(call)
        return replace(answer, state=Kept("sum", call.state().version + 1))

    with scheduler(cpu(), Fake("gpu", keeps), copy_every=1) as s:
        state = s.load(total())
        result = s.run("running_sum", x(1), state, device="gpu")
        assert result.fallbacks == ("gpu keeps sum but has no method fetch",)
        assert state.state.version == 1


def test_an_evicted_state_is_rebuilt() -> None:
    gpu = Fake("gpu", keeps=True, capacity=8)
    with scheduler(cpu(), gpu) as s:
        states = [s.load(total(name=name)) for name in ("a", "b")]
        for _ in range(3):
            for state in states:
                assert s.run("running_sum", x(1), state, device="gpu").answered_by == "gpu"
        assert [int(state.state.arrays["total"]) for state in states] == [3, 3]
    assert gpu.device.unloads.count("a") == 4, "for each step of the other state, and for its copy"


def test_a_device_that_does_not_run_the_steps_cannot_rebuild() -> None:
    gpu = Fake("gpu", keeps=True)
    npu = Fake("npu", rating=9, reasons={"running_sum": "its kernels keep nothing"})
    with scheduler(gpu, npu) as s:
        state = s.load(total())
        s.run("running_sum", x(1), state, device="gpu")
        gpu.missing = "unplugged"
        s.refresh()
        with pytest.raises(DeviceError, match="npu cannot repeat running_sum to rebuild sum: its kernels keep nothing"):
            s.run("running_total", state)


def test_a_callback_may_not_wait_for_a_copy() -> None:
    refused: list[str] = []
    gpu = Fake("gpu", keeps=True)
    with scheduler(cpu(), gpu) as s:
        state = s.load(total())

        def look(_: object) -> None:
            try:
                assert state.state
            except InputError as error:
                refused.append(str(error))

        future = s.submit("running_sum", x(1), state, device="gpu")
        future.add_done_callback(look)
        future.result(10)
    assert refused == ["a done-callback may not wait for a copy of the state sum"]


def test_a_scheduler_that_closes_reports_versions_it_cannot_copy(caplog: pytest.LogCaptureFixture) -> None:
    gpu = Fake("gpu", keeps=True)
    with scheduler(cpu(behaviour=lost), gpu) as s:
        state = s.load(total())
        s.run("running_sum", x(1), state, device="gpu")
        gpu.missing = "unplugged"
        s.refresh()
    assert [r.message.partition(":")[0] for r in caplog.records][-1] == "version 1 of sum is lost"
    assert state.state.version == 0


def test_saving_copies_first(tmp_path: Path) -> None:
    gpu = Fake("gpu", keeps=True)
    with scheduler(cpu(), gpu) as s:
        state = s.load(total())
        for _ in range(3):
            s.run("running_sum", x(2), state, device="gpu")
        state.save(tmp_path / "sum")
        s.run("running_sum", x(2), state, device="gpu")
    with scheduler(cpu()) as s:
        state = s.load(load_state(tmp_path / "sum"))
        assert state.state.version == 3
        assert int(s.run("running_sum", x(1), state).values["total"]) == 7
