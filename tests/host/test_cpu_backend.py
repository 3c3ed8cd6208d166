"""The CPU backend's operators against the golden models, and how its device is found, opened and refused."""

import os
import subprocess
import sys
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from ninefold.host.backends.cpu import Cpu
from ninefold.host.backends.cpu.device import CpuDevice
from ninefold.numerics.nits import pack
from ninefold.numerics.quantise import least_magnitudes
from ninefold.spec.data import Database
from ninefold.spec.errors import InputError, UnavailableError
from ninefold.spec.formats import MODES, Mode
from ninefold.spec.operators import OPERATORS
from ninefold.spec.protocols import Backend, Device, Found, Missing
from tests.conformance.judge import assert_golden


@pytest.fixture(scope="module", params=["numpy", "portable"])
def device(request: pytest.FixtureRequest) -> CpuDevice:
    return Cpu(path=request.param, threads=2).open()


def database(nits: npt.NDArray[np.int8], scale: float = 4.0, mode: str = "tanh") -> Database:
    attributes = {"rows": len(nits), "dimensions": nits.shape[1], "scale": scale, "mode": mode}
    return Database({"nits": pack(nits)}, attributes)


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_quantise_takes_the_real_part_of_complex_numbers(device: CpuDevice, dtype: str) -> None:
    rng = np.random.default_rng(1)
    x = (rng.normal(size=(3, 4, 50)) + 1j * rng.normal(size=(3, 4, 50)) * 9).astype(dtype)
    answer = assert_golden(device, "quantise", {"x": x}, scale=2.0, mode="linear")
    assert answer.values["nits"].shape == (3, 4, 50)


@pytest.mark.filterwarnings("ignore:overflow")  # the golden model's cast of 1e300
def test_quantise_saturates_infinities_whatever_the_scale(device: CpuDevice) -> None:
    x = np.array([[np.inf, -np.inf, 0.0, 1.0, -1e300]])
    for scale, wanted in ((1.0, [4, -4, 0, 3, -4]), (1.2e-38, [4, -4, 0, 0, -4]), (3.4e38, [4, -4, 0, 4, -4])):
        answer = assert_golden(device, "quantise", {"x": x}, scale=scale)
        assert answer.values["nits"].tolist() == [wanted]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("scale", [1.0, 0.37, 3e38, 1.2e-38])
def test_quantise_beside_each_threshold(device: CpuDevice, mode: Mode, scale: float) -> None:
    bits = np.array(least_magnitudes(scale, mode), np.int64)[:, None] + np.arange(-3, 4)
    x = np.minimum(bits, 0x7F800000).astype(np.uint32).view(np.float32)
    assert_golden(device, "quantise", {"x": np.concatenate([x, -x])}, scale=scale, mode=mode)


def test_quantise_of_many_numbers_that_threads_share(device: CpuDevice) -> None:
    x = np.random.default_rng(2).normal(0, 1, (1100, 1000)).astype(np.float32)
    assert_golden(device, "quantise", {"x": x}, scale=1.7)
    assert_golden(device, "quantise", {"x": x[:, ::3]}, scale=1.7, mode="linear")


@pytest.mark.parametrize("columns", [1, 63, 64, 65, 130, 400])
def test_topk_of_rows_around_a_chunk(device: CpuDevice, columns: int) -> None:
    rng = np.random.default_rng(columns)
    floats = rng.choice(np.array([-np.inf, -1.5, -0.0, 0.0, 1e-45, np.inf], np.float32), (3, columns))
    for k in (1, 5, 64, 256):
        assert_golden(device, "topk", {"scores": rng.integers(-9, 9, (3, columns)).astype(np.int32)}, k=k)
        assert_golden(device, "topk", {"scores": floats}, k=k)
        assert_golden(device, "topk", {"scores": np.full((2, columns), -(2**31), np.int32)}, k=k)


