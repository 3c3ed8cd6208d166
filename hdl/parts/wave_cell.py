"""Wave cell: the arithmetic of a cell of the wave lattice."""

from amaranth.hdl import Cat, Module, Mux, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ninefold.hdl.parts.folding import Folding, Timed, products, square
from ninefold.spec.operators.wave_step_fixed import COEFFICIENT_BITS, FRACTION_BITS, ROUNDED_BITS

__all__ = ["READ_BEFORE", "WaveCell"]

#: Cycles from the read of a cell to its start.
READ_BEFORE = 2


class WaveCell(wiring.Component):
    """Arithmetic of ``wave_step_fixed`` for a cell, in a pipeline that takes one each ``cycles`` cycles.

    Factors have 18 bits, as the multipliers of ECP5. A cell has 15 products of them, which share ``ceil(15 / cycles)``
    multipliers. The result is there ``latency`` cycles after the start.

    Parameters
    ----------
    cycles : int
        Smallest number of cycles between two cells, 1 to 32.
    bits, fraction, coefficient, rounded, digit : int
        Bits of psi and v, of their fraction, of a coefficient and of its fraction, and of a digit of a factor. The
        defaults are the operator's; only proofs need others.

    Attributes
    ----------
    latency : int
        Cycles from ``start`` to ``done``. With more than one cycle a cell, a cell is never done in the cycle
        `READ_BEFORE` cycles before another's start, so that memory with one port can be read then.

    Members
    -------
    start : In(1)
        A cell enters, a multiple of ``cycles`` cycles after those that are inside.
    psi, v, left, right, up, down : In(signed(bits))
        The old psi and v of the cell and psi of its neighbours, until the next start may come.
    a, b, c, t : In(signed(coefficient))
        Coefficients, which do not change while a cell is inside.
    done : Out(1)
        A result is there.
    new_psi, new_v : Out(signed(bits))
        The result.
    """

    def __init__(
        self,
        cycles: int,
        *,
        bits: int = 32,
        fraction: int = FRACTION_BITS,
        coefficient: int = COEFFICIENT_BITS,
        rounded: int = ROUNDED_BITS,
        digit: int = 17,
    ) -> None:
        self._cycles, self._bits, self._fraction = cycles, bits, fraction
        self._coefficient, self._rounded, self._digit = coefficient, rounded, digit
        numbers = dict.fromkeys(("psi", "v", "left", "right", "up", "down"), In(signed(bits)))
        factors = dict.fromkeys("abct", In(signed(coefficient)))
        results = dict.fromkeys(("new_psi", "new_v"), Out(signed(bits)))
        super().__init__({"start": In(1), **numbers, **factors, "done": Out(1), **results})
        # One adder does all sums if a cell is done before the next one starts.
        self._alone = cycles > 1 and self._build(Module(), alone=True) <= cycles
        self.latency = self._build(Module(), alone=self._alone)

    def elaborate(self, _platform: object) -> Module:
        """Build the pipeline."""
        m = Module()
        self._build(m, alone=self._alone)
        return m

    def _build(self, m: Module, *, alone: bool) -> int:
        """Add the pipeline to a module, with one adder for all sums or with several, and return its latency."""
        bits, digit = self._bits, self._digit
        widths = 2 * bits, bits + self._coefficient + 4
        psi, v = Timed(self.psi, 0), Timed(self.v, 0)
        widest = max(widths) if alone else 0
        fold = Folding(m, self.start, self._cycles, self._products(), digit, alone=widest)
        rows = fold.register("horizontal", self.left + self.right, 0)
        columns = fold.register("vertical", self.up + self.down, 0)
        # Four neighbours less four times psi fit three bits more, which the sum does not know.
        difference = rows.value + columns.value - (fold.held(psi, 1) << 2)
        lap = fold.register("laplacian", difference[: bits + 3].as_signed(), 1)
        # -A v as A (-v), so that all products are added.
        against = fold.register("against", -self.v, 0)

        total = fold.total("square_sum", widths[0], square(psi, digit))
        over = total.value[self._fraction + bits - 1 :].any()
        kept = total.value[self._fraction : self._fraction + bits - 1]
        squared = fold.register("squared", Mux(over, (1 << (bits - 1)) - 1, kept)[: bits - 1], total.at)
        total = fold.total("cube_sum", widths[0], products(squared, psi, digit))
        cube = fold.register("cube", _saturated(total.value >> self._fraction, bits), total.at)

        force = [*products(self.c, lap, digit), *products(self.a, against, digit), *products(self.b, cube, digit)]
        total = fold.total("force", widths[1], force, (v, self._rounded))
        new_v = self._moved(fold, "next_v", total)
        way = products(self.t, new_v, digit)
        total = fold.total("way", widths[1], way, (psi, self._rounded))
        new_psi = self._moved(fold, "next_psi", total)
        fold.finish()

        alive = fold.register("alive", self.start, 0, resets=True)
        latency = new_psi.at
        # Not in the phase in which the next cell is read.
        if self._cycles > 1 and (latency + READ_BEFORE) % self._cycles == 0:
            latency += 1
        m.d.comb += [
            self.done.eq(fold.held(alive, latency, resets=True) & fold.due(latency)),
            self.new_psi.eq(fold.held(new_psi, latency)),
            self.new_v.eq(fold.held(new_v, latency)),
        ]
        return latency

    def _products(self) -> int:
        """Return the number of products of a cell: 15 of 32 bits."""
        bits = self._bits

        def count(width: int, sign: int = 1) -> int:
            return max(1, -(-(width - sign) // self._digit))

        of_psi, of_factor = count(bits), count(self._coefficient)
        others = count(bits + 3) + count(bits + 1) + 2 * of_psi
        return of_psi * (of_psi + 1) // 2 + count(bits - 1, 0) * of_psi + of_factor * others

    def _moved(self, fold: Folding, name: str, total: Timed) -> Timed:
        """Cut the fraction of a coefficient off a total, and saturate it."""
        return fold.register(name, _saturated(total.value[self._rounded :].as_signed(), self._bits), total.at)


def _saturated(value: Value, bits: int) -> Value:
    """Return the nearest number of ``bits`` bits."""
    sign = value[-1]
    fits = (value[bits - 1 :] == 0) | value[bits - 1 :].all()
    return Cat(Mux(fits, value[: bits - 1], (~sign).replicate(bits - 1)), sign).as_signed()
