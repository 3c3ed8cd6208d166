"""OpenVINO graphs that several backends run: products, search, stored graphs, the sentence model on any device."""

import gc
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from ninefold.host.embedding import Embedder, find_model
from ninefold.host.embedding.graph import compiled
from ninefold.host.embedding.sequences import embed
from ninefold.host.openvino_runtime import Product, Target, new_core, one_line, search
from ninefold.host.openvino_runtime.store import stored
from ninefold.numerics.nits import pack
from ninefold.spec.errors import DeviceError
from ninefold.spec.operators import OPERATORS


def random_nits(seed: int, *shape: int) -> npt.NDArray[np.int8]:
    return np.random.default_rng(seed).integers(-4, 5, shape, dtype=np.int8)


def failing(*_: Any, **__: Any) -> Any:
    raise RuntimeError("it broke")


def test_search_takes_rows_that_are_gone_from_memory() -> None:
    rows, q = random_nits(15, 600, 37), random_nits(16, 70, 37)
    target = Target()
    products = [(first, Product(target, pack(rows[first : first + 250]))) for first in range(0, 600, 250)]
    ids, scores = search(q, products, 20)
    wanted = q.astype(np.int64) @ rows.T.astype(np.int64)
    order = np.argsort(-wanted, axis=1, kind="stable")[:, :20]
    np.testing.assert_array_equal(ids, order)
    np.testing.assert_array_equal(scores, np.take_along_axis(wanted, order, axis=1))


def test_a_stored_graph_is_loaded_again_unless_it_is_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NINEFOLD_CACHE", str(tmp_path))
    target = Target()
    core = new_core()
    made: list[int] = []

    def make() -> Any:
        made.append(len(made))
        x = target.op.parameter([3], np.float32)
        return core.compile_model(target.openvino.Model([target.op.add(x, x)], [x], "double"), "CPU", {})

    def doubled(version: str = "a") -> list[float]:
        found = stored(core, "CPU", {}, [version], make)([np.arange(3, dtype=np.float32)])[0]
        return [float(value) for value in found]

    assert doubled() == doubled() == [0, 2, 4]
    assert made == [0]
    assert doubled("b") == [0, 2, 4]
    assert made == [0, 1]
    (blob,) = (path for path in (tmp_path / "openvino").glob("*/graph") if path.stat().st_mtime_ns == newest(tmp_path))
    content = blob.read_bytes()
    blob.write_bytes(content[: len(content) // 2])
    assert doubled("b") == [0, 2, 4]
    assert made == [0, 1, 2]
    (blob.parent / "graph.sha256").unlink()
    assert doubled("b") == [0, 2, 4]
    assert made == [0, 1, 2, 3]
    assert doubled("b") == [0, 2, 4]
    assert made == [0, 1, 2, 3]
    refused = SimpleNamespace(
        get_versions=core.get_versions, get_property=core.get_property, import_model=lambda *_: failing()
    )
    stored(refused, "CPU", {}, ["b"], make)
    assert made == [0, 1, 2, 3, 4]


def test_a_graph_that_cannot_be_kept_is_compiled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("NINEFOLD_CACHE", str(tmp_path / "file"))
    target = Target()
    x = target.op.parameter([3], np.float32)
    core = new_core()
    model = target.openvino.Model([target.op.add(x, x)], [x], "double")
    graph = stored(core, "CPU", {}, ["c"], lambda: core.compile_model(model, "CPU", {}))
    assert graph([np.arange(3, dtype=np.float32)])[0].tolist() == [0, 2, 4]
    assert [record.message for record in caplog.records] == ["a compiled graph was not saved"]


def test_a_loaded_graph_and_a_compiled_one_give_the_same_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, found = find_model(), []
    monkeypatch.setenv("NINEFOLD_CACHE", str(tmp_path / "cache"))
    texts = ["bees", "the roof leaks " * 30, "dough"]
    for _ in range(2):  # compiled and kept, then loaded
        compiled.cache_clear()
        found.append(Embedder(model).embed(texts))
        gc.collect()
    assert len(list((tmp_path / "cache" / "openvino").glob("*/graph"))) == 1
    assert np.array_equal(*found)
    compiled.cache_clear()
    assert np.array_equal(Embedder(model, threads=2).embed(texts), found[0])
    assert len(list((tmp_path / "cache" / "openvino").glob("*/graph"))) == 1


def newest(folder: Path) -> int:
    return max(path.stat().st_mtime_ns for path in (folder / "openvino").glob("*/graph"))


def test_embedding_with_fixed_shapes_gives_the_same_vectors() -> None:
    rng = np.random.default_rng(10)
    lengths = np.array([1, 5, 31, 32, 33, 90, *rng.integers(1, 20, 40)])
    tokens = rng.integers(1000, 20000, (len(lengths), 90))
    mask = (np.arange(90) < lengths[:, None]).astype(np.int64)
    call = OPERATORS["embed"].bind({"tokens": tokens * mask, "mask": mask})
    want, got = embed(call), embed(call, fixed=True)
    np.testing.assert_allclose(got.values["vectors"], want.values["vectors"], atol=1e-6)
    assert set(got.metrics) == {"seconds", "build_seconds"}


def test_failures_become_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "Exception from src/a.cpp:1:\nCheck 'x' failed at src/b.cpp:2:\n[GPU] out of memory\n\n"
    assert one_line(RuntimeError(text)) == "[GPU] out of memory"
    assert one_line(RuntimeError("")) == "RuntimeError"
    target = Target("TPU")
    with pytest.raises(DeviceError, match=r"^openvino:TPU failed to compile a graph: Device with \"TPU\" name[^\n]*$"):
        Product(target, np.zeros((1, 1), np.uint8))
    compiled.cache_clear()
    call = OPERATORS["embed"].bind({"tokens": np.ones((1, 1), np.int64), "mask": np.ones((1, 1), np.int64)})
    with pytest.raises(DeviceError, match=r"^openvino:TPU did not compile the sentence model: [^\n]*$"):
        embed(call, "TPU")
