"""Quantised sentence models: files, damage, embeddings and gates, on the first layer of the real model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from ninefold.host.commands.model import model as command
from ninefold.host.embedding import Embedder, Model, find_model, quantised
from ninefold.host.embedding.quantised import QUALITIES, SmallestModel, quantise_model, smallest_model
from ninefold.host.embedding.weights import QUANTISED, needed, read_weights
from ninefold.numerics.weights import dequantise_weights, quantise_weights
from ninefold.spec.errors import DamagedDataError, InputError

TEXTS = [
    f"the {noun} {verb}" for noun in ("bird", "engine", "judge", "river") for verb in ("sings", "stops", "decides")
]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """The model with one layer of six, which needs a fifth of the time."""
    original, folder = find_model(), tmp_path_factory.mktemp("models") / "one-layer"
    folder.mkdir()
    for path in (original.tokenizer, original.folder / "sentence_bert_config.json"):
        (folder / path.name).symlink_to(path)
    (folder / "config.json").write_text(json.dumps({**original.config, "num_hidden_layers": 1}))
    weights = read_weights(original.weights)
    kept = {name: array for name, array in weights.items() if "layer." not in name or "layer.0." in name}
    needed("safetensors.numpy").save_file(kept, folder / "model.safetensors")
    return Model(folder)


@pytest.fixture(scope="module")
def small(model: Model, tmp_path_factory: pytest.TempPathFactory) -> Model:
    """The model in 4 bits."""
    folder = tmp_path_factory.mktemp("quantised") / "four"
    error, largest = quantise_model(model, 4, folder)
    assert 0.05 < error < 0.2
    assert 0.99 < largest <= 1
    return Model(folder)


def test_the_file_holds_what_quantising_gives(model: Model, small: Model) -> None:
    before, after = read_weights(model.weights), read_weights(small.weights)
    assert before.keys() == after.keys()
    exact = set()
    for name, array in before.items():
        if array.ndim == 1 or array.dtype != np.float32:
            assert after[name].tobytes() == array.tobytes()
            exact.add(name)
        elif array.size < 10**6:
            assert after[name].tobytes() == dequantise_weights(quantise_weights(array, 4)).tobytes()
    assert "embeddings.LayerNorm.bias" in exact
    assert small.weights.stat().st_size < model.weights.stat().st_size / 6
    assert small.weights.stat().st_mode == (small.folder / "config.json").stat().st_mode
    assert small.digest != model.digest
    with pytest.raises(InputError, match=r"four exists; name a new folder$"):
        quantise_model(model, 4, small.folder)


def test_its_embeddings_are_near(model: Model, small: Model) -> None:
    whole, few = (Embedder(one, threads=1).embed(TEXTS) for one in (model, small))
    cosines = np.einsum("nd,nd->n", whole, few)
    assert cosines.min() > 0.9
    assert cosines.max() < 0.99999


def altered(small: Model, folder: Path, change: Any) -> Path:
    """Write the weights again after a change of tensors and description."""
    safetensors = needed("safetensors")
    with safetensors.safe_open(small.weights, framework="numpy") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys() if ".LayerNorm" in name}  # noqa: SIM118
        about = json.loads(file.metadata()[QUANTISED])
        name = "embeddings.token_type_embeddings.weight"
        for part in ("packed", "scales", "positions", "outliers"):
            tensors[f"{name}.{part}"] = file.get_tensor(f"{name}.{part}")
    text = change(tensors, name, {name: about[name]})
    needed("safetensors.numpy").save_file(tensors, folder / "w.safetensors", {QUANTISED: text})
    return folder / "w.safetensors"


def no_scales(tensors: dict[str, Any], name: str, about: dict[str, Any]) -> str:
    del tensors[f"{name}.scales"]
    return json.dumps(about)


def other_bits(_: dict[str, Any], name: str, about: dict[str, Any]) -> str:
    return json.dumps({name: {**about[name], "bits": 6}})


def no_json(*_: Any) -> str:
    return "{"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (no_scales, r"has no 'embeddings\.token_type_embeddings\.weight\.scales'"),
        (other_bits, r"embeddings\.token_type_embeddings\.weight in .* is damaged: packed must be uint8 \(576,\), not"),
        (no_json, r"w\.safetensors has no readable description of its quantised weights: "),
    ],
)
def test_damage_is_named(small: Model, tmp_path: Path, change: Any, message: str) -> None:
    assert read_weights(altered(small, tmp_path, lambda tensors, name, about: json.dumps(about)))  # noqa: ARG005
    with pytest.raises(DamagedDataError, match=message):
        read_weights(altered(small, tmp_path, change))


def gated(model: Model, folder: Path, monkeypatch: pytest.MonkeyPatch, qualities: dict[int, float]) -> SmallestModel:
    monkeypatch.setattr(quantised, "QUALITIES", {"recall": lambda found: qualities[found.bits]})
    return smallest_model(model, TEXTS, folder, threads=1)


def test_the_smallest_model_that_passes_is_written(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = gated(model, tmp_path / "some" / "model", monkeypatch, {8: 0.98, 6: 0.9599})
    assert (found.report.bits, found.folder) == (8, tmp_path / "some" / "model")
    assert [one.bits for one in found.qualities] == [8, 6]
    assert found.report.stopped == "6 bits keep 0.9599 of the baseline, and the gate is 0.96"
    eight, six = found.qualities
    assert eight.error < six.error / 3
    assert eight.nbytes > six.nbytes
    assert eight.cosine > six.cosine >= six.least_cosine > 0.9
    assert Model(tmp_path / "some" / "model").weights.stat().st_size == eight.nbytes
    assert [path.name for path in (tmp_path / "some").iterdir()] == ["model"]


def test_none_is_written_if_none_passes(model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert gated(model, tmp_path / "model", monkeypatch, {8: 0.9799}).folder is None
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_gated_is_refused(model: Model, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^gate must be one of recall, cosine, not 'speed'$"):
        smallest_model(model, TEXTS, tmp_path / "model", "speed")
    with pytest.raises(InputError, match=r"^the gates need more than 10 different texts, not 2$"):
        smallest_model(model, ["a", "b"] * 20, tmp_path / "model")
    with pytest.raises(InputError, match=r"exists; name a new folder$"):
        smallest_model(model, TEXTS, tmp_path)


def test_the_command_offers_every_gate() -> None:
    options = {option.name: option for option in command.commands["quantise"].params}
    assert list(options["gate"].type.choices) == list(QUALITIES)  # type: ignore[attr-defined]


def test_the_command(model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NINEFOLD_MODEL", str(model.folder))
    texts = tmp_path / "texts.jsonl"
    texts.write_text("".join(json.dumps({"id": str(i), "text": text}) + "\n" for i, text in enumerate(TEXTS)))
    options = ["quantise", "--source", str(texts), "--threads", "1", "--gate", "cosine"]
    done = CliRunner().invoke(command, [*options, "-o", str(tmp_path / "made"), "--json"])
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    trials = report["report"]["trials"]
    assert [trial["gate"]["bits"] for trial in trials] == [8, 6, 4]
    assert report["qualities"][0]["cosine"] == trials[0]["quality"] > 0.999
    assert report["folder"] == str(tmp_path / "made")
    assert Embedder(tmp_path / "made", threads=1).embed(TEXTS[:1]).shape == (1, 384)
    monkeypatch.setitem(QUALITIES, "cosine", lambda _: 0.5)  # type: ignore[index]
    done = CliRunner().invoke(command, [*options, "-o", str(tmp_path / "none")])
    assert done.exit_code == 1
    assert "stopped: 8 bits keep 0.5000 of the baseline, and the gate is 0.98" in done.output
    assert not (tmp_path / "none").exists()
