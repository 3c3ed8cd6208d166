"""Adder trees."""

from amaranth.hdl import C, Cat, Module, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["AdderTree"]


class AdderTree(wiring.Component):
    """Pipelined binary adder tree for signed operands, each with a carry.

    An operand may be a one's complement with a carry of 1, which saves the adder of a negation. Every node of the tree
    represents its value plus one pending carry. The adder that joins two nodes uses the carry of one as its carry in
    and passes the other on.

    Throughput is one set of operands a cycle. Latency is ``latency`` cycles.

    Parameters
    ----------
    width : int
        Bits per operand; an operand plus its carry must fit too.
    operands : int
        Number of operands, at least 1.

    Attributes
    ----------
    latency : int
        ``ceil(log2(operands)) + 1``.

    Members
    -------
    operands : In(signed(width)[operands])
        The operands.
    carries : In(operands)
        Carries, one for each operand.
    sum : Out(signed(width + latency - 1))
        The sum.
    """

    def __init__(self, width: int, operands: int) -> None:
        self.latency = (operands - 1).bit_length() + 1
        super().__init__(
            {
                "operands": In(data.ArrayLayout(signed(width), operands)),
                "carries": In(operands),
                "sum": Out(signed(width + self.latency - 1)),
            }
        )

    def elaborate(self, _platform: object) -> Module:
        """Build the tree level by level."""
        m = Module()
        nodes: list[tuple[Value, Value]] = list(zip(self.operands, self.carries, strict=True))
        while len(nodes) > 1:
            pairs = zip(nodes[::2], nodes[1::2], strict=False)
            joined = [self._join(m, left, right) for left, right in pairs]
            if len(nodes) % 2:
                joined.append(self._delay(m, nodes[-1]))
            nodes = joined
        value, carry = nodes[0]
        total = Signal.like(self.sum, reset_less=True)
        m.d.sync += total.eq(value + carry)
        m.d.comb += self.sum.eq(total)
        return m

    @staticmethod
    def _join(m: Module, left: tuple[Value, Value], right: tuple[Value, Value]) -> tuple[Value, Value]:
        value = Signal(signed(1 + max(len(left[0]), len(right[0]))), reset_less=True)
        carry = Signal(reset_less=True)
        # An extra bit below the operands forms the carry in, so that a node is one carry chain.
        chain = Cat(C(1, 1), left[0]).as_signed() + Cat(left[1], right[0]).as_signed()
        m.d.sync += [value.eq(chain[1:].as_signed()), carry.eq(right[1])]
        return value, carry

    @staticmethod
    def _delay(m: Module, node: tuple[Value, Value]) -> tuple[Value, Value]:
        value = Signal.like(node[0], reset_less=True)
        carry = Signal(reset_less=True)
        m.d.sync += [value.eq(node[0]), carry.eq(node[1])]
        return value, carry
