"""The OpenCL backend: exact search on GPUs, accelerators and processors with its own kernels."""

from .device import OpenCl

__all__ = ["OpenCl"]
