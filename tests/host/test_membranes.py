"""Momentum in leaky membranes: the chip against its golden model, how far floats are, and what the scheduler does."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ninefold.host import hooks
from ninefold.host.backends.cpu import Cpu
from ninefold.host.backends.loihi import Loihi
from ninefold.host.backends.loihi.chip import Chip
from ninefold.host.backends.loihi.device import LoihiDevice
from ninefold.host.backends.loihi.membranes import AXONS, Membranes
from ninefold.host.backends.loihi.network import Activity
from ninefold.host.scheduler import Scheduler
from ninefold.numerics.membranes import cosines, currents, momentum, new_membranes
from ninefold.numerics.momentum import new_memory
from ninefold.sim import golden
from ninefold.sim.conformance import difference, judged
from ninefold.spec.data import Answer, State
from ninefold.spec.errors import DeviceError, InputError
from ninefold.spec.membranes import MEMBRANES, VOLTAGE_ONE
from ninefold.spec.operators import OPERATORS
from ninefold.spec.residents import load_and_run
from ninefold.spec.signature import Call
from tests.conformance.cases import cases_of

#: A chip so small that a handful of clusters spreads over cores and is processed in parts: 3 cores of 3 neurons.
SMALL = Chip(cores=3, neurons=3, axons=64)
#: Largest difference from the momentum in real numbers. Each update keeps 3686 / 4096 of it and adds at most
#: (410 / 4096 - 0.1) * 2, 1 / 2**22 by rounding the decay and 0.5 / 6560 of a tenth by rounding the cosine.
_KEPT = 3686 / 4096
BOUND = ((0.9 - _KEPT) * 2 + 2**-22 + 0.5 / 6560 * (1 - _KEPT)) / (1 - _KEPT)


def call(voltages: Any, clusters: Any, values: Any) -> Call:
    state = MEMBRANES.state("m", {"voltage": np.array(voltages, np.int32)})
    arguments = {"clusters": np.array(clusters, np.int64), "cosines": np.array(values, np.float32)}
    return OPERATORS["membrane_update"].bind({"state": state, **arguments})


def voltages_of(answer: Answer) -> npt.NDArray[np.int32]:
    assert isinstance(answer.state, State)
    return np.asarray(answer.state.arrays["voltage"])


# ---- the chip


@pytest.mark.parametrize("operator", ["membrane_update", "membrane_hot"])
def test_a_small_chip_processes_parts(operator: str) -> None:
    device = Loihi(SMALL).open()
    for name, case in cases_of(operator).items():
        if operator == "membrane_update" and "700" not in name:
            assert judged(device, case) == "", name
    state = MEMBRANES.state("few", {"voltage": np.arange(430_000, 430_030, dtype=np.int32)})
    few = OPERATORS["membrane_hot"].bind({"state": state}, {"k": 5})
    assert difference(few, load_and_run(device, few).values, golden.answer(few)) == ""


@pytest.fixture(scope="module")
def device() -> LoihiDevice:
    return Loihi().open()


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_the_chip_equals_the_golden_model(device: LoihiDevice, data: st.DataObject) -> None:
    voltages = data.draw(st.lists(st.integers(-VOLTAGE_ONE, VOLTAGE_ONE), min_size=1, max_size=12))
    cluster = st.integers(0, len(voltages) - 1)
    updates = data.draw(st.lists(st.tuples(cluster, st.floats(-1, 1, width=32)), max_size=20))
    made = call(voltages, [c for c, _ in updates], [cosine for _, cosine in updates])
    answer, (_, wanted) = load_and_run(device, made), golden.step(made)
    device.unload("m")
    np.testing.assert_array_equal(voltages_of(answer), wanted["voltage"])


def test_batches_may_be_divided(device: LoihiDevice) -> None:
    """The host holds the voltages between batches, so one batch equals one call for each update."""
    rng = np.random.default_rng(1)
    clusters, values = rng.integers(0, 5, 30), rng.uniform(-1, 1, 30)
    together = voltages_of(load_and_run(device, call(np.zeros(5), clusters, values)))
    device.unload("m")
    single = np.zeros(5, np.int32)
    for cluster, value in zip(clusters, values, strict=True):
        single = voltages_of(load_and_run(device, call(single, [cluster], [value])))
        device.unload("m")
    np.testing.assert_array_equal(together, single)


def test_activity_counted_by_hand(device: LoihiDevice) -> None:
    """Weights of 6560 = 0b1100110100000 send 5 spikes, and -1 in two's complement one for each of its 14 bits."""
    answer = load_and_run(device, call([0, 0, 7], [0, 0, 1], [1.0, 0.0, -1 / 6560]))
    device.unload("m")
    spikes = 5 + AXONS
    assert {name: answer.metrics[name] for name in ("time_steps", "input_spikes", "fired_spikes", "cores")} == {
        "time_steps": 2,
        "input_spikes": spikes,
        "fired_spikes": 0,
        "cores": 1,
    }
    assert answer.metrics["synaptic_operations"] == spikes
    assert voltages_of(answer).tolist() == [int(419_840 * 3686 / 4096), -64, 7]


