"""The OpenVINO backend: the same graphs on any device that OpenVINO finds: a GPU, an NPU or the processor."""

from .backend import OpenVino

__all__ = ["REASON", "REASONS", "OpenVino"]

#: Reason why an operator is not run, unless `REASONS` has a better one.
REASON = "no OpenVINO graph is written for it"
REASONS = {
    "memory": "its rows change in place, and each operation rounds to float32 or float16, which no graph guarantees",
    "search6d": "its second stage is similarity6d, which no graph computes",
    "similarity6d": "sets of hashes and times of 64 bits need exact integers of 64 bits, which no graph guarantees",
    "batch_similarity": "times in seconds need double precision, which OpenVINO's devices do not guarantee",
    "wave": "OpenVINO's graphs have no complex numbers, and no exact integers of 64 bits",
    "eviction_score": "an entry needs a few operations in double precision, fewer than copying its numbers to a graph",
    "probe": "a database has 1,088 centroids, which the host scores in less time than a graph takes to start",
    "calibrate": "calibrating needs float64 sums in a fixed order, which no graph guarantees, "
    "and runs once per database",
}
