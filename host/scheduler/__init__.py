"""The scheduler: which device runs a task, what happens when it fails, and how all of it is seen."""

from .fleet import DeviceStatus
from .handles import DatabaseHandle, StateHandle
from .scheduler import Scheduler, run
from .work import AUTO, Future

__all__ = ["AUTO", "DatabaseHandle", "DeviceStatus", "Future", "Scheduler", "StateHandle", "run"]
