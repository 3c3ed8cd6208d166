"""The Loihi backend: membranes against dot products, races against sorts, what was counted, and the device."""

import importlib
import importlib.util
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ninefold.host.backends.loihi import Loihi
from ninefold.host.backends.loihi.chip import GLOBAL_AXONS, Chip
from ninefold.host.backends.loihi.device import LoihiDevice
from ninefold.host.backends.loihi.library import library
from ninefold.host.backends.loihi.network import Activity, Core, Network
from ninefold.host.backends.loihi.rows import Rows
from ninefold.host.backends.loihi.topk import keys
from ninefold.host.bench.loihi import loihi as bench
from ninefold.numerics.momentum import new_memory
from ninefold.numerics.nits import pack
from ninefold.sim import golden
from ninefold.spec.benchmark import Request
from ninefold.spec.data import Answer, Database, State
from ninefold.spec.errors import DeviceError, InputError, UnavailableError, UnsupportedError
from ninefold.spec.operators import OPERATORS
from ninefold.spec.protocols import HOST, Backend, Device, Found, Missing
from ninefold.spec.residents import load_and_run

#: A chip so small that a handful of rows spreads over cores and chips: 3 cores of 5 neurons.
SMALL = Chip(cores=3, neurons=5, axons=64)


@pytest.fixture(scope="module")
def device() -> LoihiDevice:
    return Loihi().open()


@pytest.fixture(scope="module")
def small() -> LoihiDevice:
    return Loihi(SMALL).open()


def random_nits(seed: int, *shape: int, most: int = 4) -> npt.NDArray[np.int8]:
    return np.random.default_rng(seed).integers(-most, most + 1, shape, dtype=np.int8)


def database(nits: npt.NDArray[np.int8]) -> Database:
    """Of scale 1 and linear, so that queries of integers from -4 to 4 are their own nits."""
    attributes: dict[str, Any] = {"rows": len(nits), "dimensions": nits.shape[1], "scale": 1.0, "mode": "linear"}
    return Database({"nits": pack(nits)}, attributes)


def assert_golden(device: LoihiDevice, operator: str, arguments: dict[str, Any], **options: Any) -> Answer:
    call = OPERATORS[operator].bind(arguments, options)
    answer, wanted = load_and_run(device, call), golden.answer(call)
    for name, value in wanted.items():
        assert answer.values[name].dtype == value.dtype, name
        np.testing.assert_array_equal(answer.values[name], value, err_msg=name)
    return answer


# ---- membranes and races


def spikes(q: npt.NDArray[np.int8]) -> list[list[list[int]]]:
    """A nit of n sends |n| spikes, one a time step, on the first axons where n > 0 and on the others where n < 0."""
    return [[np.flatnonzero(np.concatenate([q >= step, -q >= step])).tolist()] for step in (1, 2, 3, 4)]


def test_membranes_hold_the_dot_products() -> None:
    q, c = random_nits(1, 64), random_nits(2, 300, 64)
    (network,) = Rows(c, Chip(), Activity()).networks
    score, fired = next(network.race(spikes(q), network.bound, [network.bound]))
    assert score == network.bound
    assert not fired.any()
    # A sum of `bound` would have reached the threshold of 2 * bound + 1 with this first step of the ramp.
    np.testing.assert_array_equal(network.voltages, 64 * (network.bound + 1 + c.astype(np.int64) @ q) + 1)


def test_each_neuron_fires_once_at_its_score() -> None:
    q, c = random_nits(3, 16), random_nits(4, 40, 16)
    rows = Rows(c, SMALL, Activity())
    seen = np.zeros(len(c), np.int64)
    for page, network in enumerate(rows.networks):
        part = c[page * 15 : (page + 1) * 15].astype(np.int64)
        for score, fired in network.race(spikes(q), network.bound, range(network.bound, -network.bound - 1, -1)):
            seen[page * 15 : page * 15 + len(part)] += fired
            np.testing.assert_array_equal(fired, part @ q == score)
        assert score == -network.bound
    np.testing.assert_array_equal(seen, 1)


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_scores_equal_integer_dot_products(data: st.DataObject) -> None:
    rows, dimensions = data.draw(st.integers(1, 40)), data.draw(st.integers(1, 24))
    seed, most = data.draw(st.integers(0, 2**32)), data.draw(st.integers(0, 4))
    c, q = random_nits(seed, rows, dimensions, most=most), random_nits(seed + 1, dimensions)
    scores = Rows(c, SMALL, Activity()).scores(q)
    np.testing.assert_array_equal(scores, c.astype(np.int64) @ q)


