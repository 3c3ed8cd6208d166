import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from amaranth.hdl import Mux, Value

from ninefold.hdl.catalogue import find_core, make_core, own_names
from ninefold.hdl.cores import similarity as engine
from ninefold.hdl.elaborate import verilog
from ninefold.hdl.parts.dot import trit_pair
from ninefold.sim.cores import has_part, part_of
from ninefold.sim.faults import StreamFaults
from ninefold.sim.simulation import repeat_command, simulate
from ninefold.sim.simulators import Outcome, find_simulator
from ninefold.sim.testbench.fields import VARIABLE
from ninefold.sim.testbench.tests import named_tests
from tests.sim.stream_faults import FAULTS, wrapped

#: Streams that a wrapper spoils, of each core that has them.
STREAMS: dict[str, StreamFaults] = {
    core: part_of(core, "faults").STREAM_FAULTS
    for core in own_names()
    if has_part(core, "faults") and hasattr(part_of(core, "faults"), "STREAM_FAULTS")
}
MINER = {
    "dimensions": 8,
    "lanes": 4,
    "depth": 5,
    "k": 3,
    "mode": "tanh",
    "window": 4,
    "buffer_bytes": 128,
    "reply_bytes": 256,
    "clock_hz": 100_000_000,
    "count_from": -100,
}
SIGN_MINER = {
    "dimensions": 16,
    "lanes": 4,
    "depth": 9,
    "keep": 3,
    "mode": "tanh",
    "window": 4,
    "buffer_bytes": 128,
    "reply_bytes": 256,
    "clock_hz": 24_000_000,
    "count_from": -100,
}
#: More parameters of some cores than the smallest.
MORE: list[tuple[str, Mapping[str, Any]]] = [
    *((core, streams.parameters) for core, streams in STREAMS.items()),
    ("topk", {"k": 1, "score_width": 3, "id_width": 1, "signed": False}),
    ("topk", {"k": 7, "score_width": 16, "id_width": 10, "signed": False}),
    ("topk", {"k": 64, "score_width": 6, "id_width": 8, "signed": True}),
    ("quantiser", {"mode": "linear", "lanes": 1}),
    ("similarity", {"dimensions": 6, "lanes": 6, "depth": 4}),
    ("similarity", {"dimensions": 2, "lanes": 1, "depth": 1}),
    ("sign_engine", {"dimensions": 12, "lanes": 4, "depth": 5, "width": 2, "passes": 2, "registered": False}),
    ("sign_engine", {"dimensions": 4, "lanes": 4, "depth": 1, "width": 1}),
    ("pipeline", {"mode": "linear", "dimensions": 3, "lanes": 3, "depth": 16, "k": 5}),
    ("insertion", {"k": 3, "score_width": 8, "id_width": 5}),
    ("threshold_select", {"dimensions": 1, "keep": 3, "rows": 1, "depth": 5}),
    ("threshold_select", {"dimensions": 2, "keep": 4, "rows": 2, "depth": 7}),
    ("threshold_select", {"dimensions": 5, "keep": 12, "rows": 4, "depth": 30}),
    ("uart_receiver", {"divisor": 4}),
    ("miner", MINER),
    # Selection by insertion, by the array of top-k, and by two scans.
    ("sign_miner", SIGN_MINER),
    ("sign_miner", SIGN_MINER | {"dimensions": 8, "lanes": 8, "mode": "linear", "clock_hz": 100_000_000}),
    ("sign_miner", find_core("sign_miner").core.mutated),
]
CONFIGURATIONS = [
    *MORE,
    *((core, find_core(core).core.mutated) for core in own_names() if core not in {name for name, _ in MORE}),
]
FEWER = ("directed", "each_bit_counts", "sizes_crossed_with_back_pressure", "latency")
SIMULATORS = ["verilator", pytest.param("icarus", marks=pytest.mark.icarus)]


