"""The scheduler: choice of devices, fallback after failures, and observability."""

import logging

from .fleet import DeviceStatus
from .handles import DatabaseHandle, StateHandle
from .matrix import conformance_matrix
from .power import sensors
from .scheduler import Scheduler, run
from .work import AUTO, Future

__all__ = [
    "AUTO",
    "DatabaseHandle",
    "DeviceStatus",
    "Future",
    "Scheduler",
    "StateHandle",
    "conformance_matrix",
    "run",
    "sensors",
]

# Without a handler, warnings would go to stderr without their fields, which are the useful part.
logging.getLogger("ninefold").addHandler(logging.NullHandler())
