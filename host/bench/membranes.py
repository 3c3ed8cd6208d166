"""Momentum in membranes of the Loihi chip beside the momentum in floats, over the same vectors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ninefold.host.backends.cpu import Cpu
from ninefold.numerics.membranes import cosines, momentum, new_membranes
from ninefold.numerics.momentum import new_memory
from ninefold.spec.benchmark import Figure, Parameter, Request, Size
from ninefold.spec.operators import OPERATORS
from ninefold.spec.protocols import Device
from ninefold.spec.residents import state_after

from .data import base

__all__ = ["differences"]

_Array = npt.NDArray[Any]
#: Clusters, batches, and vectors a batch.
_PLANS: Final[Mapping[Size, tuple[int, int, int]]] = {
    "tiny": (16, 3, 40),
    "small": (1024, 32, 512),
    "large": (1024, 256, 512),
}
_SEED, _K, _BATCH_S = 9, 64, 60.0


def differences(request: Request, device: Device) -> list[Figure]:
    """Update both kinds of momentum with each batch, and compare the momentum and the hot lists after it.

    Returns
    -------
    list of Figure
        Largest difference of the momentum, and shares of the batches after which the lists differ, hold other clusters
        than the lists by floats, or hold equal voltages.
    """
    clusters, batches, size = _PLANS[request.size]
    of = base(request, 100)
    clusters = min(clusters, len(of.vectors) // 2)
    cpu = Cpu().open()
    memory, membranes = (
        new_memory("bench floats", clusters, of.vectors.shape[1], seed=_SEED),
        new_membranes("bench membranes", clusters),
    )
    worst, lists, sets, ties = 0.0, 0, 0, 0
    for made in _batches(of.vectors, clusters, batches, size):
        added = cosines(memory, made["clusters"], made["vectors"], made["times"])
        memory = state_after(cpu, OPERATORS["dmi_update"].bind({"state": memory, **made}))
        update = {"state": membranes, "clusters": made["clusters"], "cosines": added}
        membranes = state_after(device, OPERATORS["membrane_update"].bind(update))
        difference = momentum(np.asarray(membranes.arrays["voltage"])) - memory.arrays["momentum"]
        worst = max(worst, float(np.abs(difference).max()))
        by_floats = cpu.run(OPERATORS["dmi_hot"].bind({"state": memory}, {"k": _K})).values["ids"]
        by_chip = device.run(OPERATORS["membrane_hot"].bind({"state": membranes}, {"k": _K})).values
        lists += not np.array_equal(by_floats, by_chip["ids"])
        sets += set(by_floats.tolist()) != set(by_chip["ids"].tolist())
        ties += len(set(by_chip["voltage"][: by_chip["count"]].tolist())) < by_chip["count"]
    cpu.close()
    device.unload(membranes.id)
    parameters: dict[str, Parameter] = {"data": of.name, "clusters": clusters, "batches": batches, "batch": size}
    return [
        Figure("membranes", device.name, quantity, value, "", parameters, kind="exact", better="less", target=target)
        for quantity, value, target in (
            ("largest difference from the momentum in floats", worst, "<= 0.00204"),
            (f"share of hot lists of {_K} that differ", lists / batches, ""),
            (f"share of hot lists of {_K} with other clusters", sets / batches, ""),
            (f"share of hot lists of {_K} with equal voltages", ties / batches, ""),
        )
    ]


def _batches(vectors: _Array, clusters: int, batches: int, size: int) -> Iterator[dict[str, _Array]]:
    """Yield vectors drawn at random; the cluster of a vector is the nearest of some rows."""
    rng = np.random.default_rng(_SEED)
    centres = vectors[rng.choice(len(vectors), clusters, replace=False)]
    nearest = (vectors @ centres.T).argmax(axis=1)
    for batch in range(batches):
        drawn = rng.integers(0, len(vectors), size)
        times = _BATCH_S * (batch + np.sort(rng.uniform(0, 1, size)))
        yield {"clusters": nearest[drawn], "vectors": vectors[drawn], "times": times}
