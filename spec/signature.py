"""Signatures of operators: tensors, residents, options, limits and tolerance.

An `Operator` is data. `Operator.bind` checks arguments against it and returns a `Call`, which every backend receives
and never checks again. Arrays are duck-typed (``shape``, ``dtype.name``, ``min``, ``max``), so this package needs no
NumPy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, Literal, Protocol

from .errors import InputError
from .tolerance import EXACT, Bound, Exact, Tolerance

if TYPE_CHECKING:
    from .data import Database, State

__all__ = [
    "EXACT",
    "Array",
    "Bound",
    "Call",
    "Exact",
    "Limit",
    "Operator",
    "Option",
    "Resident",
    "Tensor",
    "Tolerance",
]


class Array(Protocol):
    """Part of ``numpy.ndarray`` that the contract uses."""

    @property
    def shape(self) -> tuple[int, ...]: ...  # noqa: D102
    @property
    def dtype(self) -> Any: ...  # noqa: D102
    @property
    def nbytes(self) -> int: ...  # noqa: D102
    def min(self) -> Any: ...  # noqa: D102
    def max(self) -> Any: ...  # noqa: D102


@dataclass(frozen=True)
class Tensor:
    """Array argument or result.

    Attributes
    ----------
    name : str
        Name of the argument.
    shape : tuple of str or int
        Sizes, as numbers or symbols. A symbol has the same value throughout a call. A leading ``"..."`` stands for any
        number of axes.
    dtypes : tuple of str
        Allowed NumPy dtype names; the first is canonical.
    low, high : int or None
        Inclusive range of the values.
    nan : bool
        True if NaN is allowed.
    optional : bool
        True if the argument may be omitted; it is then None.
    doc : str
        One line for the generated documentation.
    """

    name: str
    shape: tuple[str | int, ...]
    dtypes: tuple[str, ...]
    low: int | None = None
    high: int | None = None
    nan: bool = False
    optional: bool = False
    doc: str = ""

    def check(self, value: Any, sizes: dict[str, int]) -> None:
        """Raise `InputError` unless `value` fits; add newly determined symbols to `sizes`."""
        try:
            shape, dtype = value.shape, value.dtype
        except AttributeError:
            raise InputError(f"{self.name} must be an array, not {type(value).__name__}") from None
        if (name := _name_of(dtype)) not in self.dtypes:
            raise InputError(f"{self.name} must have dtype {' or '.join(self.dtypes)}, not {name}")
        self._check_shape(shape, sizes)
        if 0 not in shape:
            self._check_values(value, dtype.kind)

    def _check_shape(self, shape: tuple[int, ...], sizes: dict[str, int]) -> None:
        wanted = self.shape
        if wanted and wanted[0] == "...":
            wanted = wanted[1:]
            fits = len(shape) >= len(wanted)
            shape = shape[len(shape) - len(wanted) :] if fits else shape
        else:
            fits = len(shape) == len(wanted)
        if not fits:
            raise InputError(f"{self.name} must have shape {_shape_text(self.shape)}, not {shape}")
        for symbol, size in zip(wanted, shape, strict=True):
            expected = symbol if isinstance(symbol, int) else sizes.setdefault(symbol, size)
            if size != expected:
                raise InputError(f"{self.name} must have {symbol} = {expected}, not {size} (shape {shape})")

    def _check_values(self, value: Any, kind: str) -> None:
        # The minimum of an array with a NaN is NaN, which takes one pass and no array of flags. Only NaN differs from
        # itself.
        if not self.nan and kind in "fc" and (least := value.min()) != least:
            raise InputError(f"{self.name} must not contain NaN")
        if self.low is not None and value.min() < self.low:
            raise InputError(f"{self.name} must be {self.low} to {self.high}, not {value.min()}")
        if self.high is not None and value.max() > self.high:
            raise InputError(f"{self.name} must be {self.low} to {self.high}, not {value.max()}")


@dataclass(frozen=True)
class Resident:
    """Argument that is kept on the device and used by handle.

    Attributes
    ----------
    name : str
        Name of the argument.
    kind : {'database', 'state'}
        `Database` (immutable, named by digest) or `State` (versioned).
    sizes : mapping of str to str
        Attribute of the resident -> symbol of the signature, e.g. ``{"dimensions": "D"}``.
    doc : str
        One line for the generated documentation.
    """

    name: str
    kind: Literal["database", "state"]
    sizes: Mapping[str, str] = field(default_factory=dict)
    doc: str = ""

    def check(self, value: Any, sizes: dict[str, int]) -> None:
        """Raise `InputError` unless `value` is a resident of this kind whose sizes agree with `sizes`."""
        from .data import Database, State

        if not isinstance(value, Database if self.kind == "database" else State):
            raise InputError(f"{self.name} must be a {self.kind}, not {type(value).__name__}")
        for attribute, symbol in self.sizes.items():
            size = int(value.attributes[attribute])
            expected = sizes.setdefault(symbol, size)
            if size != expected:
                raise InputError(f"{self.name} has {symbol} = {size} where the other arguments have {expected}")


@dataclass(frozen=True)
class Option:
    """Keyword option of an operator.

    Attributes
    ----------
    name : str
        Name of the keyword.
    type : type
        int, float, str or bool.
    default : object
        Default value; `Option.REQUIRED` if there is none.
    low, high : number or None
        Inclusive range.
    positive : bool
        True if the value must be finite and greater than 0.
    choices : tuple of str
        Allowed values of a string.
    doc : str
        One line for the generated documentation.
    """

    REQUIRED = object()

    name: str
    type: type
    default: Any = None
    low: float | None = None
    high: float | None = None
    positive: bool = False
    choices: tuple[str, ...] = ()
    doc: str = ""

    def check(self, value: Any) -> Any:
        """Return `value` converted to the option's type, or raise `InputError` naming it and the allowed values."""
        if value is None and self.default is None:
            return None
        if self.choices and value not in self.choices:
            raise InputError(f"{self.name} must be one of {', '.join(self.choices)}, not {value!r}")
        converted: Any = value if type(value) is self.type else self._converted(value)
        if self.positive and not 0 < converted < float("inf"):
            raise InputError(f"{self.name} must be {self._allowed()}, not {value!r}")
        low, high = self.low, self.high
        if (low is not None and converted < low) or (high is not None and converted > high):
            raise InputError(f"{self.name} must be {self._allowed()}, not {value!r}")
        return converted

    def _converted(self, value: Any) -> Any:
        try:
            converted = self.type(value)
        except (TypeError, ValueError, OverflowError):
            converted = None
        if converted is None or converted != value or isinstance(value, bool) is not (self.type is bool):
            raise InputError(f"{self.name} must be {self._allowed()}, not {value!r}")
        return converted

    def _allowed(self) -> str:
        noun = {int: "an integer", float: "a number", str: "a string", bool: "true or false"}[self.type]
        if self.positive:
            return f"{noun}, finite and greater than 0"
        if self.low is not None and self.high is not None:
            return f"{noun} from {self.low} to {self.high}"
        if self.low is not None:
            return f"{noun} of at least {self.low}"
        return noun


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
class Call:
    """Checked call of an operator, passed to a backend.

    Attributes
    ----------
    operator : Operator
        The operator to run.
    arguments : mapping of str to array, Database or State
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
        """Return the call with some options changed, after checking it."""
        return self.operator.bind(self.arguments, {**self.options, **options})

    def database(self, name: str = "database") -> Database:
        """Return the database among the arguments."""
        value: Database = self.arguments[name]
        return value

    def state(self, name: str = "state") -> State:
        """Return the state among the arguments."""
        value: State = self.arguments[name]
        return value


@dataclass(frozen=True)
class Operator:
    """Signature of one computation.

    Attributes
    ----------
    name : str
        Name of the operator and of its file in ``spec.operators``, in the golden models and in each backend.
    summary : str
        One line of description.
    arguments : tuple of Tensor or Resident
        In the order of the definition.
    results : tuple of Tensor
        Results. Shapes use the symbols of the arguments and the names of options.
    options : tuple of Option
        Keywords.
    limits : tuple of Limit
        Bounds across sizes and options.
    tolerance : Exact or Bound
        Allowed difference between a backend and the golden model.
    rows : str or None
        Symbol of the axis along which calls may be joined and split, because its rows do not influence each other. It
        is the first axis of every result and of each argument that has it. None if there is no such axis.
    stateful : bool
        False: ``run(device, call) -> Answer``. True: ``step(device, call) -> Answer`` with the next `State` in it.
        A step is never split over devices and never repeated once committed.
    check : callable or None
        ``check(call)`` raises `InputError` for conditions that the fields above cannot express.
    """

    name: str
    summary: str
    arguments: tuple[Tensor | Resident, ...]
    results: tuple[Tensor, ...]
    options: tuple[Option, ...] = ()
    limits: tuple[Limit, ...] = ()
    tolerance: Tolerance = EXACT
    rows: str | None = None
    stateful: bool = False
    check: Callable[[Call], None] | None = None

    @cached_property
    def rowed(self) -> tuple[str, ...]:
        """Names of the tensor arguments with the axis `rows`."""
        tensors = (a for a in self.arguments if isinstance(a, Tensor))
        return tuple(a.name for a in tensors if self.rows is not None and a.shape[:1] == (self.rows,))

    @cached_property
    def argument_names(self) -> tuple[str, ...]:
        """Names of the arguments, in order."""
        return tuple(a.name for a in self.arguments)

    @cached_property
    def residents(self) -> tuple[str, ...]:
        """Names of the arguments that are residents."""
        return tuple(a.name for a in self.arguments if isinstance(a, Resident))

    @cached_property
    def _names(self) -> tuple[frozenset[str], frozenset[str]]:
        return frozenset(self.argument_names), frozenset(o.name for o in self.options)

    def bind(self, arguments: Mapping[str, Any], options: Mapping[str, Any] | None = None) -> Call:
        """Check arguments and options against the signature.

        Parameters
        ----------
        arguments : mapping of str to array, Database or State
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
        options = options or {}
        names, keywords = self._names
        if not names.issuperset(arguments):
            _refuse_name(f"{self.name} argument", arguments, self.argument_names)
        if not keywords.issuperset(options):
            _refuse_name(f"{self.name} option", options, tuple(o.name for o in self.options))
        sizes: dict[str, int] = {}
        bound: dict[str, Any] = {}
        for argument in self.arguments:
            value = arguments.get(argument.name)
            bound[argument.name] = value
            if value is not None:
                argument.check(value, sizes)
            elif not (isinstance(argument, Tensor) and argument.optional):
                raise InputError(f"{self.name} needs the argument {argument.name}")
        settled: dict[str, Any] = {}
        for option in self.options:
            value = options.get(option.name, option.default)
            if value is Option.REQUIRED:
                raise InputError(f"{self.name} needs the option {option.name}")
            settled[option.name] = option.check(value)
        for limit in self.limits:
            limit.check(sizes, settled)
        call = Call(self, bound, settled, sizes)
        if self.check is not None:
            self.check(call)
        return call


def _refuse_name(what: str, given: Mapping[str, Any], known: tuple[str, ...]) -> None:
    unknown = next(name for name in given if name not in known)
    raise InputError(f"{what} must be one of {', '.join(known) or 'none'}, not {unknown!r}")


@lru_cache
def _name_of(dtype: Any) -> str:
    # NumPy computes the name at each access, which takes longer than all other checks of a small array.
    return str(dtype.name)


def _shape_text(shape: tuple[str | int, ...]) -> str:
    return f"({', '.join(str(s) for s in shape)}{',' if len(shape) == 1 else ''})"
