"""Names of a testbench's tests, from its source, because only a simulator can import it."""

import ast
import importlib.util
from collections.abc import Mapping
from pathlib import Path

__all__ = ["named_tests"]


def named_tests(testbench: str) -> Mapping[str, str]:
    """Return the tests of a testbench, first the tests of another testbench that it imports.

    Parameters
    ----------
    testbench : str
        Dotted name of the module.

    Returns
    -------
    mapping of str to str
        Name of each test, and the module that defines it.
    """
    spec = importlib.util.find_spec(testbench)
    if spec is None or spec.origin is None:
        return {}
    found: dict[str, str] = {}
    for node in ast.parse(Path(spec.origin).read_text()).body:
        if isinstance(node, ast.ImportFrom) and node.module and node.module.endswith(".testbench"):
            others = named_tests(node.module)
            found |= {alias.name: others[alias.name] for alias in node.names if alias.name in others}
        elif isinstance(node, ast.AsyncFunctionDef) and any(_is_test(one) for one in node.decorator_list):
            found[node.name] = testbench
    return found


def _is_test(decorator: ast.expr) -> bool:
    return "cocotb.test" in ast.unparse(decorator)
