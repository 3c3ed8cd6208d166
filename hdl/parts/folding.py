"""Folded pipeline: arithmetic for one item each few cycles, with multipliers that several products share."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from amaranth.hdl import Cat, Const, Module, Mux, Shape, Signal, Value, signed

__all__ = ["Digit", "Folding", "Product", "Timed", "digits", "products", "square"]

#: Number to add to a sum, which may depend on that.
_Addend = Callable[[Value], Value]
_ZERO: Final[Value] = Const(0)


@dataclass(frozen=True, eq=False)
class Timed:
    """Value of the item that started ``at`` cycles ago. It holds for as many cycles as there are from item to item.

    Attributes
    ----------
    value : Value
        The value.
    at : int
        Cycle, counted from the item's start, from which the value is there.
    """

    value: Value
    at: int


@dataclass(frozen=True, eq=False)
class Digit:
    """Part of a number, as a signed factor.

    Attributes
    ----------
    number : Timed or Value
        The number. A plain value does not change while items are inside.
    low, high : int
        Its bits, from ``low`` to ``high`` - 1.
    signed : bool
        Whether the highest bit is the sign.
    """

    number: Timed | Value
    low: int
    high: int
    signed: bool

    def of(self, value: Value) -> Value:
        """Return the digit of the number's value."""
        part = value[self.low : self.high]
        return part.as_signed() if self.signed else Cat(part, 0).as_signed()


@dataclass(frozen=True, eq=False)
class Product:
    """Product of two digits in a sum.

    Attributes
    ----------
    a, b : Digit
        Factors.
    shift : int
        Power of two by which it is multiplied.
    """

    a: Digit
    b: Digit
    shift: int


def digits(number: Timed | Value, bits: int) -> list[Digit]:
    """Split a number into digits of ``bits`` bits, the lowest first; the highest has the sign as another bit."""
    shape = Shape.cast((number if isinstance(number, Value) else number.value).shape())
    edges = [0]
    while shape.width - edges[-1] > bits + shape.signed:
        edges.append(edges[-1] + bits)
    parts = [Digit(number, low, low + bits, signed=False) for low in edges[:-1]]
    return [*parts, Digit(number, edges[-1], shape.width, shape.signed)]


def products(a: Timed | Value, b: Timed | Value, bits: int) -> list[Product]:
    """Return the products of all digits of two numbers."""
    return [Product(one, other, one.low + other.low) for one in digits(a, bits) for other in digits(b, bits)]


def square(number: Timed, bits: int) -> list[Product]:
    """Return the products of all digits of a number with each other; of two different ones once, doubled."""
    parts = digits(number, bits)
    pairs = [(i, j) for i in range(len(parts)) for j in range(i, len(parts))]
    return [Product(parts[i], parts[j], parts[i].low + parts[j].low + (i != j)) for i, j in pairs]


@dataclass
class _Accumulator:
    """Register for a sum.

    Attributes
    ----------
    total : Signal
        The register.
    added : list of (int, Value)
        What is added in some cycles; 0 in others.
    onto : list of (int, Value)
        What replaces the sum in some cycles.
    """

    total: Signal
    added: list[tuple[int, Value]] = field(default_factory=list)
    onto: list[tuple[int, Value]] = field(default_factory=list)


def _constantly(value: Value) -> _Addend:
    return lambda _: value


