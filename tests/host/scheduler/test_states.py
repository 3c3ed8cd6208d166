"""Steps and reads of a state: in order, checked, committed once, replayed from the last version after a lost device."""

from __future__ import annotations

import itertools
import random
import re
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ninefold.host import hooks
from ninefold.host.scheduler import Future, Scheduler
from ninefold.spec.data import Answer, Kept, State
from ninefold.spec.errors import DeadlineError, DeviceError, InputError, LostDeviceError
from ninefold.spec.signature import Call

from .fakes import ALL, TOTAL, Behaviour, Fake, FakeDevice, backends, cpu, total, trace


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
        assert result.fallbacks == ("gpu gave a wrong answer: it returned version 2 of sum, not version 1 of sum",)
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


def test_a_released_state_is_gone_from_a_busy_device() -> None:
    release, entered = threading.Event(), threading.Event()

    def slow(device: FakeDevice, call: Call) -> None:
        if len(device.calls) == 2:
            entered.set()
            release.wait(10)

    gpu = Fake("gpu", slow)
    with scheduler(cpu(), gpu) as s:
        first, other = s.load(total(5)), s.load(total(name="other"))
        assert int(s.run("running_total", first, device="gpu").values["total"]) == 5
        s.submit("running_total", other, device="gpu")
        entered.wait(10)
        s.unload(first)
        read = s.submit("running_total", s.load(total(7)), device="gpu", strict=True)
        release.set()
        assert int(read.result(10).values["total"]) == 7


def test_a_named_device_that_cannot_make_the_step() -> None:
    with scheduler(
        cpu(), Fake("gpu", reasons={"running_sum": "its kernels keep nothing"}), Fake("npu", missing="no")
    ) as s:
        state = s.load(total())
        for device in ("gpu", "npu"):
            assert s.run("running_sum", x(1), state, device=device).answered_by == "cpu"
        assert state.state.version == 2


PEAK = {"peak": np.float32(1)}


def made(**arrays: Any) -> Behaviour:
    """Answer a step of `DECAY` with these arrays as the next version."""
    return lambda _, call: Answer(PEAK, "fake", {}, call.state().next(arrays))


@pytest.mark.parametrize(
    ("behaviour", "flaw"),
    [
        (made(rubbish=np.zeros(1)), "trace may hold trace, not 'rubbish'"),
        (made(), "trace must hold 'trace'; it holds nothing"),
        (made(trace=[1.0, 2.0, 3.0]), "trace.trace must be an array, not list"),
        (made(trace=np.zeros(3)), "trace.trace must have dtype float32, not float64"),
        (made(trace=np.zeros((1, 3), np.float32)), "trace.trace must have shape (D,), not (1, 3)"),
        (made(trace=np.zeros(4, np.float32)), "trace has D = 4, not 3"),
        (made(trace=np.array([0, np.nan, 0], np.float32)), "trace.trace must not contain NaN"),
        (made(trace=np.array([0, -1, 0], np.float32)), "trace.trace must be 0 to 100, not -1.0"),
        (lambda *_: Answer(PEAK), "it returned no state, not version 2 of trace"),
        (
            lambda *_: Answer(PEAK, "fake", {}, Kept("trace", 3)),
            "it returned version 3 of trace, not version 2 of trace",
        ),
        (
            lambda *_: Answer(PEAK, "fake", {}, trace(name="other")),
            "it returned version 0 of other, not version 2 of trace",
        ),
        (
            lambda _, call: Answer({"peak": np.float64(1)}, "fake", {}, call.state().next(call.state().arrays)),
            "peak must have dtype float32, not float64",
        ),
    ],
)
def test_a_wrong_next_state_is_refused_and_never_committed(behaviour: Behaviour, flaw: str) -> None:
    gpu = Fake("gpu", behaviour, rating=9)
    with scheduler(cpu(), gpu) as s:
        state = s.load(trace())
        one = np.ones(3, np.float32)
        results = [s.run("decay", one, state, device=device) for device in ("cpu", "gpu", "cpu")]
        assert [r.answered_by for r in results] == ["cpu", "cpu", "cpu"]
        assert results[1].fallbacks == (f"gpu gave a wrong answer: {flaw}",)
        assert state.state.version == 3
        np.testing.assert_array_equal(state.state.arrays["trace"], np.full(3, 1.75, np.float32))


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (
            State("odd", 0, {"total": np.float32(1)}),
            "running_sum: total.total must have dtype int64, not float32",
        ),
        (
            State("odd", 0, {"total": np.int64(-1)}),
            "running_sum: total.total must be at least 0, not -1",
        ),
        (State("odd", 0, {"trace": np.float64(1)}), "decay: trace.trace must have dtype float32, not float64"),
    ],
)
def test_a_wrong_state_is_not_loaded(state: State, message: str) -> None:
    said = rf"^no operator takes the state odd \({re.escape(message)}\)$"
    with scheduler(cpu()) as s, pytest.raises(InputError, match=said):
        s.load(state)


