"""The exploration: its front, its repeatability, what it keeps, and what it writes."""

import json
import re
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from ninefold.hdl.boards import BOARDS
from ninefold.hdl.configurations import CONFIGURATIONS, named
from ninefold.hdl.estimate_area import AVAILABLE
from ninefold.hdl.explore import Exploration, Space, by_compromise, nondominated, objectives, space, study
from ninefold.hdl.explore import built as built_module
from ninefold.hdl.explore.built import measured, ratios
from ninefold.hdl.explore.objectives import OBJECTIVES, estimated
from ninefold.hdl.explore.report import ranked
from ninefold.hdl.explore.study import name_of
from ninefold.hdl.reports import ReportError
from ninefold.host.cli import cli
from ninefold.spec.errors import DamagedDataError, InputError, ToolError, UnavailableError
from ninefold.spec.manifest import manifest

SMALL = {"lanes": "2:64", "window": "2,4", "buffer_bytes": "2048,4096", "reply_bytes": "256,512"}
BOTH = objectives("qps,packed", BOARDS["icebreaker"])


def small(**changes: str) -> Space:
    return space("icebreaker", BOTH, {**SMALL, **changes})


def dominates(one: Sequence[float], other: Sequence[float]) -> bool:
    return all(a <= b for a, b in zip(one, other, strict=True)) and any(a < b for a, b in zip(one, other, strict=True))


@given(st.integers(1, 4).flatmap(lambda n: st.lists(st.tuples(*[st.integers(0, 5)] * n), max_size=40)))
def test_the_front_is_what_nothing_dominates(costs: list[tuple[int, ...]]) -> None:
    front = nondominated(costs)
    left = [i for i, cost in enumerate(costs) if not any(dominates(other, cost) for other in costs)]
    assert front == left


@given(st.lists(st.tuples(st.floats(0, 1e6), st.floats(-1e6, 0)), min_size=1, max_size=20))
def test_the_best_compromise_is_closest_to_the_best_of_all(costs: list[tuple[float, float]]) -> None:
    order = by_compromise(costs)
    assert sorted(order) == list(range(len(costs)))
    best = tuple(map(min, zip(*costs, strict=True)))
    if best in costs:
        assert costs[order[0]] == best


def test_compromise() -> None:
    assert by_compromise([(0, 10), (2, 3), (10, 0), (9, 9)]) == [1, 0, 2, 3]


def test_the_same_seed_finds_the_same_and_another_one_tries_others(tmp_path: Path) -> None:
    tried = []
    for file, seed in (("a", 5), ("b", 5), ("c", 6)):
        exploration = Exploration(small(), BOTH, tmp_path / file, seed)
        exploration.run(40)
        tried.append((list(exploration.points()), exploration.front()))
    assert tried[0] == tried[1]
    assert tried[0][0] != tried[2][0]


def test_an_interruption_loses_nothing_and_changes_nothing(tmp_path: Path) -> None:
    whole = Exploration(small(), BOTH, tmp_path / "whole")
    whole.run(40)

    def interrupt(done: int) -> None:
        if done == 31:
            raise KeyboardInterrupt

    counts: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        Exploration(small(), BOTH, tmp_path / "parts").run(40, interrupt)
    resumed = Exploration(small(), BOTH, tmp_path / "parts")
    assert resumed.finished == 31
    resumed.run(40, counts.append)
    assert counts == list(range(32, 41))
    assert (resumed.points(), resumed.front()) == (whole.points(), whole.front())
    resumed.run(40, counts.append)
    assert len(counts) == 9


def test_the_front_is_that_of_all_configurations_and_all_fit(tmp_path: Path) -> None:
    searched = small()
    exploration = Exploration(searched, BOTH, tmp_path / "study")
    exploration.run(1)
    assert exploration.finished == len(exploration.front())
    exploration.run(60)
    everything = [
        estimated(searched.configuration(dict(zip(searched.values, chosen, strict=True))), searched.board)
        for chosen in product(*searched.values.values())
    ]
    fitting = [exploration.costs(point) for point in everything if not point.overuse]
    assert 0 < len(fitting) < len(everything)
    best = {tuple(fitting[i]) for i in nondominated(fitting)}
    front = exploration.front()
    assert {tuple(exploration.costs(point)) for point in front.values()} == best
    assert len(front) == len(best) > 1
    available = AVAILABLE["iCE40UP5K"]
    assert all(not point.area.excess(available) for point in front.values())
    assert any(point.overuse for point in exploration.points().values())


