"""embed on the CPU."""

from typing import TYPE_CHECKING

import numpy as np

from ninefold.spec.data import Answer
from ninefold.spec.signature import Call

if TYPE_CHECKING:
    from .device import CpuDevice

__all__ = ["run"]


def run(device: "CpuDevice", call: Call) -> Answer:
    """Run the sentence model on padded tokens, all sequences at once."""
    # Imported here: a search over vectors needs no sentence model.
    from ninefold.host.embedding.graph import DIMENSIONS, check_batch, compiled
    from ninefold.host.embedding.model import find_model

    tokens, mask = np.asarray(call.arguments["tokens"]), np.asarray(call.arguments["mask"])
    model = find_model()
    check_batch(model, tokens, mask)
    with device.timed() as metrics:
        vectors = np.empty((len(tokens), DIMENSIONS), np.float32)
        if len(tokens):
            request = compiled(model.folder).create_infer_request()
            vectors[:] = request.infer([np.ascontiguousarray(tokens), np.ascontiguousarray(mask)])[0]
    return Answer({"vectors": vectors}, "openvino float32", metrics)
