"""The backend ``rtl`` against plain NumPy, and against itself with faults planted in its Verilog."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from ninefold.sim.rtl import Rtl, RtlDevice
from ninefold.sim.verilated import Gaps, find_tools
from ninefold.spec.data import Answer, Database, State
from ninefold.spec.errors import DeviceError, InputError, UnavailableError, UnsupportedError
from ninefold.spec.operators import OPERATORS
from ninefold.spec.protocols import Backend, Device, Found, Missing
from ninefold.spec.residents import load_and_run
from tests.conformance.cases import calls_of

# (`THRESHOLDS`, whether a magnitude that equals one has reached it)
BORDERS = {"tanh": ((515, 1615, 3004, 5547), True), "linear": ((2048, 6144, 10240, 14336), False)}
DEPTH = 8192
INT32_MIN = -(2**31)


@pytest.fixture(scope="module")
def device() -> Iterator[RtlDevice]:
    opened = Rtl().open()
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def stalling() -> Iterator[RtlDevice]:
    opened = Rtl(gaps=Gaps(0.4, 3)).open()
    yield opened
    opened.close()


def ask(device: RtlDevice, operator: str, arguments: dict[str, Any], **options: Any) -> Answer:
    return load_and_run(device, OPERATORS[operator].bind(arguments, options))


def expected_nits(x: np.ndarray, scale: float, mode: str) -> np.ndarray:
    with np.errstate(over="ignore"):
        y = np.real(x).astype(np.float32) * np.float32(scale)
    g = np.clip(np.rint(y.astype(np.float64) * 4096), -32768, 32767).astype(int)
    values, inclusive = BORDERS[mode]
    return np.sign(g) * sum((abs(g) >= v if inclusive else abs(g) > v).astype(int) for v in values)


def expected_best(scores: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return positions and scores of the k best of each row, -1 and INT32_MIN where there are fewer."""
    order = np.argsort(-scores.astype(np.int64), axis=1, kind="stable")[:, :k]
    fill = ((0, 0), (0, k - order.shape[1]))
    best = np.take_along_axis(scores, order, axis=1)
    return np.pad(order, fill, constant_values=-1), np.pad(best, fill, constant_values=INT32_MIN)


def database(nits: np.ndarray, mode: str = "tanh", scale: float = 1.0) -> Database:
    rows, dimensions = nits.shape
    even = np.pad(nits, ((0, 0), (0, dimensions % 2))).astype(np.uint8) & 15
    packed = np.ascontiguousarray(even[:, 0::2] | even[:, 1::2] << 4)
    return Database({"nits": packed}, {"rows": rows, "dimensions": dimensions, "scale": scale, "mode": mode})


def mined(device: RtlDevice, q: np.ndarray, nits: np.ndarray, k: int, held: Database | None = None) -> Answer:
    """Ask `mine`, and compare with NumPy."""
    answer = ask(device, "mine", {"q": q, "database": held or database(nits)}, k=k)
    ids, scores = expected_best(expected_nits(q, 1.0, "tanh") @ nits.T.astype(int), k)
    np.testing.assert_array_equal(answer.values["ids"], ids)
    np.testing.assert_array_equal(answer.values["scores"], scores)
    np.testing.assert_array_equal(answer.values["count"], np.full(len(q), min(k, len(nits))))
    return answer


def expected_coarse(queries: np.ndarray, nits: np.ndarray) -> np.ndarray:
    return (queries.astype(np.int32) @ np.where(nits < 0, -1, 1).T.astype(np.int32)).astype(np.int32)