def test_the_largest_scores_of_the_largest_vectors() -> None:
    """The threshold's, the accumulator's and the membrane's bits hold at the most dimensions that a core takes."""
    dimensions = (4096 - GLOBAL_AXONS) // 2
    c = np.stack([np.full(dimensions, n, np.int8) for n in (4, 3, 1)])
    rows = Rows(c, Chip(), Activity())
    ids, scores = rows.best(c[0], 2)
    assert ids.tolist() == [0, 1]
    assert scores.tolist() == [16 * dimensions, 12 * dimensions]


def test_nothing_is_left_of_a_query_for_the_next_one() -> None:
    c, q = random_nits(5, 60, 24), random_nits(6, 3, 24)
    rows = Rows(c, Chip(), Activity())
    fresh = [Rows(c, Chip(), Activity()).best(query, 7) for query in q]
    for order in ((0, 1, 2), (2, 0, 1), (1, 1, 0)):
        for i in order:
            rows.best(-q[i], 1)  # stops in the middle of the ramp
            ids, scores = rows.best(q[i], 7)
            np.testing.assert_array_equal(ids, fresh[i][0])
            np.testing.assert_array_equal(scores, fresh[i][1])
    np.testing.assert_array_equal(rows.scores(q[0]), c.astype(np.int64) @ q[0])


@pytest.mark.parametrize("part", ["synapses.inject_current", "compartment.update", "probes.update"])
@pytest.mark.parametrize("step", [1, 2, 3, 5, 9])
def test_an_interrupted_step_leaves_nothing(monkeypatch: pytest.MonkeyPatch, part: str, step: int) -> None:
    c, q = random_nits(24, 20, 12), random_nits(25, 12)
    rows = Rows(c, Chip(), Activity())
    owner, _, method = part.partition(".")
    state = getattr(rows.networks[0]._emulator, owner)
    calls = iter([None] * step)

    def interrupted(*arguments: Any) -> None:
        if next(calls, "over") == "over":
            raise KeyboardInterrupt
        getattr(type(state), method)(state, *arguments)

    monkeypatch.setattr(state, method, interrupted)
    with pytest.raises(KeyboardInterrupt):
        rows.scores(-q)
    monkeypatch.undo()
    np.testing.assert_array_equal(rows.scores(q), c.astype(np.int64) @ q)


def test_a_neuron_that_fires_before_the_ramp_is_an_error() -> None:
    network = Network([Core(np.full((1, 2), 4))], 4, Chip(), Activity())
    with pytest.raises(DeviceError, match=r"^2 neurons of the Loihi network fired before the ramp began$"):
        next(network.race([[[0]]], 3, [3]))  # the sum is 4, and 3 was promised
    assert [fired.all() for _, fired in network.race([[[0]]], 4, range(4, -5, -1))] == [True] + [False] * 8


# ---- operators


@pytest.mark.parametrize("normalised", [False, True])
def test_similarity(device: LoihiDevice, small: LoihiDevice, normalised: bool) -> None:
    q, c = random_nits(7, 2, 19), random_nits(8, 37, 19)
    c[5] = 0
    for chip in (device, small):
        answer = assert_golden(chip, "similarity", {"q": q, "c": c}, normalised=normalised)
        assert ("normalised on the host" in answer.path) is normalised


@pytest.mark.parametrize("k", [1, 8, 100, 256])
def test_mine_with_massive_ties(device: LoihiDevice, small: LoihiDevice, k: int) -> None:
    rng = np.random.default_rng(9)
    tied = database(random_nits(10, 3, 6)[rng.integers(0, 3, 120)])
    q = rng.integers(-4, 5, (3, 6)).astype(np.float32)
    for chip in (device, small):
        assert_golden(chip, "mine", {"q": q, "database": tied}, k=k)


def test_mine_1024_rows_of_64_nits(device: LoihiDevice) -> None:
    rng = np.random.default_rng(11)
    rows = random_nits(12, 300, 64)[rng.integers(0, 300, 1024)]
    answer = assert_golden(device, "mine", {"q": random_nits(13, 4, 64).astype(np.float32), "database": database(rows)})
    assert answer.metrics["cores"] == 1
    assert answer.path.startswith("nengo-loihi 1.")