def test_topk_of_many_rows_that_threads_share(device: CpuDevice) -> None:
    scores = np.random.default_rng(3).integers(-50, 50, (400, 25_000), dtype=np.int32)
    found = device.run(OPERATORS["topk"].bind({"scores": scores}, {"k": 4})).values
    order = np.argsort(-scores, axis=1, kind="stable")[:, :4]
    np.testing.assert_array_equal(found["ids"], order)
    np.testing.assert_array_equal(found["scores"], np.take_along_axis(scores, order, axis=1))


@pytest.mark.parametrize("k", [1, 10, 256])
def test_topk_over_many_blocks_with_ids(device: CpuDevice, k: int) -> None:
    rng = np.random.default_rng(k)
    scores = rng.integers(-3, 4, (3, 50_000), dtype=np.int32)
    assert_golden(device, "topk", {"scores": scores, "ids": rng.permutation(50_000)}, k=k)


@pytest.mark.parametrize("mode", ["tanh", "linear"])
@pytest.mark.parametrize("rows", [2, 9, 11, 250])
def test_calibrate(device: CpuDevice, rows: int, mode: str) -> None:
    rng = np.random.default_rng(rows)
    sample = rng.normal(0.01, 0.05, (rows, 20)).astype(np.float32)
    sample[rows // 2 :] = sample[: rows - rows // 2]  # every row twice: ties at the tenth place
    assert_golden(device, "calibrate", {"sample": sample}, mode=mode)


def test_calibrate_refuses_what_has_no_spread(device: CpuDevice) -> None:
    call = OPERATORS["calibrate"].bind({"sample": np.full((5, 3), 0.25, np.float32)})
    with pytest.raises(InputError, match=r"^the sample must vary: its standard deviation is 0$"):
        device.run(call)
    call = OPERATORS["calibrate"].bind({"sample": np.array([[1, np.inf], [0, 0]], np.float32)})
    with pytest.raises(InputError, match=r"^the sample must be finite"):
        device.run(call)


@pytest.mark.parametrize("path", ["numpy", "portable", "openvino", "emulated"])
@pytest.mark.parametrize("mode", ["tanh", "linear"])
def test_mine(path: str, mode: str) -> None:
    rng = np.random.default_rng(3)
    device = Cpu(threads=2).open(path)
    for dimensions, rows in ((1, 40), (33, 500), (384, 60)):
        data = database(rng.integers(-4, 5, (rows, dimensions), dtype=np.int8), 1.5, mode)
        for queries in (0, 1, 5):
            q = rng.normal(size=(queries, dimensions)).astype(np.float32)
            for k in (1, 10, 256):
                assert assert_golden(device, "mine", {"q": q, "database": data}, k=k).path == path


def test_mine_takes_a_mapped_database_as_it_lies(device: CpuDevice, tmp_path: Any) -> None:
    rng = np.random.default_rng(4)
    packed = pack(rng.integers(-4, 5, (300, 31), dtype=np.int8))
    packed.tofile(tmp_path / "nits")
    mapped = np.memmap(tmp_path / "nits", np.uint8, "r", shape=packed.shape)
    data = Database({"nits": mapped}, {"rows": 300, "dimensions": 31, "scale": 1.0, "mode": "tanh"})
    assert_golden(device, "mine", {"q": rng.normal(size=(2, 31)).astype(np.float32), "database": data}, k=5)


def test_a_damaged_database_is_refused_with_the_position(device: CpuDevice) -> None:
    data = database(np.zeros((8, 6), np.int8))
    data.arrays["nits"][5, 1] = 0x70
    with pytest.raises(InputError, match=r"^packed nits must be -4 to 4, not 7 at \(5, 3\)$"):
        device.load(data)
    short = Database({"nits": np.zeros((7, 3), np.uint8)}, data.attributes)
    with pytest.raises(InputError, match=r"^database\.nits must have N = 8, not 7 \(shape \(7, 3\)\)$"):
        device.load(short)


def test_a_database_with_a_mode_or_scale_that_quantise_does_not_take_is_refused(device: CpuDevice) -> None:
    with pytest.raises(InputError, match=r"^mode must be one of tanh, linear, not 'cubic'$"):
        device.load(database(np.zeros((8, 6), np.int8), mode="cubic"))
    with pytest.raises(InputError, match=r"^scale must be .* not 0.0$"):
        device.load(database(np.zeros((8, 6), np.int8), scale=0.0))


def test_protocols_and_operators() -> None:
    backend = Cpu()
    assert isinstance(backend, Backend)
    device = backend.open()
    assert isinstance(device, Device)
    assert device.capacity_bytes is None
    for name in ("quantise", "similarity", "topk", "mine", "calibrate"):
        assert backend.operators()[name] is None
    device.close()


def test_probe_names_the_processor_and_every_path() -> None:
    found = {entry.device: entry for entry in Cpu(path="numpy").probe()}
    first = found.pop("cpu")
    assert isinstance(first, Found)
    assert first.description.endswith("path numpy")
    assert set(found) == {f"cpu:{path}" for path in ("avx512", "avx2", "portable", "openvino", "numpy", "emulated")}
    assert all(isinstance(entry, Missing) or entry.named_only for entry in found.values())


def test_probe_never_raises_for_a_path_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NINEFOLD_CPU_PATH", "fastest")
    first = Cpu().probe()[0]
    assert isinstance(first, Missing)
    assert "not 'fastest'" in first.reason


def test_the_path_can_be_forced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NINEFOLD_CPU_PATH", "numpy")
    assert Cpu().open().path == "numpy"
    assert Cpu(path="portable").open().path == "portable"
    device = Cpu(path="numpy").open("portable")
    assert (device.name, device.path) == ("cpu:portable", "portable")


def test_what_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"^cpu's instance must be one of avx512, .*, not '3'$"):
        Cpu().open("3")
    with pytest.raises(InputError, match=r"^the CPU's path must be one of .*, not 'sse9'$"):
        Cpu(path="sse9")
    with pytest.raises(InputError, match=r"^threads must be at least 1, not 0$"):
        Cpu(threads=0)
    monkeypatch.setenv("NINEFOLD_CPU_PATH", "sse9")
    with pytest.raises(InputError, match=r"^the CPU's path must be one of .*, not 'sse9'$"):
        Cpu().open()
    monkeypatch.setattr("ninefold.host.backends.cpu.paths.processor", lambda: ("old", frozenset()))
    with pytest.raises(UnavailableError, match=r"^the CPU's path avx2 cannot run: the processor has no avx2, f16c$"):
        Cpu().open("avx2")