def test_a_front_that_was_interrupted_is_gone_on_with(tmp_path: Path) -> None:
    def interrupt(done: int) -> None:
        if done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Exploration(small(), BOTH, tmp_path / "study").run(1, interrupt)
    result = explore(tmp_path / "out", "--trials", "1", "--study", str(tmp_path / "study"))
    assert f"continuing after 1 trial of {tmp_path / 'study'}" in result.stderr
    whole = Exploration(small(), BOTH, tmp_path / "whole")
    whole.run(1)
    assert whole.finished > 1
    assert Exploration(small(), BOTH, tmp_path / "study").front() == whole.front()


def test_a_space_that_is_too_large_is_begun_with_the_catalogue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study, "_WHOLE", small().size - 1)
    exploration = Exploration(small(), BOTH, tmp_path / "study")
    exploration.run(1)
    (point,) = exploration.points().values()
    assert point.configuration == CONFIGURATIONS["icebreaker/small"]
    other = Exploration(small(depth="100,200"), BOTH, tmp_path / "other")
    other.run(1)
    assert other.finished == 1


def test_overuse_is_what_does_not_fit() -> None:
    board = BOARDS["icebreaker"]
    base = CONFIGURATIONS["icebreaker/small"]
    assert estimated(base, board).overuse == 0
    large = estimated(small(depth="65536").configuration({"depth": 65536}), board)
    assert large.overuse > 1
    assert large.area.excess(AVAILABLE[board.device])


def test_what_is_searched() -> None:
    assert space("icebreaker", BOTH, {}).searched == ["lanes", "window", "buffer_bytes", "reply_bytes"]
    chosen = objectives("rows,k", BOARDS["icebreaker"])
    assert space("icebreaker", chosen, {"lanes": "16"}).searched == [
        "depth",
        "k",
        "window",
        "buffer_bytes",
        "reply_bytes",
    ]
    narrow = space("ulx3s", chosen, {"depth": "100:200", "k": "3,1", "baud": "3125000", "dimensions": "64,96"})
    assert narrow.values["depth"] == (112, 128, 160, 192)
    assert narrow.values["k"] == (1, 3)
    assert narrow.base.baud == 3_125_000
    # All that divide one of the dimensions.
    assert narrow.values["lanes"] == (2, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("qps,speed", "an objective must be one of qps, engine, latency, lut, packed, ram, rows, k, not 'speed'"),
        ("qps,energy", "an objective must be one of qps, engine, latency, lut, packed, ram, rows, k, not 'energy'"),
        ("qps", "objectives must be two or more different names of qps, .*, not 'qps'"),
        ("qps,qps", "objectives must be two or more different names of qps, .*, not 'qps,qps'"),
    ],
)
def test_objectives_are_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=f"^{message}$"):
        objectives(text, BOARDS["icebreaker"])


def test_cells_are_refused_where_they_are_not_estimated() -> None:
    with pytest.raises(InputError, match=r"^lut is not estimated on tangnano9k: .* its objectives are qps, engine"):
        objectives("qps,lut", BOARDS["tangnano9k"])
    assert len(objectives("qps, ram", BOARDS["tangnano9k"])) == 2
    with pytest.raises(
        InputError, match=r"^packed is not estimated on tangnano9k: the weights of gowin are not fitted"
    ):
        objectives("qps,packed", BOARDS["tangnano9k"], "signs")
    assert len(objectives("qps,packed", BOARDS["ulx3s"], "signs")) == 2


