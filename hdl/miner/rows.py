"""Counts and checksum of the rows that a load brings."""

from amaranth.hdl import Module, Mux
from amaranth.lib import stream, wiring
from amaranth.lib.crc.catalog import CRC32_ISO_HDLC
from amaranth.lib.wiring import In, Out

from ninefold.hdl.link.layouts import BYTE
from ninefold.hdl.miner.parameters import MinerParameters

__all__ = ["RowCounter"]


class RowCounter(wiring.Component):
    """Counts bytes and rows, and makes the CRC-32 of the bytes; each holds a byte two cycles after it came.

    Parameters
    ----------
    parameters : MinerParameters
        The miner.

    Members
    -------
    input : In(stream.Signature({data: 8}, always_ready=True))
        Bytes of rows; no more than the store holds.
    restart : In(1)
        Begin anew.
    bytes : Out(range(depth * row_bytes + 1))
        Bytes so far.
    rows : Out(range(depth + 1))
        Rows that are complete.
    row_bytes : Out(range(row_bytes))
        Bytes of the row that is not.
    check : Out(32)
        CRC-32 (zlib's) of all bytes.
    """

    def __init__(self, parameters: MinerParameters) -> None:
        p = parameters
        self._row_bytes = p.row_bytes
        # No wider than they need be: on small devices each bit counts.
        super().__init__(
            {
                "input": In(stream.Signature(BYTE, always_ready=True)),
                "restart": In(1),
                "bytes": Out(range(p.depth * p.row_bytes + 1)),
                "rows": Out(range(p.depth + 1)),
                "row_bytes": Out(range(p.row_bytes)),
                "check": Out(32),
            }
        )

    def elaborate(self, _platform: object) -> Module:
        """Build the counts and the CRC."""
        m = Module()
        m.submodules.crc = crc = CRC32_ISO_HDLC(data_width=8).create()
        ends = self.row_bytes == self._row_bytes - 1
        m.d.comb += [
            crc.data.eq(self.input.payload.data),
            crc.valid.eq(self.input.valid),
            crc.start.eq(self.restart),
            self.check.eq(crc.crc),
        ]
        with m.If(self.input.valid):
            m.d.sync += [
                self.bytes.eq(self.bytes + 1),
                self.row_bytes.eq(Mux(ends, 0, self.row_bytes + 1)),
                self.rows.eq(self.rows + ends),
            ]
        with m.If(self.restart):
            m.d.sync += [self.bytes.eq(0), self.row_bytes.eq(0), self.rows.eq(0)]
        return m