_MEMORY = """
import sys
from pathlib import Path
import numpy as np
from ninefold.host.backends.cpu import Cpu
from ninefold.spec.data import Database
from ninefold.spec.formats import MODES, Mode
from ninefold.spec.operators import OPERATORS

def peak():
    # Not ru_maxrss, which a process takes over from the one that started it.
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) * 1024

device = Cpu(threads=2).open(sys.argv[1])
rows, dimensions = 200_000, 384
packed = np.empty((rows, dimensions // 2), np.uint8)
packed[:] = np.random.default_rng(0).integers(0, 4, dimensions // 2, np.uint8)
data = Database({"nits": packed}, {"rows": rows, "dimensions": dimensions, "scale": 1.0, "mode": "tanh"})
q = np.random.default_rng(1).normal(size=(64, dimensions)).astype(np.float32)
before = peak()
device.load(data)
device.run(OPERATORS["mine"].bind({"q": q, "database": data}, {"k": 10}))
print(peak() - before)
"""


@pytest.mark.parametrize("path", ["portable", "numpy"])
def test_a_search_holds_little_beyond_the_packed_nits(path: str) -> None:
    # Scores of 64 queries would take 51 MB, unpacked nits 77 MB as bytes and 307 MB as float32.
    done = subprocess.run([sys.executable, "-c", _MEMORY, path], capture_output=True, text=True, env=os.environ)
    assert done.returncode == 0, done.stderr
    assert 0 < int(done.stdout) < 40e6
