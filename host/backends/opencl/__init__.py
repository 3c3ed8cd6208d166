"""The OpenCL backend: exact on nits, with kernels of its own, on GPUs, accelerators and processors."""

from .device import OpenCl

__all__ = ["OpenCl"]
