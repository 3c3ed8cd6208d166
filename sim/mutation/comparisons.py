"""Faults at comparisons: each comparison of signals in the sources of ``ninefold.hdl``, moved by one or stuck.

A comparison is found when a core is elaborated: one that gives a value of the fabric, not a Boolean of Python. Its
function runs meanwhile with each comparison replaced by a call, which notes it and, at the one with the fault, gives
something else.
"""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import operator
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import CodeType, FunctionType, MappingProxyType, ModuleType
from typing import Any

from amaranth.hdl import Const, Mux, Value

from ninefold import hdl

__all__ = ["Comparison", "Fault", "FoundComparisons", "Planted", "faults_of", "planted", "selectable", "watched"]

#: Packages of ``ninefold.hdl`` whose comparisons are judged.
_PACKAGES = ("cores", "miner", "parts")
_CALL = "_compared"
#: Sign of the difference of two unsigned values, as ``(a - b)[-1]``: a carry chain says whether a < b.
_BORROW = "borrow"


_Compare = Callable[[Any, Any], Any]


def _borrow(left: Any, right: Any) -> Any:
    return (left - right)[-1]


_OPERATORS: Mapping[str, _Compare] = MappingProxyType(
    {
        "Eq": operator.eq,
        "NotEq": operator.ne,
        "Lt": operator.lt,
        "LtE": operator.le,
        "Gt": operator.gt,
        "GtE": operator.ge,
        _BORROW: _borrow,
    }
)


@dataclass(frozen=True, order=True)
class Comparison:
    """A comparison in the sources, named so that the name stays when lines move.

    Attributes
    ----------
    path : str
        Source file, as ``hdl/cores/topk.py``.
    function : str
        Qualified name of the function.
    text : str
        The comparison as ``ast.unparse`` writes it; a second one of the same text in a function has `` #2`` after it.
    """

    path: str
    function: str
    text: str

    def __str__(self) -> str:
        """Return the comparison as a line of text."""
        return f"{self.path} {self.function}: {self.text}"

    @classmethod
    def read(cls, line: str) -> Comparison:
        """Parse the line of a comparison."""
        place, _, text = line.partition(": ")
        path, _, function = place.partition(" ")
        return cls(path, function, text)


class Fault(StrEnum):
    """Kinds of faults at a comparison; the first two change its right operand."""

    MORE = "+1"
    LESS = "-1"
    ALWAYS = "always"
    NEVER = "never"


@dataclass(frozen=True, order=True)
class Planted:
    """A fault at a comparison."""

    comparison: Comparison
    fault: Fault

    def __str__(self) -> str:
        """Return a line for a reader."""
        return f"{self.comparison}: {self.fault}"


def faults_of(comparison: Comparison) -> tuple[Fault, ...]:
    """Return the faults to plant; in comparisons of unsigned values with 0, one less is left out."""
    zero = comparison.text.partition(" #")[0].endswith(("== 0", "!= 0"))
    return tuple(fault for fault in Fault if not (zero and fault is Fault.LESS))


@dataclass
class FoundComparisons:
    """Comparisons of signals found during elaboration.

    Attributes
    ----------
    comparisons : set of Comparison
        Comparisons found so far.
    """

    comparisons: set[Comparison] = field(default_factory=set)


@contextmanager
def watched() -> Iterator[FoundComparisons]:
    """Record the comparisons of cores that are elaborated within the block."""
    found = FoundComparisons()

    def give(at: Comparison, sound: Any, *_: Any) -> Any:
        found.comparisons.add(at)
        return sound

    with _replaced(give):
        yield found


@contextmanager
def planted(fault: Planted) -> Iterator[FoundComparisons]:
    """Plant a fault in cores elaborated within the block; cores without the comparison are unchanged."""
    found = FoundComparisons()

    def give(at: Comparison, sound: Any, compare: _Compare, left: Any, right: Any) -> Any:
        if at != fault.comparison:
            return sound
        found.comparisons.add(at)
        return _spoilt(fault.fault, compare, left, right)

    with _replaced(give):
        yield found


@contextmanager
def selectable(faults: Mapping[Planted, int], select: Value) -> Iterator[None]:
    """Plant faults in cores elaborated within the block; `select` holds the number of the active fault.

    Parameters
    ----------
    faults : mapping of Planted to int
        Faults with their numbers.
    select : Value
        Number of the active fault, or another number for none.
    """
    of: dict[Comparison, list[tuple[int, Fault]]] = {}
    for one, number in faults.items():
        of.setdefault(one.comparison, []).append((number, one.fault))

    def give(at: Comparison, sound: Any, compare: _Compare, left: Any, right: Any) -> Any:
        given = sound
        for number, fault in of.get(at, ()):
            given = Mux(select == number, _spoilt(fault, compare, left, right), given)
        return given

    with _replaced(give):
        yield


def _spoilt(fault: Fault, compare: _Compare, left: Any, right: Any) -> Value:
    if fault in (Fault.ALWAYS, Fault.NEVER):
        return Const(int(fault is Fault.ALWAYS), 1)
    return Value.cast(compare(left, Value.cast(right) + (1 if fault is Fault.MORE else -1)))


