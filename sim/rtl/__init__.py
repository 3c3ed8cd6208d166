"""RTL backend: runs operators on the cores themselves, simulated with Verilator."""

from ninefold.sim.rtl.device import Rtl, RtlDevice

__all__ = ["Rtl", "RtlDevice"]
