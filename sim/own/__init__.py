"""Tests of a core from its streams and a golden function: testbench, vectors, and a proof of the stream contract."""

from ninefold.sim.own.contract import Batch, Channel, Contract, contract_of, golden_of

__all__ = ["Batch", "Channel", "Contract", "contract_of", "golden_of"]
