"""Configurations of boards of design stream: a user's core on a virtual board or on a real one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

from ninefold.hdl.catalogue import find_core, make_core
from ninefold.hdl.stream_board.board import StreamBoard
from ninefold.hdl.stream_board.interface import Interface, interface_of
from ninefold.hdl.stream_board.parameters import StreamBoardParameters
from ninefold.spec.errors import InputError

__all__ = ["VIRTUAL", "StreamConfiguration", "core_word", "interface", "stream_configuration"]

#: Parameters of virtual boards, which have a FIFO of one byte a cycle.
VIRTUAL: Final = StreamBoardParameters(window=8, buffer_bytes=2048, reply_bytes=1024, queue_bytes=2048)


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

    def component(self) -> StreamBoard:
        """Construct the board, without a UART."""
        return StreamBoard(self.made(), self.board)

    def with_digest(self, digest: bytes) -> StreamConfiguration:
        """Return the configuration with the identity of a build."""
        return replace(self, board=replace(self.board, digest=digest))


def core_word(core: str, parameters: Mapping[str, Any]) -> str:
    """Return a core with its parameters as one word, ``CORE#NAME=VALUE,NAME=VALUE``."""
    chosen = ",".join(f"{name}={value}" for name, value in parameters.items())
    return f"{core}#{chosen}" if chosen else core


def stream_configuration(
    word: str, board: StreamBoardParameters = VIRTUAL, baud: int | None = None
) -> StreamConfiguration:
    """Return the configuration of a core that a word names.

    Parameters
    ----------
    word : str
        Name or path of the core, and its parameters if they are not the defaults, as `core_word` joins them.
    board : StreamBoardParameters
        Parameters of the board around it.
    baud : int, optional
        Baud rate of the UART.

    Raises
    ------
    InputError
        There is no such core, it has no such parameter, or a value has another type.
    """
    core, _, chosen = word.partition("#")
    entry = find_core(core)
    known = entry.core.defaults
    given = {}
    for one in filter(None, chosen.split(",")):
        name, equals, text = one.partition("=")
        if not equals or name not in entry.core.parameters:
            takes = ", ".join(entry.core.parameters) or "none"
            raise InputError(f"a parameter of {entry.name} must be NAME=VALUE with one of {takes}, not {one!r}")
        number = re.fullmatch(r"-?\d+", text)
        given[name] = int(text) if number and not isinstance(known.get(name), str) else text
    return StreamConfiguration(core, {**known, **given}, board, baud)


def interface(core: str, parameters: Mapping[str, Any]) -> Interface:
    """Return streams and registers of a core at given parameters; those that are missing have their defaults."""
    return interface_of(make_core(core, **{**find_core(core).core.defaults, **parameters}))
