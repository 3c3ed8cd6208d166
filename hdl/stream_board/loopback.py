"""Core of the stream board in the catalogue, which measures and tests the board itself."""

from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ninefold.hdl.checks import check_integer

__all__ = ["MASK_BITS", "Loopback"]

MASK_BITS = 8


class Loopback(wiring.Component):
    """Streams from inputs to outputs, unchanged but for one control register.

    Parameters
    ----------
    channels : int
        Number of inputs and of outputs, 1 to 4.
    bits : int
        Width of ``data``, 8 to 64.

    Members
    -------
    a0, ... : In(stream.Signature({data: bits, last: 1}))
        Inputs, one for each channel.
    y0, ... : Out(stream.Signature({data: bits, last: 1}))
        Outputs: the payloads of the input of the same number.
    mask : In(8)
        Inverts the lowest bits of the data of all channels.
    moved : Out(16)
        Number of payloads that channel 0 has passed since a reset, modulo 65536.
    """

    def __init__(self, channels: int = 1, bits: int = 8) -> None:
        self._channels = check_integer("channels", channels, 1, 4)
        layout = data.StructLayout({"data": check_integer("bits", bits, MASK_BITS, 64), "last": 1})
        streams: dict[str, Any] = {}
        for i in range(channels):
            streams[f"a{i}"] = In(stream.Signature(layout))
            streams[f"y{i}"] = Out(stream.Signature(layout))
        super().__init__({**streams, "mask": In(MASK_BITS), "moved": Out(16)})

    def elaborate(self, _platform: object) -> Module:
        """Connect the channels."""
        m = Module()
        for i in range(self._channels):
            source, sink = getattr(self, f"a{i}"), getattr(self, f"y{i}")
            m.d.comb += [
                sink.valid.eq(source.valid),
                source.ready.eq(sink.ready),
                sink.payload.data.eq(source.payload.data ^ self.mask),
                sink.payload.last.eq(source.payload.last),
            ]
        first: Any = self.a0  # type: ignore[attr-defined]
        passes = Signal()
        m.d.comb += passes.eq(first.valid & first.ready)
        with m.If(passes):
            m.d.sync += self.moved.eq(self.moved + 1)
        return m
