"""Adder trees."""

from collections.abc import Sequence

from amaranth.hdl import C, Cat, Module, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["AdderTree", "ChainedTree", "chained_sums"]

#: Maximum number of adders in a carry chain.
_CHAIN = 8


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


def chained_sums(additions: Sequence[tuple[Value, Value, Value]]) -> list[Value]:
    """Return sums of unsigned operands, with several additions in each carry chain.

    A carry chain has a start and an end that take cells of their own, which short additions share here. Between two of
    them is a bit whose operands are both the carry in of the next: its sum is the carry out of the one before, and its
    carry is that carry in.

    Parameters
    ----------
    additions : sequence of (Value, Value, Value)
        Two operands of the same width, and a carry in of one bit.

    Returns
    -------
    list of Value
        Sums, one bit wider than the operands.
    """
    sums: list[Value] = []
    for first in range(0, len(additions), _CHAIN):
        part = additions[first : first + _CHAIN]
        chain = Cat((carry, left) for left, _, carry in part) + Cat((carry, right) for _, right, carry in part)
        start = 1
        for left, _, _ in part:
            sums.append(chain[start : start + len(left) + 1])
            start += len(left) + 1
    return sums


class ChainedTree(wiring.Component):
    """Pipelined binary adder tree for unsigned operands, each with a carry, whose adders share carry chains.

    As in :class:`AdderTree`, a node is a value and a pending carry. It fits many small operands best.

    Throughput is one set of operands a cycle. Latency is ``latency`` cycles.

    Parameters
    ----------
    width : int
        Bits per operand.
    operands : int
        Number of operands, at least 1.

    Attributes
    ----------
    latency : int
        ``ceil(log2(operands)) + 1``.

    Members
    -------
    operands : In(unsigned(width)[operands])
        The operands.
    carries : In(operands)
        Carries, one for each operand.
    sum : Out(unsigned(width + latency))
        The sum.
    """

    def __init__(self, width: int, operands: int) -> None:
        self.latency = (operands - 1).bit_length() + 1
        super().__init__(
            {
                "operands": In(data.ArrayLayout(width, operands)),
                "carries": In(operands),
                "sum": Out(width + self.latency),
            }
        )

    def elaborate(self, _platform: object) -> Module:
        """Build the tree level by level."""
        m = Module()

        def register(value: Value) -> Signal:
            later = Signal(len(value), reset_less=True)
            m.d.sync += later.eq(value)
            return later

        nodes: list[tuple[Value, Value]] = list(zip(self.operands, self.carries, strict=True))
        while len(nodes) > 1:
            pairs = list(zip(nodes[::2], nodes[1::2], strict=False))
            # A node that waited for a partner is narrower.
            sums = chained_sums([(left, _widened(right, len(left)), carry) for (left, carry), (right, _) in pairs])
            joined = [(register(total), register(pair[1][1])) for total, pair in zip(sums, pairs, strict=True)]
            if len(nodes) % 2:
                joined.append((register(nodes[-1][0]), register(nodes[-1][1])))
            nodes = joined
        value, carry = nodes[0]
        m.d.comb += self.sum.eq(register(value + carry))
        return m


def _widened(value: Value, width: int) -> Value:
    return Cat(value, C(0, width - len(value)))
