"""Chained FIFO: a long queue whose clock does not fall with its length."""

from itertools import pairwise

from amaranth.hdl import Module, Shape, ShapeLike
from amaranth.lib import fifo, stream, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["ChainedFIFO"]

#: Distributed RAM is 16 deep; a FIFO holds one element more in its output register.
_LINK_DEPTH = 17


class ChainedFIFO(wiring.Component):
    """FIFO made of short ones in a row, each in distributed RAM without a multiplexer behind it.

    Block RAM would hold more in less, but it is slower than the rest of a fast core. All wires are local.

    Throughput is one element a cycle. Latency is ``latency`` cycles: an element accepted in cycle t by an empty FIFO
    is offered from cycle t + ``latency`` on. A place that becomes free at the end reaches the entrance in as many
    cycles as there are links.

    Parameters
    ----------
    shape : ShapeLike
        Shape of an element.
    links : int
        How many short FIFOs, at least 1.

    Attributes
    ----------
    depth : int
        Elements that it holds: 17 a link.
    latency : int
        Two cycles a link.

    Members
    -------
    input : In(stream.Signature(shape))
        The elements.
    output : Out(stream.Signature(shape))
        The elements in order.
    """

    def __init__(self, shape: ShapeLike, links: int) -> None:
        self.links = links
        self.depth = _LINK_DEPTH * links
        self.latency = 2 * links
        super().__init__({"input": In(stream.Signature(shape)), "output": Out(stream.Signature(shape))})

    def elaborate(self, _platform: object) -> Module:
        """Build the links."""
        m = Module()
        width = Shape.cast(self.input.payload.shape()).width
        links = [fifo.SyncFIFOBuffered(width=width, depth=_LINK_DEPTH) for _ in range(self.links)]
        for i, link in enumerate(links):
            m.submodules[f"link_{i}"] = link
        for front, behind in pairwise(links):
            m.d.comb += [
                behind.w_data.eq(front.r_data),
                behind.w_en.eq(front.r_rdy),
                front.r_en.eq(behind.w_rdy),
            ]
        m.d.comb += [
            links[0].w_data.eq(self.input.payload),
            links[0].w_en.eq(self.input.valid),
            self.input.ready.eq(links[0].w_rdy),
            self.output.payload.eq(links[-1].r_data),
            self.output.valid.eq(links[-1].r_rdy),
            links[-1].r_en.eq(self.output.ready),
        ]
        return m
