"""The backend ``board``: miners, and boards that scan signs, real and virtual."""

from .device import BoardDevice
from .discovery import Boards

__all__ = ["REASON", "REASONS", "BoardDevice", "Boards"]

#: Reason why an operator is not run, unless `REASONS` has a better one.
REASON = "no bitstream holds a core for it"
REASONS = {
    "memory": "no core adds to vectors of floating-point numbers, and no bitstream holds a state",
    "search6d": "its second stage is similarity6d, whose cosines and exponentials no core computes",
    "similarity6d": "no core computes cosines and exponentials: the fabric scores nits by integer products",
    "batch_similarity": "no core multiplies floating-point numbers or computes exponentials: the fabric scores nits",
    "wave": "bitstreams of the catalogue hold miners; the rtl backend runs cores of the wave family alone",
    "probe": "no core holds the centroids of clusters: a board searches all rows of its store",
    "calibrate": "no core calibrates: the scale is chosen once per database, in floating point, before loading",
    "embedding": "no core computes the sentence model: the fabric starts at quantising embeddings",
    "quantise": "a miner quantises queries for its similarity engine; no command reads the nits back",
    "similarity": "a miner returns the k best scores of a query, never all; the rtl backend runs the core alone",
    "topk": "a miner's top-k takes scores from its similarity engine, not from the link; "
    "the rtl backend runs the core alone",
}
