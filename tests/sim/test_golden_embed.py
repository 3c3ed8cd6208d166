import json
import math
from pathlib import Path

import numpy as np
import pytest

from ninefold.sim.golden.embed import attention, embed, gelu, layer_norm, read_safetensors, softmax
from ninefold.spec.errors import DamagedDataError, InputError


def test_layer_norm_of_a_worked_row() -> None:
    # Mean 5, variance (9 + 1 + 1 + 9) / 4 = 5, so with epsilon 4 the rows are divided by 3.
    x = np.array([[2.0, 4.0, 6.0, 8.0]])
    weight, bias = np.array([1.0, 3.0, 1.0, 2.0]), np.array([0.0, 0.0, 10.0, 0.0])
    np.testing.assert_allclose(layer_norm(x, weight, bias, 4.0), [[-1, -1, 10 + 1 / 3, 2]], rtol=1e-15)


def test_gelu_against_tables_of_the_normal_distribution() -> None:
    # P(N(0, 1) <= 1) = 0.841344746 and P(N(0, 1) <= 2) = 0.977249868 (Abramowitz and Stegun, table 26.1).
    x = np.array([[0.0, 1.0, -1.0], [2.0, -2.0, 30.0]])
    want = [[0, 0.841344746, -0.158655254], [1.954499736, -0.045500264, 30]]
    np.testing.assert_allclose(gelu(x), want, atol=2e-9)


def test_softmax_of_logarithms_is_their_share() -> None:
    np.testing.assert_allclose(
        softmax(np.log([[1.0, 2.0, 5.0], [3.0, 3.0, 3.0]])), [[1 / 8, 1 / 4, 5 / 8], [1 / 3] * 3]
    )
    np.testing.assert_allclose(softmax(np.array([1e4, 1e4 + math.log(3)])), [0.25, 0.75], rtol=1e-9)


def test_attention_with_equal_keys_is_the_mean() -> None:
    rng = np.random.default_rng(1)
    value = rng.normal(size=(3, 4))
    mixed = attention(rng.normal(size=(3, 4)), np.ones((3, 4)), value, heads=2)
    np.testing.assert_allclose(mixed, np.tile(value.mean(axis=0), (3, 1)))


def test_attention_worked_by_hand() -> None:
    # One head of size 1. Query 1: scores ln 3 and 0, so weights 3/4 and 1/4; query 0: equal weights.
    query, key, value = np.array([[1.0], [0.0]]), np.array([[math.log(3)], [0.0]]), np.array([[8.0], [4.0]])
    np.testing.assert_allclose(attention(query, key, value, heads=1), [[7.0], [6.0]])


def test_scores_are_divided_by_the_root_of_the_size_of_a_head() -> None:
    # Two heads of size 4: the first sees 4 * ln(3) / 2 / sqrt(4) = ln 3; the second has equal keys.
    query = np.ones((2, 8))
    key = np.zeros((2, 8))
    key[0, :4] = math.log(3) / 2
    value = np.array([[8.0] * 8, [4.0] * 8])
    np.testing.assert_allclose(attention(query, key, value, heads=2), [[7.0] * 4 + [6.0] * 4] * 2)


def small_model() -> dict[str, np.ndarray]:
    """One layer of width 2 whose attention and feed-forward outputs are 0: what is left is normalised twice more."""
    zeros = {
        f"encoder.layer.0.{name}.{kind}": np.zeros(shape if kind == "weight" else shape[0])
        for name, shape in {
            "attention.self.query": (2, 2),
            "attention.self.key": (2, 2),
            "attention.self.value": (2, 2),
            "attention.output.dense": (2, 2),
            "intermediate.dense": (8, 2),
            "output.dense": (2, 8),
        }.items()
        for kind in ("weight", "bias")
    }
    norms = {
        f"{name}.{kind}": np.full(2, float(kind == "weight"))
        for name in (
            "embeddings.LayerNorm",
            "encoder.layer.0.attention.output.LayerNorm",
            "encoder.layer.0.output.LayerNorm",
        )
        for kind in ("weight", "bias")
    }
    tables = {
        "embeddings.word_embeddings.weight": np.array([[9.0, -9.0], [3.0, 1.0], [0.0, 5.0]]),
        "embeddings.position_embeddings.weight": np.array([[0.0, 0.0], [0.0, 1.0], [20.0, 0.0]]),
        "embeddings.token_type_embeddings.weight": np.array([[1.0, 1.0], [7.0, 7.0]]),
    }
    return zeros | norms | tables


def test_embedding_of_a_small_model() -> None:
    weights = small_model()
    # A row (a, b) is normalised to (1, -1) when a > b. Token 1 gives that, token 2 the opposite; but at position 2 the
    # position embedding turns token 2 around. Two of the first and one of the second average to (1/3, -1/3).
    tokens = np.array([[1, 2, 1, 0], [2, 1, 2, 0], [2, 2, 0, 0]])
    mask = np.array([[1, 1, 1, 0], [1, 1, 1, 0], [1, 0, 0, 0]])
    half = math.sqrt(0.5)
    got = embed(tokens, mask, weights, heads=1, epsilon=0.0)
    np.testing.assert_allclose(got, [[half, -half], [half, -half], [-half, half]], rtol=1e-6)
    assert got.dtype == np.float32

    weights["encoder.layer.0.attention.self.value.weight"] = np.eye(2)
    weights["encoder.layer.0.attention.output.dense.weight"] = 4 * np.eye(2)
    # Equal scores: each row gets four times the mean, (4/3, -4/3), which turns the middle one of the first around;
    # a bias of (0, 2) on the last normalisation then gives (1, 1).
    weights["encoder.layer.0.output.LayerNorm.bias"] = np.array([0.0, 2.0])
    np.testing.assert_allclose(embed(tokens[:1], mask[:1], weights, 1, 0.0), [[half, half]], rtol=1e-6)

    # A feed-forward network that adds 2 * gelu(30) to the second column of every row turns all rows around.
    weights["encoder.layer.0.intermediate.dense.bias"] = np.array([30.0] + [0.0] * 7)
    weights["encoder.layer.0.output.dense.weight"] = np.array([[0.0] * 8, [2.0] + [0.0] * 7])
    # (-1, 1) plus (0, 2) is (-1, 3).
    want = np.array([[-1, 3]]) / math.sqrt(10)
    np.testing.assert_allclose(embed(tokens[:1], mask[:1], weights, 1, 0.0), want, rtol=1e-6)


def test_a_sequence_without_tokens_is_refused() -> None:
    with pytest.raises(InputError, match="the mask of sequence 1 is all 0"):
        embed(np.ones((2, 3), np.int64), np.array([[1, 0, 0], [0, 0, 0]]), small_model(), 1, 0.0)


def test_read_safetensors(tmp_path: Path) -> None:
    values = np.arange(6, dtype="<f4")
    header = {
        "__metadata__": {"format": "pt"},
        "ids": {"dtype": "I64", "shape": [1], "data_offsets": [24, 32]},
        "b": {"dtype": "F32", "shape": [2, 2], "data_offsets": [8, 24]},
        "a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
    }
    text = json.dumps(header).encode()
    path = tmp_path / "x.safetensors"
    content = len(text).to_bytes(8, "little") + text + values.tobytes() + bytes(8)
    path.write_bytes(content)
    got = read_safetensors(path)
    assert {name: a.tolist() for name, a in got.items()} == {"b": [[2, 3], [4, 5]], "a": [0, 1]}
    path.write_bytes(content[:-20])
    with pytest.raises(DamagedDataError, match=r"x\.safetensors is not a whole safetensors file"):
        read_safetensors(path)
