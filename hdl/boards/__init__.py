"""Boards of the catalogue."""

from collections.abc import Mapping
from types import MappingProxyType

from ninefold.hdl.boards import icebreaker, orangecrab, tangnano9k, ulx3s
from ninefold.hdl.boards.board import Board, BoardTop, Toolchain

__all__ = ["BOARDS", "Board", "BoardTop", "Toolchain"]

#: Boards by name, as in ``BOARD/CONFIG``.
BOARDS: Mapping[str, Board] = MappingProxyType(
    {board.name: board for board in (icebreaker.BOARD, orangecrab.BOARD, tangnano9k.BOARD, ulx3s.BOARD)}
)
