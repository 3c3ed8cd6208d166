"""Reports of nextpnr and Yosys: what is sound, what is refused, and the names of clocks."""

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ninefold.hdl import reports
from ninefold.hdl.boards import BOARDS
from ninefold.hdl.reports import ReportError
from ninefold.spec.manifest import manifests
from tests.hdl.test_synthesis import REPORT, hop

Report = dict[str, Any]
GOOD: Report = {
    **REPORT,
    "fmax": {
        "$glbnet$clk": {"achieved": 130.5, "constraint": 125},
        "$glbnet$enable.pll_clk": {"achieved": 900, "constraint": 125},
    },
}
EXPECTED = ("clk", "enable.pll_clk")


def load(tmp_path: Path, report: Any) -> Report:
    path = tmp_path / "report.json"
    path.write_text(report if isinstance(report, str) else json.dumps(report))
    return reports.load(path, EXPECTED)


def put(path: str, value: Any) -> Callable[[Report], None]:
    """Return what puts a value at a path of keys."""

    def change(report: Report) -> None:
        *above, last = [int(key) if key.isdigit() else key for key in path.split("/")]
        for key in above:
            report = report[key]  # type: ignore[index]
        if value is ...:
            del report[last]  # type: ignore[arg-type]
        else:
            report[last] = value  # type: ignore[index]

    return change


PATHS, CLOCK = "critical_paths of nextpnr's report.json", "the clock clk in nextpnr's report.json"
HOP = "path[1] of critical_paths[1] of nextpnr's report.json"
TAIL = "utilization.TRELLIS_COMB of nextpnr's report.json"


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("fmax", ..., "nextpnr's report.json has no fmax"),
        ("fmax", {}, "fmax of nextpnr's report.json must contain the clocks of the design, but is empty"),
        ("fmax", [], "fmax of nextpnr's report.json must be an object, not []"),
        (
            "fmax",
            {"$glbnet$enable.pll_clk": {"achieved": 900}},
            "nextpnr's report.json gives no frequency for the clock clk; it names enable.pll_clk",
        ),
        (
            "fmax",
            {"clk$TRELLIS_IO_IN": {"achieved": 900}, "other": {"achieved": 1}},
            "nextpnr's report.json gives no frequency for the clock enable.pll_clk; it names clk, other",
        ),
        (
            "fmax",
            {"$PACKER_GND": {"achieved": 900}},
            "nextpnr's report.json gives no frequency for the clock clk, enable.pll_clk; it names $PACKER_GND",
        ),
        ("fmax/$glbnet$clk", None, f"{CLOCK} must be an object, not None"),
        ("fmax/$glbnet$clk/achieved", ..., f"{CLOCK} has no achieved"),
        ("fmax/$glbnet$clk/achieved", float("nan"), f"achieved of {CLOCK} must be a number, not nan"),
        ("fmax/$glbnet$clk/achieved", float("inf"), f"achieved of {CLOCK} must be a number, not inf"),
        ("fmax/$glbnet$clk/achieved", None, f"achieved of {CLOCK} must be a number, not None"),
        ("fmax/$glbnet$clk/achieved", "130", f"achieved of {CLOCK} must be a number, not '130'"),
        ("fmax/$glbnet$clk/achieved", True, f"achieved of {CLOCK} must be a number, not True"),
        ("fmax/$glbnet$clk/achieved", 10**400, f"achieved of {CLOCK} must be a number, not 1{'0' * 79}"),
        ("fmax/$glbnet$clk/achieved", -130, f"achieved of {CLOCK} must be a number from 0, not -130"),
        ("fmax/$glbnet$clk/achieved", 0, f"achieved of {CLOCK} must be a number above 0, not 0"),
        (
            "fmax/$glbnet$enable.pll_clk/achieved",
            "fast",
            "achieved of the clock enable.pll_clk in nextpnr's report.json must be a number, not 'fast'",
        ),
        ("critical_paths", ..., "nextpnr's report.json has no critical_paths"),
        ("critical_paths", [], f"{PATHS} must contain a path between registers of the same clock"),
        ("critical_paths", {}, f"{PATHS} must be a list, not {{}}"),
        (
            "critical_paths/1/from",
            "<async>",
            f"{PATHS} must contain a path between registers of the same clock",
        ),
        ("critical_paths/1/from", None, "from of critical_paths[1] of nextpnr's report.json must be a text, not None"),
        ("critical_paths/1/path", [], "path of critical_paths[1] of nextpnr's report.json must have a step, not none"),
        ("critical_paths/1/path/1", 5, f"{HOP} must be an object, not 5"),
        ("critical_paths/1/path/1/delay", "x", f"delay of {HOP} must be a number, not 'x'"),
        ("critical_paths/1/path/1/delay", float("nan"), f"delay of {HOP} must be a number, not nan"),
        ("critical_paths/1/path/1/delay", -1, f"delay of {HOP} must be a number from 0, not -1"),
        ("critical_paths/1/path/1/net", ..., f"{HOP} has no net"),
        ("critical_paths/1/path/1/to", {}, f"to of {HOP} has no cell"),
        ("critical_paths/1/path/1/to/port", 1, f"port of to of {HOP} must be a text, not 1"),
        (
            "critical_paths/1/path/6/delay",
            -1,
            "the logic at the end of the slowest path of nextpnr's report.json has a negative delay, -1 ns",
        ),
        ("utilization", ..., "nextpnr's report.json has no utilization"),
        ("utilization/TRELLIS_COMB", 3, f"{TAIL} must be an object, not 3"),
        ("utilization/TRELLIS_COMB/used", -1, f"used of {TAIL} must be an integer from 0, not -1"),
        ("utilization/TRELLIS_COMB/available", 1.5, f"available of {TAIL} must be an integer from 0, not 1.5"),
    ],
)
def test_a_report_that_is_not_sound_is_refused(tmp_path: Path, path: str, value: Any, message: str) -> None:
    damaged = deepcopy(GOOD)
    put(path, value)(damaged)
    with pytest.raises(ReportError) as refusal:
        load(tmp_path, damaged)
    assert str(refusal.value) == message
    assert refusal.value.exit_code == 3


