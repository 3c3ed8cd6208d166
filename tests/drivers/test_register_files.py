import json
import re
import subprocess
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner

from ninefold.drivers.commands.registers import registers
from ninefold.drivers.link_page import link_page
from ninefold.drivers.register_files import FORMATS, c_header, json_text, markdown, svd
from ninefold.spec.link import COMMANDS, Fault
from ninefold.spec.registers import REGISTERS
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
    for command in COMMANDS:
        assert f"### {command.kind.name} (0x{command.kind:02x})" in page
        for field in (*command.request, *command.reply):
            assert f"| `{field.name}` | {field.type} | {field.doc} |" in page
    for fault in Fault:
        assert re.search(rf"^\| {fault.value} \| {fault.name} \|", page, re.MULTILINE)
    # Its examples are those of the fixtures.
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
