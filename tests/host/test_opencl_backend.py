"""The OpenCL kernels against plain arithmetic and the golden models, and what a device holds."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from ninefold.host.backends.opencl import OpenCl, memory, mine, resonance, similarity, topk
from ninefold.host.backends.opencl.device import OpenClDevice
from ninefold.numerics.nits import pack
from ninefold.numerics.quantise import least_magnitudes
from ninefold.spec.data import Answer, Database, RaggedArray, State
from ninefold.spec.errors import DeviceError, InputError, UnsupportedError
from ninefold.spec.formats import INT32_MIN, NO_ID
from ninefold.spec.operators import OPERATORS
from ninefold.spec.residents import load_and_run
from tests.conformance.judge import assert_golden

#: Largest D is 4096; blocks hold 32 rows, columns 8 nits, work-groups 128 rows.
DIMENSIONS = (1, 2, 7, 8, 9, 63, 384, 1001)
ROWS = (0, 1, 31, 32, 33, 127, 128, 129, 1025)


def targets() -> list[Any]:
    """Both families of kernels, on the first device and, under the marker, on PoCL."""
    families = ("vector", "group")
    second = [pytest.param((family, "pocl"), id=f"{family}-pocl", marks=pytest.mark.pocl) for family in families]
    return [*(pytest.param((family, ""), id=family) for family in families), *second]


@pytest.fixture(scope="module", params=targets())
def device(request: pytest.FixtureRequest) -> Any:
    family, instance = request.param
    opened = OpenCl(family).open(instance)
    yield opened
    opened.close()


def database(nits: npt.NDArray[np.int8], scale: float = 1.0) -> Database:
    attributes = {"rows": len(nits), "dimensions": nits.shape[1], "scale": scale, "mode": "linear"}
    return Database({"nits": pack(nits)}, attributes)


def assert_mines(device: OpenClDevice, q: npt.NDArray[np.int8], nits: npt.NDArray[np.int8], k: int) -> Answer:
    """Queries of nits quantise to themselves at scale 1, linear; compare with NumPy's product and a stable sort."""
    call = OPERATORS["mine"].bind({"q": q.astype(np.float32), "database": database(nits)}, {"k": k})
    answer = load_and_run(device, call)
    scores = q.astype(np.int32) @ nits.T.astype(np.int32)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    count = min(k, len(nits))
    np.testing.assert_array_equal(answer.values["ids"][:, :count], order)
    np.testing.assert_array_equal(answer.values["scores"][:, :count], np.take_along_axis(scores, order, axis=1))
    assert (answer.values["ids"][:, count:] == NO_ID).all()
    assert (answer.values["scores"][:, count:] == INT32_MIN).all()
    assert (answer.values["count"] == count).all()
    device.unload(call.database().digest)
    return answer


@pytest.mark.parametrize("dimensions", DIMENSIONS)
def test_mine_of_awkward_widths(device: OpenClDevice, dimensions: int) -> None:
    rng = np.random.default_rng(dimensions)
    nits = rng.integers(-4, 5, (300, dimensions), dtype=np.int8)
    for queries, k in ((1, 1), (3, 7), (4, 10), (5, 256)):
        assert_mines(device, rng.integers(-4, 5, (queries, dimensions), dtype=np.int8), nits, k)


@pytest.mark.parametrize("rows", ROWS)
def test_mine_of_awkward_heights(device: OpenClDevice, rows: int) -> None:
    rng = np.random.default_rng(rows)
    nits = rng.integers(-1, 2, (rows, 13), dtype=np.int8)  # small nits: many ties
    for queries, k in ((1, 10), (6, 256)):
        assert_mines(device, rng.integers(-1, 2, (queries, 13), dtype=np.int8), nits, k)


@pytest.mark.parametrize("queries", [1, 4])
def test_mine_of_the_largest_sums(device: OpenClDevice, queries: int) -> None:
    nits = np.full((70, 4096), 4, np.int8)
    nits[1::2] = -4
    nits[5, ::2] = -4
    answer = assert_mines(device, np.full((queries, 4096), 4, np.int8), nits, 70)
    assert answer.values["scores"][0, 0] == 65536
    assert answer.values["scores"][0, -1] == -65536
    assert_mines(device, np.full((queries, 4096), -4, np.int8), nits, 70)


