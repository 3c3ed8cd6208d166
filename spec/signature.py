"""Signatures of operators: arguments, options, limits, results, and the axes along which calls may be divided.

An `Operator` is data. `Operator.bind` checks arguments against it and returns a `Call`, which every backend receives
and never checks again. `Operator.answer_flaw` and `Layout.flaw` say what an answer must be.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from .data import Database, State
from .errors import InputError
from .layouts import Layout, Resident
from .options import Option
from .tensors import Array, Derived, Ragged, Record, Tensor
from .tolerance import EXACT, Bound, Exact, Scale, Tolerance

__all__ = [
    "EXACT",
    "FAMILIES",
    "MERGES",
    "Argument",
    "Array",
    "Bound",
    "Call",
    "Declared",
    "Derived",
    "Exact",
    "Layout",
    "Limit",
    "Operator",
    "Option",
    "Ragged",
    "Record",
    "Resident",
    "Scale",
    "Shards",
    "Tensor",
    "Tolerance",
]

#: Families of operators. A backend may state one reason for a whole family that it does not run.
FAMILIES: Final = ("nonary", "embedding", "memory", "wave", "routing")
#: Merges that join the results of the shards of a database. ``ninefold.numerics.shards`` implements each one.
MERGES: Final = {
    "ranked": "lists by (score descending, id ascending), cut at their length",
    "staged": 'as "ranked"; with scan="signs" the parts return candidates, whose merged list is then scored by nits',
}

#: Declaration of an array argument or of a result.
Declared = Tensor | Record | Ragged
Argument = Declared | Resident


@dataclass(frozen=True)
class Limit:
    """Bound on an expression over sizes and options.

    Attributes
    ----------
    expression : str
        Name in errors, e.g. ``"rerank * k"``.
    value : callable
        ``value(sizes, options) -> int``; both are mappings by name.
    low, high : int
        Inclusive range.
    """

    expression: str
    value: Callable[[Mapping[str, int], Mapping[str, Any]], int]
    low: int
    high: int

    def check(self, sizes: Mapping[str, int], options: Mapping[str, Any]) -> None:
        """Raise `InputError` unless the expression is in range."""
        value = self.value(sizes, options)
        if not self.low <= value <= self.high:
            raise InputError(f"{self.expression} must be {self.low} to {self.high}, not {value}")


@dataclass(frozen=True)
class Shards:
    """Axis of a database along which it may be divided, and the merge that joins the results of its parts.

    Attributes
    ----------
    axis : str
        Symbol of the database's rows. Fields and arguments that have it are divided along it.
    merge : str
        One of `MERGES`.
    masks : tuple of str
        Array arguments with a bit for each row: row r is bit r mod 8, lowest first, of byte r // 8.
    lists : tuple of str
        Two fields of the database, or none: the rows by list, and the first position of each list in them, one more
        than there are lists. A part has all lists, each with the rows of that part.
    """

    axis: str
    merge: str
    masks: tuple[str, ...] = ()
    lists: tuple[()] | tuple[str, str] = ()


@dataclass(frozen=True)
class Call:
    """Checked call of an operator, passed to a backend.

    Attributes
    ----------
    operator : Operator
        The operator to run.
    arguments : mapping of str to array, record, RaggedArray, Database or State
        Arguments by name; None for an omitted optional argument.
    options : mapping of str to object
        All options of the operator, with defaults filled in.
    sizes : mapping of str to int
        Values of the signature's symbols, e.g. ``{"Q": 3, "D": 384}``.
    """

    operator: Operator
    arguments: Mapping[str, Any]
    options: Mapping[str, Any]
    sizes: Mapping[str, int]

    def with_options(self, **options: Any) -> Call:
        """Return the call with some options changed, after checking them; the arguments are not checked again."""
        return self.operator.settled(self.arguments, {**self.options, **options}, self.sizes)

    def database(self, name: str = "") -> Database:
        """Return the database among the arguments; by default the only one."""
        value: Database = self.arguments[name or self.operator.database_name]
        return value

    def state(self) -> State:
        """Return the state among the arguments."""
        value: State = self.arguments[self.operator.state_name]
        return value


@dataclass(frozen=True, eq=False)
class Operator:
    """Signature of one computation.

    Attributes
    ----------
    name : str
        Name of the operator and of its file in ``spec.operators``, in the golden models and in each backend.
    summary : str
        One line of description.
    arguments : tuple of Tensor, Record, Ragged or Resident
        In the order of the definition.
    results : tuple of Tensor, Record or Ragged
        Results, each with its tolerance. Shapes use the symbols of the arguments and the names of integer options.
    options : tuple of Option
        Keywords.
    limits : tuple of Limit
        Bounds across sizes and options.
    rows : str or None
        Symbol of the axis along which calls may be joined and split, because its rows do not influence each other. It
        is the first axis of every result and of each argument that has it. None if there is no such axis.
    shards : Shards or None
        Axis along which the database may be divided; None if it may not.
    stateful : bool
        False: ``run(device, call) -> Answer``. True: ``step(device, call) -> Answer`` with the next version of the
        call's one state in it. A step is never split over devices and never repeated once committed. An operator that
        takes a state without being stateful reads the version that the steps before it committed.
    family : str
        One of `FAMILIES`; empty if the operator belongs to none.
    check : callable or None
        ``check(call)`` raises `InputError` for conditions that the fields above cannot express.

    Raises
    ------
    InputError
        The definition is inconsistent.
    """

    name: str
    summary: str
    arguments: tuple[Argument, ...]
    results: tuple[Declared, ...]
    options: tuple[Option, ...] = ()
    limits: tuple[Limit, ...] = ()
    rows: str | None = None
    shards: Shards | None = None
    stateful: bool = False
    family: str = ""
    check: Callable[[Call], None] | None = None

    def __post_init__(self) -> None:
        states = [a.name for a in self.arguments if isinstance(a, Resident) and a.kind == "state"]
        if len(states) > 1 or (self.stateful and not states):
            takes = ", ".join(states) or "none"
            raise InputError(f"{self.name} must take one state{'' if self.stateful else ' at most'}, not {takes}")
        if self.family and self.family not in FAMILIES:
            raise InputError(f"family of {self.name} must be one of {', '.join(FAMILIES)}, not {self.family!r}")
        if self.shards and self.shards.merge not in MERGES:
            raise InputError(f"merge of {self.name} must be one of {', '.join(MERGES)}, not {self.shards.merge!r}")
        for kind, named, known in self._named_by_shards():
            if unknown := next((name for name in named if name not in known), None):
                raise InputError(f"{kind} of {self.name} must be among {', '.join(known) or 'none'}, not {unknown!r}")
        for kind, names in (
            ("argument or option", [*(a.name for a in self.arguments), *(o.name for o in self.options)]),
            ("result", [r.name for r in self.results]),
        ):
            if twice := next((name for name in names if names.count(name) > 1), None):
                raise InputError(f"{self.name} has two of the {kind} {twice}")

    @cached_property
    def rowed(self) -> tuple[str, ...]:
        """Names of the array arguments with the axis `rows`."""
        return tuple(a.name for a in self.arguments if self.rows is not None and _first_axis(a) == self.rows)

    @cached_property
    def argument_names(self) -> tuple[str, ...]:
        """Names of the arguments, in order."""
        return tuple(a.name for a in self.arguments)

    @cached_property
    def residents(self) -> tuple[str, ...]:
        """Names of the arguments that are residents."""
        return tuple(a.name for a in self.arguments if isinstance(a, Resident))

    @cached_property
    def state_name(self) -> str:
        """Name of the state argument; empty if there is none."""
        return next((a.name for a in self.arguments if isinstance(a, Resident) and a.kind == "state"), "")

    @cached_property
    def database_name(self) -> str:
        """Name of the first database argument; empty if there is none."""
        return next((a.name for a in self.arguments if isinstance(a, Resident) and a.kind == "database"), "")

    @cached_property
    def accuracy(self) -> str:
        """Tolerances of all results and of the state's fields in words: ``"exact"``, or each bound."""
        layout = self.layout_of(self.state_name) if self.stateful else None
        declared = [*self.results, *(layout.fields if layout else ())]
        found = {one.name: str(one.tolerance) for one in _tensors(declared) if one.tolerance is not EXACT}
        if not found:
            return str(EXACT)
        if len(declared) == 1:
            return next(iter(found.values()))
        return ", ".join(f"{name} {text}" for name, text in found.items())

    def layout_of(self, name: str) -> Layout:
        """Return the layout of a resident argument."""
        return next(a.layout for a in self.arguments if isinstance(a, Resident) and a.name == name)

    @cached_property
    def _argument_set(self) -> frozenset[str]:
        return frozenset(self.argument_names)

    @cached_property
    def _keywords(self) -> Mapping[str, Option]:
        return {option.name: option for option in self.options}

    def _named_by_shards(self) -> list[tuple[str, tuple[str, ...], tuple[str, ...]]]:
        """Return kind, names and known names of what `shards` names."""
        if self.shards is None:
            return []
        fields = tuple(f.name for a in self.arguments if isinstance(a, Resident) for f in a.layout.fields)
        return [("masks", self.shards.masks, self.argument_names), ("lists", self.shards.lists, fields)]

    def bind(self, arguments: Mapping[str, Any], options: Mapping[str, Any] | None = None) -> Call:
        """Check arguments and options against the signature.

        Parameters
        ----------
        arguments : mapping of str to array, record, RaggedArray, Database or State
            Arguments by name.
        options : mapping of str to object, optional
            Options by name; omitted options take their defaults.

        Returns
        -------
        Call
            The checked call.

        Raises
        ------
        InputError
            A name is missing or unknown, or a dtype, shape, value or option is not allowed; the message names the value
            and the allowed set.
        """
        if not self._argument_set.issuperset(arguments):
            self._refuse_name("argument", arguments, self.argument_names)
        sizes: dict[str, int] = {}
        bound: dict[str, Any] = {}
        for argument in self.arguments:
            bound[argument.name] = value = arguments.get(argument.name)
            if value is not None:
                argument.check(value, sizes)
            elif isinstance(argument, Resident) or not argument.optional:
                raise InputError(f"{self.name} needs the argument {argument.name}")
        return self.settled(bound, options or {}, sizes)

    def settled(self, arguments: Mapping[str, Any], options: Mapping[str, Any], sizes: Mapping[str, int]) -> Call:
        """Return the call of checked arguments, after checking options and limits; see `bind`."""
        if not self._keywords.keys() >= options.keys():
            self._refuse_name("option", options, tuple(self._keywords))
        settled: dict[str, Any] = {}
        for name, option in self._keywords.items():
            if name in options:
                settled[name] = option.check(options[name])
            elif option.default is Option.REQUIRED:
                raise InputError(f"{self.name} needs the option {name}")
            else:
                settled[name] = option.default
        for limit in self.limits:
            limit.check(sizes, settled)
        call = Call(self, arguments, settled, sizes)
        if self.check is not None:
            self.check(call)
        return call

    def shape_of(self, result: Tensor, call: Call) -> tuple[int, ...]:
        """Return the shape of a result: sizes and options of the call, and the leading axes of its first argument."""
        sizes = {**call.options, **call.sizes}
        shape: list[int] = []
        for size in result.shape:
            if size == "...":
                first = next(iter(call.arguments.values()))
                shape.extend(first.shape[: len(first.shape) - len(result.shape) + 1])
            elif isinstance(size, str):
                shape.append(sizes[size])
            else:
                shape.append(size if isinstance(size, int) else size.value(sizes))
        return tuple(shape)

    def answer_flaw(self, call: Call, values: Mapping[str, Any], *, contents: bool = True) -> str:
        """Return what is wrong with an answer by the signature alone, or an empty string.

        Parameters
        ----------
        call : Call
            Call that was answered.
        values : mapping of str to array, record or RaggedArray
            Results by name.
        contents : bool
            If False, only names, shapes and dtypes are checked, which reads no element.
        """
        names = [result.name for result in self.results]
        if sorted(values) != sorted(names):
            return f"it holds {', '.join(values) or 'nothing'}, not {', '.join(names)}"
        sizes = {**call.options, **call.sizes}
        for result in self.results:
            try:
                result.check(values[result.name], sizes, values=contents)
            except InputError as error:
                return str(error)
            if isinstance(result, Tensor):
                shape, wanted = tuple(values[result.name].shape), self.shape_of(result, call)
                if shape != wanted:
                    return f"{result.name} must have shape {wanted}, not {shape}"
        return ""

    def _refuse_name(self, what: str, given: Mapping[str, Any], known: tuple[str, ...]) -> None:
        unknown = next(name for name in given if name not in known)
        raise InputError(f"{self.name} {what} must be one of {', '.join(known) or 'none'}, not {unknown!r}")


def _first_axis(argument: Argument) -> Any:
    if isinstance(argument, Tensor):
        return argument.shape[0] if argument.shape else None
    if isinstance(argument, Ragged):
        return argument.lists
    if isinstance(argument, Record):
        axes = {_first_axis(field) for field in argument.fields}
        return axes.pop() if len(axes) == 1 else None
    return None


def _tensors(declared: list[Any]) -> list[Tensor]:
    found: list[Tensor] = []
    for one in declared:
        if isinstance(one, Tensor):
            found.append(one)
        else:
            found += _tensors(list(one.fields)) if isinstance(one, Record) else [one.values]
    return found
