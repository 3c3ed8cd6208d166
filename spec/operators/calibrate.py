"""``calibrate``: the scale with the best recall of quantised search against exact search."""

from ..formats import DIMENSIONS_MAX, MODES
from ..signature import Limit, Operator, Option, Tensor

__all__ = ["OPERATOR"]

#: sigma is the float64 population standard deviation of the sample. Each candidate c / sigma (`formats.CALIBRATION`) is
#: judged by recall@10 of nit search against exact search over seeded rows, each with itself left out; the first of the
#: best wins. Exact search sums the products of the float32 values in float64 in index order, so that it is the same on
#: every machine, with ties by id. A sample with standard deviation 0 is refused.
OPERATOR = Operator(
    name="calibrate",
    summary="Choose the scale for quantise from a sample of the database.",
    arguments=(Tensor("sample", ("N", "D"), ("float32",), doc="rows of the database"),),
    family="nonary",
    options=(Option("mode", str, "tanh", choices=MODES, doc="thresholds of the quantiser"),),
    results=(Tensor("scale", (), ("float64",), 0, doc="scale for quantise"),),
    limits=(
        Limit("N", lambda sizes, _: sizes["N"], 2, 1 << 20),
        Limit("D", lambda sizes, _: sizes["D"], 1, DIMENSIONS_MAX),
    ),
)
