"""Messages about what is missing: one wording, in one place."""

import re
from pathlib import Path

from ninefold.spec.errors import installs, not_installed

ROOT = Path(__file__).parents[2]


def test_a_missing_package_is_named_with_the_command_that_installs_it() -> None:
    error = not_installed("the package x", installs("sim", "synth"))
    assert str(error) == 'the package x is not installed; pip install "ninefold[sim,synth]"'
    assert (error.exit_code, error.install) == (2, 'pip install "ninefold[sim,synth]"')


def test_no_tool_spells_the_command_out() -> None:
    files = [file for folder in ("drivers", "hdl", "sim") for file in (ROOT / folder).rglob("*.py")]
    for file in files:
        for line in file.read_text().splitlines():
            quoted = re.search(r"""["']pip install ['"\\]""", line)
            assert quoted is None, f"{file}: spells out what `installs` returns: {line.strip()}"
