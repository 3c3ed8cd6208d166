"""Sources that a module is made of, for digests that change when one of them does."""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from .errors import UnavailableError

__all__ = ["sources_of"]


def sources_of(modules: Iterable[str], packages: Sequence[str]) -> list[Path]:
    """Return the files of modules and of all modules that these import, directly or indirectly.

    The modules are located and read, not imported: an import may load a large library.

    Parameters
    ----------
    modules : iterable of str
        Dotted names to begin with.
    packages : sequence of str
        Packages and modules whose files are included; other imports are left out.

    Raises
    ------
    UnavailableError
        A module does not exist.
    """
    found: dict[str, Path] = {}
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        path = _file_of(name)
        if path is None:
            raise UnavailableError(f"{name} is not installed", "install ninefold again, or the package of the core")
        found[name] = path
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        for imported in _imported(path, package):
            if imported not in found and any(f"{imported}.".startswith(f"{prefix}.") for prefix in packages):
                # A name imported from a module is a module itself or something in it.
                module = imported if _file_of(imported) is not None else imported.rpartition(".")[0]
                waiting.append(module)
    return [found[name] for name in sorted(found)]


def _imported(path: Path, package: str) -> Iterator[str]:
    """Yield the dotted names that a module imports: modules, and names in modules."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*parents, *([node.module] if node.module else [])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _file_of(module: str) -> Path | None:
    """Return the file of a module; only packages of this project, and no other module, are imported to find it."""
    words = module.split(".")
    depth = 2 if words[0] == __package__.partition(".")[0] and len(words) > 1 else 1
    try:
        spec = importlib.util.find_spec(".".join(words[:depth]))
    except ModuleNotFoundError:
        return None
    if spec is None or (not spec.has_location and spec.submodule_search_locations is None):
        return None
    path = None if spec.origin is None else Path(spec.origin)
    folders = [Path(folder) for folder in spec.submodule_search_locations or ()]
    for word in words[depth:]:
        candidates = [file for folder in folders for file in (folder / word / "__init__.py", folder / f"{word}.py")]
        path = next((file for file in candidates if file.is_file()), None)
        folders = [folder / word for folder in folders if (folder / word).is_dir()]
        if path is None and not folders:
            return None
    return path
