"""Catalogue of all proofs by core."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ninefold.sim.formal import (
    building,
    checksums,
    entrance,
    executor,
    frames,
    framing,
    insertion,
    joints,
    passing,
    products,
    quantisation,
    queues,
    registers,
    requests,
    search,
    selection,
    sending,
    serial,
)
from ninefold.sim.formal.proof import Proof
from ninefold.spec.errors import InputError

__all__ = ["PROOFS", "proofs_of"]

_ALL: tuple[Proof, ...] = (
    *selection.PROOFS,
    *entrance.PROOFS,
    *insertion.PROOFS,
    *quantisation.PROOFS,
    *products.PROOFS,
    *joints.PROOFS,
    *queues.PROOFS,
    *serial.PROOFS,
    *checksums.PROOFS,
    *framing.PROOFS,
    *frames.PROOFS,
    *passing.PROOFS,
    *requests.PROOFS,
    *registers.PROOFS,
    *building.PROOFS,
    *sending.PROOFS,
    *executor.PROOFS,
    *search.PROOFS,
)
#: Proofs of each core, by its command-line name.
PROOFS: Mapping[str, tuple[Proof, ...]] = MappingProxyType(
    {core: tuple(proof for proof in _ALL if proof.core == core) for core in dict.fromkeys(p.core for p in _ALL)}
)


def proofs_of(core: str) -> tuple[Proof, ...]:
    """Return the proofs of a core.

    Raises
    ------
    InputError
        The name has no proofs.
    """
    if core not in PROOFS:
        raise InputError(f"core must be one of {', '.join(PROOFS)}, not {core!r}")
    return PROOFS[core]
