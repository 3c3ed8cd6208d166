"""Search space of an exploration: the configurations of a board."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import product
from math import prod
from types import MappingProxyType
from typing import Any, Final

from ninefold.hdl.boards import BOARDS, FpgaBoard
from ninefold.hdl.configurations import CONFIGURATIONS, Configuration
from ninefold.hdl.explore.objectives import Objective
from ninefold.hdl.miner import MinerParameters
from ninefold.spec.errors import InputError
from ninefold.spec.formats import CANDIDATES_MAX, DIMENSIONS_MAX, K_MAX
from ninefold.spec.link import ROWS_MAX, Design

__all__ = ["PARAMETERS", "Space", "space"]


def _octaves(low: int, high: int) -> tuple[int, ...]:
    """Return the integers from `low` to `high` with at most three significant bits: four per octave."""
    steps = (share << shift >> 2 for shift in range(high.bit_length() + 1) for share in (4, 5, 6, 7))
    return tuple(sorted({value for value in steps if low <= value <= high}))


def _powers(low: int, high: int) -> tuple[int, ...]:
    return tuple(1 << bit for bit in range(high.bit_length()) if low <= 1 << bit <= high)


#: Parameters that can be searched, with the values tried in a range. Lanes are tried if they divide the dimensions.
PARAMETERS: Final[Mapping[str, tuple[int, ...]]] = MappingProxyType(
    {
        "dimensions": tuple(value for value in _octaves(2, DIMENSIONS_MAX) if not value % 2),
        "lanes": tuple(range(2, DIMENSIONS_MAX + 1, 2)),
        "depth": _octaves(1, ROWS_MAX),
        "k": _octaves(1, K_MAX),
        "keep": _octaves(1, CANDIDATES_MAX),
        "window": _powers(2, 16),
        "buffer_bytes": _powers(64, 32768),
        "reply_bytes": _powers(256, 16384),
    }
)
#: Parameters searched by default, and parameters searched if they are objectives. The user chooses all others.
_SEARCHED: Final = ("lanes", "window", "buffer_bytes", "reply_bytes")
_SEARCHED_AS: Final[Mapping[Design, Mapping[str, str]]] = MappingProxyType(
    {"miner": {"depth": "rows", "k": "k"}, "signs": {"depth": "rows", "keep": "k"}}
)


@dataclass(frozen=True)
class Space:
    """Search space: parameters and their values.

    Attributes
    ----------
    board : FpgaBoard
        The board.
    base : Configuration
        Configuration with the values of all other parameters.
    values : mapping of str to tuple of int
        Values to try for each parameter of ``PARAMETERS``; a single value if it is fixed.
    """

    board: FpgaBoard
    base: Configuration
    values: Mapping[str, tuple[int, ...]]

    def configuration(self, chosen: Mapping[str, int]) -> Configuration:
        """Return the configuration with these parameters.

        Raises
        ------
        InputError
            The combination is not allowed.
        """
        changes: dict[str, Any] = dict(chosen)
        return replace(self.base, miner=replace(self.base.miner, **changes))

    @property
    def size(self) -> int:
        """Number of choices, including combinations that are not allowed."""
        return prod(map(len, self.values.values()))

    def choices(self) -> Iterator[dict[str, int]]:
        """Yield all choices."""
        for chosen in product(*self.values.values()):
            yield dict(zip(self.values, chosen, strict=True))

    @property
    def searched(self) -> list[str]:
        """Parameters with more than one value."""
        return [name for name, values in self.values.items() if len(values) > 1]


def space(board: str, chosen: Iterable[Objective], given: Mapping[str, str], design: Design = "miner") -> Space:
    """Return the search space of a board and a design.

    Parameters in `given` take the values given there. Otherwise, lanes, window and buffers are searched, and so are
    rows and results if they are objectives. All others keep the values of the board's first configuration of the design
    in the catalogue.

    Parameters
    ----------
    board : str
        Name of the board.
    chosen : iterable of Objective
        The objectives.
    given : mapping of str to str
        Parameter -> a value, a comma-separated list of values, or a range ``LOW:HIGH``; ``baud`` takes one value.
    design : {"miner", "signs"}
        Design of the search.

    Raises
    ------
    InputError
        A board or parameter is unknown, the board has no configuration of the design, or `given` allows none.
    """
    if board not in BOARDS:
        raise InputError(f"the board must be one of {', '.join(BOARDS)}, not {board!r}")
    listed = {
        name: entry
        for name, entry in CONFIGURATIONS.items()
        if entry.miner.design == design and name.partition("/")[0] in BOARDS
    }
    base = next((entry for name, entry in listed.items() if name.partition("/")[0] == board), None)
    if base is None:
        raise InputError(f"{board} has no configuration of the design {design}, only {', '.join(listed)} have")
    wanted = {objective.name for objective in chosen}
    values: dict[str, tuple[int, ...]] = {}
    for name in PARAMETERS:
        if name in given:
            values[name] = _values(name, given[name])
        elif name in _SEARCHED or _SEARCHED_AS[design].get(name) in wanted:
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
        raise InputError(f"{name} must be integers such as 16, 8,16 or 8:16, not {text!r}") from None


def _possible(values: Mapping[str, Sequence[int]], base: MinerParameters) -> dict[str, tuple[int, ...]]:
    """Return the values without those that are not allowed with any choice of the others."""
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
    """Return the error for a value that is not allowed with any choice of the others, or None if one allows it."""
    sizes = {other: values[other][-1] if len(values[other]) == 1 else size for other, size in widest.items()}
    easiest = {
        **fixed,
        **sizes,
        "depth": values["depth"][0],
        "k": values["k"][0],
        "keep": values["keep"][0],
        name: value,
    }
    narrowest = 4 if fixed["design"] == "signs" else 2
    first: InputError | None = None
    for dimensions in (value,) if name == "dimensions" else values["dimensions"]:
        for lanes in (value,) if name == "lanes" else values["lanes"] if name == "dimensions" else (narrowest,):
            try:
                MinerParameters(**{**easiest, "dimensions": dimensions, "lanes": lanes})
            except InputError as error:
                first = first or error
            else:
                return None
    return first