def test_the_space_of_signs() -> None:
    chosen = objectives("rows,k", BOARDS["ulx3s"], "signs")
    searched = space("ulx3s", chosen, {"lanes": "512,1024,1000", "depth": "4096:8192"}, "signs")
    assert searched.searched == ["lanes", "depth", "keep", "window", "buffer_bytes", "reply_bytes"]
    assert searched.values["lanes"] == (512, 1024)
    assert (searched.values["k"], searched.values["keep"][-1]) == ((0,), 8192)
    point = estimated(searched.configuration({"depth": 8192, "keep": 7168, "lanes": 1024}), BOARDS["ulx3s"])
    assert [objective.value(point) for objective in chosen] == [8192, 7168]
    with pytest.raises(
        InputError, match=r"^orangecrab has no configuration of the design signs, only icebreaker/signs, "
    ):
        space("orangecrab", chosen, {}, "signs")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"width": "2"}, "a parameter must be one of dimensions, lanes, depth, .*, reply_bytes, baud, not 'width'"),
        ({"lanes": "many"}, "lanes must be integers such as 16, 8,16 or 8:16, not 'many'"),
        ({"lanes": "5"}, r"lanes must be even and divide dimensions \(384\), not 5"),
        ({"k": "300:400"}, "a range of k must be LOW:HIGH within 1:256, not 300:400"),
        ({"depth": "0"}, "depth must be an integer from 1 to 65536, not 0"),
        ({"buffer_bytes": "64"}, "buffer_bytes must hold twice 776 bytes for a query of 384 grid values, which 64 .*"),
        ({"baud": "7"}, "baud must divide the clock of 24000000 Hz, which 7 does not"),
    ],
)
def test_parameters_are_refused(given: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=f"^{message}$"):
        space("icebreaker", BOTH, given)


def test_a_board_is_refused() -> None:
    with pytest.raises(InputError, match=r"^the board must be one of icebreaker, .*, ulx3s, not 'mine'$"):
        space("mine", BOTH, {})


def test_a_study_goes_on_only_with_what_it_was_begun_with(tmp_path: Path) -> None:
    path = tmp_path / "study"
    Exploration(small(), BOTH, path, 3).run(2)
    assert Exploration(small(), BOTH, path).seed == 3
    cases: list[tuple[Any, Any, Any, str]] = [
        (small(), objectives("qps,lut", BOARDS["icebreaker"]), None, "other objectives: qps,packed, not qps,lut"),
        (small(), BOTH, 4, "other seed: 3, not 4"),
        (small(window="8"), BOTH, None, "other parameters: window=2,4, not window=8"),
        (space("orangecrab", BOTH, SMALL), BOTH, None, "other board: icebreaker, not orangecrab"),
        (small(baud="3000000"), BOTH, None, "other baud: 6000000, not 3000000"),
    ]
    for searched, wanted, seed, message in cases:
        with pytest.raises(InputError) as refusal:
            Exploration(searched, wanted, path, seed)
        assert str(refusal.value) == f"{path} is a study with {message}; name another file by --study"


@pytest.mark.parametrize("content", ["notes\n", "notes", "[]\n", '{"a": 1}\n', "1\n"])
def test_a_file_that_is_no_study_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "study"
    path.write_text(content)
    with pytest.raises(DamagedDataError, match=r"study is not a journal of Optuna"):
        Exploration(small(), BOTH, path)
    assert path.read_text() == content


def test_a_line_that_was_not_finished_is_tried_again(tmp_path: Path) -> None:
    whole, cut = (Exploration(small(), BOTH, tmp_path / name) for name in ("whole", "cut"))
    whole.run(6)
    cut.run(6)
    cut.path.write_bytes(cut.path.read_bytes()[:-9])
    again = Exploration(small(), BOTH, cut.path)
    assert again.finished == 5
    again.run(6)
    assert again.points() == whole.points()


def test_a_missing_optuna_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "optuna", None)
    with pytest.raises(UnavailableError, match=r'^optuna is not installed; pip install "ninefold\[explore\]"$'):
        Exploration(small(), BOTH, tmp_path / "study")


def test_a_missing_amaranth_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda *_: None)
    result = explore(tmp_path / "out")
    assert (result.exit_code, result.stderr) == (
        2,
        'error: amaranth is not installed; pip install "ninefold[explore]"\n',
    )


def test_what_was_built_beside_the_estimate() -> None:
    point = estimated(CONFIGURATIONS["icebreaker/small"], BOARDS["icebreaker"])
    wanted = objectives("qps,latency,lut,packed,ram,rows", BOARDS["icebreaker"])
    record = built_module._record(manifest("icebreaker/small"))
    estimate = {o.name: o.value(point) for o in wanted}
    made = measured(point, record, wanted)
    assert made == {**estimate, "lut": record["lut4"], "packed": record["packed"]}
    assert made["lut"] == manifest("icebreaker/small").resources["lut4"].used
    assert ratios(made, estimate)["lut"] == record["lut4"] / point.area.lut4  # type: ignore[operator]
    slow = measured(point, {**record, "fmax_mhz": 12.0}, wanted)
    assert slow["qps"] == pytest.approx(point.speed.queries_s / 2)
    assert slow["latency"] == pytest.approx(2 * OBJECTIVES["latency"].value(point))
    assert slow["rows"] == made["rows"]
    assert measured(point, {"error": "no room"}, wanted) == {}


