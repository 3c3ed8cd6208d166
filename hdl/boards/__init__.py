"""Boards of the catalogue."""

from collections.abc import Mapping
from types import MappingProxyType

from ninefold.hdl.boards import icebreaker, orangecrab, tangnano9k, ulx3s
from ninefold.hdl.boards.board import BoardTop, FpgaBoard, Toolchain

__all__ = ["BOARDS", "BoardTop", "FpgaBoard", "Toolchain"]

#: Boards by name, as in ``BOARD/CONFIG``.
BOARDS: Mapping[str, FpgaBoard] = MappingProxyType(
    {board.name: board for board in (icebreaker.BOARD, orangecrab.BOARD, tangnano9k.BOARD, ulx3s.BOARD)}
)