def test_mine_of_many_queries_and_shares(device: OpenClDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    nits = rng.integers(-2, 3, (20_000, 16), dtype=np.int8)
    q = rng.integers(-2, 3, (15, 16), dtype=np.int8)
    monkeypatch.setattr(mine, "_QUERIES", 6)
    assert_mines(device, q, nits, 100)
    monkeypatch.setattr(mine, "_PRODUCTS", 1)  # four queries at a time, however many rows there are
    answer = assert_mines(device, q, nits, 100)
    assert "kernels" in answer.path
    assert device.entry.device.platform.name in answer.path


def test_mine_over_several_buffers_and_pieces(device: OpenClDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    block = 3 * 64
    monkeypatch.setattr(memory, "_PIECE_BYTES", 2 * block + 1)
    monkeypatch.setattr(device.memory, "_largest", 5 * block + 1)
    rng = np.random.default_rng(4)
    nits = rng.integers(-1, 2, (999, 11), dtype=np.int8)
    loaded = database(nits)
    device.load(loaded)
    parts = device.residents.form(loaded, mine.load)
    assert [(rows.first, rows.count) for rows in parts[:2]] == [(0, 160), (160, 160)]
    assert sum(rows.count for rows in parts) == 999
    assert_mines(device, rng.integers(-1, 2, (5, 11), dtype=np.int8), nits, 20)


def test_a_family_without_room_for_a_block_gives_way(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = OpenCl("vector").open()
    kernels = opened.kernels(4096)
    assert kernels.path == f"vector kernels on {opened.entry.name}"
    monkeypatch.setattr(kernels, "_room", 1 << 15)
    assert opened.kernels(1024) is kernels
    assert opened.kernels(1025).path.startswith("group kernels")


@pytest.mark.parametrize("scale", [2.0**-126, 1e-20, 0.37, 1.0, 9.3, 3.4e38])
@pytest.mark.parametrize("mode", ["tanh", "linear"])
def test_quantise_beside_each_threshold(device: OpenClDevice, mode: str, scale: float) -> None:
    # Subnormal numbers among them: a large scale makes nits of those too, which a device that flushes them would lose.
    bits = np.array(least_magnitudes(scale, mode), np.int64)[:, None] + np.arange(-3, 4)
    x = bits[(bits >= 0) & (bits <= 0x7F800000)].astype(np.uint32).view(np.float32)
    x = np.concatenate([x, -x, np.array([0, -0.0, np.inf, -np.inf], np.float32)])
    assert_golden(device, "quantise", {"x": x}, scale=scale, mode=mode)


@pytest.mark.parametrize("normalised", [False, True])
def test_similarity_in_blocks(device: OpenClDevice, monkeypatch: pytest.MonkeyPatch, normalised: bool) -> None:
    monkeypatch.setattr(similarity, "_ROWS", 70)
    monkeypatch.setattr(similarity, "_QUERIES", 6)
    rng = np.random.default_rng(5)
    q, c = rng.integers(-4, 5, (15, 21), dtype=np.int8), rng.integers(-4, 5, (333, 21), dtype=np.int8)
    assert_golden(device, "similarity", {"q": q, "c": c}, normalised=normalised)


def test_topk_returns_zeros_and_infinities_as_they_came(device: OpenClDevice) -> None:
    scores = np.array([[-0.0, 0.0, -np.inf, np.inf, -1e-45, 1e-45, -0.0, np.inf, -np.inf]], np.float32)
    answer = assert_golden(device, "topk", {"scores": scores}, k=12)
    assert answer.values["ids"][0].tolist() == [3, 7, 5, 0, 1, 6, 4, 2, 8, -1, -1, -1]
    np.testing.assert_array_equal(np.signbit(answer.values["scores"][0, 3:6]), [True, False, True])


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_topk_of_long_rows(device: OpenClDevice, monkeypatch: pytest.MonkeyPatch, dtype: Any) -> None:
    rng = np.random.default_rng(6)
    scores = rng.integers(-50, 50, (3, 20_001)).astype(dtype)
    ids = rng.permutation(2**40 + np.arange(20_001))
    for at_once in (1 << 24, 45_000, 7_000):  # all together, in blocks of rows, in blocks of columns
        monkeypatch.setattr(topk, "_SCORES", at_once)
        for k in (1, 256):
            assert_golden(device, "topk", {"scores": scores}, k=k)
            assert_golden(device, "topk", {"scores": scores, "ids": ids}, k=k)


def test_databases_stay_until_they_are_unloaded(device: OpenClDevice) -> None:
    rng = np.random.default_rng(7)
    first, second = (database(rng.integers(-4, 5, (64, 16), dtype=np.int8)) for _ in range(2))
    before = device.memory.resident_bytes
    device.load(first)
    device.load(first)
    device.load(second)
    assert device.memory.resident_bytes - before == 2 * 64 * 2 * 4
    q = rng.normal(0, 2, (2, 16)).astype(np.float32)
    for loaded in (first, second, first):
        assert_golden(device, "mine", {"q": q, "database": loaded}, k=5)
    device.unload(first.digest)
    device.unload(first.digest)
    assert device.memory.resident_bytes - before == 64 * 2 * 4
    assert_golden(device, "mine", {"q": q, "database": first}, k=5)
    for loaded in (first, second):
        device.unload(loaded.digest)
    assert device.memory.resident_bytes == before


def test_a_database_may_be_mapped_from_a_file(device: OpenClDevice, tmp_path: Path) -> None:
    rng = np.random.default_rng(8)
    nits = rng.integers(-4, 5, (100, 15), dtype=np.int8)
    np.save(tmp_path / "nits.npy", pack(nits))
    mapped = np.load(tmp_path / "nits.npy", mmap_mode="r")
    attributes = {"rows": 100, "dimensions": 15, "scale": 1.0, "mode": "tanh"}
    q = rng.normal(0, 1, (3, 15)).astype(np.float32)
    assert_golden(device, "mine", {"q": q, "database": Database({"nits": mapped}, attributes)}, k=9)


def test_what_does_not_fit_is_refused_with_the_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = OpenCl().open()
    assert opened.capacity_bytes == opened.entry.device.global_mem_size
    monkeypatch.setattr(opened.memory, "capacity_bytes", 2100)
    for value in (0, 1):
        opened.load(database(np.full((64, 32), value, np.int8)))
    with pytest.raises(UnsupportedError) as refused:
        opened.load(database(np.ones((65, 32), np.int8)))
    wanted = "opencl has 2,100 bytes of memory, and other residents use 2,048: 65 rows of 8 columns need 1,536"
    assert str(refused.value) == wanted
    with pytest.raises(UnsupportedError, match="numbers rows with 32 bits"):
        opened.memory._check_rows(2**32 - 1)


def test_any_resident_is_copied_by_its_arrays() -> None:
    import pyopencl as cl

    opened = OpenCl().open()
    arrays = {
        "numbers": np.arange(6, dtype=np.float32).reshape(2, 3),
        "lists": RaggedArray(np.array([3, 1, 2], np.int32), np.array([0, 2, 2, 3], np.int64)),
        "nothing": np.zeros((0, 4), np.uint8),
    }
    buffers = opened.memory.load(State("any", 0, arrays))
    assert sorted(buffers) == ["lists.offsets", "lists.values", "nothing", "numbers"]
    assert buffers["nothing"] is None
    back = np.zeros((2, 3), np.float32)
    cl.enqueue_copy(opened.launcher.queue, back, buffers["numbers"])
    np.testing.assert_array_equal(back, arrays["numbers"])
    assert opened.memory.resident_bytes == 24 + 12 + 32
    opened.memory.free(buffers)
    assert opened.memory.resident_bytes == 0


def test_a_damaged_database_is_refused_before_it_is_loaded(device: OpenClDevice) -> None:
    packed = np.zeros((3, 2), np.uint8)
    packed[1, 1] = 5
    attributes = {"rows": 3, "dimensions": 4, "scale": 1.0, "mode": "tanh"}
    with pytest.raises(InputError, match=r"packed nits must be -4 to 4, not 5 at \(1, 2\)"):
        device.load(Database({"nits": packed}, attributes))


def test_states_and_calls_after_close_are_refused() -> None:
    opened = OpenCl().open()
    with pytest.raises(InputError, match=r"^the state fits no operator of opencl: .*wave_step: wave must hold 'psi'"):
        opened.load(State("s", 0, {}))
    opened.load(database(np.ones((4, 4), np.int8)))
    opened.close()
    assert opened.memory.resident_bytes == 0
    with pytest.raises(DeviceError, match="the device opencl is closed"):
        opened.run(OPERATORS["topk"].bind({"scores": np.zeros((1, 1), np.int32)}, {"k": 1}))


def test_harmonics_need_double_precision(device: OpenClDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    call = OPERATORS["harmonic_signature"].bind({"psi": np.ones((2, 9), np.complex64)})
    assert device.run(call).values["signature"].tolist() == [[1] * 9] * 2
    monkeypatch.setattr(type(device.entry), "has_doubles", False)
    with pytest.raises(UnsupportedError, match=r"^opencl\S* has no double precision, in which squared magnitudes are"):
        device.run(call)


def test_resonances_in_several_launches(device: OpenClDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resonance, "_BLOCK", 4096)
    rng = np.random.default_rng(8)
    a, b = (rng.normal(size=(rows, 1000)).astype(np.float32) for rows in (9, 11))
    for operator in ("resonance", "overlap"):
        assert_golden(device, operator, {"a": a, "b": b})
