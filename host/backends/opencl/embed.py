"""Reason that OpenCL does not run ``embed``."""

__all__ = ["REASON"]

REASON = "the sentence model runs through OpenVINO, which has its own kernels for GPUs"
