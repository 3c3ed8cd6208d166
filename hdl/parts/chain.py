"""Chained FIFO: a long queue whose clock frequency is independent of its length."""

from itertools import pairwise

from amaranth.hdl import Module, Shape, ShapeLike
from amaranth.lib import fifo, stream, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["ChainedFIFO"]

#: Elements per link: distributed RAM holds 16, the output register one more.
_LINK_DEPTH = 17


class ChainedFIFO(wiring.Component):
    """FIFO built as a chain of short FIFOs, each in distributed RAM without an output multiplexer.

    Block RAM would be denser, but it is slower than the rest of a fast core. All wires are local.

    Throughput is one element a cycle. Latency is ``latency`` cycles: an element accepted in cycle t by an empty FIFO
    is offered from cycle t + ``latency`` on. A free place at the output reaches the input after as many cycles
    as there are links.

    Parameters
    ----------
    shape : ShapeLike
        Shape of an element.
    links : int
        Number of short FIFOs, at least 1.

    Attributes
    ----------
    depth : int
        Capacity in elements, 17 per link.
    latency : int
        Two cycles per link.

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