def nits_and_queries(seed: int, rows: int, queries: int, dimensions: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    nits = rng.integers(-4, 5, (rows, dimensions)).astype(np.int8)
    return nits, rng.normal(0, 0.7, (queries, dimensions)).astype(np.float32)


class TestBackend:
    def test_protocols(self, device: RtlDevice) -> None:
        assert isinstance(Rtl(), Backend)
        assert isinstance(device, Device)
        assert device.capacity_bytes is None

    def test_probe_finds_it_for_use_by_name_only(self) -> None:
        (found,) = Rtl().probe()
        assert isinstance(found, Found)
        assert found.named_only
        assert find_tools().verilator_version in found.description
        assert set(found.ratings) == {name for name, reason in Rtl().operators().items() if reason is None}

    def test_operators_carry_reasons(self) -> None:
        reasons = Rtl().operators()
        assert set(reasons) == set(OPERATORS)
        assert all(reasons[name] for name in ("calibrate", "embed"))

    def test_without_a_compiler(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("CXX", "no-such-compiler")
        (missing,) = Rtl().probe()
        assert isinstance(missing, Missing)
        assert "no-such-compiler" in missing.reason
        assert "C++ compiler" in missing.install
        with pytest.raises(UnavailableError, match="install a C\\+\\+ compiler"):
            Rtl().open()

    def test_refusals(self, device: RtlDevice) -> None:
        with pytest.raises(InputError, match="not '1'"):
            Rtl().open("1")
        with pytest.raises(InputError, match=r"^lattice must hold 'psi'; it holds nothing$"):
            device.load(State("s", 0, {}))
        with pytest.raises(UnsupportedError, match="no core calibrates"):
            ask(device, "calibrate", {"sample": np.ones((2, 2), np.float32)})
        closed = Rtl().open()
        closed.close()
        with pytest.raises(DeviceError, match="closed"):
            ask(closed, "topk", {"scores": np.zeros((1, 1), np.int32)}, k=1)


class TestCandidates:
    @pytest.mark.parametrize("keep", [1, 60, 5000])
    def test_pages_of_a_masked_database(self, device: RtlDevice, stalling: RtlDevice, keep: int) -> None:
        nits, q = nits_and_queries(4, DEPTH + 40, 3, 7)
        allowed = np.random.default_rng(keep).random(len(nits)) < 0.3
        allowed[-5:] = True
        scores = expected_coarse(expected_nits(q, 1.0, "tanh"), nits)
        scores[:, ~allowed] = INT32_MIN
        ids, best = expected_best(scores, keep)
        number = min(keep, int(allowed.sum()))
        ids[:, number:] = -1
        arguments = {"q": q, "database": database(nits), "allowed": np.packbits(allowed, bitorder="little")}
        for opened in (device, stalling):
            answer = ask(opened, "candidates", arguments, keep=keep)
            np.testing.assert_array_equal(answer.values["ids"], ids)
            np.testing.assert_array_equal(answer.values["scores"], best)
            np.testing.assert_array_equal(answer.values["count"], np.full(3, number))
            assert answer.metrics["cycles"] > 6 * len(nits), "two scans of each query"

    def test_nothing_allowed(self, device: RtlDevice) -> None:
        nits, q = nits_and_queries(5, 20, 2, 8)
        arguments = {"q": q, "database": database(nits), "allowed": np.zeros(3, np.uint8)}
        answer = ask(device, "candidates", arguments, keep=4)
        assert answer.values["count"].tolist() == [0, 0]
        assert answer.metrics["cycles"] == 0

    def test_clusters_are_refused(self, device: RtlDevice) -> None:
        call = calls_of("candidates")
        clustered = next(made for made in call.values() if made.options["macro"] is not None)
        with pytest.raises(UnsupportedError, match=r"^rtl scans all rows of its store, without macro and micro: "):
            load_and_run(device, clustered)


class TestQuantise:
    @pytest.mark.parametrize("mode", ["tanh", "linear"])
    def test_every_border(self, device: RtlDevice, stalling: RtlDevice, mode: str) -> None:
        borders = np.array([b + d for b in BORDERS[mode][0] for d in (-1, 0, 1)]) / 4096
        x = np.concatenate([borders, -borders, [0, -0.0, 7.9999, 8, -8, np.inf, -np.inf, 1e30]])[None, :]
        answer = ask(device, "quantise", {"x": x}, scale=1.0, mode=mode)
        assert answer.values["nits"].dtype == np.int8
        np.testing.assert_array_equal(answer.values["nits"], expected_nits(x, 1.0, mode))
        assert answer.path == f"verilator {find_tools().verilator_version}"
        assert answer.metrics["cycles"] >= 1
        assert answer.metrics["seconds"] > 0
        slow = ask(stalling, "quantise", {"x": x}, scale=1.0, mode=mode)
        np.testing.assert_array_equal(slow.values["nits"], answer.values["nits"])

    @pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "complex64", "complex128"])
    def test_shapes_and_types(self, device: RtlDevice, dtype: str) -> None:
        x = np.random.default_rng(5).normal(0, 0.3, (2, 3, 37)).astype(dtype)
        answer = ask(device, "quantise", {"x": x}, scale=4.0, mode="linear")
        np.testing.assert_array_equal(answer.values["nits"], expected_nits(x, 4.0, "linear"))

    def test_overflow_of_the_product_saturates(self, device: RtlDevice) -> None:
        x = np.array([[1e300, -3e38, 1e-45, -1e-45]])
        answer = ask(device, "quantise", {"x": x}, scale=3e38, mode="linear")
        np.testing.assert_array_equal(answer.values["nits"], [[4, -4, 0, 0]])

    def test_nothing(self, device: RtlDevice) -> None:
        answer = ask(device, "quantise", {"x": np.zeros((0, 5), np.float32)}, scale=1.0)
        assert answer.values["nits"].shape == (0, 5)


