"""Golden models: one plainly correct statement of each operator, which judges every backend.

Each module is named after its operator and is written for reading, not for speed; nothing in production imports it.
`answer` runs the golden model of any checked call, so that one conformance suite serves every operator and backend.
"""

import importlib
from typing import Any

from ninefold.spec.signature import Call

__all__ = ["answer"]


def answer(call: Call) -> dict[str, Any]:
    """Return what the golden model of `call.operator` gives, by result name."""
    module = importlib.import_module(f"{__name__}.{call.operator.name}")
    values: dict[str, Any] = module.run(call)
    return values
