"""Every path of the CPU's search against a plain expectation, bit for bit, ties included; building the kernel."""

import logging
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from ninefold.host.backends.cpu import kernel, mine, paths
from ninefold.host.backends.cpu.engine import Engine
from ninefold.host.backends.cpu.mine import nearest
from ninefold.numerics.nits import pack
from ninefold.numerics.ranked import Ranked
from ninefold.spec.errors import DeviceError, InputError, InterruptError, ToolError, UnavailableError
from ninefold.spec.formats import INT32_MIN, NO_ID

HERE = [path for path in paths.PATHS if path not in ("avx512", "avx2")]
if "avx2" in paths.processor()[1]:
    HERE.insert(0, "avx2")
HERE_COMPILED = [path for path in HERE if path in kernel.KERNEL_PATHS]
#: The real AVX-512 path is tested where it can run, with `pytest -m avx512`; its algorithm everywhere, as "emulated".
ALL = [*HERE, pytest.param("avx512", marks=pytest.mark.avx512)]


def expected(nits: npt.NDArray[np.int8], rows: npt.NDArray[np.int8], k: int) -> Ranked:
    """Return ids and scores by sorting everything."""
    scores = nits.astype(np.int64) @ rows.astype(np.int64).T
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    ids, best = np.full((len(nits), k), NO_ID, np.int64), np.full((len(nits), k), INT32_MIN, np.int32)
    ids[:, : order.shape[1]], best[:, : order.shape[1]] = order, np.take_along_axis(scores, order, 1)
    return ids, best


def assert_finds(engine: Engine, nits: npt.NDArray[np.int8], rows: npt.NDArray[np.int8], k: int) -> None:
    assert_same(nearest(engine, nits, pack(rows), k), expected(nits, rows, k))