class TestSimilarity:
    @pytest.mark.parametrize(("queries", "rows", "dimensions"), [(3, 50, 64), (2, 5, 37), (1, 1, 1), (0, 3, 5)])
    def test_scores(self, device: RtlDevice, stalling: RtlDevice, queries: int, rows: int, dimensions: int) -> None:
        rng = np.random.default_rng(rows)
        q, c = (rng.integers(-4, 5, (n, dimensions)).astype(np.int8) for n in (queries, rows))
        for each in (device, stalling, device):
            answer = ask(each, "similarity", {"q": q, "c": c})
            assert answer.values["scores"].dtype == np.int32
            np.testing.assert_array_equal(answer.values["scores"], q.astype(int) @ c.T.astype(int))

    def test_extremes_and_pages(self, device: RtlDevice) -> None:
        c = np.full((DEPTH + 2, 64), 4, np.int8)
        c[-1] = -4
        answer = ask(device, "similarity", {"q": c[:1], "c": c})
        np.testing.assert_array_equal(answer.values["scores"], [[1024] * (DEPTH + 1) + [-1024]])

    def test_normalised(self, device: RtlDevice) -> None:
        c = np.array([[0, 0, 0], [1, 0, 0], [4, 4, 4], [-3, 2, 1]], np.int8)
        answer = ask(device, "similarity", {"q": np.array([[1, -2, 3]], np.int8), "c": c}, normalised=True)
        # 2**16 / |c| in integers is 0, 65536, 9459 (9459.30) and 17515 (17515.23); scores are 0, 1, 8 and -4.
        np.testing.assert_array_equal(answer.values["scores"], [[0, 65536 >> 8, 8 * 9459 >> 8, -4 * 17515 >> 8]])
        assert "normalised on the host" in answer.path


class TestTopk:
    def test_int32(self, device: RtlDevice, stalling: RtlDevice) -> None:
        scores = np.random.default_rng(1).integers(-50, 50, (7, 120)).astype(np.int32)
        scores[0, 5], scores[1, 7], scores[2] = 2**31 - 1, INT32_MIN, 3
        ids = np.arange(120)[::-1].copy() * 1000
        for each, k in [(device, 1), (device, 10), (stalling, 10), (device, 16)]:
            answer = ask(each, "topk", {"scores": scores, "ids": ids}, k=k)
            positions, best = expected_best(scores, k)
            np.testing.assert_array_equal(answer.values["ids"], ids[positions])
            np.testing.assert_array_equal(answer.values["scores"], best)

    @pytest.mark.parametrize("n", [1, 9, 10, 15, 16, 17])
    def test_fewer_than_k(self, device: RtlDevice, n: int) -> None:
        scores = np.full((3, n), INT32_MIN, np.int32)
        scores[1] = np.arange(n)
        answer = ask(device, "topk", {"scores": scores}, k=10)
        ids, best = expected_best(scores, 10)
        np.testing.assert_array_equal(answer.values["ids"], ids)
        np.testing.assert_array_equal(answer.values["scores"], best)
        assert answer.values["count"].tolist() == [min(n, 10)] * 3

    def test_float32(self, device: RtlDevice) -> None:
        scores = np.array([[-0.0, 0.0, np.inf, -1.5, -np.inf, 1e-45, -1e-45, 1.5]], np.float32)
        answer = ask(device, "topk", {"scores": scores}, k=9)
        assert answer.values["ids"].tolist() == [[2, 7, 5, 0, 1, 6, 3, 4, -1]]
        best = answer.values["scores"]
        assert best.dtype == np.float32
        # Scores come back as they came: -0 stays -0.
        assert best.view(np.int32).tolist() == [[*scores[0, [2, 7, 5, 0, 1, 6, 3, 4]].view(np.int32), -0x800000]]

    @pytest.mark.parametrize("shape", [(0, 4), (4, 0)])
    def test_nothing(self, device: RtlDevice, shape: tuple[int, int]) -> None:
        answer = ask(device, "topk", {"scores": np.zeros(shape, np.int32)}, k=3)
        assert answer.values["ids"].tolist() == [[-1] * 3] * shape[0]
        assert answer.values["count"].tolist() == [0] * shape[0]