def explore(folder: Path, *words: str) -> Result:
    given = [word for name, values in SMALL.items() for word in ("-p", f"{name}={values}")]
    command = ["explore", "miner", "--board", "icebreaker", "--objective", "qps,packed", *given, "--trials", "30"]
    return CliRunner(env={"COLUMNS": "140"}).invoke(cli, [*command, "-o", str(folder), *words])


def test_command_writes_what_can_be_built(tmp_path: Path) -> None:
    result = explore(tmp_path / "out", "--plot", str(tmp_path / "front.png"))
    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / "out" / "front.json").read_text())
    assert found["trials"]["finished"] == 30
    assert found["searched"]["window"] == [2, 4]
    for record in found["front"]:
        path = tmp_path / "out" / record["file"]
        assert named(str(path))[0] == record["name"]
        assert record["name"].partition("/")[2] in result.stdout
        report = json.loads(CliRunner().invoke(cli, ["estimate", str(path), "--json"]).stdout)
        assert report["fits"]
        assert report["queries_s"] == record["estimate"]["qps"]
        assert report["packed"] == record["estimate"]["packed"]
    best = next(record for record in found["front"] if record["rank"] == 1)
    assert f"best compromise: ninefold build {tmp_path / 'out' / best['file']}" in result.stdout
    elaborated = CliRunner().invoke(cli, ["elaborate", str(tmp_path / "out" / best["file"]), "--format", "rtlil"])
    assert f"module \\{best['name'].replace('/', '_')}\n" in elaborated.stdout
    assert (tmp_path / "front.png").read_bytes().startswith(b"\x89PNG")
    assert not (tmp_path / "out" / "front.svg").exists()


@pytest.mark.parametrize("whole", [True, False])
def test_command_says_what_comes_closest_where_nothing_fits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: bool
) -> None:
    if not whole:
        monkeypatch.setattr(study, "_WHOLE", 1)
    result = explore(tmp_path / "out", "-p", "depth=4096")
    assert result.exit_code == 0
    said, nearest = result.stdout.splitlines()
    found = json.loads((tmp_path / "out" / "front.json").read_text())
    choices = small().size
    if whole:
        assert said == f"no choice of {choices} fits iCE40UP5K-SG48"
    else:
        tried = f"tried {found['trials']['different']} of {choices}"
        assert said == f"no choice tried fits iCE40UP5K-SG48: {tried}"
    assert nearest.startswith("nearest: dimensions 384, lanes ")
    assert nearest.endswith(f"which needs {found['nearest']['needs']}")
    # 4,096 rows of 1,536 bits fill 24 banks of 2^18 bits.
    assert nearest.endswith("which needs 24 SB_SPRAM256KA of 4")


def test_command_repeats_itself(tmp_path: Path) -> None:
    first, again = (explore(tmp_path / "out", "--json") for _ in range(2))
    assert (first.exit_code, first.stdout) == (0, again.stdout)
    svg = (tmp_path / "out" / "front.svg").read_bytes()
    assert b"<svg" in svg
    other = explore(tmp_path / "other", "--json")
    assert other.stdout == first.stdout
    assert (tmp_path / "other" / "front.svg").read_bytes() == svg


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--plot", "front.pdf"], "a plot must end in .svg or .png, not 'front.pdf'"),
        (["--plot", "/nowhere/front.svg"], "there is no folder /nowhere to write front.svg in"),
        (["-p", "k"], "a parameter must be NAME=VALUES, not 'k'"),
        (["-p", "lanes=2"], "lanes must be given once, not 2:64 and 2"),
        (["--board", "mine"], "the board must be one of icebreaker, orangecrab, tangnano9k, ulx3s, not 'mine'"),
    ],
)
def test_command_refuses_and_writes_nothing(tmp_path: Path, words: list[str], message: str) -> None:
    result = explore(tmp_path / "out", *words)
    assert (result.exit_code, result.stderr) == (2, f"error: {message}\n")
    assert not (tmp_path / "out").exists()