@contextmanager
def _replaced(give: Callable[..., Any]) -> Iterator[None]:
    """Replace the results of comparisons of signals by the results of `give`."""

    def compared(comparison: Comparison, name: str, left: Any, right: Any) -> Any:
        compare = _OPERATORS[name]
        sound = compare(left, right)
        return give(comparison, sound, compare, left, right) if isinstance(sound, Value) else sound

    changed: list[tuple[FunctionType, CodeType]] = []
    modules = []
    try:
        for name in _modules():
            module, codes = _rewritten(name)
            vars(module)[_CALL] = functools.partial(_ask, compared, _comparisons_of(name))
            modules.append(module)
            for function, code in codes:
                changed.append((function, function.__code__))
                function.__code__ = code
        yield
    finally:
        for function, code in changed:
            function.__code__ = code
        for module in modules:
            del vars(module)[_CALL]


def _ask(compared: Callable[..., Any], known: tuple[Comparison, ...], place: int, *rest: Any) -> Any:
    return compared(known[place], *rest)


@functools.cache
def _modules() -> tuple[str, ...]:
    """Return the names of all modules of the fabric."""
    packages = [importlib.import_module(f"{hdl.__name__}.{name}") for name in _PACKAGES]
    found = [
        module.name for package in packages for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}.")
    ]
    return tuple(sorted(found))


@functools.cache
def _parsed(name: str) -> tuple[ast.Module, tuple[Comparison, ...], frozenset[str]]:
    """Return a module with its comparisons replaced by calls, these, and the functions that hold them."""
    path = Path(str(importlib.import_module(name).__file__))
    rewriter = _Rewriter(f"hdl/{path.relative_to(Path(str(hdl.__file__)).parent).as_posix()}")
    tree = rewriter.visit(ast.parse(path.read_text()))
    return ast.fix_missing_locations(tree), tuple(rewriter.found), frozenset(rewriter.functions)


def _comparisons_of(name: str) -> tuple[Comparison, ...]:
    return _parsed(name)[1]


@functools.cache
def _rewritten(name: str) -> tuple[ModuleType, tuple[tuple[FunctionType, CodeType], ...]]:
    """Return a module, and its functions with comparisons together with their rewritten code."""
    module = importlib.import_module(name)
    tree, _, functions = _parsed(name)
    codes = _codes(compile(tree, str(module.__file__), "exec", dont_inherit=True))
    return module, tuple((_function(module, function), codes[function]) for function in sorted(functions))


def _codes(code: CodeType) -> dict[str, CodeType]:
    """Return the code of all functions and classes by qualified name."""
    found = {}
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            found[inner.co_qualname] = inner
            found |= _codes(inner)
    return found


def _function(module: ModuleType, name: str) -> FunctionType:
    """Return a function of a module, or of a class in it, without what wraps it."""
    found: Any = module
    for part in name.split("."):
        found = inspect.getattr_static(found, part)
    while not isinstance(found, FunctionType):
        inner = (getattr(found, wrapped, None) for wrapped in ("fget", "func", "__func__", "__wrapped__"))
        found = next((function for function in inner if function is not None), None)
        if found is None:
            raise TypeError(f"{module.__name__}.{name} compares, and is no function")
    return found


class _Rewriter(ast.NodeTransformer):
    """Replaces comparisons in functions by calls."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._scope: list[str] = []
        #: How many names of the scope lead to the outermost function; 0 outside of functions.
        self._depth = 0
        self.found: list[Comparison] = []
        self.functions: set[str] = set()

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        return self._within(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        outermost = not self._depth
        if outermost:
            self._depth = len(self._scope) + 1
        changed = self._within(node)
        if outermost:
            self._depth = 0
        return changed

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        text = ast.unparse(node)
        self.generic_visit(node)
        name = type(node.ops[0]).__name__
        if len(node.ops) > 1 or name not in _OPERATORS:
            return node
        return self._call(node, text, name, node.left, node.comparators[0])

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        text = ast.unparse(node)
        self.generic_visit(node)
        match node:
            case ast.Subscript(ast.BinOp(left, ast.Sub(), right), ast.UnaryOp(ast.USub(), ast.Constant(1)), ast.Load()):
                return self._call(node, text, _BORROW, left, right)
        return node

    def _within(self, node: Any) -> ast.AST:
        self._scope.append(node.name)
        self.generic_visit(node)
        self._scope.pop()
        return node  # type: ignore[no-any-return]

    def _call(self, node: ast.expr, text: str, name: str, left: ast.expr, right: ast.expr) -> ast.AST:
        if not self._depth:
            return node
        self.functions.add(".".join(self._scope[: self._depth]))
        function = ".".join(self._scope)
        same = sum(one.function == function and one.text.partition(" #")[0] == text for one in self.found)
        self.found.append(Comparison(self._path, function, f"{text} #{same + 1}" if same else text))
        arguments: list[ast.expr] = [ast.Constant(len(self.found) - 1), ast.Constant(name), left, right]
        return ast.copy_location(ast.Call(ast.Name(_CALL, ast.Load()), arguments, []), node)
