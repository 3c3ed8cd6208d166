"""Parts of the miner, the search accelerator in our bitstreams; the core itself is `ninefold.hdl.cores.miner`."""

from ninefold.hdl.miner.parameters import MinerParameters

__all__ = ["MinerParameters"]
