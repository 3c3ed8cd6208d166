"""RTL backend: runs operators on the cores themselves, simulated with Verilator."""

from ninefold.sim.rtl.device import Rtl, RtlDevice

__all__ = ["REASON", "REASONS", "Rtl", "RtlDevice"]

#: Reason why an operator is not run, unless `REASONS` has a better one.
REASON = "no core that computes it is known to this backend"
REASONS = {
    "memory": "no core adds to vectors of floating-point numbers: the fabric computes with nits and integers",
    "search6d": "its second stage is similarity6d, whose cosines and exponentials no core computes",
    "similarity6d": "no core computes cosines and exponentials: the fabric scores nits by integer products",
    "batch_similarity": "no core multiplies floating-point numbers or computes exponentials: the fabric scores nits",
    "wave": "no core computes it; the fabric has cores for sums, quadrants, indices and integer steps of waves alone",
    "probe": "no core holds the centroids of clusters: a miner searches all rows of its store",
    "calibrate": "no core calibrates: the scale is chosen once per database, in floating point, before loading",
    "embedding": "no core computes the sentence model: the fabric starts at quantising embeddings",
}