def test_rows_spread_over_cores_and_pages_over_chips() -> None:
    c, q = random_nits(14, 100, 10, most=1), random_nits(15, 2, 10)
    rows = Rows(c, SMALL, Activity())
    assert rows.cores == 20
    assert [network.cores for network in rows.networks] == [3] * 6 + [2]
    for query in q:
        scores = c.astype(np.int64) @ query
        wanted = np.argsort(-scores, kind="stable")
        for k in (1, 4, 15, 16, 99, 100):
            ids, best = rows.best(query, k)
            np.testing.assert_array_equal(ids, wanted[:k])
            np.testing.assert_array_equal(best, scores[wanted[:k]])


def test_a_later_chip_stops_where_it_cannot_win() -> None:
    c = np.repeat(np.array([[4], [1]], np.int8), 15, axis=0)
    activity = Activity()
    rows = Rows(c, SMALL, activity)
    rows.best(np.array([1], np.int8), 10)
    assert activity.fired_spikes == 2 * 15  # all of the first chip in both ramps, none of the second


@pytest.mark.parametrize("k", [1, 3, 10, 256])
def test_topk_of_any_int32(device: LoihiDevice, k: int) -> None:
    rng = np.random.default_rng(16)
    scores = rng.integers(-(2**31), 2**31, (3, 200)).astype(np.int32)
    scores[0, ::5] = 2**31 - 1
    scores[1] >>= 28
    scores[2, 3:9] = -(2**31)
    assert_golden(device, "topk", {"scores": scores}, k=k)


def test_topk_of_floats_and_own_ids(device: LoihiDevice) -> None:
    scores = np.random.default_rng(17).normal(size=(2, 50)).astype(np.float32)
    scores[0, :8] = [-0.0, 0.0, np.inf, -np.inf, -np.inf, 1e-45, -1e-45, np.inf]
    ids = np.arange(50, dtype=np.int64)[::-1] * 2**33
    assert_golden(device, "topk", {"scores": scores, "ids": np.ascontiguousarray(ids)}, k=50)


def test_topk_in_parts(small: LoihiDevice) -> None:
    """15 scores race at a time, of which the best k meet the next ones."""
    scores = np.random.default_rng(18).integers(-3, 4, (1, 40)).astype(np.int32)
    for k in (1, 7, 14):
        assert_golden(small, "topk", {"scores": scores}, k=k)
    assert_golden(small, "topk", {"scores": scores[:, :15]}, k=256)
    call = OPERATORS["topk"].bind({"scores": scores}, {"k": 15})
    with pytest.raises(
        UnsupportedError, match=r"^k must be below 15, the number of scores that race together, not 15$"
    ):
        small.run(call)


def test_keys_order_as_scores_do() -> None:
    floats = np.array([-np.inf, -3.4e38, -1.0, -1e-45, -0.0, 0.0, 1e-45, 1.0, 3.4e38, np.inf], np.float32)
    integers = np.array([-(2**31), -1, 0, 1, 2**31 - 1], np.int32)
    for scores in (floats, integers):
        order = keys(scores).astype(np.int64)
        np.testing.assert_array_equal(np.sign(np.diff(order)), np.sign(np.diff(scores.astype(np.float64))))


def test_no_queries_no_rows_and_too_few(device: LoihiDevice) -> None:
    q, none = random_nits(19, 2, 8), np.zeros((0, 8), np.int8)
    assert_golden(device, "similarity", {"q": q, "c": none})
    assert_golden(device, "similarity", {"q": none, "c": q}, normalised=True)
    assert_golden(device, "mine", {"q": q.astype(np.float32), "database": database(none)})
    assert_golden(device, "mine", {"q": none.astype(np.float32), "database": database(q)})
    assert_golden(device, "topk", {"scores": np.zeros((2, 0), np.int32)}, k=3)
    assert_golden(device, "topk", {"scores": np.zeros((0, 4), np.float32)}, k=3)


@pytest.mark.parametrize("operator", ["quantise", "calibrate", "embed"])
def test_what_is_not_run_says_why(device: LoihiDevice, operator: str) -> None:
    reason = Loihi().operators()[operator]
    assert reason is not None
    assert len(reason) > 40


# ---- metrics


def test_counts_of_a_network_counted_by_hand() -> None:
    """Three rows of one dimension, 2, 1 and -1, and the query 2: sums of 4, 2 and -2, bound 8, threshold 17, floor 16.

    Before either ramp two pulses reset, the lift to 16 + 16 - 4 = 28 takes the axons 4, 8 and 16 in one step, and the
    query takes two steps of one spike. One lift of 16 makes all fire, and then a ramp from 4 to -2 one after the other.
    """
    activity = Activity()
    rows = Rows(np.array([[2], [1], [-1]], np.int8), Chip(), activity)
    assert rows.scores(np.array([2], np.int8)).tolist() == [4, 2, -2]
    spikes = 2 * (2 + 3 + 2) + 1 + 7
    assert activity == Activity(
        time_steps=2 * (2 + 1 + 2) + 1 + 7, input_spikes=spikes, fired_spikes=2 * 3, synaptic_operations=3 * spikes
    )


