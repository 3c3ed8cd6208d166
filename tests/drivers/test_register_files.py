import json
import re
import subprocess
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from ninefold.drivers.commands.registers import registers
from ninefold.drivers.link_page import link_page
from ninefold.drivers.register_files import FORMATS, Map, c_header, json_text, markdown, register_table, svd
from ninefold.spec.link import COMMANDS, Fault
from ninefold.spec.registers import REGISTERS, Access, Bits, Register
from ninefold.spec.stream_link import STREAM_COMMANDS, StreamFault
from tests.drivers import fixtures

DOCS = Path(__file__).parent.parent.parent / "docs"


@pytest.mark.parametrize(("name", "made"), [("registers.md", markdown), ("link.md", link_page)])
def test_the_committed_pages_are_what_is_generated(name: str, made: object) -> None:
    form = "md" if made is markdown else "link"
    assert (DOCS / name).read_text() == made(), f"run `ninefold registers --format {form} -o docs/{name}`"  # type: ignore[operator]


def test_json_holds_the_table() -> None:
    read = json.loads(json_text())["registers"]
    assert [(r["name"], r["address"], r["count"], r["access"]) for r in read] == [
        (r.name, r.address, r.count, r.access) for r in REGISTERS
    ]
    assert [len(r["fields"]) for r in read] == [len(r.fields) for r in REGISTERS]