def test_a_sound_one_is_returned(tmp_path: Path) -> None:
    # The setup time of a register may be below 0.
    report = deepcopy(GOOD)
    report["critical_paths"][1]["path"].insert(-1, hop("logic", 0.25, "x", "F"))
    put("critical_paths/1/path/7/delay", -0.125)(report)
    assert load(tmp_path, report) == report
    assert reports.critical_path(report)[-1].logic_ns == 0.125


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match=r"^nextpnr's report.json was not written$"):
        reports.load(tmp_path / "report.json", EXPECTED)
    with pytest.raises(ReportError, match=r"^Yosys' stat.json was not written$"):
        reports.cells(tmp_path / "stat.json")


@settings(max_examples=40)
@given(st.integers(0, len(json.dumps(GOOD)) - 1))
def test_a_truncated_one_is_no_json(tmp_path_factory: pytest.TempPathFactory, length: int) -> None:
    folder = tmp_path_factory.getbasetemp() / "truncated"
    folder.mkdir(exist_ok=True)
    with pytest.raises(ReportError, match=r"^nextpnr's report.json is not JSON: "):
        load(folder, json.dumps(GOOD)[:length])


@pytest.mark.parametrize(
    "text", ["[]", "null", "3", '"fmax"', "\x00", "[" * 100_000, "\ud800".encode("utf-8", "replace").decode()]
)
def test_anything_else_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ReportError):
        load(tmp_path, text)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(("used", "achieved", "to")), inner),
    max_leaves=4,
)


def places(value: Any, above: str = "") -> list[str]:
    """Return the paths of all values within a report."""
    below = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [one for key, inner in below for one in (f"{above}{key}", *places(inner, f"{above}{key}/"))]


@settings(max_examples=60)
@given(st.sampled_from([place for place in places(GOOD) if "." not in place]), _VALUES)
def test_any_value_anywhere_is_read_or_refused(place: str, value: Any) -> None:
    report = deepcopy(GOOD)
    put(place, value)(report)
    try:
        reports.clocks(report, EXPECTED)
        reports.utilization(report)
        path = reports.critical_path(report)
    except ReportError:
        return
    assert reports.fmax_mhz(report) > 0
    assert all(step.logic_ns >= 0 for step in path)


@pytest.mark.parametrize(
    ("net", "name"),
    [
        ("clk", "clk"),
        ("$glbnet$clk", "clk"),
        ("$glbnet$clk$TRELLIS_IO_IN", "clk"),
        ("clk$SB_IO_IN_$glb_clk", "clk"),
        ("clk_$glb_clk", "clk"),
        ("clk_IBUF_I_O", "clk"),
        ("serial.clk", "clk"),
        ("cd_sync_clk_0__io", "clk"),
        ("cd_sync.clk12_0__io$SB_IO_IN_$glb_clk", "clk"),
        ("$glbnet$cd_pll_clk25_0__io", "enable.pll_clk"),
        ("pll_clk", "enable.pll_clk"),
        ("enable.pll_clk", "enable.pll_clk"),
        ("$PACKER_GND", "$PACKER_GND"),
        ("not_clk", "not_clk"),
    ],
)
def test_clocks_go_by_the_names_of_the_design(net: str, name: str) -> None:
    found = reports.clocks(
        {"fmax": {"clk": {"achieved": 50}, "pll_clk": {"achieved": 60}, net: {"achieved": 40}}}, EXPECTED
    )
    assert found[name] == 40
    assert set(EXPECTED) <= set(found)


def test_each_committed_manifest_names_the_clocks_of_its_board() -> None:
    for made in manifests().values():
        assert set(BOARDS[made.name.partition("/")[0]].clocks) <= set(made.clocks)


@pytest.mark.parametrize(
    ("statistics", "message"),
    [
        ({}, "Yosys' stat.json has no design"),
        ({"design": []}, "design of Yosys' stat.json must be an object, not []"),
        ({"design": {}}, "design of Yosys' stat.json has no num_cells_by_type"),
        (
            {"design": {"num_cells_by_type": {"LUT4": "many"}}},
            "num_cells_by_type.LUT4 of design of Yosys' stat.json must be an integer from 0, not 'many'",
        ),
    ],
)
def test_statistics_that_are_not_sound_are_refused(tmp_path: Path, statistics: Any, message: str) -> None:
    (tmp_path / "stat.json").write_text(json.dumps(statistics))
    with pytest.raises(ReportError) as refusal:
        reports.cells(tmp_path / "stat.json")
    assert str(refusal.value) == message
