"""The conformance matrix: which backend runs which operator, how exactly, or why not."""

from __future__ import annotations

from collections.abc import Mapping

from ninefold.spec import registry
from ninefold.spec.operators import OPERATORS
from ninefold.spec.protocols import Backend, Found

__all__ = ["conformance_matrix"]

_HEAD = """# Which backend runs which operator

Written by `ninefold devices --matrix`; a test compares it with the code. *exact*: the same bits as the golden model,
ties included. A pair that is not run carries the reason. The same conformance suite (`tests/conformance`) runs on
every pair that is.

"""


def conformance_matrix() -> str:
    """Return the matrix of the installed backends as a page of Markdown."""
    runs: dict[str, Mapping[str, str | None]] = {}
    computing, broken = [], []
    for name in registry.backend_names():
        try:
            found = registry.backend(name)
            runs[name] = registry.operators_of(found)
            computing += [name] if _computes(found) else []
        except Exception as error:  # a third party's backend may raise anything
            runs.pop(name, None)
            broken.append(f"`{name}` cannot be asked: {type(error).__name__}: {error}")
    lines = [f"| operator | {' | '.join(computing)} |", f"| --- |{' --- |' * len(computing)}"]
    reasons: list[str] = []
    for operator, signature in OPERATORS.items():
        cells = []
        for name in computing:
            reason = runs[name].get(operator)
            if reason is None:
                cells.append(str(signature.tolerance))
            else:
                reasons.append(f"- **{name}, {operator}**: {reason}")
                cells.append("no")
        lines.append(f"| `{operator}` | {' | '.join(cells)} |")
    others = [
        f"`{name}` answers zeros for every operator, to measure overhead." for name in runs if name not in computing
    ]
    return _HEAD + "\n".join([*lines, "", "## Why not", "", *reasons, "", *others, *broken]).rstrip() + "\n"


def _computes(backend: Backend) -> bool:
    found = [entry for entry in backend.probe() if isinstance(entry, Found)]
    return not found or any(entry.computes for entry in found)