def test_the_c_header_compiles_and_holds_the_table(tmp_path: Path) -> None:
    (tmp_path / "registers.h").write_text(c_header())
    checks = [f'_Static_assert(NINEFOLD_{r.name.upper()}_ADDRESS == {r.address}, "");' for r in REGISTERS]
    checks += [
        f'_Static_assert(NINEFOLD_{r.name.upper()}_{f.name.upper()}_MASK >> {f.low} == {(1 << f.width) - 1}u, "");'
        for r in REGISTERS
        for f in r.fields
    ]
    (tmp_path / "check.c").write_text('#include "registers.h"\n#include "registers.h"\n' + "\n".join(checks) + "\n")
    command = ["c++", "-x", "c", "-std=c11", "-Wall", "-Werror", "-fsyntax-only", "check.c"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_svd_holds_the_table() -> None:
    device = ET.fromstring(svd())  # noqa: S314
    read = device.findall("peripherals/peripheral/registers/register")
    assert [int(r.findtext("addressOffset", ""), 16) for r in read] == [4 * r.address for r in REGISTERS]
    assert [r.findtext("name", "").removesuffix("[%s]") for r in read] == [r.name for r in REGISTERS]
    assert [int(r.findtext("dim", "1")) for r in read] == [r.count for r in REGISTERS]
    assert {r.findtext("access") for r in read} == {"read-only", "read-write", "write-only"}


def test_the_page_on_the_link_has_everything() -> None:
    page = link_page()
    for command in (*COMMANDS, *STREAM_COMMANDS):
        assert f"### {command.kind.name} (0x{command.kind:02x})" in page
        for field in (*command.request, *command.reply):
            assert f"| `{field.name}` | {field.type} | {field.doc} |" in page
    for fault in (*Fault, *StreamFault):
        assert re.search(rf"^\| {fault.value} \| {fault.name} \|", page, re.MULTILINE)
    # Its examples equal the fixtures.
    for name in ("identify", "write epoch", "write reply", "statistics"):
        assert f"`{fixtures.encoded(name).hex(' ')}`" in page


def test_the_command_prints_each_format(tmp_path: Path) -> None:
    for form, made in FORMATS.items():
        done = CliRunner().invoke(registers, ["--format", form])
        assert (done.exit_code, done.output) == (0, made())
    path = tmp_path / "x"
    assert CliRunner().invoke(registers, ["--format", "c", "-o", str(path)]).exit_code == 0
    assert path.read_text() == c_header()
    assert CliRunner().invoke(registers, ["--format", "pdf"]).exit_code == 2


NAME = st.from_regex(r"[a-z][a-z0-9_]{0,7}", fullmatch=True)
DOC = st.from_regex(r"[A-Z][a-z,:;<>&'\"]{0,9}( [a-z0-9]{1,5}){0,3}\.", fullmatch=True)


@st.composite
def bits(draw: st.DrawFn) -> tuple[Bits, ...]:
    """Draw fields that follow one another, with gaps."""
    cuts = sorted(draw(st.sets(st.integers(0, 32), max_size=6)))
    found = [Bits(draw(NAME), low, high - low, draw(DOC)) for low, high in pairwise(cuts) if draw(st.booleans())]
    return tuple({field.name: field for field in found}.values())


@st.composite
def tables(draw: st.DrawFn) -> tuple[Register, ...]:
    """Draw a register map that could be."""
    found, address = [], 0
    for name in draw(st.lists(NAME, min_size=1, max_size=6, unique=True)):
        address += draw(st.integers(0, 5))
        register = Register(
            name,
            address,
            draw(st.sampled_from(("r", "rw", "w"))),
            draw(DOC),
            draw(st.sampled_from([None, 0]) | st.integers(0, 2**32 - 1)),
            draw(st.integers(1, 4)),
            draw(bits()),
        )
        found.append(register)
        address = register.addresses[-1] + 1
    return tuple(found)


def from_json(text: str) -> tuple[Register, ...]:
    names = {"description": "doc"}
    found = []
    for plain in json.loads(text)["registers"]:
        fields = tuple(Bits(**{names.get(key, key): value for key, value in one.items()}) for one in plain["fields"])
        found.append(Register(**{names.get(key, key): value for key, value in plain.items()} | {"fields": fields}))
    return tuple(found)


def from_svd(text: str) -> tuple[Register, ...]:
    access: dict[str, Access] = {"read-only": "r", "read-write": "rw", "write-only": "w"}
    found = []
    for one in ET.fromstring(text).iter("register"):  # noqa: S314
        said = {child.tag: child.text or "" for child in one}
        fields = []
        for field in one.iter("field"):
            part = {child.tag: child.text or "" for child in field}
            fields.append(Bits(part["name"], int(part["bitOffset"]), int(part["bitWidth"]), part["description"]))
        address, rest = divmod(int(said["addressOffset"], 16), 4)
        assert rest == 0
        count = int(said.get("dim", "1"))
        assert said["name"].endswith("[%s]") == (count > 1) == (said.get("dimIncrement") == "4")
        reset = int(said["resetValue"], 16) if "resetValue" in said else None
        name, doc = said["name"].removesuffix("[%s]"), said["description"]
        found.append(Register(name, address, access[said["access"]], doc, reset, count, tuple(fields)))
    return tuple(found)


def constants(header: str) -> dict[str, int]:
    return {name: int(value, 0) for name, value in re.findall(r"^#define (\w+) (\w+)u$", header, re.MULTILINE)}


@settings(max_examples=25, deadline=None, derandomize=True)
@given(tables())
def test_any_map_comes_back_from_what_is_generated(table: tuple[Register, ...]) -> None:
    before = constants(c_header())
    of = Map(table)
    assert from_json(json_text(of)) == table
    assert from_svd(svd(of)) == table
    header, rows = constants(c_header(of)), register_table(of).splitlines()[2:]
    wanted = {}
    for r in table:
        stem = f"NINEFOLD_{r.name.upper()}"
        wanted[f"{stem}_ADDRESS"] = r.address
        wanted |= {f"{stem}_COUNT": r.count} if r.count > 1 else {}
        for f in r.fields:
            wanted[f"{stem}_{f.name.upper()}_SHIFT"] = f.low
            wanted[f"{stem}_{f.name.upper()}_MASK"] = sum(1 << bit for bit in range(f.low, f.low + f.width))
    of_registers = {f"NINEFOLD_{r.name.upper()}_" for r in REGISTERS}
    links = {name: value for name, value in before.items() if not any(name.startswith(stem) for stem in of_registers)}
    assert header == {**links, **wanted}
    assert [row.split(" | ")[1].strip("`").partition("`")[0] for row in rows] == [r.name for r in table]
    assert [int(row.split(" | ")[0][2:6], 16) for row in rows] == [r.address for r in table]
