"""Memory that a search takes."""

from __future__ import annotations

import sys

import numpy as np

from ninefold.numerics.nits import pack
from ninefold.spec.benchmark import Figure
from ninefold.spec.data import Database
from ninefold.spec.errors import ToolError
from ninefold.spec.programs import ended_by, execute
from ninefold.spec.text import tail

__all__ = ["measure"]

_DIMENSIONS, _SEED = 384, 9
_ROWS_SMALL = 6000

_SCRIPT = """
from pathlib import Path
import numpy as np
from ninefold.host.backends.cpu import Cpu
from ninefold.spec.data import Database
from ninefold.spec.operators import OPERATORS

rows, dimensions = 1_000_000, 384
packed = np.random.default_rng(0).integers(0, 5, (rows, dimensions // 2), np.uint8)
attributes = {"rows": rows, "dimensions": dimensions, "scale": 0.5, "mode": "tanh"}
database = Database({"nits": packed}, attributes)
q = np.random.default_rng(1).standard_normal((64, dimensions), np.float32)
device = Cpu().open()
device.load(database)
device.run(OPERATORS["mine"].bind({"q": q, "database": database}, {"k": 10}))
# Not ru_maxrss, which a process inherits from its parent.
peak = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) * 1024
print(peak - packed.nbytes, device.path)
"""


def measure() -> list[Figure]:
    """Return the bytes a dimension of packed nits, and the peak memory of searching a million rows."""
    rng = np.random.default_rng(_SEED)
    nits = rng.integers(-4, 5, (_ROWS_SMALL, _DIMENSIONS), np.int8)
    attributes: dict[str, int | float | str] = {
        "rows": _ROWS_SMALL,
        "dimensions": _DIMENSIONS,
        "scale": 0.5,
        "mode": "tanh",
    }
    database = Database({"nits": pack(nits)}, attributes)
    packed = database.arrays["nits"].nbytes / nits.size
    return [
        Figure(
            "memory",
            "packed nits",
            "bytes a dimension",
            packed,
            "byte",
            kind="exact",
            better="less",
            target="<= 0.52",
        ),
        _peak(),
    ]


def _peak() -> Figure:
    """Measure a separate process that searches a million rows: its peak memory less the packed nits."""
    done = execute([sys.executable, "-c", _SCRIPT])
    if done.code:
        raise ToolError(f"the process that searches a million rows {ended_by(done.code)}:\n{tail(done.complaints)}")
    peak, path = done.output.split(maxsplit=1)
    return Figure(
        "memory",
        "cpu",
        "peak beyond the packed nits",
        int(peak) / 1e9,
        "GB",
        {"rows": 1_000_000, "dimensions": _DIMENSIONS, "queries": 64},
        better="less",
        target="< 0.3",
        detail=f"the whole process, interpreter and NumPy included, path {path.strip()}",
    )
