"""The momentum memory on devices that keep it: its operators together, losses, and spot checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from ninefold.host import hooks
from ninefold.host.backends.cpu import Cpu
from ninefold.host.backends.opencl import OpenCl
from ninefold.host.scheduler import Scheduler
from ninefold.numerics.momentum import new_memory, next_times, weights
from ninefold.sim import golden
from ninefold.spec.data import Answer, Database, State
from ninefold.spec.errors import InputError, LostDeviceError
from ninefold.spec.operators import OPERATORS
from ninefold.spec.protocols import Found, StateKeeper
from ninefold.spec.signature import Call
from tests.conformance.cases import cases_of
from tests.conformance.cases.dmi_update import memory

CLUSTERS, DIMENSIONS, BATCH = 24, 40, 16


class Fragile:
    """A backend whose device is lost at a given call, after it has made the step."""

    def __init__(self, name: str, inner: Any, lost_at: int = -1) -> None:
        self.name, self.inner, self.lost_at = name, inner, lost_at
        self.loads: list[int] = []
        self.calls: list[str] = []

    def probe(self) -> Sequence[Found]:
        return [Found(self.name, "fragile", {}, timeout_s=30.0)]

    def operators(self) -> Mapping[str, str | None]:
        operators: Mapping[str, str | None] = self.inner.operators()
        return operators

    def open(self, _: str = "") -> FragileDevice:
        return FragileDevice(self, self.inner.open())


class FragileDevice:
    capacity_bytes = None

    def __init__(self, backend: Fragile, inner: Any) -> None:
        self.name, self.backend, self.inner = backend.name, backend, inner
        self.unload, self.fetch, self.close = inner.unload, inner.fetch, inner.close

    def load(self, resident: Database | State) -> None:
        if isinstance(resident, State):
            self.backend.loads.append(resident.version)
        self.inner.load(resident)

    def run(self, call: Call) -> Answer:
        self.backend.calls.append(call.operator.name)
        answer: Answer = self.inner.run(call)
        if len(self.backend.calls) - 1 == self.backend.lost_at:
            raise LostDeviceError("unplugged")
        return answer


def steps(rng: np.random.Generator, count: int) -> list[tuple[str, dict[str, Any]]]:
    """Updates, and every fourth a cleaning; each begins 400 s after the one before."""
    made: list[tuple[str, dict[str, Any]]] = []
    for number in range(count):
        if number % 4 == 3:
            made.append(("dmi_clean", {"time": np.array(400.0 * number)}))
            continue
        batch = {
            "clusters": rng.integers(0, CLUSTERS // 2 if number % 2 else CLUSTERS, BATCH),
            "vectors": rng.normal(0, 1, (BATCH, DIMENSIONS)).astype(np.float32) + np.float32(1),
            "times": 400.0 * number + np.arange(BATCH),
        }
        made.append(("dmi_update", batch))
    return made


def by_golden(state: State, made: Sequence[tuple[str, dict[str, Any]]], **options: Any) -> State:
    for operator, arguments in made:
        chosen = options if operator == "dmi_clean" else {}
        state = state.next(golden.step(OPERATORS[operator].bind({"state": state, **arguments}, chosen))[1])
    return state


def assert_same(state: State, wanted: State) -> None:
    assert state.version == wanted.version
    for name, array in wanted.arrays.items():
        if name == "momentum":
            assert np.abs(state.arrays[name] - array).max() <= 1e-5
        else:
            assert state.arrays[name].tobytes() == array.tobytes(), name


@pytest.mark.parametrize("backend", [Cpu("numpy"), Cpu("portable"), OpenCl()], ids=["numpy", "portable", "opencl"])
def test_all_operators_share_the_state_on_a_device(backend: Any) -> None:
    made = steps(np.random.default_rng(3), 12)
    state = new_memory("shared", CLUSTERS, DIMENSIONS, seed=4)
    wanted = by_golden(state, made, max_age=600.0)
    assert wanted.arrays["version"].max() >= 1  # some rows are new
    only = Fragile("only", backend)
    with Scheduler(backends={"only": only}, costs=None, check_every=1) as s:  # type: ignore[dict-item]
        handle = s.load(state)
        for operator, arguments in made:
            options = {"max_age": 600.0} if operator == "dmi_clean" else {}
            assert s.run(operator, handle, *arguments.values(), device="only", strict=True, **options).values == {}
        hot = s.run("dmi_hot", handle, device="only", strict=True, k=8).values
        assert_same(handle.state, wanted)
    expected = golden.answer(OPERATORS["dmi_hot"].bind({"state": handle.state}, {"k": 8}))
    assert hot["ids"].tolist() == expected["ids"].tolist()
    assert only.loads == [0]


@pytest.mark.parametrize("at", range(12))
def test_a_lost_device_loses_no_update_and_repeats_none(at: int) -> None:
    made = steps(np.random.default_rng(5), 12)
    state = new_memory("lost", CLUSTERS, DIMENSIONS, seed=4)
    first, second = Fragile("first", OpenCl(), at), Fragile("second", Cpu("numpy"))
    settings: dict[str, Any] = {"costs": None, "copy_every": 5, "check_every": 1000}
    with Scheduler(backends={"first": first, "second": second}, **settings) as s:  # type: ignore[dict-item]
        handle = s.load(state)
        futures = [s.submit(operator, handle, *arguments.values(), device="first") for operator, arguments in made]
        results = [future.result(60) for future in futures]
        assert_same(handle.state, by_golden(state, made))
    assert [r.answered_by for r in results].count("second") >= 1
    updates = sum(operator == "dmi_update" for operator, _ in made)
    assert handle.state.arrays["count"].sum() == BATCH * updates


def test_a_time_that_runs_backwards_changes_nothing_on_the_device() -> None:
    made = steps(np.random.default_rng(6), 3)
    state = new_memory("clock", CLUSTERS, DIMENSIONS)
    only = Fragile("only", Cpu())
    with Scheduler(backends={"only": only}, costs=None, check_every=1000) as s:  # type: ignore[dict-item]
        handle = s.load(state)
        for operator, arguments in made:
            s.run(operator, handle, *arguments.values(), device="only")
        early = {**made[0][1], "times": made[0][1]["times"] + 100.0}
        message = r"^time must be at least 815\.0, the latest time of the memory, not 100\.0$"
        for operator, arguments in (("dmi_update", early), ("dmi_clean", {"time": np.array(100.0)})):
            with pytest.raises(InputError, match=message):
                s.run(operator, handle, *arguments.values(), device="only")
        assert_same(handle.state, by_golden(state, made))
    assert only.loads == [0]


@pytest.mark.parametrize("backend", [Cpu(), OpenCl()], ids=["cpu", "opencl"])
def test_a_device_keeps_copies_of_its_own(backend: Any) -> None:
    device = backend.open()
    assert isinstance(device, StateKeeper)
    state = new_memory("own", 4, 8)
    before = state.arrays["rows"].copy()
    device.load(state)
    arguments = {
        "clusters": np.array([1]),
        "vectors": np.full((1, 8), 2, np.float32),
        "times": np.array([1.0]),
    }
    device.run(OPERATORS["dmi_update"].bind({"state": state, **arguments}))
    first = device.fetch("own")
    copies = {name: array.copy() for name, array in first.arrays.items()}
    device.run(OPERATORS["dmi_update"].bind({"state": first, **arguments}))
    assert (state.arrays["rows"] == before).all()
    assert all((first.arrays[name] == copies[name]).all() for name in copies)
    assert device.fetch("own").arrays["count"].tolist() == [0, 2, 0, 0]
    assert device.fetch("own").attributes == {"seed": 0}
    device.close()


def test_weights_of_a_batch_are_those_of_single_vectors() -> None:
    rng = np.random.default_rng(7)
    count = rng.integers(0, 2, 5)
    arrays = {"last": np.where(count, 50.0, 0.0), "count": count, "clock": np.array([50.0])}
    clusters, times = rng.integers(0, 5, 40), 60 + np.sort(rng.uniform(0, 500, 40))
    together = weights(clusters, times, arrays["last"], arrays["count"])
    single = []
    for at in range(40):
        one = slice(at, at + 1)
        single += weights(clusters[one], times[one], arrays["last"], arrays["count"]).tolist()
        next_times(clusters[one], times[one], arrays)
    assert together.tolist() == single
    assert len(set(single)) > 30


def after(operator: str, case: str) -> tuple[Call, State]:
    sequence: Any = cases_of(operator)[case]
    call = sequence.call(sequence.state, sequence.steps[0])
    return call, sequence.state.next(golden.step(call)[1])


def flaw(call: Call, state: State) -> str:
    return hooks.check(call, Answer({}, state=state), np.random.default_rng(2))


@pytest.mark.parametrize("operator", ["dmi_update", "dmi_clean"])
def test_spot_checks_pass_the_golden_states(operator: str) -> None:
    for case in cases_of(operator):
        assert flaw(*after(operator, case)) == "", case


def changed(state: State, name: str, at: Any, value: Any) -> State:
    array = state.arrays[name].copy()
    array[at] = value
    return State(state.id, state.version, {**state.arrays, name: array}, state.attributes)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("rows", 9, "rows[{}, 0] is "),
        ("momentum", -0.9, "the momentum of cluster {} is "),
        ("last", 1, "cluster {} has "),
        ("count", 99, "cluster {} has "),
    ],
)
def test_spot_checks_see_a_wrong_update(name: str, value: Any, message: str) -> None:
    call, state = after("dmi_update", "9 of 16 x 64")
    touched = int(call.arguments["clusters"][0])
    at = (touched, 0) if name == "rows" else touched
    assert message.format(touched) in flaw(call, changed(state, name, at, value))
    other = int(np.setdiff1d(np.arange(16), call.arguments["clusters"])[0])
    at = (other, 0) if name == "rows" else other
    assert f"{name} of cluster {other}, which no vector updates, changed" == flaw(call, changed(state, name, at, value))
    assert "the clock is 0.0" in flaw(call, changed(state, "clock", 0, 0))


@pytest.mark.parametrize(
    ("name", "value"), [("rows", 9), ("momentum", 0.7), ("last", 1), ("count", 99), ("version", 50)]
)
def test_spot_checks_see_a_wrong_cleaning(name: str, value: Any) -> None:
    call, state = after("dmi_clean", "9 x 5")
    for cluster in range(9):
        assert f"{name} of cluster {cluster} is not " in flaw(call, changed(state, name, cluster, value))


def test_spot_checks_see_wrong_lists() -> None:
    state = memory(np.random.default_rng(4), 300, 3)
    call = OPERATORS["dmi_hot"].bind({"state": state}, {"k": 8})
    values = golden.answer(call)

    def seen(**other: Any) -> str:
        return hooks.check(call, Answer({**values, **other}), np.random.default_rng(2))

    assert seen() == ""
    assert "is not in order" in seen(ids=values["ids"][::-1], momentum=values["momentum"][::-1])
    assert "the slots from 7 on must be empty" in seen(count=np.array(7))
    assert "ids must be different" in seen(ids=np.repeat(values["ids"][:1], 8))
    assert "the momentum of cluster" in seen(momentum=values["momentum"] + np.float32(0.01))
    one = {"ids": values["ids"].copy(), "momentum": values["momentum"].copy(), "count": np.array(7)}
    one["ids"][7], one["momentum"][7] = -1, -np.inf
    assert "the 8 hottest clusters are not those returned" in seen(**one)
    cold = {**one, "ids": one["ids"].copy(), "momentum": one["momentum"].copy()}
    cold["momentum"][6] = 0.05
    assert "which is below 0.1" in seen(**cold)
