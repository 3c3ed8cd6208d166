"""The configurations of a board between which an exploration chooses."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import product
from math import prod
from types import MappingProxyType
from typing import Any, Final

from ninefold.hdl.boards import BOARDS, Board
from ninefold.hdl.configurations import CONFIGURATIONS, Configuration
from ninefold.hdl.explore.objectives import Objective
from ninefold.hdl.miner import MinerParameters
from ninefold.spec.errors import InputError
from ninefold.spec.formats import DIMENSIONS_MAX, K_MAX
from ninefold.spec.link import ROWS_MAX

__all__ = ["PARAMETERS", "Space", "space"]


def _octaves(low: int, high: int) -> tuple[int, ...]:
    """Return integers from `low` to `high` whose binary digits behind the third are 0: four an octave."""
    steps = (share << shift >> 2 for shift in range(high.bit_length() + 1) for share in (4, 5, 6, 7))
    return tuple(sorted({value for value in steps if low <= value <= high}))


def _powers(low: int, high: int) -> tuple[int, ...]:
    return tuple(1 << bit for bit in range(high.bit_length()) if low <= 1 << bit <= high)


#: The parameters that can be searched, and the values that are tried in a range of each. Even numbers from which the
#: lanes are taken that divide the dimensions.
PARAMETERS: Final[Mapping[str, tuple[int, ...]]] = MappingProxyType(
    {
        "dimensions": tuple(value for value in _octaves(2, DIMENSIONS_MAX) if not value % 2),
        "lanes": tuple(range(2, DIMENSIONS_MAX + 1, 2)),
        "depth": _octaves(1, ROWS_MAX),
        "k": _octaves(1, K_MAX),
        "window": _powers(2, 16),
        "buffer_bytes": _powers(64, 32768),
        "reply_bytes": _powers(256, 16384),
    }
)
#: What is searched unless it is given, and what is searched if it is an objective; the others are what a design is for.
_SEARCHED: Final = ("lanes", "window", "buffer_bytes", "reply_bytes")
_SEARCHED_AS: Final[Mapping[str, str]] = MappingProxyType({"depth": "rows", "k": "k"})


@dataclass(frozen=True)
class Space:
    """Parameters of a search and their values.

    Attributes
    ----------
    board : Board
        The board.
    base : Configuration
        Values of all that is not searched.
    values : mapping of str to tuple of int
        The values to choose from of each parameter of ``PARAMETERS``; one where it is fixed.
    """

    board: Board
    base: Configuration
    values: Mapping[str, tuple[int, ...]]

    def configuration(self, chosen: Mapping[str, int]) -> Configuration:
        """Return the configuration with these parameters.

        Raises
        ------
        InputError
            They do not go together.
        """
        changes: dict[str, Any] = dict(chosen)
        return replace(self.base, miner=replace(self.base.miner, **changes))

    @property
    def size(self) -> int:
        """Number of choices, including combinations that are refused."""
        return prod(map(len, self.values.values()))

    def choices(self) -> Iterator[dict[str, int]]:
        """Give all of them."""
        for chosen in product(*self.values.values()):
            yield dict(zip(self.values, chosen, strict=True))

    @property
    def searched(self) -> list[str]:
        """The parameters with more than one value."""
        return [name for name, values in self.values.items() if len(values) > 1]


def space(board: str, chosen: Iterable[Objective], given: Mapping[str, str]) -> Space:
    """Return the search space of a board.

    Dimensions, rows and k keep the values of the board's configuration in the catalogue unless they are given; rows
    and k are searched if they are objectives. Lanes and the sizes of buffers are searched unless they are given.

    Parameters
    ----------
    board : str
        Its name.
    chosen : iterable of Objective
        The objectives.
    given : mapping of str to str
        By parameter a value, several with commas between them, or a range ``LOW:HIGH``; ``baud`` has one value.

    Raises
    ------
    InputError
        There is no such board or parameter, or no configuration within what is given is allowed.
    """
    if board not in BOARDS:
        raise InputError(f"the board must be one of {', '.join(BOARDS)}, not {board!r}")
    base = next(entry for name, entry in CONFIGURATIONS.items() if name.partition("/")[0] == board)
    wanted = {objective.name for objective in chosen}
    values: dict[str, tuple[int, ...]] = {}
    for name in PARAMETERS:
        if name in given:
            values[name] = _values(name, given[name])
        elif name in _SEARCHED or _SEARCHED_AS.get(name) in wanted:
            values[name] = PARAMETERS[name]
        else:
            values[name] = (getattr(base.miner, name),)
    for name in given:
        if name not in (*PARAMETERS, "baud"):
            raise InputError(f"a parameter must be one of {', '.join([*PARAMETERS, 'baud'])}, not {name!r}")
    if "baud" in given:
        base = Configuration(base.miner, _integer("baud", given["baud"]))
    return Space(BOARDS[board], base, MappingProxyType(_possible(values, base.miner)))


def _values(name: str, text: str) -> tuple[int, ...]:
    low, colon, high = text.partition(":")
    if not colon:
        return tuple(sorted({_integer(name, value) for value in text.split(",")}))
    ends = _integer(name, low), _integer(name, high)
    found = tuple(value for value in PARAMETERS[name] if ends[0] <= value <= ends[1])
    if not found:
        first, last = PARAMETERS[name][0], PARAMETERS[name][-1]
        raise InputError(f"a range of {name} must be LOW:HIGH within {first}:{last}, not {text}")
    return found


def _integer(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise InputError(f"{name} must be integers, as 16, 8,16 or 8:16, not {text!r}") from None


def _possible(values: Mapping[str, Sequence[int]], base: MinerParameters) -> dict[str, tuple[int, ...]]:
    """Leave out values that no choice of the others allows."""
    widest = {"window": 2, "buffer_bytes": PARAMETERS["buffer_bytes"][-1], "reply_bytes": PARAMETERS["reply_bytes"][-1]}
    fixed = {f.name: getattr(base, f.name) for f in fields(MinerParameters)}
    possible: dict[str, tuple[int, ...]] = {}
    for name, tried in values.items():
        refusals = {value: _refusal(name, value, values, fixed, widest) for value in tried}
        possible[name] = tuple(value for value, refusal in refusals.items() if refusal is None)
        if not possible[name]:
            raise next(refusal for refusal in refusals.values() if refusal is not None)
    return possible


def _refusal(
    name: str, value: int, values: Mapping[str, Sequence[int]], fixed: Mapping[str, Any], widest: Mapping[str, int]
) -> InputError | None:
    """Return why a parameter can not have a value whatever the others are; None where it can."""
    sizes = {other: values[other][-1] if len(values[other]) == 1 else size for other, size in widest.items()}
    easiest = {**fixed, **sizes, "depth": values["depth"][0], "k": values["k"][0], name: value}
    first: InputError | None = None
    for dimensions in (value,) if name == "dimensions" else values["dimensions"]:
        for lanes in (value,) if name == "lanes" else values["lanes"] if name == "dimensions" else (2,):
            try:
                MinerParameters(**{**easiest, "dimensions": dimensions, "lanes": lanes})
            except InputError as error:
                first = first or error
            else:
                return None
    return first
