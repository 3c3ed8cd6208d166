"""The OpenCL backend: exact search on GPUs, accelerators and processors with its own kernels."""

from .device import OpenCl

__all__ = ["REASON", "REASONS", "OpenCl"]

#: Reason why an operator is not run, unless `REASONS` has a better one.
REASON = "no OpenCL kernel is written for it"
REASONS = {
    "probe": "a database has 1,088 centroids, which the host scores in less time than a kernel takes to start",
    "calibrate": "its reference ranking sums float64 products in index order, and many OpenCL devices have no double "
    "precision; the scale is chosen once per database, so the CPU does it",
    "eviction_score": "its scores are in double precision, which many OpenCL devices lack; a processor scores "
    "entries about as fast as they are copied",
    "ssm_scan": "each step waits for the one before, and a step is too small a product to share among work-items",
    "wave_attention": "attention runs through OpenVINO, which has its own kernels for matrix products on GPUs",
    "embedding": "the sentence model runs through OpenVINO, which has its own kernels for GPUs",
}
