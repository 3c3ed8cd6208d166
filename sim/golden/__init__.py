"""Golden models: one plainly correct implementation of each operator, the reference for every backend.

Each module is named after its operator and is written for readability, not speed. Production code never imports it.
A module defines ``run(call)``, which returns the values by result name, or for a stateful operator ``step(call)``,
which returns the values and the arrays of the next state.
"""

from collections.abc import Mapping
from types import ModuleType
from typing import Any

from ninefold.spec.errors import UnsupportedError
from ninefold.spec.operators import module_of
from ninefold.spec.signature import Call

__all__ = ["answer", "step"]


def answer(call: Call) -> dict[str, Any]:
    """Return the results of the golden model of `call.operator`, by result name."""
    values: dict[str, Any] = step(call)[0] if call.operator.stateful else _model(call).run(call)
    return values


def step(call: Call) -> tuple[dict[str, Any], Mapping[str, Any]]:
    """Return the results of a stateful operator's golden model, and the arrays of the next state."""
    values, arrays = _model(call).step(call)
    return values, arrays


def _model(call: Call) -> ModuleType:
    module = module_of(call.operator.name, __name__, "golden")
    if module is None:
        raise UnsupportedError(f"{call.operator.name} has no golden model")
    return module