class TestMine:
    @pytest.mark.parametrize(("rows", "dimensions", "k"), [(100, 64, 10), (40, 33, 16), (5, 1, 10), (1, 2, 1)])
    def test_small(self, device: RtlDevice, stalling: RtlDevice, rows: int, dimensions: int, k: int) -> None:
        nits, q = nits_and_queries(rows, rows, 4, dimensions)
        held = database(nits)
        first = mined(device, q, nits, k, held)
        again = mined(device, q, nits, k, held)
        assert again.metrics["cycles"] < first.metrics["cycles"], "the database was loaded again"
        mined(stalling, q, nits, k, held)
        device.unload(held.digest)
        mined(device, q[:1], nits, k, held)

    def test_no_query(self, device: RtlDevice) -> None:
        nits, q = nits_and_queries(0, 3, 0, 4)
        assert mined(device, q, nits, 2).values["ids"].shape == (0, 2)

    def test_two_databases_in_turn(self, device: RtlDevice) -> None:
        nits, q = nits_and_queries(1, 30, 2, 8)
        other = -nits[:20]
        pair = [(nits, database(nits)), (other, database(other))]
        for each, held in pair * 2:
            mined(device, q, each, 3, held)

    def test_ties_across_pages(self, device: RtlDevice) -> None:
        nits = np.ones((2 * DEPTH + 100, 3), np.int8)
        nits[DEPTH - 1 : DEPTH + 1] = 4
        nits[-1] = 4
        q = np.ones((2, 3), np.float32)
        q[1] = -1
        for _ in range(2):
            mined(device, q, nits, 16)


FAULTS = [
    ("quantise", "threshold off by one", r"16'h0203", "16'h0204"),
    ("mine", "comparison flipped", r"(\{ kept_valid, [^}]*\}) - (\{[^}]*\})", r"\2 - \1"),
    ("topk", "later of equals first", r"(\{ (?:kept|turn)_valid, [^}]*\}) - (\{[^}]*\})", r"\1 - \2 - 1'h1"),
    ("similarity", "sum without a carry", r"\$signed\(thrice_high\) \+ \$signed\(low_sum\)", "thrice_high ^ low_sum"),
    ("similarity", "last vector not scored", r"(vector\S* ) ?== (\S*last_id\S*)", r"\1 + 1 == \2"),
    ("candidates", "tables filled in another order", r"\[1:0\] == 1'h1", "[1:0] == 2'h2"),
]


def planted(operator: str, pattern: str, replacement: str) -> Callable[[str], str]:
    def transform(verilog: str) -> str:
        if operator == "candidates" and "tables_0" not in verilog:
            return verilog
        changed, count = re.subn(pattern, replacement, verilog)
        assert count, f"no {pattern} in the Verilog"
        return changed

    return transform


@pytest.mark.parametrize(("operator", "name", "pattern", "replacement"), FAULTS, ids=[f[1] for f in FAULTS])
def test_a_planted_fault_is_seen(operator: str, name: str, pattern: str, replacement: str) -> None:
    nits, q = nits_and_queries(2, 60, 8, 64)
    nits[30:] = nits[:30]  # ties
    q[:, ::5] = 515 / 4096
    query_nits = expected_nits(q, 1.0, "tanh").astype(np.int8)
    scores = (query_nits.astype(np.int32) @ nits.T.astype(np.int32)).astype(np.int32)
    coarse = expected_coarse(query_nits, nits)
    faulty = Rtl(transform=planted(operator, pattern, replacement)).open()

    def compare() -> None:
        if operator == "mine":
            mined(faulty, q, nits, 10)
            return
        arguments, options, expected = {
            "quantise": ({"x": q}, {"scale": 1.0}, query_nits),
            "similarity": ({"q": query_nits, "c": nits}, {}, scores),
            "topk": ({"scores": scores}, {"k": 10}, expected_best(scores, 10)[0]),
            "candidates": ({"q": q, "database": database(nits)}, {"keep": 10}, expected_best(coarse, 10)[0]),
        }[operator]
        first = next(iter(ask(faulty, operator, arguments, **options).values.values()))
        np.testing.assert_array_equal(first, expected)

    with pytest.raises((AssertionError, DeviceError), match=r"not equal|last =|hung"):
        compare()
    faulty.close()