def test_metrics_are_of_one_call_and_the_same_each_time(small: LoihiDevice) -> None:
    tied = database(random_nits(20, 33, 6, most=1))
    call = OPERATORS["mine"].bind({"q": random_nits(21, 2, 6).astype(np.float32), "database": tied}, {"k": 5})
    small.load(tied)
    first, second = (dict(small.run(call).metrics) for _ in range(2))
    for metrics in (first, second):
        assert metrics.pop("seconds") > 0
        assert metrics.pop("build_seconds") == 0
    assert first == second
    assert first["cores"] == 7
    assert min(first.values()) > 0
    # Every spike goes to the 5 or fewer neurons of 3 cores at most.
    assert first["synaptic_operations"] <= 15 * first["input_spikes"]
    again = load_and_run(Loihi(SMALL).open(), call).metrics
    assert second == {name: again[name] for name in second}


def test_the_bench_answers_exactly() -> None:
    figures = bench(Request("tiny"))
    assert figures[0].met
    assert all(figure.value > 0 for figure in figures if figure.case == "mine")
    largest, *shares = (figure for figure in figures if figure.case == "membranes")
    assert largest.met
    assert largest.value > 0
    assert [0 <= share.value <= 1 for share in shares] == [True] * 3


# ---- the device


def test_probe_open_and_names(device: LoihiDevice) -> None:
    assert isinstance(Loihi(), Backend)
    assert isinstance(device, Device)
    emulator, hardware = Loihi().probe()
    assert isinstance(emulator, Found)
    assert (emulator.device, emulator.kind, emulator.unit) == ("loihi:emulator", "neuromorphic", HOST)
    assert emulator.named_only
    assert emulator.timeout_s is not None
    assert emulator.timeout_s >= 600
    assert hardware == Missing("loihi:hardware", "nxsdk is not installed: emulator only", hardware.install)
    assert "INRC" in hardware.install
    assert Loihi().open().name == Loihi().open("emulator").name == "loihi:emulator"
    with pytest.raises(UnavailableError, match=r"^nxsdk is not installed: emulator only; "):
        Loihi().open("hardware")
    with pytest.raises(InputError, match=r"^loihi's instance must be one of emulator, hardware, not 'chip'$"):
        Loihi().open("chip")


def test_without_the_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    there = importlib.util.find_spec

    def without(*names: str) -> None:
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in names else there("json"))

    without("nengo_loihi", "nxsdk")
    library.cache_clear()
    try:
        emulator, _ = Loihi().probe()
        assert emulator == Missing(
            "loihi:emulator", "the package nengo-loihi is not installed", "pip install 'ninefold[loihi]'"
        )
        with pytest.raises(UnavailableError, match="nengo-loihi is not installed; pip install"):
            Loihi().open()
        assert Loihi().operators()["mine"] is None
    finally:
        library.cache_clear()
    without()  # NxSDK seems to be there, and still no board is driven
    assert "nxsdk is installed, but this backend supports only the emulator" in str(Loihi().probe()[1])


def test_residents(small: LoihiDevice) -> None:
    device = Loihi(SMALL).open()
    resident = database(random_nits(23, 9, 4))
    device.load(resident)
    call = OPERATORS["mine"].bind({"q": np.ones((1, 4), np.float32), "database": resident}, {"k": 2})
    assert device.run(call).metrics["build_seconds"] == 0
    device.unload(resident.digest)
    device.unload("no such")
    with pytest.raises(DeviceError, match=f"^database {resident.digest[:12]} is not loaded on loihi:emulator$"):
        device.run(call)
    assert device.capacity_bytes is None
    damaged = Database({"nits": np.full((9, 2), 0x77, np.uint8)}, resident.attributes)
    with pytest.raises(InputError, match=r"packed nits must be -4 to 4, not 7 at \(0, 0\)"):
        device.load(damaged)
    with pytest.raises(InputError, match=r"^memory must have the attribute seed$"):
        device.load(State("s", 0, new_memory("s", 2, 3).arrays))
    device.close()
    with pytest.raises(DeviceError, match=r"^the device loihi:emulator is closed$"):
        device.run(call)
