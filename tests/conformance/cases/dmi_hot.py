"""Cases of ``dmi_hot``: more and fewer hot clusters than asked for, ties, and momentum at the limit."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ninefold.spec.operators.dmi_hot import OPERATOR
from ninefold.spec.signature import Call

from .dmi_update import memory

__all__ = ["cases"]


def cases(rng: np.random.Generator) -> Iterator[tuple[str, Call]]:
    for clusters, k in ((1, 1), (1, 64), (300, 1), (300, 64), (300, 256), (5000, 256)):
        yield f"{k} of {clusters}", OPERATOR.bind({"state": memory(rng, clusters, 3)}, {"k": k})
    limit = np.float32(0.1)
    momentum = np.array([limit, np.nextafter(limit, np.float32(0)), 0.5, limit, 0.5, -1, 1], np.float32)
    edges = memory(rng, 7, 3, momentum=momentum)
    yield "at the limit", OPERATOR.bind({"state": edges})
    yield "at the limit, k = 4", OPERATOR.bind({"state": edges}, {"k": 4})
    yield "nothing is hot", OPERATOR.bind({"state": memory(rng, 7, 3, momentum=np.zeros(7, np.float32))})
