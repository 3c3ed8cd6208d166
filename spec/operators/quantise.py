"""``quantise``: real or complex numbers to nits."""

from ..errors import InputError
from ..formats import DIMENSIONS_MAX, MODES, NIT_MAX, NIT_MIN
from ..signature import Call, Limit, Operator, Option, Tensor

__all__ = ["OPERATOR"]

#: Smallest and largest normal float32 number greater than 0.
SMALLEST, LARGEST = 2.0**-126, (2 - 2.0**-23) * 2.0**127


def _check(call: Call) -> None:
    scale = call.options["scale"]
    # The product is computed in float32, in which too small or large a scale would become 0 or infinity and give NaN.
    if not SMALLEST <= scale <= LARGEST:
        raise InputError(f"scale must be {SMALLEST:g} to {LARGEST:g} (normal float32), not {scale:g}")
    if call.arguments["x"].dtype.kind == "c" and call.options["mode"] != "linear":
        raise InputError(f"complex x needs mode linear, not {call.options['mode']}")


#: y = float32(x) * float32(scale), one float32 product; g = clip(round_half_even(4096 * y), GRID_MIN, GRID_MAX); the
#: nit depends on g and the mode's thresholds only. Of complex input the real part is used (linear only), because all
#: nine centres are on the real axis. Infinities saturate.
OPERATOR = Operator(
    name="quantise",
    summary="Map each number to a nit.",
    arguments=(Tensor("x", ("...", "D"), ("float32", "float64", "float16", "complex64", "complex128"), doc="numbers"),),
    options=(
        Option("scale", float, Option.REQUIRED, positive=True, doc="factor applied before rounding to the grid"),
        Option("mode", str, "tanh", choices=MODES, doc="thresholds of the quantiser"),
    ),
    results=(Tensor("nits", ("...", "D"), ("int8",), NIT_MIN, NIT_MAX, doc="one nit per number"),),
    rows="...",
    family="nonary",
    limits=(Limit("D", lambda sizes, _: sizes["D"], 1, DIMENSIONS_MAX),),
    check=_check,
)