def name_of(value: object) -> str:
    return "-".join(map(str, value.values())) if isinstance(value, Mapping) else str(value)


@pytest.mark.parametrize("simulator", SIMULATORS)
@pytest.mark.parametrize(("core", "parameters"), CONFIGURATIONS, ids=name_of)
def test_core_passes_its_testbench(core: str, parameters: Mapping[str, Any], simulator: str, tmp_path: Path) -> None:
    # Icarus takes many minutes for all tests of a large core.
    tests = FEWER if simulator == "icarus" and parameters.get("k") == 64 else ()
    report = simulate(core, parameters, seed=1, simulator=simulator, tests=tests, folder=tmp_path)
    messages = {outcome.name: outcome.message for outcome in report.outcomes if not outcome.passed}
    again = repeat_command(core, parameters, seed=1, simulator=simulator, tests=report.failed)
    assert messages == {}, f"repeat with: {again}; waveform: {report.waveform}"
    assert len(report.outcomes) >= (len(tests) or 3)
    assert list(tmp_path.iterdir()) == [], "a run that passes leaves nothing behind"


def test_tests_of_a_testbench_are_its_own_and_those_it_imports_from_another() -> None:
    miner, signs = (f"ninefold.sim.cores.{core}.testbench" for core in ("miner", "sign_miner"))
    found = named_tests(signs)
    assert (found["latency"], found["masks"]) == (miner, signs)
    assert set(found.values()) == {miner, signs}
    assert set(named_tests(miner).values()) == {miner}
    assert named_tests("ninefold.sim.cores.sign_miner.requests") == {}


def spoilt(core: str, design: str, test: str, plusargs: list[str]) -> Outcome:
    simulator = find_simulator("verilator")
    testbench = f"ninefold.sim.cores.{core}.testbench"
    variables = {VARIABLE: json.dumps(dict(STREAMS[core].parameters))}
    (outcome,) = simulator.run(
        simulator.build(design), testbench, 1, tests=[test], variables=variables, plusargs=plusargs
    )
    return outcome


@pytest.mark.parametrize("core", STREAMS)
def test_faults_of_streams_are_seen(core: str) -> None:
    streams = STREAMS[core]
    design = wrapped(core, streams.parameters, streams.source, streams.sink)
    passed = spoilt(core, design, "latency", [])
    assert passed.passed, f"the wrapper itself is at fault: {passed.message}"
    others = {"one cycle later": "latency"}
    assert {*streams.seen_by, *streams.without} <= set(FAULTS)
    missed = []
    for fault in FAULTS.keys() - streams.without.keys():
        test = streams.seen_by.get(fault, others.get(fault, "sizes_crossed_with_back_pressure"))
        if spoilt(core, design, test, [f"+fault={FAULTS[fault]}"]).passed:
            missed.append(fault)
    assert missed == []


@pytest.mark.parametrize(
    ("core", "made_with", "test"),
    [
        ("topk", {"signed": False}, "orders"),
        ("topk", {"k": 5}, "directed"),
        ("quantiser", {"mode": "linear"}, "directed"),
        ("similarity", {"depth": 10}, "words_past_the_store_have_no_effect"),
    ],
)
def test_a_core_made_with_another_parameter_is_seen(core: str, made_with: dict[str, object], test: str) -> None:
    outcome = spoilt(core, verilog(make_core(core, **{**STREAMS[core].parameters, **made_with})), test, [])
    assert not outcome.passed
    assert "was due" in outcome.message or "became" in outcome.message


def test_a_wrong_product_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(nit: Value) -> Value:
        return trit_pair(Mux(nit == -4, -3, nit)[:4].as_signed())

    monkeypatch.setattr(engine, "trit_pair", wrong)
    outcome = spoilt(
        "similarity", verilog(make_core("similarity", **STREAMS["similarity"].parameters)), "every_product", []
    )
    assert not outcome.passed
    assert "was due" in outcome.message