@pytest.mark.parametrize("part", ["synapses.inject_current", "compartment.update"])
def test_an_interrupted_step_leaves_nothing(monkeypatch: pytest.MonkeyPatch, part: str) -> None:
    network = Membranes(1, SMALL, Activity())
    before, neurons, inputs = np.array([5, 6], np.int32), np.array([0, 1, 0]), np.array([6560, -6560, 1])
    wanted = network.integrate(before, neurons, inputs)
    owner, _, method = part.partition(".")
    state = getattr(network._emulator, owner)

    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(state, method, interrupted)
    with pytest.raises(KeyboardInterrupt):
        network.integrate(before, neurons, -inputs)
    monkeypatch.undo()
    np.testing.assert_array_equal(network.integrate(before, neurons, inputs), wanted)


def test_a_membrane_that_fires_is_an_error() -> None:
    network = Membranes(1, SMALL, Activity())
    with pytest.raises(DeviceError, match=r"^1 membranes of the Loihi network were above 4194304 and fired$"):
        network.integrate(np.array([VOLTAGE_ONE, 0], np.int32), np.array([0, 1]), np.array([6561, 1]))


@pytest.mark.parametrize("fault", ["decay", "rounding", "weight"])
def test_a_fault_in_the_arithmetic_is_seen(monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    """The cases tell the chip from one with another decay, another rounding, or a weight that is off by one."""
    from ninefold.host.backends.loihi import membrane_update as update
    from ninefold.host.backends.loihi import membranes

    if fault == "decay":
        monkeypatch.setattr(membranes, "LEAK", 409)
    if fault == "rounding":
        monkeypatch.setattr(update, "currents", lambda values: np.floor(values * 6560.0 + 0.5).astype(np.int64))
    if fault == "weight":
        monkeypatch.setattr(membranes, "_HIGH", (1, 2, 4, 8, 16, 31, -64))
    chip = Loihi().open()
    assert any(judged(chip, case) for name, case in cases_of("membrane_update").items() if "700" not in name)


# ---- floats


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(-1, 1, width=32), max_size=60))
def test_the_difference_from_real_numbers_is_bounded(values: list[float]) -> None:
    _, after = golden.step(call([0], [0] * len(values), values))
    real = 0.0
    for cosine in values:
        real = 0.9 * real + 0.1 * cosine
    assert abs(momentum(after["voltage"])[0] - real) <= BOUND
    assert BOUND < 0.00204


