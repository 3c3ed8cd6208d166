"""A user's core runs the operator that it implements: judged, dispatched to, and fallen back from."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from textwrap import dedent
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from ninefold.drivers.streams import StreamClient
from ninefold.host import Scheduler, implement
from ninefold.host.backends.board import Boards, discovery
from ninefold.host.backends.cpu import Cpu
from ninefold.host.cli import cli
from ninefold.sim.conformance import cases_of
from ninefold.sim.rtl import Rtl
from ninefold.sim.rtl.device import _runners
from ninefold.sim.rtl.implemented import Implementation
from ninefold.spec import operators
from ninefold.spec.errors import InputError, LostDeviceError
from ninefold.spec.signature import Call
from tests.packages import COUNTER, PARITY, written
from tests.sim.test_own import FIXTURES

#: Parity of packets of signed bytes.
CORE = """
    from amaranth.hdl import Module, signed
    from amaranth.lib import data, stream, wiring
    from amaranth.lib.wiring import In, Out

    class Parity(wiring.Component):
        numbers: In(stream.Signature(data.StructLayout({"x": signed(8), "last": 1})))
        answer: Out(stream.Signature(data.StructLayout({"odd": 1})))

        def elaborate(self, platform):
            m = Module()
            taken = self.numbers.valid & self.numbers.ready
            odd = self.answer.payload.odd
            m.d.comb += self.numbers.ready.eq(~self.answer.valid)
            with m.If(taken):
                m.d.sync += [odd.eq(odd ^ self.numbers.payload.x[0]), self.answer.valid.eq(self.numbers.payload.last)]
            with m.If(self.answer.valid & self.answer.ready):
                m.d.sync += [odd.eq(0), self.answer.valid.eq(0)]
            return m

    CORE = Parity

    def golden(x):
        return {"odd": [x.astype(int).sum() % 2]}

    IMPLEMENTS = "parity_operator"
    """
#: Linear quantiser of one number a cycle, for an operator of Ninefold.
QUANTISER = """
    import numpy as np
    from amaranth.hdl import Module, signed
    from amaranth.lib import data, stream, wiring
    from amaranth.lib.wiring import In, Out
    from ninefold.numerics.quantise import grid
    from ninefold.spec.errors import UnsupportedError
    from ninefold.spec.formats import THRESHOLDS
    from ninefold.spec.operators import OPERATORS

    class Linear(wiring.Component):
        values: In(stream.Signature(data.StructLayout({"grid": signed(16)})))
        nits: Out(stream.Signature(data.StructLayout({"nit": signed(4)})))

        def elaborate(self, platform):
            m = Module()
            g = self.values.payload.grid
            over = sum((g >= t) - (g <= -t) for t in THRESHOLDS["linear"].reached_at)
            m.d.comb += self.values.ready.eq(~self.nits.valid | self.nits.ready)
            with m.If(self.values.ready):
                m.d.sync += [self.nits.payload.nit.eq(over), self.nits.valid.eq(self.values.valid)]
            return m

    CORE = Linear
    IMPLEMENTS = "quantise"

    def golden(grid):
        g = grid.astype(int)
        return {"nit": sum((g >= t).astype(int) - (g <= -t) for t in THRESHOLDS["linear"].reached_at)}

    def run(core, call):
        if call.options["mode"] != "linear":
            raise UnsupportedError(f"only the mode linear, not {call.options['mode']}")
        x = call.arguments["x"]
        return {"nits": core(grid=grid(x, call.options["scale"]).reshape(-1))["nit"].reshape(x.shape)}

    def cases(generator):
        x = generator.normal(0, 1, (3, 40)).astype(np.float32)
        yield "linear", OPERATORS["quantise"].bind({"x": x}, {"scale": 2.0, "mode": "linear"})
        yield "none", OPERATORS["quantise"].bind({"x": x[:0]}, {"scale": 2.0, "mode": "linear"})
    """


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder, for cores and operators, of which nothing is left afterwards."""
    monkeypatch.chdir(tmp_path)
    before, known = dict(sys.modules), set(operators.PACKAGES)
    yield tmp_path
    for name in set(operators.PACKAGES) - known:
        operators.remove(name)
    for name in set(sys.modules) - set(before):
        if Path(str(getattr(sys.modules[name], "__file__", None))).is_relative_to(tmp_path):
            del sys.modules[name]
    sys.path[:] = [place for place in sys.path if not Path(place).is_relative_to(tmp_path)]
    _runners().implementations.clear()
    cases_of.cache_clear()


def core(folder: Path, name: str, text: str) -> str:
    path = folder / f"{name}_{abs(hash(folder))}.py"
    path.write_text(dedent(text))
    return str(path)


def opened() -> Scheduler:
    """Open a scheduler of the simulator and the processor."""
    return Scheduler(backends={"rtl": Rtl(), "cpu": Cpu()}, costs=None)


