"""Designs compiled as one unit, with what all of them share compiled once."""

from pathlib import Path

import pytest

from ninefold.sim.verilated import Design, Model, find_tools
from ninefold.sim.verilated import build as module
from ninefold.sim.verilated.compiler import _UNIT_BYTES, Compilation, _divided
from ninefold.spec import programs
from ninefold.spec.errors import ToolError, UnavailableError

DESIGN = "module top(input clk, input rst, output reg [3:0] n); always @(posedge clk) n <= rst ? 0 : n + 1; endmodule\n"
MAIN = '#include "Vtop.h"\nint main() { Vtop top; top.eval(); return top.n; }\ndouble sc_time_stamp() { return 0; }\n'


def compilation(optimise: str = "-O0", main: str = MAIN) -> Compilation:
    return Compilation(("--x-initial", "fast"), (), optimise, ("verilated", "verilated_threads"), ("-pthread",), main)


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[list[str]]:
    """Programs that run from now on, with an empty cache."""
    monkeypatch.setenv("NINEFOLD_CACHE", str(tmp_path / "cache"))
    called: list[list[str]] = []

    def run(command: list[object], folder: Path | None = None, **options: str) -> str:
        called.append([str(word) for word in command])
        return programs.run([str(word) for word in command], folder, **options)

    monkeypatch.setattr("ninefold.sim.verilated.compiler.run", run)
    return called


def build(folder: Path, made: Compilation, text: str = DESIGN) -> Path:
    folder.mkdir()
    (folder / "top.v").write_text(text)
    made.build(find_tools(), [folder / "top.v"], folder / "program")
    return folder / "program"


def compiled(commands: list[list[str]]) -> list[str]:
    """Return what was compiled, by the name of the object."""
    return [command[command.index("-o") + 1] for command in commands if "-c" in command or "c++-header" in command]


def test_a_second_design_compiles_one_unit(commands: list[list[str]], tmp_path: Path) -> None:
    first = build(tmp_path / "a", compilation())
    assert programs.execute([first]).code == 0
    assert sorted(path.name for path in first.parent.iterdir()) == ["program", "top.v"]
    wanted = ["unit0.o", "verilated.h.gch", "verilated.o", "verilated_threads.o"]
    if "clang" in find_tools().compiler_version:
        wanted.remove("verilated.h.gch")
    assert sorted(compiled(commands)) == wanted
    commands.clear()
    build(tmp_path / "b", compilation(), DESIGN.replace("3:0", "4:0"))
    assert compiled(commands) == ["unit0.o"]


def test_what_is_shared_can_be_prepared(commands: list[list[str]], tmp_path: Path) -> None:
    compilation().prepare(find_tools())
    commands.clear()
    build(tmp_path / "a", compilation())
    assert compiled(commands) == ["unit0.o"]


def test_main_sees_the_design_and_a_wrong_one_is_refused_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match=r"no member named .*nothing"):
        build(tmp_path / "a", compilation(main=MAIN.replace("top.n", "top.nothing")))


def test_the_digest_is_of_all_that_a_program_is_made_from() -> None:
    tools = find_tools()
    made = [
        compilation(),
        compilation("-O1"),
        compilation(main=MAIN + "// other"),
        Compilation((), (), "-O0", ("verilated",), ("-pthread",), MAIN),
        Compilation(("--x-initial", "fast"), ("-DX",), "-O0", ("verilated", "verilated_threads"), ("-pthread",), MAIN),
        Compilation(("--x-initial", "fast"), (), "-O0", ("verilated", "verilated_threads"), (), MAIN),
    ]
    assert len({one.digest(tools) for one in made}) == len(made)
    assert compilation().digest(tools) == compilation().digest(tools)


def test_large_designs_are_divided_evenly_with_the_top_first(tmp_path: Path) -> None:
    sizes = {"Vtop.cpp": 10, "Vtop__1.cpp": _UNIT_BYTES, "Vtop__2.cpp": _UNIT_BYTES, "Vtop__3.cpp": _UNIT_BYTES // 2}
    for name, size in sizes.items():
        (tmp_path / name).write_bytes(b"/" * size)
    sources = sorted(tmp_path.iterdir())
    assert _divided(sources, 1) == [["Vtop.cpp", "Vtop__1.cpp", "Vtop__2.cpp", "Vtop__3.cpp"]]
    first, second = _divided(sources, 2)
    assert first[0] == "Vtop.cpp"
    assert sorted([*first, *second]) == sorted(sizes)
    assert len(_divided(sources, 8)) == 3
    assert _divided(sources[:1], 8) == [["Vtop.cpp"]]


def test_a_quick_model_is_the_fast_one_where_that_is_built(commands: list[list[str]]) -> None:
    design = Design(DESIGN, ())
    quick = module.build(design, quick=True)
    fast = module.build(design)
    assert quick != fast
    commands.clear()
    assert module.build(design, quick=True) == fast
    assert module.build(design, waves=True) not in (quick, fast)
    assert Model(design, quick=True).streams == {}
    assert compiled(commands)  # the one with waves


def test_a_folder_may_have_any_name(tmp_path: Path) -> None:
    folder = tmp_path / "a \"b'c $HOME #d \\e\nf ü"
    assert programs.execute([build(folder, compilation())]).code == 0


def test_a_compiler_that_writes_nothing_is_no_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NINEFOLD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("CXX", "true")
    for folder in ("a", "b"):
        with pytest.raises(UnavailableError) as missing:
            build(tmp_path / folder, compilation())
        assert str(missing.value).startswith(
            "CXX is set to 'true', which is not a working C++ compiler: it reported no error"
        )
    assert not [path for path in (tmp_path / "cache").glob("*/*") if path.suffix != ".lock"]
