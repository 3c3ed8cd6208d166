"""From a configuration on a board to its bitstream and manifest."""

from ninefold.hdl.bitstream.build import Built, build
from ninefold.hdl.bitstream.export import export
from ninefold.hdl.bitstream.plan import Plan, plan

__all__ = ["Built", "Plan", "build", "export", "plan"]
