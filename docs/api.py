"""MkDocs hook: pages of the Python API, one for each package, and the link to the repository.

The pages are made from the docstrings of public names. A module is public when its ``__all__`` names something. Modules
are found by walking the folders; none is imported. The repository is the one that the checkout was cloned from.
"""

from __future__ import annotations

import ast
import re
import subprocess
from functools import cache
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

__all__ = ["on_config", "on_files", "web_address"]

_ROOT = Path(__file__).parents[1]
_FOLDERS = ("host", "spec", "numerics", "drivers", "hdl", "sim")
_HEAD = """# Python API

Public names of each package, with the signatures and docstrings of the source. Start with
[`ninefold.host`](ninefold.host.md): it holds the index, the scheduler and `run`.

| package | contents |
| --- | --- |
"""


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add the pages to the navigation, and the repository to the header."""
    git = subprocess.run(["git", "remote", "get-url", "origin"], cwd=_ROOT, capture_output=True, text=True)
    config.repo_url = web_address(git.stdout.strip())
    config.repo_name = "Repository" if config.repo_url else None
    pages = [{name: f"api/{name}.md"} for name in _packages()]
    (config.nav or []).append({"Python API": ["api/index.md", *pages]})
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages: an overview, and one for each package."""
    rows = [f"| [`{name}`]({name}.md) | {_summary(paths[0].parent)} |\n" for name, paths in _packages().items()]
    files.append(File.generated(config, "api/index.md", content=_HEAD + "".join(rows)))
    for name, paths in _packages().items():
        modules = (name if path.stem == "__init__" else f"{name}.{path.stem}" for path in paths)
        text = f"# {name}\n\n" + "\n".join(f"::: {module}\n    options: {{heading_level: 2}}\n" for module in modules)
        files.append(File.generated(config, f"api/{name}.md", content=text))
    return files


def web_address(remote: str) -> str | None:
    """Return the address at which a browser finds the repository of a git remote, or None if there is none."""
    found = re.fullmatch(r"(?:(?:https?|ssh)://)?(?:[^@/]*@)?([\w-]+\.[\w.-]+)(?::\d+)?[:/](.+?)(?:\.git)?/?", remote)
    return f"https://{found[1]}/{found[2]}" if found else None


@cache
def _packages() -> dict[str, list[Path]]:
    """Return the public modules of each package that has some, by its dotted name."""
    packages: dict[str, list[Path]] = {}
    for folder in _FOLDERS:
        for path in sorted((_ROOT / folder).rglob("*.py")):
            if _is_public(path):
                packages.setdefault(".".join(["ninefold", *path.parent.relative_to(_ROOT).parts]), []).append(path)
    return packages


def _is_public(path: Path) -> bool:
    """Return whether ``__all__`` of a module names something."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return not isinstance(node.value, ast.List) or bool(node.value.elts)
    return False


def _summary(package: Path) -> str:
    """Return the first line of a package's docstring."""
    return (ast.get_docstring(ast.parse((package / "__init__.py").read_text())) or "").partition("\n")[0]
