"""The RTL backend: operators computed by the cores themselves, compiled with Verilator."""

from ninefold.sim.rtl.device import Rtl, RtlDevice

__all__ = ["Rtl", "RtlDevice"]
