"""Wrappers that give cores with other ports a stream-only interface."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Shape
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In

__all__ = ["StreamsOnly"]


class StreamsOnly(wiring.Component):
    """Core without its non-stream ports, which must be outputs; a plain number as payload is named ``data``.

    Parameters
    ----------
    core : wiring.Component
        Core to wrap.
    """

    def __init__(self, core: Any) -> None:
        self._core = core
        members = {}
        for name, member in core.signature.members.items():
            if not member.is_signature:
                continue
            payload = getattr(core, name).payload
            layout = payload.shape() if isinstance(payload, data.View) else data.StructLayout({"data": payload.shape()})
            members[name] = member.flow(stream.Signature(layout))
        super().__init__(members)

    def elaborate(self, _platform: object) -> Module:
        """Connect the streams."""
        m = Module()
        m.submodules.core = self._core
        for name, member in self.signature.members.items():
            inner, outer = getattr(self._core, name), getattr(self, name)
            source, sink = (outer, inner) if member.flow is In else (inner, outer)
            width = Shape.cast(outer.payload.shape()).width
            m.d.comb += [
                _bits(sink.payload, width).eq(_bits(source.payload, width)),
                sink.valid.eq(source.valid),
                source.ready.eq(sink.ready),
            ]
        return m


def _bits(value: Any, width: int) -> Any:
    return (value.as_value() if isinstance(value, data.View) else value)[:width]