def test_a_core_is_a_backend_of_an_operator_and_the_scheduler_falls_back_from_it(folder: Path) -> None:
    written(folder, "parity_operator", PARITY)
    name = core(folder, "parity", CORE)
    assert implement(name) == "parity"
    assert implement(name) == "parity", "a second time changes nothing"
    small = np.random.default_rng(1).integers(-128, 128, (6, 5))
    with opened() as scheduler:
        found = scheduler.run("parity", small, device="rtl")
        assert (found.answered_by, found.fallbacks) == ("rtl", ())
        assert found.values["odd"].tolist() == (small.sum(axis=1) % 2).tolist()
        # What the core cannot hold is answered by the processor, and why is told.
        wide = scheduler.run("parity", small + 1000, device="rtl")
        assert wide.answered_by == "cpu"
        assert "x of the input numbers must be from -128 to 127, not" in wide.fallbacks[0]
        assert wide.values["odd"].tolist() == (small.sum(axis=1) % 2).tolist()
        assert scheduler.run("parity", small[:, :0], device="rtl").answered_by == "cpu"


def test_a_core_on_a_board_is_a_device_of_its_operator(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The scheduler dispatches to the board, and falls back from it if the core or the link cannot answer."""
    monkeypatch.setattr(discovery, "_CORES", {})
    written(folder, "parity_operator", PARITY)
    name = core(folder, "parity", CORE)
    device = f"board:virtual/{Path(name).stem}"
    assert implement(name, "board:virtual") == "parity"
    small = np.random.default_rng(1).integers(-128, 128, (6, 5))
    right = (small.sum(axis=1) % 2).tolist()
    with Scheduler(backends={"board": Boards(), "cpu": Cpu()}, costs=None) as scheduler:
        (entry,) = [one for one in scheduler.devices() if one.device == device]
        assert [operator for operator, reason in entry.operators.items() if reason is None] == ["parity"]
        found = scheduler.run("parity", small, device=device)
        assert (found.answered_by, found.fallbacks, found.values["odd"].tolist()) == (device, (), right)
        wide = scheduler.run("parity", small + 1000, device=device)
        assert (wide.answered_by, wide.values["odd"].tolist()) == ("cpu", right)
        assert "x of the input numbers must be from -128 to 127, not" in wide.fallbacks[0]
        other = scheduler.run("quantise", np.zeros(9, np.float32), scale=1.0, mode="tanh", device=device)
        assert other.answered_by == "cpu"
        assert f"holds the core {name}, which runs parity only" in other.fallbacks[0]
    with Scheduler(backends={"board": Boards(), "cpu": Cpu()}, costs=None) as scheduler:
        with monkeypatch.context() as patch:
            patch.setattr(StreamClient, "exchange", _lost)
            lost = scheduler.run("parity", small, device=device)
        assert (lost.answered_by, lost.values["odd"].tolist()) == ("cpu", right)
        assert "the cable is out" in lost.fallbacks[0]
    result = CliRunner().invoke(cli, ["conform", name, "--device", device])
    assert f"parity  {device}: 3 cases, none wrong" in result.output, result.output


def _lost(*_: Any, **__: Any) -> None:
    raise LostDeviceError("the cable is out")


def test_a_wrong_core_on_a_board_is_not_used(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery, "_CORES", {})
    written(folder, "parity_operator", PARITY)
    name = core(folder, "parity", CORE.replace("payload.x[0]", "payload.x[1]"))
    implement(name, "board:virtual")
    with Scheduler(backends={"board": Boards(), "cpu": Cpu()}, costs=None) as scheduler:
        found = scheduler.run("parity", np.ones((2, 3), int), device=f"board:virtual/{Path(name).stem}")
    assert (found.answered_by, found.values["odd"].tolist()) == ("cpu", [1, 1])
    assert "the core fails its known-answer test" in found.fallbacks[0]


@pytest.mark.parametrize("device", ["board", "rtl:1", "cpu", ""])
def test_a_core_is_implemented_by_rtl_or_a_board(device: str) -> None:
    with pytest.raises(InputError) as error:
        implement("queue", device)
    assert str(error.value) == f"device must be one of rtl or board:PLACE, not {device!r}"
    with pytest.raises(InputError, match="queue implements no operator"):
        implement("queue", "board:virtual")


def test_a_core_implements_an_operator_of_ninefold(folder: Path) -> None:
    name = core(folder, "linear", QUANTISER)
    result = CliRunner().invoke(cli, ["conform", name, "--device", "rtl"])
    assert "quantise  rtl: 2 cases, none wrong" in result.output, result.output
    x = np.linspace(-3, 3, 50, dtype=np.float32)
    with opened() as scheduler:
        linear, tanh = (scheduler.run("quantise", x, scale=1.0, mode=mode, device="rtl") for mode in ("linear", "tanh"))
        assert (linear.answered_by, tanh.answered_by) == ("rtl", "cpu")
        assert "only the mode linear, not tanh" in tanh.fallbacks[0]
        assert linear.values["nits"].tolist() == np.rint(x).astype(int).tolist()


def test_conform_judges_a_core_in_place_of_its_operator(folder: Path) -> None:
    written(folder, "parity_operator", PARITY)
    wrong = """
    def run(core, call):
        found = core(x=call.arguments["x"].reshape(-1), last=[0, 0, 0, 0, 1] * call.sizes["N"])
        return {"odd": 1 - found["odd"].astype("int8")}
    """
    name = core(folder, "wrong", dedent(CORE) + dedent(wrong))
    result = CliRunner().invoke(cli, ["conform", name, "--device", "cpu", "--device", "rtl"])
    assert result.exit_code == 1
    assert "parity  cpu: 3 cases, none wrong" in result.output
    assert "parity  rtl: 3 cases, 2 wrong" in result.output
    assert "7 rows: odd[0] is " in result.output


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ('IMPLEMENTS = "parities"', r"IMPLEMENTS of .* must be one of .*quantise.*, not 'parities'"),
        ("IMPLEMENTS = 3", "IMPLEMENTS of .* must be the name of an operator, not 3"),
        ("del IMPLEMENTS", "implements no operator: define IMPLEMENTS, the name of one, beside CORE"),
        ('IMPLEMENTS = "tally_operator"', r"must define run\(core, call\) to implement tally, which has a state"),
        ('IMPLEMENTS = "mine"', r"must define run\(core, call\) to implement mine, because not all"),
    ],
)
def test_a_declaration_that_cannot_hold_is_refused(folder: Path, changes: str, said: str) -> None:
    written(folder, "parity_operator", PARITY)
    written(folder, "tally_operator", COUNTER)
    with pytest.raises(InputError, match=said):
        implement(core(folder, "parity", f"{dedent(CORE)}\n{changes}\n"))


def test_two_cores_of_one_operator_are_refused(folder: Path) -> None:
    written(folder, "parity_operator", PARITY)
    implement(core(folder, "first", CORE))
    with pytest.raises(InputError, match=r"second_.*py and .*first_.*py both implement parity: use one of them"):
        implement(core(folder, "second", CORE))


def test_names_that_differ_are_told(folder: Path) -> None:
    written(folder, "parity_operator", PARITY, signature=PARITY["signature"].replace('"odd"', '"is_odd"'))
    implement(core(folder, "other", CORE))
    with (
        opened() as scheduler,
        pytest.raises(InputError, match="takes x and gives odd, where parity takes x"),
    ):
        scheduler.run("parity", np.zeros((2, 3), int), device="rtl")


class Recorded:
    """Device and core that record what is done."""

    path, cycles = "recorded", 0

    def __init__(self) -> None:
        self.done: list[object] = []

    def core(self, name: str, parameters: Mapping[str, int | str]) -> Any:
        self.done.append((Path(name).name, dict(parameters)))
        return self

    def reset(self) -> None:
        self.done.append("reset")


def test_a_core_has_the_sizes_of_the_call_and_is_reset_before_it(folder: Path) -> None:
    def run(core: Any, call: Call) -> dict[str, Any]:
        core.done.append("run")
        return {"odd": call.sizes["N"]}

    written(folder, "sized", PARITY, signature=PARITY["signature"].replace('"D"', '"LANES"'))
    operator = operators.add(folder / "sized")
    implementation = Implementation(str(FIXTURES / "dot8.py"), operator, run, None, None)
    device = Recorded()
    answer = implementation.answer(device, operator.bind({"x": np.zeros((3, 2), int)}))
    assert device.done == [("dot8.py", {"LANES": 2}), "reset", "run"]
    assert (answer.values, answer.path) == ({"odd": 3}, f"recorded, core {FIXTURES / 'dot8.py'}")


def test_an_installed_core_that_cannot_be_used_is_told_where_it_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    from ninefold.sim.rtl import implemented

    def broken(_: str) -> None:
        raise SyntaxError("no core")

    monkeypatch.setattr(implemented, "entries", lambda _: {"theirs": None})
    monkeypatch.setattr(implemented, "implementation_of", broken)
    reasons = implemented.CoreRunners("ninefold.sim.rtl").operators()
    assert reasons["topk"] is None
    assert str(reasons["embed"]).endswith("; the core theirs cannot be used: SyntaxError: no core")


def test_an_operator_of_ninefold_needs_cases_beside_its_core(folder: Path) -> None:
    name = core(folder, "caseless", QUANTISER.partition("    def cases")[0])
    result = CliRunner().invoke(cli, ["conform", name, "--device", "rtl"])
    assert result.exit_code == 2
    assert "must define cases(generator), which yields names and calls of quantise" in result.output
