"""Benchmarks of the cores: the textbook's top-k does the same as ours, and what is counted is what was promised."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from ninefold.sim.bench import cores as module
from ninefold.sim.bench.cores import cores
from ninefold.sim.bench.register_array import RegisterArrayTopK
from ninefold.sim.bench.simulation import simulation
from ninefold.sim.golden.topk import topk
from ninefold.sim.verilated import Gaps, Model, elaborate
from ninefold.spec.benchmark import Request
from ninefold.spec.errors import InputError, UnavailableError


@pytest.fixture(scope="module")
def array() -> Model:
    return Model(elaborate(RegisterArrayTopK(4, 8, 6)))


@pytest.mark.parametrize("gaps", [None, Gaps(0.4, 5)], ids=["no gaps", "gaps"])
def test_the_register_array_selects_as_ours_does(array: Model, gaps: Gaps | None) -> None:
    rng = np.random.default_rng(3)
    sizes = [1, 3, 4, 5, 60, 2, 33]
    # Few values, so that many are equal.
    batches = [rng.integers(-3, 4, size) for size in sizes]
    last = np.concatenate([np.arange(size) == size - 1 for size in sizes])
    fields = {
        "score": np.concatenate(batches),
        "id": np.concatenate([np.arange(size) for size in sizes]),
        "last": last.astype(np.int64),
    }
    count = sum(min(4, size) for size in sizes)
    run = array.run({"scores": array.streams["scores"].pack(sum(sizes), fields)}, {"results": count}, 1000, gaps)
    found = array.streams["results"].unpack(run.outputs["results"])
    at = 0
    for batch in batches:
        (ids,), (scores,), (kept,) = topk(batch[None], 4)
        results = slice(at, at := at + int(kept))
        assert found["id"][results].tolist() == ids[:kept].tolist()
        assert found["score"][results].tolist() == scores[:kept].tolist()
        assert found["last"][results].tolist() == [0] * (kept - 1) + [1]


def test_bad_parameters() -> None:
    with pytest.raises(InputError, match="k must be an integer from 1 to 256, not 0"):
        RegisterArrayTopK(0, 8, 6)


def test_the_smallest_bench_of_cores() -> None:
    figures = cores(Request("tiny"))
    exact = {(f.subject, f.quantity): f.value for f in figures if f.case == "cycles"}
    # 17 cycles of latency for k = 8, and seven results behind the first.
    assert exact == {("topk", "a score"): 1, ("topk", "from the last score to the last result"): 24}
    built = [f for f in figures if f.case == "bitstream"]
    assert {f.kind for f in built} == {"exact"}
    assert {"icebreaker/small", "orangecrab/mid"} <= {f.subject for f in built}
    boards = {f.subject: f for f in figures if f.quantity == "queries a second" and f.subject != "cpu"}
    assert "ulx3s/full" in boards
    assert {f.kind for f in boards.values()} == {"projected"}
    # 24 MHz through 12,288 cycles.
    assert boards["icebreaker/small"].value == pytest.approx(24e6 / 12288)


def test_without_the_tools_the_rest_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    def lacks(*_: object, **__: object) -> None:
        raise UnavailableError("no tools", "get them")

    notes: list[str] = []
    monkeypatch.setattr("ninefold.hdl.synthesis.implement", lacks)
    monkeypatch.setattr(module, "_host_rates", lambda *_: [1.0])
    figures = cores(Request("small", note=notes.append))
    assert notes[-1] == "cores: nothing is placed and routed: no tools; get them"
    assert {f.case for f in figures} == {"cycles", "bitstream", "queries"}


def test_what_is_placed_and_routed(monkeypatch: pytest.MonkeyPatch) -> None:
    from ninefold.hdl.reports import Resources
    from ninefold.hdl.synthesis import Flow, Implementation, Placement

    asked: list[Sequence[int]] = []

    def implement(core: object, seeds: Sequence[int]) -> Implementation:
        asked.append(seeds)
        cells = 500 if isinstance(core, RegisterArrayTopK) else 700
        resources = Resources(lut4=cells, trellis_comb=2 * cells, ff=9, block_ram=0, lut_ram=0, dsp=0)
        placements = tuple(Placement(seed, 100.0 + cells / 10 + seed, ()) for seed in seeds)
        return Implementation(resources, placements, Flow(), {})

    monkeypatch.setattr("ninefold.hdl.synthesis.implement", implement)
    found = {(f.subject, f.quantity): f for f in module._implemented(module._DESIGNS[:2], 3, lambda _: None)}
    assert asked == [range(1, 4)] * 2
    ours, theirs = found["topk", "fmax"], found["register array", "fmax"]
    assert (ours.value, ours.target, ours.better, ours.detail) == (173.0, ">= 200", "more", "register array: 153 MHz")
    assert (theirs.target, theirs.better) == ("", "")
    assert found["topk", "LUT4"].met
    assert found["topk", "LUT4"].parameters == {"k": 8, "score_width": 16, "id_width": 10, "seeds": 3}


def test_simulation() -> None:
    figures = simulation(Request("tiny"))
    assert [(f.case, f.quantity) for f in figures] == [
        ("topk", "scores accepted"),
        ("topk", "scores accepted"),
        ("pipeline", "cycles simulated"),
        ("pipeline", "cycles a query"),
    ]
    assert (figures[0].beside, figures[1].subject) == ("bare C++ loop", "bare C++ loop")
    # 100 rows of 384 nits through 32 lanes, and the latency of the pipeline.
    assert 1200 <= figures[3].value <= 1300
