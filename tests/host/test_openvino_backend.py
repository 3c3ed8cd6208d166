"""The OpenVINO backend: exact on every kind of graph, and how its devices are found, checked, lost and refused."""

import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from ninefold.host.backends.openvino import OpenVino, mine
from ninefold.host.backends.openvino import backend as backend_module
from ninefold.host.backends.openvino import device as device_module
from ninefold.host.backends.openvino.device import OpenVinoDevice
from ninefold.host.openvino_runtime import BLOCK, Graph, Product, Target
from ninefold.numerics.nits import pack
from ninefold.sim import golden
from ninefold.spec.data import Database, State
from ninefold.spec.errors import DeviceError, InputError, LostDeviceError, UnavailableError, UnsupportedError
from ninefold.spec.operators import OPERATORS
from ninefold.spec.protocols import HOST, Backend, Device, Found, Missing
from ninefold.spec.residents import load_and_run
from tests.conformance.judge import assert_golden


@pytest.fixture(scope="module")
def device() -> OpenVinoDevice:
    return OpenVino().open("CPU")


@pytest.fixture
def static(monkeypatch: pytest.MonkeyPatch) -> OpenVinoDevice:
    """A device that takes graphs of fixed shapes only."""
    monkeypatch.setattr(Target, "static", property(lambda _: True))
    return OpenVino().open("CPU")


def database(nits: npt.NDArray[np.int8], scale: float = 1.0, mode: str = "linear") -> Database:
    attributes: dict[str, Any] = {"rows": len(nits), "dimensions": nits.shape[1], "scale": scale, "mode": mode}
    return Database({"nits": pack(nits)}, attributes)


def random_nits(seed: int, *shape: int) -> npt.NDArray[np.int8]:
    return np.random.default_rng(seed).integers(-4, 5, shape, dtype=np.int8)


# ---- operators


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
@pytest.mark.parametrize("k", [1, 10, 60])
@pytest.mark.parametrize("columns", [64 * 60, 64 * 60 + 1, 5000])
def test_topk_by_groups(device: OpenVinoDevice, columns: int, k: int, dtype: type) -> None:
    rng = np.random.default_rng(k)
    # Close to the largest integers, where float32 knows every 128th only; and ties in plenty.
    close = (2**31 - 1 - rng.integers(0, 900, (3, columns))).astype(np.int32).astype(dtype)
    lowest = np.full((1, columns), np.iinfo(np.int32).min, np.int32).astype(dtype)
    tied = rng.integers(-1, 2, (2, columns)).astype(dtype)
    scores = np.concatenate([close, lowest, tied, np.sort(tied)])
    assert_golden(device, "topk", {"scores": scores}, k=k)
    assert_golden(device, "topk", {"scores": scores, "ids": rng.permutation(columns)}, k=k)


def test_topk_of_the_lowest_floats(device: OpenVinoDevice) -> None:
    scores = np.full((2, 700), -np.inf, np.float32)
    scores[1, 699] = -1e-45
    assert_golden(device, "topk", {"scores": scores}, k=3)


@pytest.mark.parametrize("mode", ["tanh", "linear"])
def test_mine(device: OpenVinoDevice, mode: str) -> None:
    rng = np.random.default_rng(3)
    for dimensions, rows in ((1, 40), (33, 500), (384, 60), (4096, 2100)):
        data = database(random_nits(rows, rows, dimensions), 1.5, mode)
        for queries in (0, 1, 65):
            q = rng.normal(size=(queries, dimensions)).astype(np.float32)
            assert_golden(device, "mine", {"q": q, "database": data}, k=10)
        device.unload(data.digest)


def test_mine_over_several_graphs_keeps_ties_in_order(device: OpenVinoDevice) -> None:
    rows = np.tile(random_nits(4, 7, 2048), (500, 1))  # the same seven rows in each graph
    assert rows.size > BLOCK
    data = database(rows)
    device.load(data)
    assert len(device.residents.form(data, mine.load)) == 2
    assert_golden(device, "mine", {"q": rows[:9].astype(np.float32), "database": data}, k=256)
    device.unload(data.digest)


def test_fixed_shapes_give_the_same_bits(static: OpenVinoDevice) -> None:
    rng = np.random.default_rng(5)
    q = rng.normal(size=(70, 33)).astype(np.float32)
    assert_golden(static, "quantise", {"x": q}, scale=2.0)
    assert_golden(static, "quantise", {"x": q[0]}, scale=2.0, mode="linear")
    for normalised in (False, True):
        arguments = {"q": random_nits(6, 65, 33), "c": random_nits(7, 64, 33)}
        assert_golden(static, "similarity", arguments, normalised=normalised)
    assert_golden(static, "topk", {"scores": rng.integers(-9, 9, (66, 1000)).astype(np.int32)}, k=5)
    for queries in (0, 1, 64, 70):
        assert_golden(static, "mine", {"q": q[:queries], "database": database(random_nits(8, 90, 33))}, k=7)


# ---- databases


