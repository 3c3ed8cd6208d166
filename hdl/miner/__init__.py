"""Miner: the search accelerator in our bitstreams."""

from ninefold.hdl.miner.miner import Miner
from ninefold.hdl.miner.parameters import MinerParameters
from ninefold.hdl.miner.serial import SerialMiner

__all__ = ["Miner", "MinerParameters", "SerialMiner"]
