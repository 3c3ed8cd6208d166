"""Subjects of mutation: each core at its smallest useful parameters, with assumptions on its inputs."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ninefold.hdl.catalogue import find_core, own_names
from ninefold.sim.cores import has_part, is_free, part_of, part_path
from ninefold.sim.faults import Assumptions

__all__ = ["Subject", "subject_of", "subjects"]


@dataclass(frozen=True)
class Subject:
    """Core whose testbench is measured.

    Attributes
    ----------
    core : str
        Name or path of the core.
    name : str
        Its name.
    testbench : str
        Module of its testbench.
    parameters : mapping of str to Any
        Parameters of the core.
    assumptions : Assumptions
        Assumptions of equivalence proofs.
    golden : Path or None
        File with the golden function that judges the core; None if its testbench has the model.
    """

    core: str
    name: str
    testbench: str
    parameters: Mapping[str, Any]
    assumptions: Assumptions
    golden: Path | None = None

    @property
    def given(self) -> str:
        """Name or absolute path of the core."""
        return find_core(self.core).absolute


@cache
def subjects() -> Mapping[str, Subject]:
    """Return the subjects of all cores of Ninefold that have a testbench, by name."""
    return MappingProxyType({name: subject_of(name) for name in own_names() if has_part(name, "testbench")})


def subject_of(core: str) -> Subject:
    """Return the subject of a core.

    Raises
    ------
    InputError
        There is no such core, or it has no testbench.
    """
    entry = find_core(core)
    testbench = part_path(core, "testbench")
    given = getattr(part_of(core, "faults"), "MUTATION", None) if has_part(core, "faults") else None
    golden = Path(str(sys.modules[entry.module].__file__)) if is_free(core, "testbench") else None
    return Subject(core, entry.name, testbench, entry.core.mutated, given or Assumptions(), golden)
