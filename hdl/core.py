"""Description of a core, by which commands, proofs, levels and documentation find it."""

import inspect
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from amaranth.hdl import UnusedElaboratable
from amaranth.lib import wiring

__all__ = ["PARTS", "Core", "documented"]

#: Parts of a core, each with the module or file that holds it.
PARTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "testbench": "testbench.py",
        "proof": "proof.py",
        "vectors": "vectors.py",
        "faults": "faults.py",
        "mutants": "mutants.txt",
    }
)

# Components may be constructed only to inspect their ports or latency, of which Amaranth would warn.
warnings.filterwarnings("ignore", category=UnusedElaboratable)

_EMPTY: Final[Mapping[str, Any]] = MappingProxyType({})


@dataclass(frozen=True)
class Core:
    """Description of a core. The module of a core defines one as ``CORE``.

    Attributes
    ----------
    make : callable
        Constructor: the component's class, or a function with plain parameters. Options of commands take their types
        from its annotations and their help from its docstring.
    defaults : mapping of str to Any
        Parameters on the command line; a parameter that is missing has the constructor's default.
    small : mapping of str to Any
        Parameters that differ from `defaults` in comparisons of levels, where the core is synthesised.
    smallest : mapping of str to Any, optional
        Parameters of the core's mutants: the smallest that keep all of its logic. None means the
        parameters in comparisons.
    help : mapping of str to str
        Help of options that the constructor's docstring does not describe.
    without : mapping of str to str
        Reason for each part of `PARTS` that the core does not have.
    """

    make: Callable[..., wiring.Component]
    defaults: Mapping[str, Any] = field(default_factory=lambda: _EMPTY)
    small: Mapping[str, Any] = field(default_factory=lambda: _EMPTY)
    smallest: Mapping[str, Any] | None = None
    help: Mapping[str, str] = field(default_factory=lambda: _EMPTY)
    without: Mapping[str, str] = field(default_factory=lambda: _EMPTY)

    @property
    def parameters(self) -> Mapping[str, inspect.Parameter]:
        """Parameters of the constructor by name, in order, without the source location that Amaranth adds."""
        found = inspect.signature(self.make, eval_str=True).parameters
        return {name: one for name, one in found.items() if name != "src_loc_at"}

    @property
    def compared(self) -> Mapping[str, Any]:
        """Parameters in comparisons of levels."""
        return {**self.defaults, **self.small}

    @property
    def mutated(self) -> Mapping[str, Any]:
        """Parameters of the core's mutants."""
        return self.compared if self.smallest is None else self.smallest

    def described(self) -> Mapping[str, str]:
        """Return the description of each parameter that has one."""
        return {**documented(self.make), **self.help}


def documented(what: Any) -> Mapping[str, str]:
    """Return the descriptions of parameters and attributes in a numpydoc docstring, each as one line."""
    text = inspect.getdoc(what) or ""
    found: dict[str, str] = {}
    for section in re.findall(r"^(?:Parameters|Attributes)\n-+\n(.*?)(?=\n\n\S+\n-+\n|\Z)", text, re.M | re.S):
        for names, lines in re.findall(r"^(\w[\w, ]*) : [^\n]*\n((?: +[^\n]*\n?)+)", section, re.M):
            description = " ".join(line.strip() for line in lines.splitlines())
            found |= {name.strip(): description for name in names.split(",")}
    return found