def test_what_is_built_is_recorded_and_not_built_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    def build(plan: Any, seeds: Any, say: Any) -> Any:
        made.append(plan.name)
        if len(made) == 2:
            raise ToolError("`nextpnr` failed:\nERROR: no room")
        held = manifest("icebreaker/small")
        return SimpleNamespace(manifest=held.__class__(**{**vars(held), "name": plan.name, "digest": plan.digest}))

    monkeypatch.setattr(built_module, "build", build)
    monkeypatch.setattr(built_module, "export", lambda *_: None)
    words = ("-p", "depth=128", "--trials", "60", "--build")
    result = explore(tmp_path / "out", *words, "2")
    assert result.exit_code == 3, result.output
    assert "could not be built: ERROR: no room" in result.stdout
    fmax = manifest("icebreaker/small").clocks["clk"].fmax_mhz
    assert f"{fmax} MHz, timing met" in result.stdout
    found = json.loads((tmp_path / "out" / "front.json").read_text())
    built = {record["name"]: record["built"] for record in found["front"] if record["built"]}
    assert list(built) == made or list(built) == made[::-1]
    good = built[made[0]]
    estimate = next(record["estimate"] for record in found["front"] if record["name"] == made[0])
    assert good["ratio"]["packed"] == good["values"]["packed"] / estimate["packed"]
    assert good["on_front"]
    assert explore(tmp_path / "out", *words, "2").exit_code == 3
    assert len(made) == 2
    assert explore(tmp_path / "out", *words, "3").exit_code == 3
    assert len(made) == 3
    exploration = Exploration(small(depth="128"), BOTH, tmp_path / "out" / "study.journal")
    assert ranked(exploration)[:3] == made


def test_a_report_that_cannot_be_read_is_no_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def build(*_: Any) -> Any:
        raise ReportError("nextpnr's report.json has no fmax")

    monkeypatch.setattr(built_module, "build", build)
    result = explore(tmp_path / "out", "-p", "depth=128", "--trials", "30", "--build", "1")
    assert (result.exit_code, result.stderr.splitlines()[-1]) == (3, "error: nextpnr's report.json has no fmax")
    assert not Exploration(small(depth="128"), BOTH, tmp_path / "out" / "study.journal").built


@pytest.mark.parametrize("whole", [True, False])
def test_no_parameter_is_larger_than_an_objective_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: bool
) -> None:
    searched = small(buffer_bytes="2048,4096,8192", reply_bytes="256,512,1024")
    if not whole:
        monkeypatch.setattr(study, "_WHOLE", 0)
    exploration = Exploration(searched, BOTH, tmp_path / "study")
    exploration.run(30)
    front = exploration.front()
    assert front
    assert all(name == name_of("icebreaker", point.configuration) for name, point in front.items())
    for point in front.values():
        chosen = {name: getattr(point.configuration.miner, name) for name in searched.values}
        for parameter in searched.searched:
            for value in (value for value in searched.values[parameter] if value < chosen[parameter]):
                try:
                    lower = estimated(searched.configuration({**chosen, parameter: value}), searched.board)
                except InputError:
                    continue
                ram = [OBJECTIVES["ram"].value(one) for one in (lower, point)]
                worse = any(a > b for a, b in zip(exploration.costs(lower), exploration.costs(point), strict=True))
                assert worse or lower.overuse or ram[0] > ram[1], (parameter, value, chosen)


def test_rows_are_in_the_order_of_their_numbers_with_one_statement_of_the_effort(tmp_path: Path) -> None:
    shown = explore(tmp_path / "out", "--trials", "20").stdout
    numbers = [int(found[1]) for found in re.finditer(r"^(\d+) .* x[0-9a-f]{8}", shown, re.MULTILINE)]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) > 1
    trials = json.loads((tmp_path / "out" / "front.json").read_text())["trials"]
    (said,) = (line for line in shown.splitlines() if "trials" in line)
    assert said == (
        f"estimated all {small().size} choices, so the front is complete ({trials['finished']} trials in the study, "
        f"{trials['fitting']} of their configurations fit); built 0 of the {len(numbers)} on the front"
    )


def test_the_effort_on_a_space_that_is_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study, "_WHOLE", 0)
    shown = explore(tmp_path / "out", "--trials", "30").stdout
    assert re.search(rf"^estimated \d+ of {small().size} choices \(30 trials in the study, ", shown, re.MULTILINE)
