"""``wave_step_fixed``: steps of a wave on a lattice, in integers that the fabric computes too."""

from ..signature import Layout, Limit, Operator, Option, Resident, Tensor

__all__ = ["COEFFICIENT_BITS", "FRACTION_BITS", "LATTICE", "OPERATOR", "ROUNDED_BITS"]

#: Fraction bits of ``psi`` and ``v``: the number 1 is 2**24.
FRACTION_BITS = 24
#: Bits of the signed coefficients ``A``, ``B``, ``C`` and ``T``.
COEFFICIENT_BITS = 18
#: Fraction bits of the coefficients, which are rounded away after each sum of products: 1 is 2**16.
ROUNDED_BITS = 16
#: Largest extent of a lattice.
EXTENT_MAX = 2**15

#: The lattice is periodic: each row and each column is a ring. Neighbours along an extent of 1 are the cell itself.
LATTICE = Layout(
    "lattice",
    fields=(
        Tensor("psi", ("H", "W"), ("int32",), doc="displacement of each cell, with 24 fraction bits"),
        Tensor("v", ("H", "W"), ("int32",), doc="velocity of each cell, with 24 fraction bits"),
    ),
)


def _coefficient(name: str, default: int, doc: str) -> Option:
    top = 2 ** (COEFFICIENT_BITS - 1)
    return Option(name, int, default, low=-top, high=top - 1, doc=f"{doc}; 65536 is 1")


#: A step computes all cells from the old psi. With sat, which saturates to int32, rne16(x) = (x + 32767 + ((x >> 16) &
#: 1)) >> 16, which rounds to nearest even, and arithmetic shifts: lap = sum of the four neighbours - 4 psi;
#: sq = min(psi psi >> 24, 2^31 - 1); cube = sat(sq psi >> 24); v' = sat(v + rne16(C lap - A v + B cube));
#: psi' = sat(psi + rne16(T v')). Every intermediate fits int64. For A = B = 0 it is stable while C T <= 2^31.
OPERATOR = Operator(
    name="wave_step_fixed",
    summary="Advance a wave on a two-dimensional periodic lattice of integers.",
    arguments=(Resident("state", "state", LATTICE, doc="displacement and velocity"),),
    options=(
        Option("steps", int, 1, low=1, high=10**6, doc="number of steps"),
        _coefficient("A", 0, "damping: share of v that a step takes"),
        _coefficient("B", 0, "factor of the cube of psi in the force"),
        _coefficient("C", 2**14, "factor of the Laplacian in the force, times the time of a step"),
        _coefficient("T", 2**16, "time of a step"),
    ),
    results=(),
    limits=(
        Limit("H", lambda sizes, _: sizes["H"], 1, EXTENT_MAX),
        Limit("W", lambda sizes, _: sizes["W"], 1, EXTENT_MAX),
    ),
    stateful=True,
    family="wave",
)
