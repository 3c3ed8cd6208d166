"""Counts and checksum of loaded rows."""

from amaranth.hdl import Module, Mux
from amaranth.lib import stream, wiring
from amaranth.lib.crc.catalog import CRC32_ISO_HDLC
from amaranth.lib.wiring import In, Out

from ninefold.hdl.miner.parameters import MinerParameters
from ninefold.hdl.parts.layouts import BYTE

__all__ = ["RowCounter"]


class RowCounter(wiring.Component):
    """Counters of bytes and rows, and the CRC-32 of the bytes, each updated two cycles after a byte.

    Parameters
    ----------
    parameters : MinerParameters
        Parameters of the miner.

    Members
    -------
    input : In(stream.Signature({data: 8}, always_ready=True))
        Bytes of rows, at most as many as the store holds.
    restart : In(1)
        Start again.
    bytes : Out(range(depth * row_bytes + 1))
        Number of bytes.
    rows : Out(range(depth + 1))
        Number of complete rows.
    row_bytes : Out(range(row_bytes))
        Number of bytes of the incomplete row.
    check : Out(32)
        CRC-32 (zlib) of all bytes.
    """

    def __init__(self, parameters: MinerParameters) -> None:
        p = parameters
        self._row_bytes = p.row_bytes
        # Minimal widths, because small devices are short of flip-flops.
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
        """Build the counters and the CRC."""
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