def assert_same(found: Ranked, wanted: Ranked) -> None:
    for one, other in zip(found, wanted, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


@pytest.fixture(scope="module", params=ALL)
def engine(request: pytest.FixtureRequest) -> Engine:
    return paths.make(request.param, threads=3)


def draw(rng: np.random.Generator, rows: int, dimensions: int, high: int = 4) -> npt.NDArray[np.int8]:
    return rng.integers(-high, high + 1, (rows, dimensions), dtype=np.int8)


@pytest.mark.parametrize("dimensions", [1, 2, 7, 8, 33, 63, 64, 127, 128, 129, 384, 1025])
def test_shapes_around_every_vector_and_tile(engine: Engine, dimensions: int) -> None:
    rng = np.random.default_rng(dimensions)
    for rows in (1, 7, 16, 65, 1100):
        database = draw(rng, rows, dimensions)
        for queries in (1, 3, 4, 6):
            assert_finds(engine, draw(rng, queries, dimensions), database, 10)


@pytest.mark.parametrize("k", [1, 2, 256])
@pytest.mark.parametrize("queries", [1, 5, 64])
def test_k_and_queries(engine: Engine, k: int, queries: int) -> None:
    rng = np.random.default_rng(k * 100 + queries)
    assert_finds(engine, draw(rng, queries, 24), draw(rng, 700, 24), k)


@pytest.mark.parametrize("sign", [1, -1])
def test_the_largest_magnitudes_at_4096_dimensions(engine: Engine, sign: int) -> None:
    # Every product is 16 or -16: sums of 16 bits would overflow in any order but the one that the paths keep to.
    rows = np.full((70, 4096), 4, np.int8)
    rows[3::2] = -4
    nits = np.full((5, 4096), 4 * sign, np.int8)
    assert_finds(engine, nits, rows, 10)
    ids, scores = nearest(engine, nits[:1], pack(rows), 70)
    assert sorted(ids[0].tolist()) == list(range(70))
    assert set(scores[0].tolist()) == {65536, -65536}


@pytest.mark.parametrize("queries", [1, 4, 9])
def test_ties_everywhere_go_to_the_lowest_rows(engine: Engine, queries: int) -> None:
    # Enough rows that several threads and takes share them; only three different scores occur.
    rng = np.random.default_rng(queries)
    rows = np.repeat(draw(rng, 3, 256), 4000, axis=0)[rng.permutation(12_000)]
    nits = draw(rng, queries, 256)
    for k in (1, 10, 256):
        assert_finds(engine, nits, rows, k)
    ids, _ = nearest(engine, nits, pack(np.zeros_like(rows)), 256)
    np.testing.assert_array_equal(ids, np.broadcast_to(np.arange(256), ids.shape))


@pytest.mark.parametrize("order", [1, -1])
def test_scores_that_rise_or_fall_over_the_rows(engine: Engine, order: int) -> None:
    # Rising scores insert every row in the lists; falling ones none after the first.
    rows = np.repeat(np.arange(-4, 5, dtype=np.int8)[::order], 300)[:, None].repeat(40, axis=1)
    assert_finds(engine, np.full((4, 40), 3, np.int8), rows, 100)


def test_all_scores_negative_and_scores_of_zero(engine: Engine) -> None:
    rows = np.full((50, 12), -2, np.int8)
    rows[20] = 0
    assert_finds(engine, np.full((1, 12), 3, np.int8), rows, 5)
    assert_finds(engine, np.full((4, 12), 3, np.int8), rows[:20], 20)


def test_nothing_to_search_and_nothing_to_find(engine: Engine) -> None:
    nothing = np.zeros((0, 16), np.int8)
    ids, scores = nearest(engine, nothing, pack(np.ones((5, 16), np.int8)), 3)
    assert (ids.shape, scores.shape) == ((0, 3), (0, 3))
    for queries in (1, 4):
        ids, scores = nearest(engine, np.ones((queries, 16), np.int8), np.zeros((0, 8), np.uint8), 3)
        assert (ids == NO_ID).all()
        assert (scores == INT32_MIN).all()


def test_no_byte_outside_the_rows_matters(engine: Engine) -> None:
    rng = np.random.default_rng(5)
    rows, nits = draw(rng, 130, 50), draw(rng, 5, 50)
    around = np.full((2, 140 * 25), 0x77, np.uint8)
    around[:, 125 : 125 + 130 * 25] = pack(rows).ravel()
    inside = around[0, 125 : 125 + 130 * 25].reshape(130, 25)
    for queries in (nits, nits[:1]):
        np.testing.assert_array_equal(nearest(engine, queries, inside, 20)[0], expected(queries, rows, 20)[0])


_GUARDED = """
import ctypes, mmap, sys
import numpy as np
from ninefold.host.backends.cpu import paths
from ninefold.host.backends.cpu.mine import nearest

memory = mmap.mmap(-1, 4 * mmap.PAGESIZE)
every = np.frombuffer(memory, np.uint8)
guard = ctypes.c_void_p(every.ctypes.data + 3 * mmap.PAGESIZE)
if ctypes.CDLL(None, use_errno=True).mprotect(guard, ctypes.c_size_t(mmap.PAGESIZE), 0):
    raise OSError(ctypes.get_errno(), "mprotect")
engine = paths.make(sys.argv[1], 1)
for width in (3, 48, 192):
    packed = every[: 3 * mmap.PAGESIZE].reshape(-1, width)
    for queries in (1, 4):
        ids, _ = nearest(engine, np.ones((queries, 2 * width), np.int8), packed, 5)
        print(ids[:, 0].tolist() == [0] * queries)
"""


def test_no_byte_after_the_last_row_is_read(engine: Engine) -> None:
    # The page after the rows may not be read: one byte too far kills the process.
    done = subprocess.run([sys.executable, "-c", _GUARDED, engine.path], capture_output=True, text=True)
    assert done.returncode == 0, (done.returncode, done.stderr)
    assert done.stdout.split() == ["True"] * 6


def test_many_calls_and_blocks_of_queries_merge(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    if engine.kernel is not None:
        monkeypatch.setattr(engine.kernel, "products", 3 * 90 * 64)
    monkeypatch.setattr(mine, "_QUERIES", 7)
    rng = np.random.default_rng(8)
    assert_finds(engine, draw(rng, 17, 64, 1), draw(rng, 1000, 64, 1), 40)


def test_several_python_threads_search_at_once(engine: Engine) -> None:
    rng = np.random.default_rng(9)
    rows = draw(rng, 3000, 96)
    packed, queries = pack(rows), [draw(rng, 1 + 3 * (i % 2), 96) for i in range(4)]
    asked = queries * 4
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda nits: nearest(engine, nits, packed, 20), asked))
    for nits, hits in zip(asked, found, strict=True):
        assert_same(hits, expected(nits, rows, 20))


