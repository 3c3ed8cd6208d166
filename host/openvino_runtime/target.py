"""OpenVINO devices with the settings that keep them exact, and compiled graphs to call."""

import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ninefold.spec.errors import DeviceError, UnavailableError
from ninefold.spec.text import shortened

from .runtime import load, new_core

__all__ = ["Graph", "Target", "one_line"]

#: Float32 throughout, even if the processor has shorter formats, and no dynamic quantisation of inputs.
_EXACT: Final = {
    "INFERENCE_PRECISION_HINT": "f32",
    "EXECUTION_MODE_HINT": "ACCURACY",
    "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0",
}
#: Rows of a batch on devices without dynamic shapes; the last batch is padded.
_STATIC_ROWS: Final = 64

Array = npt.NDArray[Any]


def one_line(error: Exception) -> str:
    """Return the message of an OpenVINO error without its source locations."""
    lines = [line.strip() for line in str(error).splitlines()]
    said = [line for line in lines if line and not line.startswith(("Exception from", "Check '"))]
    return shortened((said or [line for line in lines if line] or [type(error).__name__])[0])


class Target:
    """OpenVINO device that graphs are compiled for.

    Parameters
    ----------
    device : str
        OpenVINO's name of the device: ``CPU``, ``GPU.1``, ``NPU``.
    settings : mapping of str to str, optional
        Properties in addition to the exact settings; the ones that the device does not know are left out.

    Attributes
    ----------
    device : str
        OpenVINO's name of the device.
    build_seconds : float
        Total time spent compiling, in seconds.

    Raises
    ------
    UnavailableError
        OpenVINO is not installed.
    """

    def __init__(self, device: str = "CPU", settings: Mapping[str, str] | None = None) -> None:
        try:
            self.openvino = load()
            self.op = load("openvino.opset13")
        except ImportError as error:
            raise UnavailableError(
                "the package openvino is not installed", "pip install 'ninefold[openvino]'"
            ) from error
        self.device = device
        self.build_seconds = 0.0
        self._core = new_core()
        self._settings = {"PERFORMANCE_HINT": "LATENCY", **_EXACT, **(settings or {})}

    @property
    def static(self) -> bool:
        """True if the device accepts only graphs of fixed shapes, as NPUs do."""
        return self.device.startswith("NPU")

    @property
    def rows(self) -> int:
        """Size of the first axis: -1 for any, or the number of rows to which batches are split and padded."""
        return _STATIC_ROWS if self.static else -1

    def size(self, value: int) -> int:
        """Size of another axis: -1 for any, or `value` if shapes are fixed."""
        return value if self.static else -1

    def compile(self, parameters: Sequence[Any], results: Sequence[Any]) -> "Graph":
        """Compile a graph; the first axis of its first parameter is the batch, of size `rows`.

        Parameters
        ----------
        parameters : sequence of parameter nodes
            Arguments of a call, in order.
        results : sequence of outputs
            Results of a call, in order.

        Raises
        ------
        DeviceError
            OpenVINO refuses the graph.
        """
        start = time.perf_counter()
        try:
            compiled = self._core.compile_model(
                self.openvino.Model(list(results), list(parameters), "ninefold"), self.device, self._known()
            )
            request = compiled.create_infer_request()
        except RuntimeError as error:
            raise DeviceError(f"openvino:{self.device} failed to compile a graph: {one_line(error)}") from error
        finally:
            self.build_seconds += time.perf_counter() - start
        return Graph(self.device, request, self.openvino.Tensor, self.static)

    def property(self, name: str) -> Any:
        """Return a property of the device, or None if the device does not have it."""
        try:
            return self._core.get_property(self.device, name)
        except RuntimeError:
            return None

    def _known(self) -> dict[str, str]:
        supported = self._core.get_property(self.device, "SUPPORTED_PROPERTIES")
        # An NPU computes in float16 or int8 and refuses settings for more precision; its answers are checked.
        return {
            name: value
            for name, value in self._settings.items()
            if name in supported and not (self.static and name == "INFERENCE_PRECISION_HINT")
        }


class Graph:
    """Compiled graph, for use by one thread at a time.

    Parameters
    ----------
    device : str
        Name of the device for messages.
    request : openvino.InferRequest
        Request that runs the graph.
    tensor : type
        ``openvino.Tensor``.
    static : bool
        True if the first input must be split and padded to a fixed number of rows.
    """

    def __init__(self, device: str, request: Any, tensor: Any, static: bool) -> None:
        self._device = device
        self._request = request
        self._tensor = tensor
        self._static = static
        self._outputs = len(request.results)

    def __call__(self, *inputs: Array, out: Array | None = None) -> list[Array]:
        """Run the graph once.

        Parameters
        ----------
        *inputs : arrays
            Arguments in the order and with the dtypes of the parameters.
        out : array, optional
            Array for the only result, C-contiguous, with its shape and dtype. Without it the graph keeps memory for
            its results, sized by its largest call.

        Returns
        -------
        list of arrays
            Results, in order; the caller owns them.

        Raises
        ------
        DeviceError
            The device fails.
        """
        if not self._static:
            return self._run(inputs, out)
        batch, *others = inputs
        parts = []
        for first in range(0, max(len(batch), 1), _STATIC_ROWS):
            padded = np.zeros((_STATIC_ROWS, *batch.shape[1:]), batch.dtype)
            rows = batch[first : first + _STATIC_ROWS]
            padded[: len(rows)] = rows
            parts.append(self._run([padded, *others]))
        return [np.concatenate([part[i] for part in parts])[: len(batch)] for i in range(self._outputs)]

    def _run(self, inputs: Sequence[Array], out: Array | None = None) -> list[Array]:
        arrays = [np.ascontiguousarray(x) for x in inputs]  # read in place, not copied
        try:
            if out is not None:
                self._request.set_output_tensor(self._tensor(out, shared_memory=True))
            found = self._request.infer(arrays, share_inputs=True, share_outputs=out is not None)
        except RuntimeError as error:
            raise DeviceError(f"openvino:{self._device} failed: {one_line(error)}") from error
        # The request returns a view of `out` that does not keep it alive.
        return [found[i] for i in range(self._outputs)] if out is None else [out]
