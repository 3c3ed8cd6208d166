"""The miner: what a bitstream holds."""

from ninefold.hdl.miner.miner import Miner
from ninefold.hdl.miner.parameters import MinerParameters

__all__ = ["Miner", "MinerParameters"]
