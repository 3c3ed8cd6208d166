"""The scheduler: choice of devices, fallback after failures, and observability."""

import logging

from .devices import DeviceStatus
from .scheduler import Scheduler, run
from .states import DatabaseHandle, StateHandle
from .tasks import AUTO, Future
from .telemetry import sensors

__all__ = [
    "AUTO",
    "DatabaseHandle",
    "DeviceStatus",
    "Future",
    "Scheduler",
    "StateHandle",
    "run",
    "sensors",
]

# Without a handler, warnings would go to stderr without their fields, which are the useful part.
logging.getLogger("ninefold").addHandler(logging.NullHandler())
