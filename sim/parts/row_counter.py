"""Proof of the row counter: bytes and rows since a restart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from amaranth.asserts import AnySeq
from amaranth.hdl import Assert, Assume, Cover, Module, Mux, Signal

from ninefold.hdl.miner.parameters import MinerParameters
from ninefold.hdl.miner.rows import RowCounter
from ninefold.sim.faults import Edit
from ninefold.sim.formal.dut import Inside, with_parts
from ninefold.sim.formal.proof import Method, Proof
from ninefold.sim.formal.stand_ins import AnyCheck
from ninefold.spec.formats import Mode

__all__ = ["PROOFS", "PROOF_FAULTS"]

_MODE: Mode = "linear"
_MINER = MinerParameters(
    dimensions=4, lanes=2, depth=3, k=2, mode=_MODE, clock_hz=12_000_000, digest=bytes(range(1, 33))
)


def _rows(m: Module, core: Any, inside: Inside) -> None:
    """Compare with a model count of bytes; the row length is kept as the difference."""
    m.d.comb += [core.input.valid.eq(AnySeq(1)), core.input.payload.data.eq(AnySeq(8)), core.restart.eq(AnySeq(1))]
    most = _MINER.depth * _MINER.row_bytes
    count = Signal(range(most + 1))
    m.d.comb += Assume(~core.input.valid | (count != most))
    m.d.sync += count.eq(Mux(core.restart, 0, count + core.input.valid))
    m.d.comb += [
        Assert(core.bytes == count, "another count of bytes"),
        Assert(core.rows * _MINER.row_bytes + core.row_bytes == count, "another count of rows"),
        Assert(core.row_bytes < _MINER.row_bytes, "a row is too long"),
        Assert(core.check == inside["crc.crc"], "another CRC"),
        # The CRC is of these bytes: its unit gets them and restarts with a restart.
        Assert(inside["valid"] == core.input.valid),
        Assert(inside["data"] == core.input.payload.data),
        Assert(inside["start"] == core.restart),
    ]
    again = Signal()
    m.d.sync += [again.eq(again | (core.restart & (count == 3))), Cover(again & (count == most))]


PROOFS = (
    Proof(
        "row_counter",
        "counts",
        "bytes and rows since a restart are counted, and the CRC-32 unit gets these bytes; the CRC-32 is proved as crc",
        _rows,
        Method.INDUCTION,
        depth=1,
        cover=16,
        parameters={"depth": _MINER.depth, "row_bytes": _MINER.row_bytes},
        make=lambda **_: with_parts(RowCounter, CRC32_ISO_HDLC=AnyCheck)(_MINER),
    ),
)

#: Faults that a proof must find, by the name of the proof.
PROOF_FAULTS: Mapping[str, Sequence[Edit]] = {
    "counts": [
        ("hdl.miner.rows", "crc.start.eq(self.restart)", "crc.start.eq(0)"),
    ],
}
