"""Folded pipeline: arithmetic for one item each few cycles, with multipliers that several products share."""

from collections.abc import Sequence
from dataclasses import dataclass

from amaranth.hdl import Cat, Const, Module, Mux, Shape, Signal, Value, signed

__all__ = ["Digit", "Folding", "Product", "Timed", "digits", "products", "square"]


@dataclass(frozen=True, eq=False)
class Timed:
    """Value of the item that started ``at`` cycles ago. It holds for as many cycles as lie between two items.

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
    """Split a number into digits of so many bits, the lowest first; the sign is a bit more of the highest."""
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
    """Return the products of all digits of a number with each other; those of two different digits once, doubled."""
    parts = digits(number, bits)
    pairs = [(i, j) for i in range(len(parts)) for j in range(i, len(parts))]
    return [Product(parts[i], parts[j], parts[i].low + parts[j].low + (i != j)) for i, j in pairs]


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
    """

    def __init__(self, m: Module, start: Value, cycles: int, products: int, digit: int) -> None:
        self.module = m
        self.cycles = cycles
        self.multipliers = -(-products // cycles)
        self._digit = digit
        self._copies: dict[Timed, Timed] = {}
        self._used = [0] * cycles
        self._factors: list[list[tuple[int, Value, Value]]] = [[] for _ in range(self.multipliers)]
        self._results = [Signal(signed(2 * digit + 2), name=f"product_{i}") for i in range(self.multipliers)]
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
        """Add products, one a cycle in the given order, to a base with a shift.

        The total must be used in the first cycle in which it is there, since the next item's may replace it then.
        """
        times = self._schedule(products)
        started = self.held(base[0], times[0][1] + 2) << base[1] if base else Value.cast(0)
        # One register adds up all products if they are over before the next item's begin; else each has its own.
        shared = self.cycles > 1 and times[-1][1] - times[0][1] < self.cycles
        total = Signal(signed(bits), name=name, reset_less=True)
        sums = {k: total if shared or k == len(times) - 1 else self._partial(name, bits, k) for k in range(len(times))}
        added = Signal(signed(bits), name=f"{name}_added")
        onto = Signal(signed(bits), name=f"{name}_onto")
        if shared:
            self.module.d.comb += onto.eq(total)
            self.module.d.sync += total.eq(onto + added)
        for k, ((multiplier, at), product) in enumerate(zip(times, products, strict=True)):
            addend = self._results[multiplier] << product.shift
            # Outside the condition below, because a copy has one of its own.
            before = started if shared or k == 0 else self.held(Timed(sums[k - 1], times[k - 1][1] + 3), at + 2)
            with self.module.If(self.due(at + 2)):
                if not shared:
                    self.module.d.sync += sums[k].eq(before + addend)
                    continue
                self.module.d.comb += added.eq(addend)
                if k == 0:
                    self.module.d.comb += onto.eq(started)
        return Timed(total, times[-1][1] + 3)

    def finish(self) -> None:
        """Build the multipliers of all products."""
        for number, (factors, result) in enumerate(zip(self._factors, self._results, strict=True)):
            a, b = (Signal(signed(self._digit + 1), name=f"factor_{side}_{number}", reset_less=True) for side in "ab")
            for at, left, right in factors:
                with self.module.If(self.due(at)):
                    self.module.d.sync += [a.eq(left), b.eq(right)]
            self.module.d.sync += result.eq(a * b)

    def _partial(self, name: str, bits: int, number: int) -> Signal:
        return Signal(signed(bits), name=f"{name}_{number}", reset_less=True)

    def _schedule(self, products: Sequence[Product]) -> list[tuple[int, int]]:
        """Place products on multipliers, each after the one before and after its factors; return both."""
        times: list[tuple[int, int]] = []
        for product in products:
            factors = [product.a, product.b]
            ready = [factor.number.at for factor in factors if isinstance(factor.number, Timed)]
            at = max([*ready, times[-1][1] + 1 if times else 0])
            while self._used[at % self.cycles] == self.multipliers:
                at += 1
            multiplier = self._used[at % self.cycles]
            self._used[at % self.cycles] += 1
            left, right = (factor.of(self.held(factor.number, at)) for factor in factors)
            self._factors[multiplier].append((at, left, right))
            times.append((multiplier, at))
        return times
