"""embed on the CPU."""

from typing import TYPE_CHECKING

import numpy as np

from ninefold.spec.data import Answer
from ninefold.spec.signature import Call

if TYPE_CHECKING:
    from .device import CpuDevice

__all__ = ["run"]


def run(device: "CpuDevice", call: Call) -> Answer:
    """Run the sentence model on sequences, grouped by length so that little padding is computed."""
    # Imported here: a search over vectors needs no sentence model.
    from ninefold.host.embedding.batches import Batch, batches, infer
    from ninefold.host.embedding.graph import DIMENSIONS, check_batch, compiled
    from ninefold.host.embedding.model import find_model

    tokens, mask = np.asarray(call.arguments["tokens"]), np.asarray(call.arguments["mask"])
    model = find_model()
    check_batch(model, tokens, mask)
    with device.timed() as metrics:
        # Up to the last token that counts; what follows is padding.
        lengths = (mask * np.arange(1, mask.shape[1] + 1)).max(axis=1, initial=0)
        work = []
        for rows in batches(lengths):
            kept = slice(lengths[rows[-1]])
            work.append(Batch(rows, np.ascontiguousarray(tokens[rows, kept]), np.ascontiguousarray(mask[rows, kept])))
        vectors = np.empty((len(tokens), DIMENSIONS), np.float32)
        for rows, values in infer(compiled(model.folder), work) if work else ():
            vectors[rows] = values
    return Answer({"vectors": vectors}, "openvino float32", metrics)
