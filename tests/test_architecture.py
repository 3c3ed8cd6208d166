"""The import rules of the architecture, read from the sources."""

import ast
import importlib
import pkgutil
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MAY_IMPORT: dict[str, set[str]] = {
    "spec": set(),
    "numerics": {"spec"},
    "hdl": {"spec"},
    "drivers": {"spec", "numerics"},
    "host": {"spec", "numerics", "drivers"},
    "sim": {"spec", "numerics", "hdl", "drivers"},
    "bitstreams": set(),
}
SOURCES = sorted(p for folder in MAY_IMPORT for p in (ROOT / folder).rglob("*.py"))


def imports_of(source: str, package: list[str]) -> set[str]:
    """Return the absolute names of all modules that `source`, a module of `package`, imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            stem = ".".join([*base, *([node.module] if node.module else [])])
            names.update(f"{stem}.{alias.name}" for alias in node.names)
    return names


def faults(folder: str, names: set[str]) -> list[str]:
    """Return what is wrong with these imports in a module of `folder`."""
    found = []
    for name in sorted(names):
        top, *rest = name.split(".")
        if top in MAY_IMPORT:
            found.append(f"bare import of {name}: write ninefold.{name}")
        elif top == "tests":
            found.append(f"{folder} imports {name}")
        elif top == "ninefold":
            if rest and rest[0] != folder and rest[0] not in MAY_IMPORT[folder]:
                found.append(f"{folder} imports {name}")
        elif folder == "spec" and top not in sys.stdlib_module_names:
            found.append(f"spec imports {name}, which is not in the standard library")
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports(path: Path) -> None:
    package = ["ninefold", *path.relative_to(ROOT).parent.parts]
    names = imports_of(path.read_text(), package)
    assert faults(package[1], names) == []
    if "backends" in package or package[1:3] == ["sim", "rtl"]:
        assert not [n for n in names if "sim.golden" in n], "a backend that calls its judge tests nothing"


def module_of(name: str) -> Path | None:
    """Return the file of the module that an imported name is, or is in; None outside the project."""
    folder, *rest = name.removeprefix("ninefold.").split(".")
    for end in range(len(rest), -1, -1):
        stem = ROOT.joinpath(folder, *rest[:end])
        for path in (stem.with_suffix(".py"), stem / "__init__.py"):
            if name.startswith("ninefold.") and path.is_file():
                return path
    return None


def reached(paths: list[Path]) -> set[Path]:
    """Return these files and all files of the project that they import, directly or not."""
    found: set[Path] = set()
    waiting = list(paths)
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            names = imports_of(path.read_text(), ["ninefold", *path.relative_to(ROOT).parent.parts])
            waiting += [module for name in names if (module := module_of(name)) is not None]
    return found


@pytest.mark.parametrize("folder", ["sim/conformance", "sim/golden", "host/hooks"])
def test_what_judges_shares_no_code_with_what_is_judged(folder: str) -> None:
    judges = sorted((ROOT / folder).rglob("*.py"))
    assert judges
    judged = [
        path
        for path in (str(path.relative_to(ROOT)) for path in reached(judges))
        if path.startswith(("numerics/", "host/backends/", "sim/rtl/"))
    ]
    assert judged == [], f"{folder} imports, directly or not, {', '.join(judged)}"


def test_an_import_at_second_hand_is_seen() -> None:
    assert ROOT / "numerics" / "ranked.py" in reached([ROOT / "host" / "backends" / "loihi" / "__init__.py"])


@pytest.mark.parametrize(
    ("folder", "source"),
    [
        ("host", "from ninefold.sim import golden"),
        ("host", "import ninefold.hdl.cores"),
        ("hdl", "from ..drivers import x"),
        ("spec", "import numpy"),
        ("sim", "import hdl"),
        ("sim", "from tests import helpers"),
        ("drivers", "def f():\n    from ninefold.host import api"),
    ],
)
def test_a_forbidden_import_is_seen(folder: str, source: str) -> None:
    assert len(faults(folder, imports_of(source, ["ninefold", folder]))) == 1


def circles(imports: dict[str, set[str]]) -> list[set[str]]:
    """Return the groups of modules that import each other, directly or through others."""
    reached = {name: set(found) for name, found in imports.items()}
    for middle in imports:
        for found in reached.values():
            if middle in found:
                found.update(reached[middle])
    groups = {name: {other for other in found if name in reached[other]} for name, found in reached.items()}
    return [group for name, group in groups.items() if group and name == min(group)]


def imports_by_module(paths: list[Path]) -> dict[str, set[str]]:
    """Return the modules that each module imports, for type checkers or inside functions too."""
    packages = {path: ["ninefold", *path.relative_to(ROOT).parent.parts] for path in paths}
    names = {path: ".".join([*packages[path], *([] if path.stem == "__init__" else [path.stem])]) for path in paths}
    known, found = set(names.values()), {}
    for path in paths:
        imports = set()
        for name in imports_of(path.read_text(), packages[path]):
            module = name if name in known else name.rpartition(".")[0]
            imports |= {module} & known - {names[path]}
        found[names[path]] = imports
    return found


def test_no_module_imports_itself_through_others() -> None:
    assert circles(imports_by_module(SOURCES)) == []


def test_a_circle_is_seen() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": set()}) == [{"a", "b", "c"}]


def modules() -> list[str]:
    return sorted(
        info.name
        for folder in MAY_IMPORT
        for info in pkgutil.walk_packages(importlib.import_module(f"ninefold.{folder}").__path__, f"ninefold.{folder}.")
    )


@pytest.mark.parametrize("name", modules())
def test_public_names_resolve(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__doc__, f"{name} has no docstring"
    for public in getattr(module, "__all__", ()):
        assert hasattr(module, public), f"{name}.__all__ names {public!r}, which does not exist"


def test_every_module_with_public_names_lists_them() -> None:
    missing = []
    for path in SOURCES:
        tree = ast.parse(path.read_text())
        defines = any(
            isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_") for node in tree.body
        )
        if defines and not any(
            isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__" for node in tree.body
        ):
            missing.append(str(path.relative_to(ROOT)))
    assert missing == []
