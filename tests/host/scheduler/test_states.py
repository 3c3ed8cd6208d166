"""Steps of a state: in order, committed once, replayed from the last version after a lost device."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from ninefold.host.scheduler import Scheduler
from ninefold.spec.data import Answer
from ninefold.spec.errors import DeadlineError, DeviceError, InputError, LostDeviceError
from ninefold.spec.signature import Call

from .fakes import ALL, Behaviour, Fake, FakeDevice, backends, cpu, total


def after(steps: int, error: BaseException) -> Behaviour:
    """Make a number of steps, then fail after the device has made one more, so that its copy is ahead."""

    def behave(device: FakeDevice, call: Call) -> None:
        if len(device.calls) > steps:
            device.compute(call)
            raise error

    return behave


def x(value: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array([value], np.int64)


def scheduler(*fakes: Fake) -> Scheduler:
    return Scheduler(backends=backends(*fakes), operators=ALL, costs=None)


def test_steps_run_in_order_each_from_the_last_version() -> None:
    gpu = Fake("gpu")
    with scheduler(cpu(), gpu) as s:
        state = s.load(total(5))
        futures = [s.submit("running_sum", x(i), state, device="gpu") for i in range(1, 101)]
        totals = [int(future.result().values["total"]) for future in futures]
        assert totals == [5 + i * (i + 1) // 2 for i in range(1, 101)]
        assert (state.state.version, int(state.state.arrays["total"])) == (100, 5055)
    # The device keeps the state: it was loaded once.
    assert gpu.device.loads == ["sum@0"]


@pytest.mark.parametrize("error", [LostDeviceError("the link is lost"), DeviceError("a glitch"), ValueError("odd")])
def test_a_lost_device_is_replayed_from_the_last_version_never_twice(error: Exception) -> None:
    gpu = Fake("gpu", after(3, error))
    with scheduler(cpu(), gpu) as s:
        state = s.load(total())
        results = [s.run("running_sum", x(10**i), state, device="gpu") for i in range(8)]
        assert int(state.state.arrays["total"]) == 11_111_111
        assert state.state.version == 8
    assert [int(r.values["total"]) for r in results] == [int("1" * (i + 1)) for i in range(8)]
    assert [r.answered_by for r in results[:4]] == ["gpu", "gpu", "gpu", "cpu"]
    assert results[3].fallbacks[0].startswith("gpu")


def test_the_step_of_a_device_that_hung_counts_for_nothing() -> None:
    release = threading.Event()

    def hang(device: FakeDevice, call: Call) -> None:
        if len(device.calls) == 2:
            release.wait(30)

    gpu = Fake("gpu", hang, timeout_s=0.1)
    with scheduler(cpu(), gpu) as s:
        state = s.load(total())
        by = [s.run("running_sum", x(1), state, device="gpu").answered_by for _ in range(4)]
        release.set()
        for thread in [t for t in threading.enumerate() if t.name == "ninefold gpu"]:
            thread.join(10)
        assert int(state.state.arrays["total"]) == 4
    assert by == ["gpu", "cpu", "cpu", "cpu"]


def test_a_step_whose_deadline_passed_is_not_committed() -> None:
    release, entered = threading.Event(), threading.Event()

    def slow(device: FakeDevice, call: Call) -> None:
        if len(device.calls) == 2:
            entered.set()
            release.wait(30)

    gpu = Fake("gpu", slow)
    with scheduler(cpu(), gpu) as s:
        state = s.load(total())
        s.run("running_sum", x(1), state, device="gpu")
        late = s.submit("running_sum", x(100), state, device="gpu", deadline_s=0.1)
        entered.wait()
        with pytest.raises(DeadlineError):
            late.result(timeout=10)
        following = s.submit("running_sum", x(10), state, device="gpu")
        release.set()
        assert int(following.result().values["total"]) == 11
        assert state.state.version == 2
    # What the device had made of the late step was dropped, and the committed version loaded again.
    assert gpu.device.loads == ["sum@0", "sum@1"]
    assert gpu.device.unloads == ["sum"]


def test_a_device_that_skips_a_version_is_refused() -> None:
    def skips(device: FakeDevice, call: Call) -> Answer:
        state = call.state()
        ahead = state.next(state.arrays).next(state.arrays)
        return Answer({"total": np.int64(0)}, "fake", {}, ahead)

    with scheduler(cpu(), Fake("gpu", skips)) as s:
        state = s.load(total())
        result = s.run("running_sum", x(4), state, device="gpu")
        assert result.fallbacks == ("gpu returned version 2 of sum, not version 1 of sum",)
        assert int(state.state.arrays["total"]) == 4


def test_a_cancelled_step_lets_the_next_one_go() -> None:
    release, entered = threading.Event(), threading.Event()

    def slow(device: FakeDevice, call: Call) -> None:
        entered.set()
        release.wait(30)

    with scheduler(cpu(), Fake("gpu", slow)) as s:
        state = s.load(total())
        first = s.submit("running_sum", x(1), state, device="gpu")
        entered.wait()
        second = s.submit("running_sum", x(2), state, device="gpu")
        third = s.submit("running_sum", x(4), state, device="gpu")
        assert second.cancel()
        release.set()
        assert [int(f.result().values["total"]) for f in (first, third)] == [1, 5]


def test_a_step_that_no_device_makes_leaves_the_state_as_it_was() -> None:
    broken = cpu(behaviour=after(1, DeviceError("no")))
    with scheduler(broken) as s:
        state = s.load(total())
        s.run("running_sum", x(1), state)
        with pytest.raises(DeviceError):
            s.run("running_sum", x(2), state)
        assert (state.state.version, int(state.state.arrays["total"])) == (1, 1)
        broken.device.behaviour = None
        assert int(s.run("running_sum", x(4), state).values["total"]) == 5


def test_states_are_independent_and_safe_from_many_threads() -> None:
    with scheduler(cpu(), Fake("gpu"), Fake("npu", after(20, DeviceError("no")))) as s:
        states = [s.load(total(name=f"sum{i}")) for i in range(4)]

        def client() -> None:
            for _ in range(25):
                for state in states:
                    s.submit("running_sum", x(1), state)

        clients = [threading.Thread(target=client) for _ in range(4)]
        for thread in clients:
            thread.start()
        for thread in clients:
            thread.join()
    assert [int(state.state.arrays["total"]) for state in states] == [100] * 4
    assert [state.state.version for state in states] == [100] * 4


def test_holding_and_letting_go() -> None:
    with scheduler(cpu()) as s:
        state = s.load(total())
        with pytest.raises(InputError, match=r"^the state sum is already held, in version 0$"):
            s.load(total())
        s.run("running_sum", x(1), state)
        s.unload(state)
        with pytest.raises(InputError, match=r"^the state sum is no longer held$"):
            s.run("running_sum", x(1), state)
        assert int(s.run("running_sum", x(1), s.load(total(7))).values["total"]) == 8


def test_a_named_device_that_cannot_make_the_step() -> None:
    with scheduler(
        cpu(), Fake("gpu", reasons={"running_sum": "its kernels keep nothing"}), Fake("npu", missing="no")
    ) as s:
        state = s.load(total())
        for device in ("gpu", "npu"):
            assert s.run("running_sum", x(1), state, device=device).answered_by == "cpu"
        assert state.state.version == 2
