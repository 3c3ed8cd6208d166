"""Conversion of pyopencl's errors into the errors of the backend contract."""

import contextlib
from collections.abc import Iterator

from ninefold.spec.errors import DeviceError, LostDeviceError

__all__ = ["guarded"]

#: Status codes of a lost device: not available; invalid device, context or queue (reported after a device was reset);
#: and -9999, NVIDIA's code for a kernel that destroyed its context.
_LOST = {-2, -33, -34, -36, -9999}


@contextlib.contextmanager
def guarded(device: str, doing: str) -> Iterator[None]:
    """Convert pyopencl's errors inside the block into a `DeviceError` or `LostDeviceError` of one line.

    Parameters
    ----------
    device : str
        Name of the device, e.g. ``opencl:0``.
    doing : str
        Current action, e.g. ``"loading 19,200,000 bytes"``.
    """
    import pyopencl as cl

    try:
        yield
    except cl.Error as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [repr(error)]
        # The first line repeats its text. Of a build log after it, the line with the error is the most useful.
        told = [lines[0].split(" - ")[0], *[line for line in lines[1:] if "error" in line.lower()][:1]]
        raise (LostDeviceError if error.code in _LOST else DeviceError)(
            f"{device} failed while {doing}: {'; '.join(told)}"
        ) from error