def test_cosines_are_those_of_the_momentum_memory() -> None:
    rng = np.random.default_rng(3)
    memory = new_memory("rows", 4, 16, seed=2)
    for start in (1000.0, 1900.0):
        clusters, times = rng.integers(0, 4, 30), start + np.sort(rng.uniform(0, 600, 30))
        vectors = rng.normal(0, 1, (30, 16)).astype(np.float32)
        vectors[3] = 0
        before = {name: array.copy() for name, array in memory.arrays.items()}
        found = cosines(memory, clusters, vectors, times)
        assert all((memory.arrays[name] == before[name]).all() for name in before)
        assert found[3] == 0
        arguments = {"state": memory, "clusters": clusters, "vectors": vectors, "times": times}
        _, after = golden.step(OPERATORS["dmi_update"].bind(arguments))
        m = memory.arrays["momentum"].astype(np.float64)
        for cluster, cosine in zip(clusters, found, strict=True):
            m[cluster] = 0.9 * m[cluster] + 0.1 * cosine
        np.testing.assert_allclose(m, after["momentum"], atol=1e-5)
        memory = memory.next(after)
    with pytest.raises(InputError, match=r"^times must run forward, but 1\.0 follows 2\.0$"):
        cosines(new_memory("rows", 4, 16), np.zeros(2, np.int64), vectors[:2], np.array([2.0, 1.0]))


def test_currents_and_new_membranes() -> None:
    assert currents(np.array([1, -1, 0, 2.0**-6], np.float32)).tolist() == [6560, -6560, 0, 102]
    assert momentum(np.array([VOLTAGE_ONE, -(2**21)], np.int32)).tolist() == [1.0, -0.5]
    for clusters in (0, 2**20 + 1):
        with pytest.raises(InputError, match=rf"^clusters must be 1 to 1048576, not {clusters}$"):
            new_membranes("m", clusters)
    with pytest.raises(InputError, match=r"^clusters must be an integer, not 1.5$"):
        new_membranes("m", 1.5)  # type: ignore[arg-type]


# ---- the scheduler


def test_the_chip_runs_only_by_name_with_the_bits_of_the_processor() -> None:
    rng = np.random.default_rng(4)
    batches = [(rng.integers(0, 20, 40), rng.uniform(-0.2, 1, 40).astype(np.float32)) for _ in range(3)]
    with Scheduler(backends={"cpu": Cpu("numpy"), "loihi": Loihi()}, costs=None) as s:
        found = {}
        for device in ("loihi:emulator", ""):
            handle = s.load(new_membranes(f"on {device}", 20))
            for clusters, values in batches:
                result = s.run("membrane_update", handle, clusters, values, device=device or None)
                assert result.answered_by.partition(":")[0] == (device.partition(":")[0] or "cpu")
            hot = s.run("membrane_hot", handle, device=device or None, k=8)
            found[device] = (handle.state.arrays["voltage"], hot.values["ids"], hot.values["voltage"])
        for chip, processor in zip(found["loihi:emulator"], found[""], strict=True):
            np.testing.assert_array_equal(chip, processor)


def flaw(made: Call, state: State) -> str:
    return hooks.check(made, Answer({}, state=state), np.random.default_rng(2))


def test_spot_checks() -> None:
    made = call([100, -200, 0], [0, 1, 0], [0.5, 1.0, -0.25])
    after = np.asarray(golden.step(made)[1]["voltage"])
    assert flaw(made, made.state().next({"voltage": after})) == ""
    for cluster in range(3):
        wrong = after.copy()
        wrong[cluster] += 1
        said = f"the voltage of cluster {cluster} is {wrong[cluster]}, not {after[cluster]}"
        assert flaw(made, made.state().next({"voltage": wrong})) == said
    state = MEMBRANES.state("m", {"voltage": np.array([500_000, 419_430, 600_000], np.int32)})
    hot = OPERATORS["membrane_hot"].bind({"state": state}, {"k": 3})
    values = golden.answer(hot)
    assert hooks.check(hot, Answer(values), np.random.default_rng(2)) == ""
    turned = {**values, "ids": values["ids"][[1, 0, 2]], "voltage": values["voltage"][[1, 0, 2]]}
    assert "is not in order" in hooks.check(hot, Answer(turned), np.random.default_rng(2))
    cold = {"ids": np.array([2, 0, 1]), "voltage": np.array([600_000, 500_000, 419_430], np.int32)}
    text = hooks.check(hot, Answer({**cold, "count": np.array(3)}), np.random.default_rng(2))
    assert text == "cluster 1 has a voltage of 419430, which is below 419431"
