"""Layouts: the declared arrays and attributes of databases and states, and the arguments that take them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from .data import Database, State
from .errors import InputError
from .options import Option
from .tensors import Ragged, Tensor, check_columns, named_columns

__all__ = ["Layout", "Resident"]


@dataclass(frozen=True, eq=False)
class Layout:
    """Declaration of a resident's content, shared by all operators that take it.

    Attributes
    ----------
    name : str
        Noun for messages, e.g. ``"database"``.
    fields : tuple of Tensor or Ragged
        Arrays.
    attributes : tuple of Option
        Numbers and strings.
    sizes : mapping of str to str
        Attribute -> symbol of the signature that has its value, e.g. ``{"dimensions": "D"}``.
    """

    name: str
    fields: tuple[Tensor | Ragged, ...]
    attributes: tuple[Option, ...] = ()
    sizes: Mapping[str, str] = field(default_factory=dict)

    def state(
        self, name: str, arrays: Mapping[str, Any], attributes: Mapping[str, int | float | str] | None = None
    ) -> State:
        """Return version 0 of a state, after checking it.

        Parameters
        ----------
        name : str
            Id of the state.
        arrays, attributes : mapping
            Content.

        Raises
        ------
        InputError
            The content does not fit.
        """
        made = State(name, 0, arrays, attributes or {})
        self.sizes_of(made)
        return made

    def sizes_of(self, resident: Database | State) -> Mapping[str, int]:
        """Check a resident, once for each object, and return its sizes by symbol.

        The values of a state's arrays are checked too. A database may be larger than memory, so of its arrays only
        shapes and dtypes are checked.

        Raises
        ------
        InputError
            The content does not fit; the message names the array or attribute and what is allowed.
        """
        sizes = resident.checked.get(self)
        if sizes is None:
            sizes = resident.checked[self] = self._measured(resident)
        return sizes

    def names_arrays_of(self, resident: Database | State) -> bool:
        """Return whether a resident has all arrays that this declaration requires, and no others than it names."""
        required = {name for name, array in self._fields.items() if not array.optional}
        return required <= resident.arrays.keys() <= self._fields.keys()

    def flaw(self, before: State, after: State) -> str:
        """Return what is wrong with the next version of a state, or an empty string.

        Parameters
        ----------
        before : State
            Version before the step.
        after : State
            Version that a device returned: the next one of the same state, of the same sizes.
        """
        if (after.id, after.version) != (before.id, before.version + 1):
            wanted = f"version {before.version + 1} of {before.id}"
            return f"it returned version {after.version} of {after.id}, not {wanted}"
        try:
            now, then = self.sizes_of(after), self.sizes_of(before)
        except InputError as error:
            return str(error)
        changed = next((symbol for symbol, size in then.items() if now[symbol] != size), None)
        return f"{self.name} has {changed} = {now[changed]}, not {then[changed]}" if changed else ""

    def _measured(self, resident: Database | State) -> dict[str, int]:
        sizes: dict[str, int] = {}
        known = self._attributes
        if unknown := next((key for key in resident.attributes if key not in known), None):
            raise InputError(f"attributes of {self.name} are {', '.join(known) or 'none'}, not {unknown!r}")
        for key, option in known.items():
            if key in resident.attributes:
                value = option.check(resident.attributes[key])
            elif option.default is not Option.REQUIRED:
                continue
            else:
                raise InputError(f"{self.name} must have the attribute {key}")
            if key in self.sizes:
                sizes[self.sizes[key]] = int(value)
        if isinstance(resident, Database) and resident.joins:
            self._check_joins(resident, sizes)
        else:
            check_columns(self.name, self._fields, resident.arrays, sizes, values=isinstance(resident, State))
        return sizes

    def _check_joins(self, resident: Database, sizes: Mapping[str, int]) -> None:
        """Check the databases that a database joins: their rows add up, and their other sizes are equal."""
        for symbol, size in sizes.items():
            found = [self.sizes_of(part)[symbol] for part in resident.joins]
            if size != sum(found) if symbol == self.sizes.get("rows") else {*found} != {size}:
                raise InputError(f"{self.name} has {symbol} = {size}, and joins databases with {found}")

    @cached_property
    def _attributes(self) -> Mapping[str, Option]:
        return {option.name: option for option in self.attributes}

    @cached_property
    def _fields(self) -> Mapping[str, Tensor | Ragged]:
        return named_columns(self.name, self.fields)


@dataclass(frozen=True)
class Resident:
    """Argument that is kept on the device and used by handle.

    Attributes
    ----------
    name : str
        Name of the argument.
    kind : {'database', 'state'}
        `Database` (immutable, named by digest) or `State` (versioned).
    layout : Layout
        Content.
    doc : str
        One line for the generated documentation.
    """

    name: str
    kind: Literal["database", "state"]
    layout: Layout
    doc: str = ""

    def check(self, value: Any, sizes: dict[str, int]) -> None:
        """Raise `InputError` unless `value` is such a resident and its sizes agree with `sizes`; add new ones."""
        if not isinstance(value, Database if self.kind == "database" else State):
            raise InputError(f"{self.name} must be a {self.kind}, not {type(value).__name__}")
        for symbol, size in self.layout.sizes_of(value).items():
            expected = sizes.setdefault(symbol, size)
            if size != expected:
                raise InputError(f"{self.name} has {symbol} = {size} where the other arguments have {expected}")
