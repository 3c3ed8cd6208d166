"""Declared arrays of a signature: tensors, records of columns and ragged lists.

Arrays are duck-typed (``shape``, ``dtype.name``, ``min``, ``max``), so this package needs no NumPy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any, Protocol

from .data import RaggedArray
from .errors import InputError
from .tolerance import EXACT, Tolerance

__all__ = ["Array", "Derived", "Ragged", "Record", "Size", "Tensor"]


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
class Derived:
    """Size that follows from other sizes, such as the bytes of a row of packed nits.

    Attributes
    ----------
    text : str
        Expression for messages and pages, e.g. ``"ceil(D / 2)"``.
    value : callable
        ``value(sizes) -> int``, with the sizes by symbol.
    """

    text: str
    value: Callable[[Mapping[str, int]], int]

    def __str__(self) -> str:
        return self.text


#: Size of an axis: a number, a symbol, or an expression of symbols.
Size = str | int | Derived


@dataclass(frozen=True)
class Tensor:
    """Array argument, result, or field of a resident.

    Attributes
    ----------
    name : str
        Name of the array.
    shape : tuple of str, int or Derived
        Sizes, as numbers, symbols or expressions of symbols. A symbol has the same value throughout a call; the shape
        of a result may also name an integer option. A leading ``"..."`` stands for any number of axes.
    dtypes : tuple of str
        Allowed NumPy dtype names; the first is canonical.
    low, high : number or None
        Inclusive range of the values. Complex numbers have no order, so a range with a complex dtype is refused.
    nan : bool
        True if NaN is allowed.
    optional : bool
        True if an argument or a field may be omitted; an omitted argument is None.
    tolerance : Exact or Bound
        Allowed difference of a result, or of a field of a state, from the golden model.
    doc : str
        One line for the generated documentation.

    Raises
    ------
    InputError
        The definition is inconsistent.
    """

    name: str
    shape: tuple[Size, ...]
    dtypes: tuple[str, ...]
    low: float | None = None
    high: float | None = None
    nan: bool = False
    optional: bool = False
    tolerance: Tolerance = EXACT
    doc: str = ""

    def __post_init__(self) -> None:
        if not self.dtypes:
            raise InputError(f"{self.name} needs at least one dtype")
        if "..." in self.shape[1:]:
            raise InputError(f"{self.name} may have '...' only as its first axis, not in {shape_text(self.shape)}")
        ordered = self.low is None and self.high is None
        if not ordered and (complex_ := [name for name in self.dtypes if name.startswith("complex")]):
            raise InputError(f"{self.name} may not have a range: {complex_[0]} numbers have no order")

    def check(self, value: Any, sizes: dict[str, int], *, values: bool = True) -> None:
        """Check an array; add newly determined symbols to `sizes`.

        Parameters
        ----------
        value : array
            Array to check.
        sizes : dict of str to int
            Sizes by symbol.
        values : bool
            If False, only shape and dtype are checked, which reads no element.

        Raises
        ------
        InputError
            The array does not fit; the message names what it has and what is allowed.
        """
        try:
            shape, dtype = value.shape, value.dtype
        except AttributeError:
            raise InputError(f"{self.name} must be an array, not {type(value).__name__}") from None
        if (name := _name_of(dtype)) not in self.dtypes:
            raise InputError(f"{self.name} must have dtype {' or '.join(self.dtypes)}, not {name}")
        # Everything about the shape is in this one loop, since small calls pay for each function.
        wanted, last = self._axes, shape
        if self._leading and len(shape) > len(wanted):
            last = shape[len(shape) - len(wanted) :]
        if len(last) != len(wanted):
            raise InputError(f"{self.name} must have shape {shape_text(self.shape)}, not {shape}")
        for size, found in zip(wanted, last, strict=True):
            if type(size) is str:
                expected = sizes.setdefault(size, found)
            else:
                expected = size if isinstance(size, int) else size.value(sizes)  # type: ignore[union-attr]
            if found != expected:
                raise InputError(f"{self.name} must have {size} = {expected}, not {found} (shape {shape})")
        if values and 0 not in shape:
            self._check_values(value, dtype.kind)

    def _check_values(self, value: Any, kind: str) -> None:
        # The minimum of an array with a NaN is NaN, which takes one pass and no array of flags. Only NaN differs from
        # itself.
        if not self.nan and kind in "fc" and (least := value.min()) != least:
            raise InputError(f"{self.name} must not contain NaN")
        if self.low is not None and (least := value.min()) < self.low:
            raise InputError(f"{self.name} must be {self._range()}, not {least}")
        if self.high is not None and (greatest := value.max()) > self.high:
            raise InputError(f"{self.name} must be {self._range()}, not {greatest}")

    def _range(self) -> str:
        if self.low is None:
            return f"at most {self.high}"
        return f"at least {self.low}" if self.high is None else f"{self.low} to {self.high}"

    @cached_property
    def _leading(self) -> bool:
        return self.shape[:1] == ("...",)

    @cached_property
    def _axes(self) -> tuple[Size, ...]:
        return self.shape[1:] if self._leading else self.shape


@dataclass(frozen=True)
class Record:
    """Columns of records: a mapping from field names to arrays that share their sizes.

    Attributes
    ----------
    name : str
        Name of the argument or result.
    fields : tuple of Tensor or Ragged
        Columns. Messages name them ``record.column``.
    optional : bool
        True if the argument may be omitted; it is then None.
    doc : str
        One line for the generated documentation.
    """

    name: str
    fields: tuple[Tensor | Ragged, ...]
    optional: bool = False
    doc: str = ""

    def check(self, value: Any, sizes: dict[str, int], *, values: bool = True) -> None:
        """Check all columns; see `Tensor.check`."""
        check_columns(self.name, self._named, value, sizes, values=values)

    @cached_property
    def _named(self) -> Mapping[str, Tensor | Ragged]:
        return named_columns(self.name, self.fields)


@dataclass(frozen=True)
class Ragged:
    """Lists of different lengths: a `RaggedArray` of values and offsets.

    Attributes
    ----------
    name : str
        Name of the argument, result or column.
    lists : str or int
        Number of lists, usually a symbol.
    values : Tensor
        All values in order; its first axis is their total number.
    optional : bool
        True if the argument may be omitted; it is then None.
    doc : str
        One line for the generated documentation.
    """

    name: str
    lists: str | int
    values: Tensor
    optional: bool = False
    doc: str = ""

    def check(self, value: Any, sizes: dict[str, int], *, values: bool = True) -> None:
        """Check values and offsets; see `Tensor.check`."""
        if not isinstance(value, RaggedArray):
            raise InputError(f"{self.name} must be a RaggedArray, not {type(value).__name__}")
        self._parts["values"].check(value.values, sizes, values=values)
        offsets = value.offsets
        self._parts["offsets"].check(offsets, {}, values=values)
        lists = sizes.setdefault(self.lists, len(offsets) - 1) if isinstance(self.lists, str) else self.lists
        if len(offsets) != lists + 1:
            raise InputError(f"{self.name} must have {lists + 1} offsets for {lists} lists, not {len(offsets)}")
        if offsets[0] != 0 or offsets[-1] != len(value.values) or (offsets[1:] < offsets[:-1]).any():
            raise InputError(
                f"the offsets of {self.name} must ascend from 0 to {len(value.values)}, the number of its values"
            )

    @cached_property
    def _parts(self) -> Mapping[str, Tensor]:
        return {
            "values": replace(self.values, name=f"{self.name}.values"),
            "offsets": Tensor(f"{self.name}.offsets", ("lists + 1",), ("int64",), 0),
        }


def named_columns(name: str, fields: tuple[Tensor | Ragged, ...]) -> dict[str, Tensor | Ragged]:
    """Return declarations by field name, whose own names for messages are ``name.field``."""
    return {field.name: replace(field, name=f"{name}.{field.name}") for field in fields}


def check_columns(
    name: str, fields: Mapping[str, Tensor | Ragged], value: Any, sizes: dict[str, int], *, values: bool
) -> None:
    """Check a mapping of arrays against the result of `named_columns`; see `Tensor.check`."""
    if not isinstance(value, Mapping):
        raise InputError(f"{name} must be a mapping of arrays by name, not {type(value).__name__}")
    if not fields.keys() >= value.keys():
        unknown = next(key for key in value if key not in fields)
        raise InputError(f"{name} may hold {', '.join(fields) or 'nothing'}, not {unknown!r}")
    for key, field in fields.items():
        if key in value:
            field.check(value[key], sizes, values=values)
        elif not field.optional:
            raise InputError(f"{name} must hold {key!r}; it holds {', '.join(value) or 'nothing'}")


@lru_cache
def _name_of(dtype: Any) -> str:
    # NumPy computes the name at each access, which takes longer than all other checks of a small array.
    return str(dtype.name)


def shape_text(shape: tuple[Size, ...]) -> str:
    """Return a declared shape as Python writes a tuple, without quotes."""
    return f"({', '.join(str(size) for size in shape)}{',' if len(shape) == 1 else ''})"