def test_databases_are_held_once_and_dropped(device: OpenVinoDevice) -> None:
    data = database(random_nits(11, 100, 20))
    before = device.nbytes
    call = OPERATORS["mine"].bind({"q": np.zeros((1, 20), np.float32), "database": data})
    with pytest.raises(DeviceError, match=f"^database {data.digest[:12]} is not loaded on openvino:CPU$"):
        device.run(call)
    assert load_and_run(device, call).metrics["build_seconds"] == 0
    products = device.residents.form(data, mine.load)
    device.load(database(random_nits(11, 100, 20)))
    assert device.residents.form(data, mine.load) is products
    del products
    assert device.nbytes == before + 1000
    assert device.run(call).metrics["build_seconds"] == 0
    device.unload(data.digest)
    device.unload(data.digest)
    assert device.nbytes == before


def test_what_was_loaded_does_not_change_with_the_array(device: OpenVinoDevice) -> None:
    data = database(random_nits(12, 50, 64))
    call = OPERATORS["mine"].bind({"q": np.ones((1, 64), np.float32), "database": data})
    wanted = golden.answer(call)["scores"]
    device.load(data)
    data.digest  # noqa: B018 - named before it changes
    data.arrays["nits"][:] = 0
    np.testing.assert_array_equal(device.run(call).values["scores"], wanted)


def test_damaged_databases_and_states_are_refused(device: OpenVinoDevice) -> None:
    data = database(np.zeros((8, 6), np.int8))
    data.arrays["nits"][5, 1] = 0x70
    with pytest.raises(InputError, match=r"^packed nits must be -4 to 4, not 7 at \(5, 3\)$"):
        device.load(data)
    with pytest.raises(UnsupportedError, match=r"^openvino:CPU runs no operator that takes a state$"):
        device.load(State("s", 0, {}))


def test_a_database_larger_than_the_memory_is_refused_with_the_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    device = OpenVino().open("CPU")
    monkeypatch.setattr(device, "capacity_bytes", 1500, raising=False)
    device.load(database(random_nits(13, 100, 20)))
    text = r"^openvino:CPU has 500 of 1,500 bytes free, but the database needs 1,010$"
    with pytest.raises(UnsupportedError, match=text):
        device.load(database(random_nits(14, 101, 20)))


# ---- finding and opening


