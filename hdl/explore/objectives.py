"""Objectives of an exploration, and estimates for configurations."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

from ninefold.hdl.boards import FpgaBoard
from ninefold.hdl.configurations import Configuration
from ninefold.hdl.estimate import Speed, speed
from ninefold.hdl.estimate_area import AVAILABLE, Area, area, fitted
from ninefold.spec.errors import InputError
from ninefold.spec.link import Design

__all__ = ["BLOCK_KBIT", "OBJECTIVES", "Objective", "Point", "estimated", "objectives"]

#: Size of a memory block in units of 1,024 bits, including parity if the vendor counts it.
BLOCK_KBIT: Final[Mapping[str, int]] = MappingProxyType(
    {"DP16KD": 18, "BSRAM": 18, "SB_RAM40_4K": 4, "SB_SPRAM256KA": 256}
)


@dataclass(frozen=True)
class Point:
    """Configuration on a board, with its estimates.

    Attributes
    ----------
    configuration : Configuration
        The miner and its UART.
    speed : Speed
        Cycles, and queries per second at the board's clock.
    area : Area
        Cells and blocks.
    overuse : float
        Excess over the device: sum over cells and kinds of blocks of the excess divided by the available number; 0 if
        the configuration fits.
    """

    configuration: Configuration
    speed: Speed
    area: Area
    overuse: float


@dataclass(frozen=True)
class Objective:
    """Figure to maximise or minimise.

    Attributes
    ----------
    name : str
        Name on the command line.
    direction : {"maximize", "minimize"}
        Direction of improvement.
    unit : str
        Unit of the values.
    meaning : str
        Definition.
    formula : callable
        Function from a `Point` to a number, or to None if the family of devices has no estimate.
    clocked : bool
        True if the value depends on the clock.
    """

    name: str
    direction: Literal["maximize", "minimize"]
    unit: str
    meaning: str
    formula: Callable[[Point], float | None]
    clocked: bool = False

    def value(self, point: Point) -> float:
        """Return the value of a point.

        Raises
        ------
        InputError
            The family of devices has no estimate.
        """
        found = self.formula(point)
        if found is None:
            raise InputError(f"{self.name} is not estimated on this device")
        return float(found)

    def cost(self, value: float) -> float:
        """Return a value with its sign changed if the objective is maximised, so that smaller is better."""
        return -value if self.direction == "maximize" else value


def _ram_kbit(point: Point) -> float:
    return sum(count * BLOCK_KBIT[block] for block, count in point.area.blocks.items())


def _results(point: Point) -> int:
    return point.configuration.miner.k or point.configuration.miner.keep


_ALL: Final = (
    Objective(
        "qps",
        "maximize",
        "queries/s",
        "queries per second at saturation, including the UART",
        lambda p: p.speed.queries_s,
        clocked=True,
    ),
    Objective(
        "engine",
        "maximize",
        "queries/s",
        "queries per second of the engine, without the UART",
        lambda p: p.configuration.miner.clock_hz / p.speed.engine_cycles,
        clocked=True,
    ),
    Objective(
        "latency",
        "minimize",
        "us",
        "time from the first bit of a request to the last bit of its reply",
        lambda p: 1e6 * p.speed.latency_cycles / p.configuration.miner.clock_hz,
        clocked=True,
    ),
    Objective("lut", "minimize", "LUT4", "Yosys' LUT cells of up to four inputs", lambda p: p.area.lut4),
    Objective("packed", "minimize", "cells", "logic cells after packing", lambda p: p.area.packed),
    Objective("ram", "minimize", "kbit", "memory blocks", _ram_kbit),
    Objective("rows", "maximize", "rows", "rows of the store", lambda p: p.configuration.miner.depth),
    Objective("k", "maximize", "results", "maximum number of results or candidates per query", _results),
)
#: Objectives by name.
OBJECTIVES: Final[Mapping[str, Objective]] = MappingProxyType({objective.name: objective for objective in _ALL})


def objectives(text: str, board: FpgaBoard, design: Design = "miner") -> tuple[Objective, ...]:
    """Return the objectives named in a comma-separated list.

    Raises
    ------
    InputError
        A name is unknown or repeated, there are fewer than two, or an objective is not estimated on the board or of the
        design.
    """
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in OBJECTIVES:
            raise InputError(f"an objective must be one of {', '.join(OBJECTIVES)}, not {name!r}")
    if len(names) < 2 or len(set(names)) < len(names):
        raise InputError(f"objectives must be two or more different names of {', '.join(OBJECTIVES)}, not {text!r}")
    known = board.toolchain in fitted()["weights"][design]
    if not known and (cells := [name for name in names if name in {"lut", "packed"}]):
        raise InputError(
            f"{cells[0]} is not estimated on {board.name}: the weights of {board.toolchain} are not fitted; its"
            f" objectives are {', '.join(name for name in OBJECTIVES if name not in {'lut', 'packed'})}"
        )
    return tuple(OBJECTIVES[name] for name in names)


def estimated(configuration: Configuration, board: FpgaBoard) -> Point:
    """Estimate a configuration on a board."""
    taken = area(configuration.miner, board.toolchain)
    wanted = {"packed": taken.packed or 0, **taken.blocks}
    available = AVAILABLE[board.device]
    overuse = sum(max(0, wanted.get(name, 0) - limit) / limit for name, limit in available.items())
    return Point(configuration, speed(configuration), taken, overuse)
