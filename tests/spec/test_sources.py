"""Sources of a module: its file and the files of what it imports, found without an import."""

import sys
from pathlib import Path

import pytest

from ninefold.spec.errors import UnavailableError
from ninefold.spec.sources import sources_of

FILES = {
    "made/__init__.py": "from made.late import unused",
    "made/first.py": "import json, made.direct\nfrom made.low import deep\nfrom . import beside\n1 / 0",
    "made/direct.py": "def f():\n    from .inner import NAME",
    "made/inner.py": "NAME = 1",
    "made/beside.py": "import other",
    "made/late.py": "unused = 1",
    "made/alone.py": "",
    "made/low/deep.py": "from ..inner import NAME\nfrom ..low.deeper import *",
    "made/low/deeper.py": "",
    "other.py": "",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_imports_of_named_packages_are_followed(folder: Path) -> None:
    found = [str(path.relative_to(folder)) for path in sources_of(["made.first"], ["made"])]
    # `made` itself is named by `from . import beside`, and imports another module.
    assert found == [
        "made/__init__.py",
        "made/beside.py",
        "made/direct.py",
        "made/first.py",
        "made/inner.py",
        "made/late.py",
        "made/low/deep.py",
        "made/low/deeper.py",
    ]
    assert [path.name for path in sources_of(["made.first"], [])] == ["first.py"]
    assert [path.name for path in sources_of(["made.beside"], ["other"])] == ["beside.py", "other.py"]
    assert "made" not in sys.modules


def test_modules_of_this_project_are_found_and_not_imported() -> None:
    found = {path.name for path in sources_of(["ninefold.hdl.cores.queue"], ["ninefold.hdl"])}
    assert found >= {"queue.py", "core.py", "checks.py"}
    assert "topk.py" not in found


def test_a_missing_module_is_named(folder: Path) -> None:
    for name in ("made.none", "none.made", "ninefold.none.made"):
        with pytest.raises(UnavailableError, match=f"{name} is not installed"):
            sources_of([name], ["made"])