def test_openvino_answers_for_each_array_apart_and_lets_it_go() -> None:
    engine = paths.make("openvino", 2)
    rng = np.random.default_rng(10)
    nits = draw(rng, 2, 40)
    for _ in range(3):
        rows = draw(rng, 200, 40)
        packed = pack(rows)
        for _ in range(2):
            np.testing.assert_array_equal(nearest(engine, nits, packed, 5)[0], expected(nits, rows, 5)[0])
        rows[:, -1] = 0  # the same bytes also hold 39 dimensions, padded
        narrow = rows[:, :-1]
        packed = pack(rows)
        assert_same(nearest(engine, nits, packed, 5), expected(nits, rows, 5))
        assert_same(nearest(engine, nits[:, :-1], packed, 5), expected(nits[:, :-1], narrow, 5))
        assert engine.openvino is not None
        assert len(engine.openvino._kept) == 1
        del packed


def test_the_avx512_path_compiles_and_is_refused_where_it_cannot_run() -> None:
    assert kernel.build().is_file()
    if missing := [f for f in ("avx512f", "avx512bw", "avx512_vnni") if f not in paths.processor()[1]]:
        with pytest.raises(UnavailableError, match=f"^the CPU's path avx512 cannot run: .* no {', '.join(missing)}$"):
            paths.make("avx512", 1)


def test_an_unknown_path_is_refused() -> None:
    with pytest.raises(InputError, match=r"^the CPU's path must be one of avx512, avx2, .*, not 'neon'$"):
        paths.make("neon", 1)


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NINEFOLD_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "cpu-kernel"


def script(path: Path, body: str) -> str:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return str(path)


def entries(cache: Path) -> list[str]:
    return [p.name for p in cache.iterdir() if not p.name.endswith(".lock")]


