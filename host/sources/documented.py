"""Print the documented public objects of the standard library, one JSON object per line.

Run as a script in its own process (``python -I -S documented.py``), because importing the whole standard library has
side effects. This module imports only the standard library.
"""

import contextlib
import importlib
import inspect
import json
import os
import pkgutil
import sys
import types
import warnings
from collections.abc import Iterator
from typing import Any, TextIO

__all__ = ["entries", "main", "module_names"]

#: Modules that are not imported: they act on import, open windows, are examples, or are tests.
_EXCLUDED = frozenset(
    {"antigravity", "encodings", "ensurepip", "idlelib", "pydoc_data", "site", "test", "this", "turtledemo"}
    | {"xxlimited", "xxlimited_35", "xxsubtype"}  # examples
    | {"distutils", "lib2to3", "sre_compile", "sre_constants", "sre_parse"}  # removed in later versions
    | {"genericpath", "nt", "ntpath", "posix"}  # implementations of os and os.path
)
_EXCLUDED_PARTS = frozenset({"__main__", "test", "tests", "idle_test"})
#: Public names of modules that are implemented under another name.
_KNOWN_AS = {"posixpath": "os.path"}
#: Docstrings that are generated, not written.
_GENERATED = ("Alias for field number", "Initialize self.", "Create and return a new object.")
_METHODS = (
    types.FunctionType,
    types.BuiltinFunctionType,
    types.MethodDescriptorType,
    types.ClassMethodDescriptorType,
    types.GetSetDescriptorType,
    types.MemberDescriptorType,
    classmethod,
    staticmethod,
    property,
)
#: Number of characters after which no further paragraph of a docstring is taken. The first paragraph is the summary
#: that matches questions best, unless it only repeats the signature.
_ENOUGH = 40
#: Length of the longest string that is shown as a default, in characters.
_SHORT = 20


def module_names() -> Iterator[str]:
    """Yield the public modules of the standard library, each package before its modules."""
    yield "builtins"
    level = sorted(n for n in sys.stdlib_module_names if not n.startswith("_") and n not in _EXCLUDED | {"builtins"})
    while level:
        yield from level
        level = sorted(inner for name in level for inner in _inner(name))


def _inner(package: str) -> Iterator[str]:
    module = _imported(package)
    for info in pkgutil.iter_modules(getattr(module, "__path__", ())):
        if not info.name.startswith("_") and info.name not in _EXCLUDED_PARTS:
            yield f"{package}.{info.name}"


def _imported(name: str) -> types.ModuleType | None:
    # Modules of other systems and modules whose C library is missing are not part of this standard library.
    try:
        return importlib.import_module(name)
    except Exception:  # modules may raise anything
        return None
    except SystemExit:
        return None


def entries() -> Iterator[dict[str, str]]:
    """Yield ``name``, ``signature`` and ``doc`` of every documented object, each once, in a fixed order.

    An object that several modules offer is listed under the first of them, packages first. Objects with the same last
    name and docstring are inherited or re-exported, and are treated as one. If a function and a module share a name,
    the function is listed.
    """
    seen: set[str | tuple[str, str]] = set()
    for name in module_names():
        module = _imported(name)
        if module is None:
            continue
        for qualified, thing, doc in _of_module(module, _KNOWN_AS.get(name, name)):
            key = (qualified.rpartition(".")[2], doc)
            if key not in seen and qualified not in seen:
                seen.update((key, qualified))
                yield {"name": qualified, "signature": _signature(thing), "doc": doc}


def _of_module(module: types.ModuleType, name: str) -> Iterator[tuple[str, Any, str]]:
    if doc := _written(module):
        yield name, module, doc
    prefix = "" if name == "builtins" else f"{name}."
    for public, thing in _public(module):
        if isinstance(thing, type):
            yield from _of_class(thing, f"{prefix}{public}")
        elif callable(thing) and hasattr(thing, "__name__") and (doc := _written(thing)):
            yield f"{prefix}{public}", thing, doc


def _public(module: types.ModuleType) -> Iterator[tuple[str, Any]]:
    listed = getattr(module, "__all__", None)
    for public in sorted(vars(module) if listed is None else set(listed)):
        thing = getattr(module, public, None)
        if public.startswith("_") or thing is None or isinstance(thing, types.ModuleType):
            continue
        # The built-in open names another module as its own.
        own = module.__name__ in ("builtins", getattr(thing, "__module__", None))
        if listed is not None or own:
            yield public, thing


def _of_class(cls: type, name: str) -> Iterator[tuple[str, Any, str]]:
    if doc := _written(cls):
        yield name, cls, doc
    for public, thing in sorted(vars(cls).items()):
        if not public.startswith("_") and isinstance(thing, _METHODS) and (doc := _written(thing)):
            yield f"{name}.{public}", thing, doc


def _written(thing: Any) -> str:
    """Return the first paragraphs of the object's own docstring, or an empty string."""
    doc = vars(thing).get("__doc__") if isinstance(thing, type) else getattr(thing, "__doc__", None)
    if not isinstance(doc, str) or doc.startswith(_GENERATED):
        return ""
    text = ""
    for paragraph in inspect.cleandoc(doc).split("\n\n"):
        text = f"{text}\n\n{paragraph.strip()}".strip()
        if len(text) >= _ENOUGH:
            break
    return text


def _signature(thing: Any) -> str:
    if isinstance(thing, types.ModuleType | property) or inspect.isdatadescriptor(thing):
        return ""
    if isinstance(thing, classmethod | staticmethod):
        thing = thing.__func__
    try:
        signature = inspect.signature(thing)
    except (ValueError, TypeError):
        return ""
    parameters = [parameter.replace(default=_shown(parameter.default)) for parameter in signature.parameters.values()]
    text = str(signature.replace(parameters=parameters)).replace("=Ellipsis", "=...").replace("= Ellipsis", "= ...")
    # Annotations that contain an address would differ between runs.
    return "" if " at 0x" in text else text


def _shown(default: Any) -> Any:
    """Return a short constant default unchanged, and an ellipsis for others, since os.environ and the like vary."""
    if default is inspect.Parameter.empty or isinstance(default, int | float | None) or default in ((), "", b""):
        return default
    if isinstance(default, str | bytes) and len(default) <= _SHORT and default[:1] not in ("/", b"/"):
        return default
    return ...


def main(output: TextIO) -> None:
    """Write every entry to `output`."""
    warnings.simplefilter("ignore")
    for entry in entries():
        output.write(json.dumps(entry) + "\n")
    output.flush()


if __name__ == "__main__":
    # Output of modules on import (readline sends control characters) must not mix with the entries.
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as real:
        quiet = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(quiet, descriptor)
        with contextlib.suppress(BrokenPipeError):
            main(real)
    # Some modules leave running threads or exit handlers.
    os._exit(0)
