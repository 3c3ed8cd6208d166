"""Dot product of nits: the arithmetic of the similarity engine."""

from amaranth.hdl import Cat, Module, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ninefold.hdl.parts.adders import AdderTree
from ninefold.spec.formats import NIT_BITS, score_bits

__all__ = ["TRIT_PAIR", "DotProduct", "trit_pair"]

#: Two trits, each a sign and a flag. A trit without ``nonzero`` is 0, whatever its sign.
TRIT_PAIR = data.StructLayout({"low_negative": 1, "low_nonzero": 1, "high_negative": 1, "high_nonzero": 1})


def trit_pair(nit: Value) -> Value:
    """Recode a nit.

    Parameters
    ----------
    nit : Value
        4 bits, two's complement, in -4..4.

    Returns
    -------
    Value
        The trits of ``spec.formats.TRITS`` as bits of ``TRIT_PAIR``. The high trit has the sign of the nit, even if
        it is 0.
    """
    low_negative = (nit == -1) | (nit == 2) | (nit == -4)
    low_nonzero = (nit != 0) & (nit != 3) & (nit != -3)
    high_nonzero = (nit < -1) | (nit > 1)
    return Cat(low_negative, low_nonzero, nit[-1], high_nonzero)


class DotProduct(wiring.Component):
    """Pipelined dot product of ``lanes`` nits by ``lanes`` trit pairs.

    With one factor as trits, u = 3 u1 + u0, the sum of the products is 3 sum(u1 t) + sum(u0 t). A trit times a nit t is
    t, its negation or 0. One LUT per bit computes the one's complement, and the adder trees add the missing 1 as a
    carry.

    Throughput is one pair of words a cycle. Latency is ``latency`` cycles.

    Parameters
    ----------
    lanes : int
        Products per word.

    Attributes
    ----------
    latency : int
        ``ceil(log2(lanes)) + 4``.

    Members
    -------
    nits : In(signed(4)[lanes])
        First factor.
    trits : In(TRIT_PAIR[lanes])
        Second factor.
    sum : Out(signed(score_bits(lanes)))
        The dot product.
    """

    def __init__(self, lanes: int) -> None:
        self.lanes = lanes
        self._trees = [AdderTree(NIT_BITS, lanes) for _ in range(2)]
        self.latency = 1 + self._trees[0].latency + 2
        super().__init__(
            {
                "nits": In(data.ArrayLayout(signed(NIT_BITS), lanes)),
                "trits": In(data.ArrayLayout(TRIT_PAIR, lanes)),
                "sum": Out(signed(score_bits(lanes))),
            }
        )

    def elaborate(self, _platform: object) -> Module:
        """Build the products and the adder tree of each trit, and combine the sums with weights 3 and 1."""
        m = Module()
        m.submodules.low, m.submodules.high = low, high = self._trees
        for lane in range(self.lanes):
            nit = self.nits[lane].as_unsigned()
            trits = self.trits[lane]
            for tree, negative, nonzero in (
                (low, trits.low_negative, trits.low_nonzero),
                (high, trits.high_negative, trits.high_nonzero),
            ):
                product = Signal(NIT_BITS, reset_less=True)
                carry = Signal(reset_less=True)
                m.d.sync += [
                    product.eq((nit & nonzero.replicate(NIT_BITS)) ^ negative.replicate(NIT_BITS)),
                    carry.eq(negative),
                ]
                m.d.comb += [tree.operands[lane].eq(product), tree.carries[lane].eq(carry)]
        thrice_high = Signal(signed(len(high.sum) + 2), reset_less=True)
        low_sum = Signal.like(low.sum, reset_less=True)
        total = Signal.like(self.sum, reset_less=True)
        m.d.sync += [
            thrice_high.eq(high.sum + (high.sum << 1)),
            low_sum.eq(low.sum),
            total.eq(thrice_high + low_sum),
        ]
        m.d.comb += self.sum.eq(total)
        return m
