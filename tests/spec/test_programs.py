import sys
from pathlib import Path

import pytest

from ninefold.spec.errors import UnavailableError
from ninefold.spec.programs import find


def program(path: Path) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_beside_python_then_on_path_by_the_first_name_that_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "beside" / "python"))
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    with pytest.raises(UnavailableError) as missing:
        find(("tool", "tool-cli"), "get it")
    assert str(missing.value) == "tool is neither beside python nor on PATH; get it"
    other = program(tmp_path / "path" / "tool-cli")
    assert find(("tool", "tool-cli"), "get it") == other
    on_path = program(tmp_path / "path" / "tool")
    assert find("tool", "get it") == find(("tool", "tool-cli"), "get it") == on_path
    beside = program(tmp_path / "beside" / "tool")
    assert find("tool", "get it") == beside
    beside.chmod(0o644)  # nothing to run
    assert find("tool", "get it") == on_path
