"""The virtual board: the whole miner, link included, verilated behind a byte stream."""

from ninefold.sim.board.board import VirtualBoard, open_board
from ninefold.sim.board.faults import Faults

__all__ = ["Faults", "VirtualBoard", "open_board"]
