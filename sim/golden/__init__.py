"""Golden models: one plainly correct implementation of each operator, the reference for every backend.

Each module is named after its operator and is written for readability, not speed. Production code never imports it.
`answer` runs the golden model of any checked call, so one conformance suite covers every operator and backend.
"""

import importlib
from typing import Any

from ninefold.spec.signature import Call

__all__ = ["answer"]


def answer(call: Call) -> dict[str, Any]:
    """Return the results of the golden model of `call.operator`, by result name."""
    module = importlib.import_module(f"{__name__}.{call.operator.name}")
    values: dict[str, Any] = module.run(call)
    return values
