"""Sign miner: search by the signs of nits behind a byte stream, the design ``signs`` of a bitstream."""

from ninefold.hdl.core import Core, documented
from ninefold.hdl.cores.miner import Miner
from ninefold.hdl.miner.parameters import MinerParameters
from ninefold.spec.formats import Mode

__all__ = ["CORE", "SignMiner"]


class SignMiner(Miner):
    """Miner of the design ``signs``: its queries leave candidates to fetch.

    A query is scanned while the next one is received, and its candidates are read from a memory of two scans.
    ``ninefold.hdl.miner.search.scan_cycles`` gives throughput and latency of scans; the reply to a READ begins
    as in a :class:`~ninefold.hdl.cores.miner.Miner`. A reply to a FETCH takes 4 bytes per candidate.

    Parameters and members are as in :class:`~ninefold.hdl.cores.miner.Miner`.
    """


def _of_parameters(
    dimensions: int,
    lanes: int,
    depth: int,
    keep: int,
    mode: Mode,
    window: int,
    buffer_bytes: int,
    reply_bytes: int,
    clock_hz: int,
    count_from: int = 0,
) -> SignMiner:
    parameters = MinerParameters(
        dimensions, lanes, depth, 0, clock_hz, mode, window, buffer_bytes, reply_bytes, design="signs", keep=keep
    )
    return SignMiner(parameters, count_from)


CORE = Core(
    _of_parameters,
    defaults={
        "dimensions": 32,
        "lanes": 64,
        "depth": 64,
        "keep": 16,
        "mode": "tanh",
        "window": 8,
        "buffer_bytes": 2048,
        "reply_bytes": 1024,
        "clock_hz": 100_000_000,
        "count_from": 0,
    },
    small={
        "dimensions": 8,
        "lanes": 16,
        "depth": 16,
        "keep": 4,
        "window": 2,
        "buffer_bytes": 128,
        "reply_bytes": 256,
    },
    # The smallest miner that selects by two scans of several rows a cycle. Its counters start shortly before they wrap.
    smallest={
        "dimensions": 4,
        "lanes": 8,
        "depth": 5,
        "keep": 3,
        "mode": "tanh",
        "window": 2,
        "buffer_bytes": 128,
        "reply_bytes": 256,
        "clock_hz": 100_000_000,
        "count_from": -100,
    },
    help={**documented(MinerParameters), **documented(Miner)},
)
