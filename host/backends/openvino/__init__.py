"""The OpenVINO backend: the same graphs on any device that OpenVINO finds: a GPU, an NPU or the processor."""

from .device import OpenVino

__all__ = ["OpenVino"]
