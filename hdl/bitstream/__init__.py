"""Building of bitstreams and manifests from configurations."""

from ninefold.hdl.bitstream.builder import Built, build
from ninefold.hdl.bitstream.files import export
from ninefold.hdl.bitstream.plans import Plan, core_plan, plan

__all__ = ["Built", "Plan", "build", "core_plan", "export", "plan"]