def seen(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Let OpenVINO see these devices."""

    def full_name(device: str, name: str) -> str:
        if device == "NPU":
            raise RuntimeError("no such property")
        return f"{name} of {device}"

    core = SimpleNamespace(available_devices=list(names), get_property=full_name)
    for module in (backend_module, device_module):
        monkeypatch.setattr(module, "start", lambda: (core, "2026.4.1"))


def test_protocols_and_operators(device: OpenVinoDevice) -> None:
    backend = OpenVino()
    assert isinstance(backend, Backend)
    assert isinstance(device, Device)
    operators = backend.operators()
    run = {"candidates", "embed", "mine", "quantise", "similarity", "ssm_scan", "superpose", "topk", "wave_attention"}
    assert {name for name, reason in operators.items() if reason is None} == run
    assert device.capacity_bytes is None


def test_probe_describes_each_device_best_first(monkeypatch: pytest.MonkeyPatch) -> None:
    seen(monkeypatch, "CPU", "FPGA", "GPU.0", "GPU.1", "NPU")
    entries = OpenVino().probe()
    found = [entry for entry in entries if isinstance(entry, Found)]
    assert len(found) == len(entries)
    assert [entry.device for entry in found] == ["openvino:GPU.0", "openvino:GPU.1", "openvino:NPU", "openvino:CPU"]
    assert [entry.kind for entry in found] == ["gpu", "gpu", "npu", "cpu"]
    assert [entry.unit for entry in found] == ["", "", "", HOST]
    assert found[0].description == "FULL_DEVICE_NAME of GPU.0, by openvino 2026.4.1"
    assert found[2].description == "an unnamed NPU, by openvino 2026.4.1"
    assert found[2].ratings["embed"] > found[0].ratings["embed"]
    assert not any(entry.named_only for entry in found)


def test_probe_says_what_openvino_sees_and_what_would_provide_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    seen(monkeypatch, "CPU")
    first, *missing = OpenVino().probe()
    assert first.device == "openvino:CPU"
    assert [entry.device for entry in missing] == ["openvino:GPU", "openvino:NPU"]
    for entry, driver in zip(missing, ("compute runtime", "linux-npu-driver"), strict=True):
        assert isinstance(entry, Missing)
        assert entry.reason.startswith("openvino 2026.4.1 sees CPU only")
        assert driver in entry.install


def test_without_openvino_everything_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    entries = OpenVino().probe()
    assert [entry.device for entry in entries] == ["openvino:GPU", "openvino:NPU", "openvino:CPU"]
    reasons = {(entry.reason, entry.install) for entry in entries if isinstance(entry, Missing)}
    assert reasons == {("the package openvino is not installed", "pip install 'ninefold[openvino]'")}
    with pytest.raises(UnavailableError, match=r"^the package openvino is not installed; pip install"):
        OpenVino().open()
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(UnavailableError, match=r"^the package openvino is not installed; pip install"):
        Target()


def test_an_openvino_that_does_not_start_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> Any:
        raise RuntimeError("Exception from src/core.cpp:1:\nlibze_loader.so.1: wrong version\n\n")

    monkeypatch.setattr(backend_module, "start", broken)
    text = "openvino is installed but does not start: libze_loader.so.1: wrong version"
    assert {entry.reason for entry in OpenVino().probe() if isinstance(entry, Missing)} == {text}
    with pytest.raises(UnavailableError, match=f"^{text}"):
        OpenVino().open("CPU")


def test_open_takes_the_best_device_or_the_one_that_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert OpenVino().open().name == "openvino:CPU"
    seen(monkeypatch, "CPU", "NPU")
    assert OpenVino().open().name == "openvino:NPU"
    seen(monkeypatch, "CPU", "GPU", "NPU")
    assert OpenVino().open().name == "openvino:GPU"
    assert OpenVino().open("GPU.0").name == "openvino:GPU.0"
    assert OpenVino().open("CPU").name == "openvino:CPU"
    seen(monkeypatch, "CPU")
    with pytest.raises(
        UnavailableError, match=r"^openvino has no device 'GPU': openvino 2026.4.1 sees CPU; an Intel GPU"
    ):
        OpenVino().open("GPU")
    with pytest.raises(UnavailableError, match=r"^openvino has no device 'TPU': openvino 2026.4.1 sees CPU$"):
        OpenVino().open("TPU")


# ---- failing


def test_a_device_that_rounds_is_refused_for_all_but_embedding(monkeypatch: pytest.MonkeyPatch) -> None:
    device = OpenVino().open("CPU")
    exact = Product.scores
    monkeypatch.setattr(Product, "scores", lambda *a: (exact(*a) / 64).astype(np.float16).astype(np.float32) * 64)
    text = r"^openvino:CPU is not exact, so it only embeds: it scores a product of 4,096 dimensions \S+, not "
    for operator, arguments, options in (
        ("quantise", {"x": np.zeros((1, 3), np.float32)}, {"scale": 1.0}),
        ("similarity", {"q": random_nits(1, 1, 3), "c": random_nits(1, 1, 3)}, {}),
        ("topk", {"scores": np.zeros((1, 3), np.float32)}, {"k": 1}),
        ("mine", {"q": np.zeros((1, 3), np.float32), "database": database(random_nits(1, 4, 3))}, {}),
    ):
        with pytest.raises(UnsupportedError, match=text):
            load_and_run(device, OPERATORS[operator].bind(arguments, options))
    tokens = np.array([[101, 2000, 102]])
    call = OPERATORS["embed"].bind({"tokens": tokens, "mask": np.ones_like(tokens)})
    assert device.run(call).path == "openvino CPU, sentence model"


def test_a_device_that_sorts_or_quantises_wrongly_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    call = OPERATORS["topk"].bind({"scores": np.zeros((1, 3), np.float32)}, {"k": 1})
    real = Graph.__call__

    def reversed_columns(self: Graph, *inputs: Any, out: Any = None) -> Any:
        found = real(self, *inputs, out=out)
        return [found[0][:, ::-1], *found[1:]] if len(found) == 2 else found

    def flushed(self: Graph, *inputs: Any, out: Any = None) -> Any:
        tiny = np.finfo(np.float32).tiny
        return real(self, *(np.where(np.abs(x) < tiny, 0, x).astype(x.dtype) for x in inputs), out=out)

    for wrong, text in ((reversed_columns, "it ranks "), (flushed, r"it quantises .* to \[0, 0, 0\]")):
        with monkeypatch.context() as patch:
            patch.setattr(Graph, "__call__", wrong)
            with pytest.raises(UnsupportedError, match=text):
                OpenVino().open("CPU").run(call)


def test_a_failing_device_says_so_and_a_lost_one_that_it_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    device = OpenVino().open("CPU")
    call = OPERATORS["topk"].bind({"scores": np.zeros((1, 3), np.float32)}, {"k": 1})
    device.run(call)
    for graph in device._graphs.values():
        monkeypatch.setattr(graph, "_request", SimpleNamespace(infer=failing))
    with pytest.raises(DeviceError, match=r"^openvino:CPU failed: \[CPU\] it broke$") as caught:
        device.run(call)
    assert not isinstance(caught.value, LostDeviceError)
    seen(monkeypatch, "NPU")
    with pytest.raises(LostDeviceError, match=r"^openvino:CPU is gone: openvino:CPU failed: \[CPU\] it broke$"):
        device.run(call)


def failing(*_: Any, **__: Any) -> Any:
    raise RuntimeError("Exception from src/x.cpp:9:\n[CPU] it broke\n")


def test_a_closed_device_is_refused() -> None:
    device = OpenVino().open("CPU")
    device.close()
    with pytest.raises(DeviceError, match=r"^the device openvino:CPU is closed$"):
        device.run(OPERATORS["quantise"].bind({"x": np.zeros((1, 1), np.float32)}, {"scale": 1.0}))
