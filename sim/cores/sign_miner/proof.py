"""Proof of the connections in the sign miner."""

from ninefold.hdl.miner.parameters import MinerParameters
from ninefold.sim.cores.miner.proof import connections

__all__ = ["PROOFS"]

_SIGNS = MinerParameters(
    dimensions=4,
    lanes=8,
    depth=3,
    k=0,
    clock_hz=100_000_000,
    window=2,
    buffer_bytes=64,
    reply_bytes=256,
    design="signs",
    keep=3,
)

PROOFS = (
    connections(
        "sign_miner",
        _SIGNS,
        "The executor first waits for all scans, and none ends before the words of its query have come",
    ),
)
