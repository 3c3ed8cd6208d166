"""Turn what pyopencl raises into the errors of the contract."""

import contextlib
from collections.abc import Iterator

from ninefold.spec.errors import DeviceError, LostDeviceError

__all__ = ["guarded"]

#: Status codes of a device that will not answer again: not available; invalid device, context or queue (what a driver
#: says once a device was reset); and -9999, NVIDIA's code for a kernel that took its context down.
_LOST = {-2, -33, -34, -36, -9999}


@contextlib.contextmanager
def guarded(device: str, doing: str) -> Iterator[None]:
    """Raise what pyopencl raises inside as `DeviceError` or `LostDeviceError`, in one line.

    Parameters
    ----------
    device : str
        Name of the device, e.g. ``opencl:0``.
    doing : str
        What was being done, e.g. ``"loading 19,200,000 bytes"``.
    """
    import pyopencl as cl

    try:
        yield
    except cl.Error as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [repr(error)]
        # The first line repeats itself; a build log may follow, of which the line that names an error says most.
        told = [lines[0].split(" - ")[0], *[line for line in lines[1:] if "error" in line.lower()][:1]]
        raise (LostDeviceError if error.code in _LOST else DeviceError)(
            f"{device} failed while {doing}: {'; '.join(told)}"
        ) from error
