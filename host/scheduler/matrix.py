"""The conformance matrix: which backend runs which operator, how exactly, or why not."""

from __future__ import annotations

from ninefold.spec import registry
from ninefold.spec.operators import OPERATORS
from ninefold.spec.protocols import Found

__all__ = ["conformance_matrix"]

_HEAD = """# Which backend runs which operator

Written by `ninefold devices --matrix`; a test compares it with the code. *exact*: the same bits as the golden model,
ties included. A pair that is not run carries the reason. The same conformance suite (`tests/conformance`) runs on
every pair that is.

"""


def conformance_matrix() -> str:
    """Return the matrix of the installed backends as a page of Markdown."""
    runs = {name: registry.backend(name).operators() for name in registry.backend_names()}
    computing = [name for name in runs if _computes(name)]
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
    return _HEAD + "\n".join([*lines, "", "## Why not", "", *reasons, "", *others]).rstrip() + "\n"


def _computes(name: str) -> bool:
    found = [entry for entry in registry.backend(name).probe() if isinstance(entry, Found)]
    return not found or any(entry.computes for entry in found)
