"""The sentence model as an OpenVINO graph, built operation by operation from its weights."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ninefold.host.openvino_runtime.runtime import new_core
from ninefold.host.openvino_runtime.store import stored
from ninefold.host.openvino_runtime.target import one_line
from ninefold.spec.errors import DamagedDataError, DeviceError, InputError

from .model import Model
from .weights import Weights, needed, read_weights

__all__ = ["DIMENSIONS", "build", "check_batch", "compiled"]

#: Length of an embedding, as specified by the operator `embed`.
DIMENSIONS = 384


def build(model: Model) -> Any:
    """Build the graph of a BERT encoder with mean pooling over the mask, normalised to unit length.

    Inputs ``tokens`` and ``mask``, int64 (Q, T), T up to 512; output float32 (Q, 384). The structure follows
    Devlin et al. 2019 (post-norm encoder, GELU by erf), with the pooling of Reimers and Gurevych 2019.

    Returns
    -------
    openvino.Model

    Raises
    ------
    DamagedDataError
        If the weights are unreadable, or belong to another kind of network.
    InputError
        If the model's embeddings do not have 384 dimensions.
    """
    config = model.config
    if config.get("hidden_size") != DIMENSIONS:
        raise InputError(f"the model's hidden_size must be {DIMENSIONS}, not {config.get('hidden_size')}")
    try:
        return _Builder(read_weights(model.weights), config).model()
    except KeyError as error:
        raise DamagedDataError(f"the model in {model.folder} has no {error.args[0]!r}") from error


@lru_cache(maxsize=8)
def compiled(
    folder: Path, threads: int | None = None, device: str = "CPU", shape: tuple[int, int] | None = None
) -> Any:
    """Return the compiled model of a folder, cached for the life of the process.

    On the CPU all arithmetic is float32; processors with bfloat16 units would otherwise round to 8 bits and differ from
    others. Each thread is a stream of its own, since two cores are busier with a batch each than with a shared one.

    Parameters
    ----------
    folder : Path
        Folder of the model.
    threads : int, optional
        Number of threads, 1 or more; by default, the number of processors that OpenVINO finds.
    device : str
        OpenVINO's name of the device.
    shape : tuple of 2 int, optional
        Sequences and tokens of every batch, for a device that requires fixed shapes.

    Raises
    ------
    DeviceError
        If the device rejects the graph.
    """
    needed("openvino")  # otherwise the error would not say how to install it
    core = new_core()
    settings: dict[str, Any] = {"PERFORMANCE_HINT": "THROUGHPUT"}
    # Processors with shorter formats would use them. An NPU has only short formats, and rejects the request for more.
    if not device.startswith("NPU"):
        settings["INFERENCE_PRECISION_HINT"] = "f32"
    if threads is not None:
        settings |= {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": threads}
    model = Model(folder)

    def make() -> Any:
        graph = build(model)
        if shape is not None:
            graph.reshape({name: list(shape) for name in ("tokens", "mask")})
        return core.compile_model(graph, device, settings)

    try:
        # 90 MB are stored once for the CPU, not for each number of threads.
        if device == "CPU" and threads is not None:
            return make()
        return stored(core, device, settings, [model.digest, str(shape)], make)
    except RuntimeError as error:
        raise DeviceError(f"openvino:{device} did not compile the sentence model: {one_line(error)}") from error


def check_batch(model: Model, tokens: npt.NDArray[np.int64], mask: npt.NDArray[np.int64]) -> None:
    """Raise `InputError` for tokens outside the vocabulary, or a sequence that is too long or empty."""
    vocabulary, positions = int(model.config["vocab_size"]), int(model.config["max_position_embeddings"])
    if tokens.shape[1] > positions:
        raise InputError(f"a sequence must have 1 to {positions} tokens, not {tokens.shape[1]}")
    if tokens.size and (tokens.min() < 0 or tokens.max() >= vocabulary):
        worst = tokens.min() if tokens.min() < 0 else tokens.max()
        raise InputError(f"token ids must be 0 to {vocabulary - 1}, not {worst}")
    empty = np.flatnonzero(~mask.any(axis=1))
    if len(empty):
        raise InputError(f"every sequence must have a token: the mask of sequence {empty[0]} is all 0")


class _Builder:
    """Builder of the operations of one network."""

    def __init__(self, weights: Weights, config: dict[str, Any]) -> None:
        self.op = needed("openvino.opset13")
        self.weights = weights
        self.hidden, self.heads = int(config["hidden_size"]), int(config["num_attention_heads"])
        self.layers, self.epsilon = int(config["num_hidden_layers"]), float(config["layer_norm_eps"])

    def model(self) -> Any:
        op = self.op
        tokens, mask = (op.parameter([-1, -1], np.int64, name=name) for name in ("tokens", "mask"))
        keep = op.convert(mask, "f32")
        # Bias of the attention scores: padding gets e**-1e9, exactly 0 in float32, unless a row consists of padding
        # only.
        bias = op.multiply(op.subtract(op.unsqueeze(keep, self.axes(1, 2)), self.number(1)), self.number(1e9))
        x = self.embeddings(tokens)
        for layer in range(self.layers):
            x = self.layer(x, bias, f"encoder.layer.{layer}.")
        unit = self.pooled(x, op.unsqueeze(keep, self.axes(2)))
        return needed("openvino").Model([op.result(unit)], [tokens, mask], "sentence_embedding")

    def embeddings(self, tokens: Any) -> Any:
        """Sum of word, position and (first) segment embedding, normalised."""
        op, name = self.op, "embeddings.{}_embeddings.weight"
        length = op.gather(op.shape_of(tokens), self.axes(1), self.axes(0))
        table = self.weights[name.format("position")] + self.weights[name.format("token_type")][0]
        positions = op.slice(op.constant(table), self.axes(0), length, self.axes(1), self.axes(0))
        words = op.gather(self.weight(name.format("word")), tokens, op.constant(np.int64(0)))
        return self.normalised(op.add(words, positions), "embeddings.LayerNorm")

    def layer(self, x: Any, bias: Any, name: str) -> Any:
        """One encoder layer: attention, then the feed-forward network, each with its residual."""
        op = self.op
        attended = self.dense(self.attention(x, bias, name + "attention.self."), name + "attention.output.dense")
        x = self.normalised(op.add(x, attended), name + "attention.output.LayerNorm")
        wide = op.gelu(self.dense(x, name + "intermediate.dense"), "erf")
        return self.normalised(op.add(x, self.dense(wide, name + "output.dense")), name + "output.LayerNorm")

    def attention(self, x: Any, bias: Any, name: str) -> Any:
        op = self.op
        # One product for query, key and value fills the cores better than three.
        weight, offset = (
            np.concatenate([self.weights[f"{name}{part}.{kind}"] for part in ("query", "key", "value")])
            for kind in ("weight", "bias")
        )
        projected = op.add(op.matmul(x, op.constant(weight), False, True), op.constant(offset))
        thirds = op.variadic_split(projected, op.constant(np.int64(2)), self.axes(*[self.hidden] * 3)).outputs()
        split = self.axes(0, 0, self.heads, self.hidden // self.heads)
        query, key, value = (op.transpose(op.reshape(y, split, True), self.axes(0, 2, 1, 3)) for y in thirds)
        mixed = op.transpose(op.scaled_dot_product_attention(query, key, value, bias), self.axes(0, 2, 1, 3))
        return op.reshape(mixed, self.axes(0, 0, self.hidden), True)

    def pooled(self, x: Any, keep: Any) -> Any:
        """Mean over the tokens, scaled to length 1."""
        op = self.op
        mean = op.divide(
            op.reduce_sum(op.multiply(x, keep), self.axes(1), False), op.reduce_sum(keep, self.axes(1), False)
        )
        return op.divide(mean, op.sqrt(op.reduce_sum(op.multiply(mean, mean), self.axes(1), True)))

    def dense(self, x: Any, name: str) -> Any:
        product = self.op.matmul(x, self.weight(name + ".weight"), False, True)
        return self.op.add(product, self.weight(name + ".bias"))

    def normalised(self, x: Any, name: str) -> Any:
        standard = self.op.mvn(x, self.axes(-1), True, self.epsilon, "inside_sqrt")
        scaled = self.op.multiply(standard, self.weight(name + ".weight"))
        return self.op.add(scaled, self.weight(name + ".bias"))

    def weight(self, name: str) -> Any:
        # Not copied; the constant holds a reference to the array.
        return self.op.constant(self.weights[name], shared_memory=True)

    def number(self, value: float) -> Any:
        return self.op.constant(np.float32(value))

    def axes(self, *values: int) -> Any:
        return self.op.constant(np.array(values, np.int64))