class Folding:
    """Builder of a pipeline that takes an item at most each ``cycles`` cycles.

    Everything is placed at a cycle counted from the item's start. Registers load in one of ``cycles`` phases, so a
    register keeps a value for ``cycles`` cycles, and a value that is needed later is copied. Of all products,
    ``cycles`` share a multiplier. A product takes two cycles, and one more to be added.

    Parameters
    ----------
    m : Module
        Module that receives the logic.
    start : Value
        An item starts, a multiple of ``cycles`` cycles after those that are inside.
    cycles : int
        Smallest number of cycles between two items.
    products : int
        Number of products of an item.
    digit : int
        Bits of an unsigned digit. Factors have one bit more.
    alone : int
        Bits of the widest total if an item ends before the next one starts, so that one adder serves all totals; else
        0.
    """

    def __init__(self, m: Module, start: Value, cycles: int, products: int, digit: int, *, alone: int = 0) -> None:
        self.module = m
        self.cycles = cycles
        self.multipliers = -(-products // cycles)
        self._digit = digit
        self._copies: dict[Timed, Timed] = {}
        self._used = [0] * cycles
        self._factors: list[list[tuple[tuple[int, Value], tuple[int, Value]]]] = [[] for _ in range(self.multipliers)]
        self._results = [Signal(signed(2 * digit + 2), name=f"product_{i}") for i in range(self.multipliers)]
        self._accumulators: list[_Accumulator] = []
        self._alone = alone
        #: Cycle in which the last total is there.
        self._summed = 0
        self._phase = Signal(range(cycles), name="phase")
        if cycles > 1:
            later = Signal(range(cycles), name="phase_later")
            m.d.comb += self._phase.eq(Mux(start, 0, later))
            m.d.sync += later.eq(Mux(self._phase == cycles - 1, 0, self._phase + 1))

    def due(self, at: int) -> Value:
        """Return whether this is the phase of a cycle of an item; it may be one without an item."""
        return self._phase == at % self.cycles if self.cycles > 1 else Const(1)

    def register(self, name: str, value: Value, at: int, *, resets: bool = False) -> Timed:
        """Store in cycle ``at`` a value that is there in that cycle."""
        kept = Signal(value.shape(), name=name, reset_less=not resets)
        with self.module.If(self.due(at)):
            self.module.d.sync += kept.eq(value)
        return Timed(kept, at + 1)

    def held(self, timed: Timed | Value, at: int, *, resets: bool = False) -> Value:
        """Return a value in cycle ``at``, from a copy if the next item's has replaced it by then."""
        if isinstance(timed, Value):
            return timed
        while at >= timed.at + self.cycles:
            if timed not in self._copies:
                name = f"{getattr(timed.value, 'name', 'value')}_later"
                self._copies[timed] = self.register(name, timed.value, timed.at + self.cycles - 1, resets=resets)
            timed = self._copies[timed]
        return timed.value

    def total(self, name: str, bits: int, products: Sequence[Product], base: tuple[Timed, int] | None = None) -> Timed:
        """Add products, one a cycle in the given order.

        With a base, a number and a shift, the shifted number is added too, and what rounds the sum of the products to
        the nearest multiple of ``1 << shift`` (ties to even) when the bits below are cut off. The total must be used in
        the first cycle in which it is there, since another may replace it then.
        """
        times = self._schedule(products)
        begins = [at + 2 for _, at in times]
        onto: Value = _ZERO
        addends = [_constantly(self._results[k] << one.shift) for (k, _), one in zip(times, products, strict=True)]
        if base is not None:
            number, shift = base
            # Half less one. Where that gives ones below a tie's odd quotient, one more makes it even.
            onto = Cat(Const((1 << shift - 1) - 1, shift), self.held(number, begins[0])).as_signed()
            begins.append(begins[-1] + 1)
            lowest = self.held(Timed(number.value[0], number.at), begins[-1])
            addends.append(lambda total: total[shift] ^ lowest)
        self._summed = begins[-1] + 1
        if not self._alone and (self.cycles == 1 or begins[-1] - begins[0] >= self.cycles):
            return Timed(self._chain(name, bits, onto, list(zip(begins, addends, strict=True))), self._summed)
        if not (self._alone and self._accumulators):
            self._accumulators.append(_Accumulator(Signal(signed(self._alone or bits), name=name, reset_less=True)))
        accumulator = self._accumulators[-1]
        accumulator.onto.append((begins[0], onto))
        accumulator.added += [(at, addend(accumulator.total)) for at, addend in zip(begins, addends, strict=True)]
        return Timed(accumulator.total[:bits].as_signed(), self._summed)

    def _chain(self, name: str, bits: int, onto: Value, addends: Sequence[tuple[int, _Addend]]) -> Value:
        """Add numbers, each with a register of its own for the sum, and return the last of these."""
        for number, (at, addend) in enumerate(addends):
            kept = Signal(signed(bits), name=f"{name}_{number}", reset_less=True)
            before = onto if number == 0 else self.held(Timed(onto, addends[number - 1][0] + 1), at)
            # Outside the condition below, because a copy has one of its own.
            added = addend(before)
            with self.module.If(self.due(at)):
                self.module.d.sync += kept.eq(before + added)
            onto = kept
        return onto

    def finish(self) -> None:
        """Build multipliers and adders."""
        width = self._digit + 1
        for number, (factors, result) in enumerate(zip(self._factors, self._results, strict=True)):
            chosen = []
            for side, values in zip("ab", zip(*factors, strict=True), strict=True):
                factor = Signal(signed(width), name=f"factor_{side}_{number}", reset_less=True)
                self.module.d.sync += factor.eq(self._chosen(f"{factor.name}_next", width, values))
                chosen.append(factor)
            self.module.d.sync += result.eq(chosen[0] * chosen[1])
        for one in self._accumulators:
            bits, name = len(one.total), one.total.name
            added = self._chosen(f"{name}_added", bits, one.added)
            onto = self._chosen(f"{name}_onto", bits, one.onto, one.total)
            self.module.d.sync += one.total.eq(onto + added)

    def _chosen(self, name: str, bits: int, values: Sequence[tuple[int, Value]], otherwise: Value = _ZERO) -> Value:
        """Return a value in each of some cycles, and another one in the phases of no such cycle."""
        chosen = Signal(signed(bits), name=name)
        if self.cycles == 1:
            ((_, value),) = values
            self.module.d.comb += chosen.eq(value)
            return chosen
        with self.module.Switch(self._phase):
            for at, value in values:
                with self.module.Case(at % self.cycles):
                    self.module.d.comb += chosen.eq(value)
            with self.module.Default():
                self.module.d.comb += chosen.eq(otherwise)
        return chosen

    def _schedule(self, products: Sequence[Product]) -> list[tuple[int, int]]:
        """Place products on multipliers, each after the one before and after its factors; return both."""
        times: list[tuple[int, int]] = []
        # One adder has no time for a total before it has finished the last one.
        first = max(0, self._summed - 2) if self._alone else 0
        for product in products:
            factors = [product.a, product.b]
            ready = [factor.number.at for factor in factors if isinstance(factor.number, Timed)]
            at = max([*ready, times[-1][1] + 1 if times else first])
            while self._used[at % self.cycles] == self.multipliers:
                at += 1
            multiplier = self._used[at % self.cycles]
            self._used[at % self.cycles] += 1
            left, right = (factor.of(self.held(factor.number, at)) for factor in factors)
            self._factors[multiplier].append(((at, left), (at, right)))
            times.append((multiplier, at))
        return times
