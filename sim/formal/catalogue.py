"""Catalogue of proofs of cores, and of parts in ``sim/parts``."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from types import MappingProxyType, ModuleType

from ninefold.hdl.catalogue import core_names, find_core, is_path, own_names
from ninefold.sim import parts
from ninefold.sim.cores import has_part, part_of
from ninefold.sim.faults import Edit
from ninefold.sim.formal.proof import Proof

__all__ = ["proof_faults", "proof_names", "proofs", "proofs_of"]


@cache
def proofs() -> Mapping[str, tuple[Proof, ...]]:
    """Return the proofs of Ninefold by the name of their core, then of their part."""
    found = {name: part_of(name, "proof").PROOFS for name in own_names() if has_part(name, "proof")}
    return MappingProxyType({**found, **_of_parts()})


def proof_names() -> tuple[str, ...]:
    """Return the names that `proofs_of` accepts: all cores, and the parts that have proofs."""
    return (*core_names(), *_of_parts())


def proofs_of(name: str) -> tuple[Proof, ...]:
    """Return the proofs of a core, by its name or path, or of a part.

    Raises
    ------
    InputError
        There is no such core, or it has no proof; the message says where the proof belongs, or why there is none.
    """
    if not is_path(name) and name in _of_parts():
        return _of_parts()[name]
    make = find_core(name).core.make
    found: tuple[Proof, ...] = part_of(name, "proof").PROOFS
    # The name in a proof is not enough to find a core that is given as a path.
    return tuple(replace(proof, make=make) if is_path(name) and proof.make is None else proof for proof in found)


def proof_faults() -> Mapping[tuple[str, str], Sequence[Edit]]:
    """Return the faults that each proof of Ninefold must find, by the names of core or part and proof."""
    planted = dict(_faults_of_parts())
    for name in own_names():
        if has_part(name, "faults"):
            planted[name] = getattr(part_of(name, "faults"), "PROOF_FAULTS", {})
    proved = [proof for found in proofs().values() for proof in found]
    return {
        (proof.core, proof.name): planted[proof.core][proof.name]
        for proof in proved
        if proof.name in planted.get(proof.core, {})
    }


@cache
def _of_parts() -> Mapping[str, tuple[Proof, ...]]:
    found: dict[str, tuple[Proof, ...]] = {}
    for module in _modules_of_parts():
        for proof in getattr(module, "PROOFS", ()):
            found[proof.core] = (*found.get(proof.core, ()), proof)
    return MappingProxyType(found)


def _faults_of_parts() -> Mapping[str, Mapping[str, Sequence[Edit]]]:
    found: dict[str, Mapping[str, Sequence[Edit]]] = {}
    for module in _modules_of_parts():
        for proof in getattr(module, "PROOFS", ()):
            found[proof.core] = {**found.get(proof.core, {}), **module.PROOF_FAULTS}
    return found


def _modules_of_parts() -> list[ModuleType]:
    names = sorted(one.name for one in pkgutil.iter_modules(parts.__path__))
    return [importlib.import_module(f"{parts.__name__}.{name}") for name in names]
