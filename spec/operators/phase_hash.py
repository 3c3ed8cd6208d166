"""``phase_hash``: the quadrants of nine phases as one number."""

from ..signature import Operator, Tensor
from ..waves import PHASES

__all__ = ["OPERATOR"]

#: Bits 2d + 1 and 2d of the hash are the quadrant of number d, floor(2 theta / pi) mod 4, decided by signs alone:
#: 0 for re > 0, im >= 0; 1 for re <= 0, im > 0; 2 for re < 0, im <= 0; 3 for re >= 0, im < 0; and 0 where both are 0.
#: The sign of a zero does not count.
OPERATOR = Operator(
    name="phase_hash",
    summary="Hash each point of nine complex numbers by the quadrants of their phases.",
    arguments=(Tensor("psi", ("N", PHASES), ("complex64",), doc="points"),),
    results=(Tensor("hash", ("N",), ("uint32",), 0, 4**PHASES - 1, doc="two bits a number, number 0 lowest"),),
    rows="N",
    family="wave",
)
