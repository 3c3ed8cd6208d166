"""Configurations of boards of design stream: a user's core on a virtual board or on a real one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

from ninefold.hdl.catalogue import core_names, find_core, is_path, make_core
from ninefold.hdl.configurations import CONFIGURATIONS, is_configuration
from ninefold.hdl.stream_board.board import StreamBoard
from ninefold.hdl.stream_board.interface import Interface, interface_of
from ninefold.hdl.stream_board.parameters import StreamBoardParameters
from ninefold.hdl.stream_board.serial import SerialStreamBoard
from ninefold.spec.errors import InputError

__all__ = [
    "CORE_MODULES",
    "VIRTUAL",
    "StreamConfiguration",
    "board_names",
    "core_word",
    "interface",
    "names_core",
    "stream_configuration",
]

#: Board with a FIFO of one byte a cycle, which can only be simulated.
VIRTUAL: Final = "virtual"
#: Parameters of boards with enough block RAM, and of the others.
_LARGE: Final = StreamBoardParameters(window=8, buffer_bytes=2048, reply_bytes=1024, queue_bytes=2048)
_SMALL: Final = StreamBoardParameters()
_LARGE_BOARDS: Final = (VIRTUAL, "orangecrab", "ulx3s")
#: Pattern of the names of the core's modules in a board's RTLIL.
CORE_MODULES: Final = r"\S*\.board\.core(\.\S*)?"


@dataclass(frozen=True)
class StreamConfiguration:
    """A user's core on a board.

    Attributes
    ----------
    core : str
        Name or path of the core.
    parameters : mapping of str to Any
        All parameters of the core.
    board : StreamBoardParameters
        Parameters of the board around it.
    baud : int or None
        Baud rate of the UART; None for a FIFO of one byte a cycle.
    """

    core: str
    parameters: Mapping[str, Any]
    board: StreamBoardParameters
    baud: int | None = None

    def __post_init__(self) -> None:
        if self.baud is not None and self.board.clock_hz % self.baud:
            raise InputError(f"baud must divide the clock of {self.board.clock_hz} Hz, which {self.baud} does not")

    @property
    def name(self) -> str:
        """Name of the core."""
        return find_core(self.core).name

    @property
    def clock_hz(self) -> int:
        """Frequency of the clock in Hz."""
        return self.board.clock_hz

    @cached_property
    def interface(self) -> Interface:
        """Streams and registers of the core."""
        return interface_of(self.made())

    def made(self) -> Any:
        """Construct the core."""
        return make_core(self.core, **self.parameters)

    @property
    def divisor(self) -> int | None:
        """Clock cycles per bit of the UART, or None without one."""
        return None if self.baud is None else self.board.clock_hz // self.baud

    def component(self) -> StreamBoard | SerialStreamBoard:
        """Construct the board, behind its UART if it has one."""
        if self.divisor is None:
            return StreamBoard(self.made(), self.board)
        return SerialStreamBoard(self.made(), self.board, self.divisor)

    def with_digest(self, digest: bytes) -> StreamConfiguration:
        """Return the configuration with the identity of a build."""
        return replace(self, board=replace(self.board, digest=digest))


def board_names() -> tuple[str, ...]:
    """Return the names of all boards that can hold a core."""
    return tuple(dict.fromkeys(name.partition("/")[0] for name in CONFIGURATIONS))


def names_core(word: str) -> bool:
    """Return True if a word names a core, with or without a board and parameters, and no configuration."""
    core = _divided(word)[1].partition("#")[0]
    return not is_configuration(word) and (is_path(core) or core in core_names())


def core_word(core: str, parameters: Mapping[str, Any], board: str = VIRTUAL) -> str:
    """Return a core with its board and parameters as one word, ``BOARD/CORE#NAME=VALUE,NAME=VALUE``."""
    chosen = ",".join(f"{name}={value}" for name, value in parameters.items())
    return f"{board}/{core}#{chosen}" if chosen else f"{board}/{core}"


def stream_configuration(word: str) -> StreamConfiguration:
    """Return the configuration of a core that a word names, at the slowest clock of its board.

    Parameters
    ----------
    word : str
        Name or path of the core, after its board and a slash if the board is not ``virtual``, and its parameters if
        they are not the defaults, as `core_word` joins them.

    Raises
    ------
    InputError
        There is no such core, it has no such parameter, or a value has another type.
    """
    board, named = _divided(word)
    core, _, chosen = named.partition("#")
    entry = find_core(core)
    known = entry.core.defaults
    given: dict[str, int | str] = {}
    for one in filter(None, chosen.split(",")):
        name, equals, text = one.partition("=")
        if not equals or name not in entry.core.parameters:
            takes = ", ".join(entry.core.parameters) or "none"
            raise InputError(f"a parameter of {entry.name} must be NAME=VALUE with one of {takes}, not {one!r}")
        if entry.core.parameters[name].annotation is bool:
            if text not in ("True", "False"):
                raise InputError(f"{name} of {entry.name} must be True or False, not {text!r}")
            given[name] = text == "True"
            continue
        number = re.fullmatch(r"-?\d+", text)
        given[name] = int(text) if number and not isinstance(known.get(name), str) else text
    around = _LARGE if board in _LARGE_BOARDS else _SMALL
    if board == VIRTUAL:
        return StreamConfiguration(core, {**known, **given}, around)
    miners = [one for name, one in CONFIGURATIONS.items() if name.partition("/")[0] == board]
    slowest = min(miners, key=lambda one: one.clock_hz)
    parameters = replace(around, clock_hz=slowest.clock_hz)
    return StreamConfiguration(core, {**known, **given}, parameters, slowest.baud)


def _divided(word: str) -> tuple[str, str]:
    """Return the board of a word, and the rest of it."""
    board, slash, rest = word.partition("/")
    if board and rest.startswith("/") and board not in board_names():
        raise InputError(f"the board must be one of {', '.join(board_names())}, not {board!r}")
    return (board, rest) if slash and board in board_names() else (VIRTUAL, word)


def interface(core: str, parameters: Mapping[str, Any]) -> Interface:
    """Return streams and registers of a core at given parameters; those that are missing have their defaults."""
    return interface_of(make_core(core, **{**find_core(core).core.defaults, **parameters}))