def test_a_state_of_another_operator_is_refused_at_once() -> None:
    with scheduler(cpu()) as s, pytest.raises(InputError, match=r"^total may hold total, not 'trace'$"):
        s.submit("running_sum", x(1), s.load(trace()))


def test_a_saved_version_continues() -> None:
    with scheduler(cpu()) as s:
        state = s.load(State("sum", 7, {"total": np.int64(5)}))
        assert int(s.run("running_sum", x(1), state).values["total"]) == 6
        assert state.state.version == 8


# Hooks.


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Give `RUNNING_SUM` hooks."""

    def define(**functions: Callable[..., Any]) -> None:
        monkeypatch.setitem(sys.modules, "ninefold.host.hooks.running_sum", SimpleNamespace(**functions))
        hooks._hook_of.cache_clear()

    yield define
    monkeypatch.undo()
    hooks._hook_of.cache_clear()


def test_hooks_run_for_steps(hook: Callable[..., None]) -> None:
    hook(
        before=lambda call: replace(call, arguments={**call.arguments, "x": call.arguments["x"] * 2}),
        after=lambda call, answer: replace(answer, values={"total": answer.values["total"] - call.arguments["x"][0]}),
    )
    with scheduler(cpu()) as s:
        state = s.load(total())
        assert [int(s.run("running_sum", x(i), state).values["total"]) for i in (1, 2, 3)] == [1, 4, 9]
        assert int(state.state.arrays["total"]) == 12


def nothing_to_add(call: Call) -> Call | Answer:
    if call.arguments["x"].any():
        return call
    arrays = call.state().arrays
    return Answer({"total": arrays["total"]}, "host", {}, call.state().next(arrays))


@pytest.mark.parametrize("keeps", [False, True])
def test_a_hook_that_answers_gives_the_next_state(hook: Callable[..., None], keeps: bool) -> None:
    hook(before=nothing_to_add)
    gpu = Fake("gpu", keeps=keeps)
    with scheduler(cpu(), gpu) as s:
        state = s.load(total())
        results = [s.run("running_sum", x(i), state, device="gpu") for i in (3, 0, 4)]
        assert [(int(r.values["total"]), r.answered_by) for r in results] == [(3, "gpu"), (3, "host"), (7, "gpu")]
        assert state.state.version == 3
    assert gpu.device.loads == ["sum@0", "sum@2"]


def test_a_step_that_needs_a_copy_ends_with_it(hook: Callable[..., None]) -> None:
    hook(before=nothing_to_add)

    def fails_once(device: FakeDevice, call: Call) -> None:
        if len(device.calls) == 1:
            raise DeviceError("no")

    gpu = Fake("gpu", keeps=True)
    fakes = backends(cpu(behaviour=fails_once), gpu)
    with Scheduler(backends=fakes, operators=ALL, costs=None, retries=0) as s:
        state = s.load(total())
        s.run("running_sum", x(1), state, device="gpu")
        gpu.missing = "unplugged"
        s.refresh()
        with pytest.raises(DeviceError, match=r"^version 1 of sum is lost: "):
            s.run("running_sum", x(2), state, device="cpu")
        assert int(s.run("running_sum", x(4), state, device="cpu").values["total"]) == 4


def test_a_hook_that_answers_without_the_next_state_is_refused(hook: Callable[..., None]) -> None:
    hook(before=lambda _: Answer({"total": np.int64(0)}))
    with scheduler(cpu()) as s:
        state = s.load(total(2))
        with pytest.raises(
            DeviceError, match=r"^the hook before running_sum gave a wrong answer: it has no next state$"
        ):
            s.run("running_sum", x(1), state)
        assert (state.state.version, int(state.state.arrays["total"])) == (0, 2)


def test_a_hook_of_a_read_may_not_give_a_state(monkeypatch: pytest.MonkeyPatch, hook: Callable[..., None]) -> None:
    hook()
    module = SimpleNamespace(before=lambda call: Answer({}, state=call.state().next(call.state().arrays)))
    monkeypatch.setitem(sys.modules, "ninefold.host.hooks.running_total", module)
    with scheduler(cpu()) as s:
        state = s.load(total(2))
        with pytest.raises(DeviceError, match=r"^the hook before running_total gave a wrong answer: it holds a state$"):
            s.run("running_total", state)
        assert state.state.version == 0


def added(call: Call, answer: Answer, generator: np.random.Generator) -> str:
    assert isinstance(answer.state, State)
    right = call.state().arrays["total"] + call.arguments["x"].sum()
    return "" if answer.state.arrays["total"] == right else f"the total is not {answer.state.arrays['total']}"


@pytest.mark.parametrize("keeps", [False, True])
def test_the_spot_check_sees_the_state(hook: Callable[..., None], keeps: bool) -> None:
    hook(check=added)

    def lies(device: FakeDevice, call: Call) -> Answer | None:
        if len(device.calls) < 3:
            return None
        answer = device.compute(call)  # right values, but a wrong total on the device
        ahead = device.held["sum"]
        assert isinstance(ahead, State)
        device.held["sum"] = wrong = State("sum", ahead.version, {"total": np.int64(99)})
        return replace(answer, state=device.given(wrong))

    fakes = backends(cpu(), Fake("gpu", lies, keeps=keeps))
    with Scheduler(backends=fakes, operators=ALL, costs=None, check_every=1) as s:
        state = s.load(total())
        results = [s.run("running_sum", x(1), state, device="gpu") for _ in range(4)]
        assert [int(r.values["total"]) for r in results] == [1, 2, 3, 4]
        assert results[2].fallbacks == ("gpu gave a wrong answer: the total is not 99",)
        assert int(state.state.arrays["total"]) == 4


# Reads.


def test_reads_run_together_after_the_steps_before_them_and_before_those_after() -> None:
    together, go = threading.Barrier(2), threading.Event()

    def slow(device: FakeDevice, call: Call) -> None:
        if call.operator.stateful:
            go.wait(10)
        else:
            together.wait(10)  # both reads run at the same time, or this raises

    with scheduler(cpu(), Fake("gpu", slow), Fake("npu", slow)) as s:
        state = s.load(total())
        step = s.submit("running_sum", x(5), state, device="gpu")
        reads = [s.submit("running_total", state, device=device, strict=True) for device in ("gpu", "npu")]
        last = s.submit("running_sum", x(1), state, device="npu")
        assert not step.done()
        go.set()
        assert [int(read.result(10).values["version"]) for read in reads] == [1, 1]
        assert [int(read.result(10).values["total"]) for read in reads] == [5, 5]
        assert int(last.result(10).values["total"]) == 6
        assert state.state.version == 2


def test_a_read_may_not_return_a_state() -> None:
    def writes(device: FakeDevice, call: Call) -> Answer | None:
        if call.operator.stateful:
            return None
        return replace(device.compute(call), state=call.state().next(call.state().arrays))

    with scheduler(cpu(), Fake("gpu", writes)) as s:
        state = s.load(total())
        result = s.run("running_total", state, device="gpu")
        assert result.fallbacks == ("gpu gave a wrong answer: it returned a state, but running_total only reads one",)
        assert state.state.version == 0


@pytest.mark.parametrize("keeps", [False, True])
def test_reads_see_the_steps_before_them_from_many_threads(keeps: bool) -> None:
    flaky = after(15, DeviceError("no"))
    fakes = (cpu(), Fake("gpu", keeps=keeps), Fake("npu", flaky, keeps=keeps))
    with Scheduler(backends=backends(*fakes), operators=ALL, costs=None, copy_every=4) as s:
        state, order, steps = s.load(total()), threading.Lock(), itertools.count(1)
        reads: list[tuple[int, Future]] = []
        written = 0

        def client(seed: int) -> None:
            nonlocal written
            chance = random.Random(seed)
            for _ in range(40):
                device = chance.choice(["auto", "gpu", "npu", "cpu"])
                with order:
                    if chance.random() < 0.5:
                        written = next(steps)
                        s.submit("running_sum", x(1), state, device=device)
                    else:
                        reads.append((written, s.submit("running_total", state, device=device)))

        clients = [threading.Thread(target=client, args=(seed,)) for seed in range(4)]
        for thread in clients:
            thread.start()
        for thread in clients:
            thread.join()
        for expected, read in reads:
            values = read.result(30).values
            assert (int(values["total"]), int(values["version"])) == (expected, expected)
    assert int(state.state.arrays["total"]) == written


def test_a_step_that_writes_to_its_state_fails_and_changes_no_committed_version() -> None:
    def writes(device: FakeDevice, call: Call) -> None:
        call.state().arrays["total"][...] = 99

    with scheduler(cpu(), Fake("gpu", writes)) as s:
        mine = TOTAL.state("sum", {"total": np.array(3)})
        state = s.load(mine)
        result = s.run("running_sum", x(1), state, device="gpu")
        assert "read-only" in result.fallbacks[0]
        assert (int(state.state.arrays["total"]), int(mine.arrays["total"])) == (4, 3)
