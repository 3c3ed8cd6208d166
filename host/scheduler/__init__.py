"""The scheduler: which device runs a task, what happens when it fails, and how all of it is seen."""

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

# Records are for whoever asks for them; a warning without its fields on stderr would help nobody.
logging.getLogger("ninefold").addHandler(logging.NullHandler())