def test_without_a_compiler_other_paths_run_and_say_why(
    empty_cache: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("PATH", str(empty_cache))
    with caplog.at_level(logging.WARNING):
        engine, note = paths.best(1)
    assert engine.path == "openvino"
    assert note == "no kernel: no C++ compiler (c++, g++, clang++) was found"
    assert note.removeprefix("no kernel: ") in caplog.text
    with pytest.raises(UnavailableError, match=r"portable cannot run: no C\+\+ compiler .*; install one"):
        paths.make("portable", 1)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert paths.best(1)[0].path == "numpy"
    with pytest.raises(UnavailableError, match="openvino is not installed; pip install 'ninefold\\[embed\\]'"):
        paths.make("openvino", 1)


def test_cxx_that_is_not_there_is_named(empty_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(UnavailableError, match=r"^\$CXX is no-such-compiler, which was not found; install one"):
        kernel.build()


def test_a_compiler_that_fails_is_shown_and_leaves_nothing(
    empty_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    broken = script(tmp_path / "broken", '[ "$1" = --version ] && exit 0; echo "internal compiler error" >&2; exit 4')
    monkeypatch.setenv("CXX", broken)
    with pytest.raises(ToolError, match="exited 4:\ninternal compiler error"):
        kernel.build()
    assert entries(empty_cache) == []
    with caplog.at_level(logging.WARNING):
        engine, note = paths.best(1)
    assert engine.path == "openvino"
    assert "internal compiler error" in note
    assert "internal compiler error" in caplog.text


def test_the_library_is_compiled_once_for_each_compiler(
    empty_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "log"
    body = f'exit 0; echo run >>{log}; while [ "$1" != -o ]; do shift; done; : >$2'
    monkeypatch.setenv("CXX", script(tmp_path / "fake", f'[ "$1" = --version ] && echo 9.1 && {body}'))
    first = kernel.build()
    assert kernel.build() == first
    assert log.read_text() == "run\n"
    script(tmp_path / "fake", f'[ "$1" = --version ] && echo 10.1 && {body}')
    assert kernel.build() != first
    assert log.read_text() == "run\nrun\n"


def test_an_interrupted_compile_leaves_nothing_that_is_used(
    empty_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The compiler writes half a library, then its parent is killed outright.
    body = '[ "$1" = --version ] && exit 0; while [ "$1" != -o ]; do shift; done; echo half >$2; kill -9 $PPID'
    monkeypatch.setenv("CXX", script(tmp_path / "fake", body))
    code = "from ninefold.host.backends.cpu import kernel; kernel.build()"
    done = subprocess.run([sys.executable, "-c", code], env=os.environ)
    assert done.returncode == -9
    assert all(name.startswith(".") for name in entries(empty_cache))
    whole = '[ "$1" = --version ] && exit 0; while [ "$1" != -o ]; do shift; done; echo whole >$2'
    script(tmp_path / "fake", whole)
    assert kernel.build().read_text() == "whole\n"
    assert len(entries(empty_cache)) == 1


def test_threads_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3,2")
    assert paths.default_threads() == 3
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert paths.default_threads() == len(os.sched_getaffinity(0))
    monkeypatch.setenv("OMP_NUM_THREADS", "many")
    with pytest.raises(InputError, match=r"^OMP_NUM_THREADS must be a number of at least 1, not 'many'$"):
        paths.default_threads()


def test_a_kept_library_needs_no_compiler(empty_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    body = '[ "$1" = --version ] && exit 0; while [ "$1" != -o ]; do shift; done; echo whole >$2'
    monkeypatch.setenv("CXX", script(tmp_path / "fake", body))
    assert kernel.kept() is None
    made = kernel.build()
    monkeypatch.setenv("CXX", "false")
    assert kernel.build().samefile(made)
    assert paths.why_not("portable") is None
    monkeypatch.delenv("CXX")
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    assert kernel.build().samefile(made)
    shutil.rmtree(made.parent)
    with pytest.raises(UnavailableError, match="no C"):
        kernel.build()


@pytest.mark.parametrize("named", ["true", "false"])
def test_a_compiler_that_is_none_is_named(empty_cache: Path, named: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", named)
    for _ in range(2):  # nothing is left that the second time would take for a library
        with pytest.raises(UnavailableError, match=f"^CXX is set to '{named}', which is not a working C"):
            kernel.build()
    engine, note = paths.best(1)
    assert engine.path == "openvino"
    assert f"CXX is set to '{named}', which is not a working C++ compiler" in note


def test_an_interrupt_of_the_compiler_is_no_failure_of_it(
    empty_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = '[ "$1" = --version ] && exit 0; while [ "$1" != -o ]; do shift; done; echo half >$2; kill -INT $$'
    monkeypatch.setenv("CXX", script(tmp_path / "fake", body))
    with pytest.raises(InterruptError):
        paths.best(1)
    assert entries(empty_cache) == []


def test_the_reason_of_a_cache_that_cannot_be_written_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    cache = tmp_path / "file" / ("a long name of a folder " * 8) / "cache"
    monkeypatch.setenv("NINEFOLD_CACHE", str(cache))
    _, note = paths.best(1)
    assert note.endswith(
        f"the cache folder {cache / 'cpu-kernel'} cannot be written (Not a directory); "
        "set NINEFOLD_CACHE or --cache-dir to another folder"
    )


_TWICE = """
#include "kernel.h"

#ifdef NINEFOLD_PATH
NINEFOLD_ON_PATH(void, double_all, (const std::int32_t* in, std::int64_t count, std::int32_t* out)) {
    for (std::int64_t i = 0; i < count; i++) out[i] = 2 * in[i];
}
#else
NINEFOLD_PATHS(void, double_all, (const std::int32_t* in, std::int64_t count, std::int32_t* out));

NINEFOLD_INTERFACE(twice)(std::int64_t path, std::int64_t threads, const std::int32_t* in, std::int64_t count,
                          double least, std::int32_t* out) {
    if (count < least) return ninefold::kOutOfMemory;
    ninefold::share(count, 7, threads, [&](int, std::int64_t begin, std::int64_t end) {
        ninefold::double_all_paths[path](in + begin, end - begin, out + begin);
    });
    return 0;
}
#endif
"""


@pytest.mark.parametrize("path", HERE_COMPILED)
def test_a_file_beside_an_operators_module_is_all_that_its_code_needs(
    empty_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    folder = tmp_path / "package"
    folder.mkdir()
    for name in ("kernel.h", "threads.cpp", *(f"path_{path}.h" for path in kernel.KERNEL_PATHS)):
        shutil.copy(Path(kernel.__file__).parent / name, folder / name)
    (folder / "twice.cpp").write_text(_TWICE)
    (folder / "twice.py").write_text("")
    monkeypatch.setattr(kernel.resources, "files", lambda _: folder)
    kernel._sources.cache_clear()
    try:
        code = kernel.Kernel(path, threads=3)
    finally:
        kernel._sources.cache_clear()
    numbers, out = np.arange(100, dtype=np.int32), np.zeros(100, np.int32)
    code("twice", numbers, len(numbers), 1.5, out)
    np.testing.assert_array_equal(out, 2 * numbers)
    with pytest.raises(DeviceError, match=f"^the kernel's {path} path has no memory for this call of twice$"):
        code("twice", numbers, 1, 1.5, out)
    with pytest.raises(ValueError, match=r"^an array of shape \(50,\) for the kernel must be C-contiguous$"):
        code("twice", numbers[::2], 50, 1.5, out)
