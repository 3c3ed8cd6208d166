"""Case of a whole sign miner: the bytes of requests and of the expected replies."""

from collections.abc import Mapping
from typing import Any

from ninefold.hdl.miner import MinerParameters
from ninefold.sim.cores.miner.vectors import miner_case
from ninefold.sim.levels.case import Case

__all__ = ["case"]


def case(parameters: Mapping[str, Any], vectors: int, seed: int, steps: int) -> Case:
    """Return the case of the core: a load, scans of queries in both formats with their fetches, and a sequence."""
    given = dict(parameters)
    count_from = given.pop("count_from")
    return miner_case(MinerParameters(k=0, design="signs", **given), vectors, seed, steps, count_from)
