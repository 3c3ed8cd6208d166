"""Building, launching and reading back kernels on one OpenCL device."""

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from . import programs
from .failures import guarded
from .memory import Memory, Out
from .platforms import DeviceEntry

if TYPE_CHECKING:
    import pyopencl as cl

__all__ = ["Launcher"]


class Launcher:
    """Context, queue and memory of a device, and the kernels built for it.

    Parameters
    ----------
    name : str
        Name of the device, for errors.
    entry : DeviceEntry
        The device.

    Attributes
    ----------
    entry : DeviceEntry
        The device.
    queue : pyopencl.CommandQueue
        Command queue of the device.
    memory : Memory
        Memory of the device.
    build_seconds : float
        Total time spent building kernels, in seconds.
    """

    def __init__(self, name: str, entry: DeviceEntry) -> None:
        import pyopencl as cl

        self.entry = entry
        self.build_seconds = 0.0
        self._name = name
        with guarded(name, f"opening {entry.description}"):
            self._context = cl.Context([entry.device])
            self.queue = cl.CommandQueue(self._context)
        self.memory = Memory(name, entry, self._context, self.queue)
        # OpenCL C 3.0 if the device has it: extensions such as the integer dot product require it.
        self._standard = ("-cl-std=CL3.0",) if entry.device.opencl_c_version.split()[2] >= "3" else ()
        self._programs: dict[tuple[Any, ...], cl.Program] = {}
        self._built: dict[tuple[Any, ...], cl.Kernel] = {}

    def close(self) -> None:
        """Free the kernels."""
        self._built.clear()
        self._programs.clear()

    def kernel(self, files: tuple[str, ...], name: str, **defines: int | str) -> "cl.Kernel":
        """Return a kernel from files of this folder, built on first use with macros of these values."""
        import pyopencl as cl

        built = (files, *sorted(defines.items()))
        if (name, built) not in self._built:
            start = time.perf_counter()
            options = (*(f"-D{macro}={value}" for macro, value in sorted(defines.items())), *self._standard)
            with guarded(self._name, f"building {' and '.join(files)}"):
                if built not in self._programs:
                    text = programs.source(files)
                    self._programs[built] = programs.build(self.entry, self._context, text, options)
                self._built[name, built] = cl.Kernel(self._programs[built], name)
            self.build_seconds += time.perf_counter() - start
        return self._built[name, built]

    def launch(
        self,
        kernel: "cl.Kernel",
        size: tuple[int, ...],
        group: tuple[int, ...] | None,
        *arguments: Any,
        wait: bool = True,
    ) -> None:
        """Run a kernel after those before it, and wait for its end.

        Parameters
        ----------
        kernel : pyopencl.Kernel
            Result of `kernel`.
        size, group : tuple of int
            Global size and work-group size in work-items; None lets the driver choose the work-group.
        *arguments
            NumPy scalars, buffers or local memory. Arrays are copied to the device, and each `Out` is read back.
        wait : bool, optional
            False queues the kernel, which takes less time than waiting for each of many; `finish` waits for all.
        """
        import pyopencl as cl

        passed, back = [], []
        for argument in arguments:
            if isinstance(argument, Out):
                back.append((argument.array, self.memory.allocate(argument.array.nbytes)))
                passed.append(back[-1][1])
            elif isinstance(argument, np.ndarray) and argument.ndim:
                passed.append(self.memory.put(argument))
            else:
                passed.append(argument)
        with guarded(self._name, f"running {kernel.function_name}"):
            done = kernel(self.queue, size, group, *passed)
            for array, buffer in back:
                cl.enqueue_copy(self.queue, array, buffer)
            if wait:
                done.wait()

    def finish(self) -> None:
        """Wait for the end of all launches."""
        with guarded(self._name, "waiting for kernels"):
            self.queue.finish()

    def read(self, buffer: "cl.Buffer", array: Any, pitch: int) -> None:
        """Copy rows of `pitch` elements on the device into the rows of an array (Q, B) of the host."""
        import pyopencl as cl

        whole = np.empty((len(array), pitch), array.dtype)
        with guarded(self._name, f"reading {whole.nbytes:,} bytes"):
            cl.enqueue_copy(self.queue, whole, buffer)
        array[:] = whole[:, : array.shape[1]]
