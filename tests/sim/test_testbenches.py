import json
from pathlib import Path

import pytest
from amaranth.hdl import Mux, Value

from ninefold.hdl.catalogue import make_core
from ninefold.hdl.cores import similarity as engine
from ninefold.hdl.elaborate import verilog
from ninefold.hdl.parts.dot import trit_pair
from ninefold.sim.simulation import repeat_command, simulate
from ninefold.sim.simulators import Outcome, find_simulator
from ninefold.sim.testbench.fields import VARIABLE
from tests.sim.planted import FAULTS, wrapped

TOPK = {"k": 4, "score_width": 8, "id_width": 5, "signed": True}
QUANTISER = {"mode": "tanh", "lanes": 3}
SIMILARITY = {"dimensions": 12, "lanes": 4, "depth": 9}
PIPELINE = {"mode": "tanh", "dimensions": 8, "lanes": 4, "depth": 7, "k": 3}
QUEUE = {"width": 5, "depth": 4}
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
PARAMETERS: dict[str, dict[str, object]] = {
    "topk": TOPK,
    "quantiser": QUANTISER,
    "similarity": SIMILARITY,
    "pipeline": PIPELINE,
    "queue": QUEUE,
    "frame_sender": {},
}

CONFIGURATIONS = [
    *PARAMETERS.items(),
    ("topk", {"k": 1, "score_width": 3, "id_width": 1, "signed": False}),
    ("topk", {"k": 7, "score_width": 16, "id_width": 10, "signed": False}),
    ("topk", {"k": 64, "score_width": 6, "id_width": 8, "signed": True}),
    ("quantiser", {"mode": "linear", "lanes": 1}),
    ("similarity", {"dimensions": 6, "lanes": 6, "depth": 4}),
    ("similarity", {"dimensions": 2, "lanes": 1, "depth": 1}),
    ("pipeline", {"mode": "linear", "dimensions": 3, "lanes": 3, "depth": 16, "k": 5}),
    ("insertion", {"k": 3, "score_width": 8, "id_width": 5}),
    ("cobs_encoder", {}),
    ("cobs_decoder", {}),
    ("frame_receiver", {"capacity": 64, "frames": 2}),
    ("uart_transmitter", {"divisor": 5}),
    ("uart_receiver", {"divisor": 4}),
    ("miner", MINER),
]
FEWER = ("directed", "each_bit_counts", "sizes_crossed_with_back_pressure", "latency")
SIMULATORS = ["verilator", pytest.param("icarus", marks=pytest.mark.icarus)]
#: Input and output that the wrapper spoils, and the test that watches the rate of that input.
STREAMS = {
    "topk": ("scores", "results"),
    "quantiser": ("values", "nits"),
    "similarity": ("load", "scores"),
    "pipeline": ("values", "results"),
    "queue": ("input", "output"),
    "frame_sender": ("frames", "output"),
}
#: Tests that see a fault, other than the crossing of sizes with back-pressure.
SEEN_BY = {
    ("topk", "input stalls"): "input_never_stalls",
    ("quantiser", "input stalls"): "every_grid_value",
    ("similarity", "input stalls"): "no_bubbles",
    ("topk", "reset ignored"): "reset_in_mid_batch",
    ("quantiser", "reset ignored"): "reset_in_mid_stream",
    ("similarity", "reset ignored"): "reset_in_mid_run",
    ("pipeline", "reset ignored"): "reset_in_mid_run",
    ("queue", "input stalls"): "latency",
    ("queue", "reset ignored"): "reset_in_mid_stream",
    ("frame_sender", "input stalls"): "latency",
    ("frame_sender", "reset ignored"): "reset_in_mid_frame",
    **{(core, "one cycle later"): "latency" for core in STREAMS},
}


def name_of(value: object) -> str:
    return "-".join(map(str, value.values())) if isinstance(value, dict) else str(value)


@pytest.mark.parametrize("simulator", SIMULATORS)
@pytest.mark.parametrize(("core", "parameters"), CONFIGURATIONS, ids=name_of)
def test_core_passes_its_testbench(core: str, parameters: dict[str, object], simulator: str, tmp_path: Path) -> None:
    # Icarus takes many minutes for all tests of a large core.
    tests = FEWER if simulator == "icarus" and parameters.get("k") == 64 else ()
    report = simulate(core, parameters, seed=1, simulator=simulator, tests=tests, folder=tmp_path)
    messages = {outcome.name: outcome.message for outcome in report.outcomes if not outcome.passed}
    again = repeat_command(core, parameters, seed=1, simulator=simulator, tests=report.failed)
    assert messages == {}, f"repeat with: {again}; waveform: {report.waveform}"
    assert len(report.outcomes) >= (len(tests) or 3)
    assert list(tmp_path.iterdir()) == [], "a run that passes leaves nothing behind"


def spoilt(core: str, design: str, test: str, plusargs: list[str]) -> Outcome:
    simulator = find_simulator("verilator")
    testbench = f"ninefold.sim.cores.{core}.testbench"
    variables = {VARIABLE: json.dumps(PARAMETERS[core])}
    (outcome,) = simulator.run(
        simulator.build(design), testbench, 1, tests=[test], variables=variables, plusargs=plusargs
    )
    return outcome


@pytest.mark.parametrize("core", STREAMS)
def test_faults_of_streams_are_seen(core: str) -> None:
    design = wrapped(core, PARAMETERS[core], *STREAMS[core])
    passed = spoilt(core, design, "latency", [])
    assert passed.passed, f"the wrapper itself is at fault: {passed.message}"
    missed = []
    for fault, number in FAULTS.items():
        if (core, fault) == ("pipeline", "input stalls"):
            continue  # its input waits anyway
        test = SEEN_BY.get((core, fault), "sizes_crossed_with_back_pressure")
        if spoilt(core, design, test, [f"+fault={number}"]).passed:
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
    outcome = spoilt(core, verilog(make_core(core, **(PARAMETERS[core] | made_with))), test, [])
    assert not outcome.passed
    assert "was due" in outcome.message or "became" in outcome.message


def test_a_wrong_product_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(nit: Value) -> Value:
        return trit_pair(Mux(nit == -4, -3, nit)[:4].as_signed())

    monkeypatch.setattr(engine, "trit_pair", wrong)
    outcome = spoilt("similarity", verilog(make_core("similarity", **SIMILARITY)), "every_product", [])
    assert not outcome.passed
    assert "was due" in outcome.message
