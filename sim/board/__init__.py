"""Virtual board: the whole miner with its link, compiled by Verilator and accessed through a byte stream."""

from ninefold.sim.board.board import VirtualBoard, open_board
from ninefold.sim.board.faults import Faults

__all__ = ["Faults", "VirtualBoard", "open_board"]
