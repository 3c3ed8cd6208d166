"""Stream processor that computes a function of each element in a pipeline that cannot stall."""

from collections.abc import Callable, Sequence
from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ninefold.hdl.parts.credit import CreditQueue

__all__ = ["FeedForward", "Step"]

#: Combinational part of a function, ``step(m, value)``: returns a value to register, or adds what it needs to ``m``.
Step = Callable[[Module, Any], Any]


class FeedForward(wiring.Component):
    """Function of each element of a stream, with a register after each of its steps.

    Elements that enter have room reserved in a queue after the last step, so back-pressure reaches only the input.

    Throughput is one element a cycle. Latency is two cycles more than the number of steps: an element accepted in
    cycle t is offered from cycle t + latency on, if the elements before it have been accepted.

    A subclass defines `steps`.

    Parameters
    ----------
    source, sink : data.StructLayout
        Layouts of an element of the input and of the output.

    Members
    -------
    input : In(stream.Signature(source))
        Elements.
    output : Out(stream.Signature(sink))
        Function of each element, in order.
    """

    def __init__(self, source: data.StructLayout, sink: data.StructLayout) -> None:
        super().__init__({"input": In(stream.Signature(source)), "output": Out(stream.Signature(sink))})

    def steps(self) -> Sequence[Step]:
        """Return the steps of the function, at least one.

        The first takes the payload of the input; the last returns a value as wide as the payload of the output.
        """
        raise NotImplementedError

    @property
    def latency(self) -> int:
        """Clock cycles from the acceptance of an element to its offer."""
        return len(self.steps()) + 2

    @property
    def capacity(self) -> int:
        """Maximum number of elements inside, the fewest for one element a cycle."""
        return len(self.steps()) + 3

    def elaborate(self, _platform: object) -> Module:
        """Build the registers and the queue."""
        m = Module()
        m.submodules.queue = queue = CreditQueue(self.output.payload.shape(), depth=self.capacity)
        wiring.connect(m, queue.output, wiring.flipped(self.output))
        steps = self.steps()
        accepted = Signal(len(steps) + 1)
        m.d.comb += [
            self.input.ready.eq(queue.credit),
            accepted[0].eq(self.input.valid & self.input.ready),
            queue.take.eq(accepted[0]),
            queue.push.eq(accepted[-1]),
        ]
        m.d.sync += accepted[1:].eq(accepted)
        value = self.input.payload
        for number, step in enumerate(steps):
            made = step(m, value)
            value = Signal(made.shape(), name=f"step_{number}", reset_less=True)
            m.d.sync += value.eq(made)
        m.d.comb += queue.element.eq(value)
        return m
