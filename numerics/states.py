"""States in files: one ``.npz`` file, replaced atomically, with a digest of its content."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from ninefold.spec.data import RaggedArray, State, content_digest, flattened
from ninefold.spec.errors import DamagedDataError
from ninefold.spec.files import written_aside

__all__ = ["load_state", "read_only", "save_state"]

#: Member of the file with everything but the arrays: UTF-8 JSON, as uint8. No field of a layout may have this name.
_ABOUT: Final = "state.json"
_FORMAT: Final = "ninefold state 1"
#: First bytes of an archive with members.
_ARCHIVE: Final = b"PK\x03\x04"
#: What the readers of archives, arrays and JSON raise for damaged files.
_DAMAGE: Final = (
    AttributeError,
    EOFError,
    KeyError,
    NotImplementedError,
    OSError,  # a position before the start of the file
    TypeError,
    ValueError,
    zipfile.BadZipFile,
)


def read_only(state: State) -> State:
    """Return a state whose arrays cannot be written, so that what was committed stays; nothing is copied."""
    made = State(
        state.id, state.version, {name: _fixed(array) for name, array in state.arrays.items()}, state.attributes
    )
    made.checked.update(state.checked)
    return made


def _fixed(array: Any) -> Any:
    if isinstance(array, RaggedArray):
        return RaggedArray(_fixed(array.values), _fixed(array.offsets))
    view = np.asarray(array).view()
    view.flags.writeable = False
    return view


def save_state(state: State, path: Path | str) -> None:
    """Write a state to a file, which ``numpy.load`` can also read.

    Parameters
    ----------
    state : State
        Version to save. Its arrays are stored with every bit, attributes as JSON, which keeps float64 exactly.
    path : Path or str
        Name of the file. An existing file keeps its content until the new one is complete and synced.

    Raises
    ------
    OSError
        The file cannot be written.
    """
    arrays: dict[str, Any] = {name: np.asarray(array, order="C") for name, array in flattened(state.arrays).items()}
    about = {"format": _FORMAT, "id": state.id, "version": state.version, "attributes": dict(state.attributes)}
    about["digest"] = _digest(arrays, about)
    text = np.frombuffer(json.dumps(about).encode(), np.uint8)
    with written_aside(Path(path), durable=True) as aside, aside.open("wb") as file:
        np.savez(file, **{_ABOUT: text, **arrays})


def load_state(path: Path | str) -> State:
    """Read a state from a file that `save_state` wrote.

    Raises
    ------
    DamagedDataError
        The file is not such a file, or its content does not have the digest.
    OSError
        The file cannot be read.
    """
    path = Path(path)
    with path.open("rb") as file:
        # NumPy reads other files as pickles, and advises to load them unsafely.
        if (start := file.read(4)) != _ARCHIVE:
            raise DamagedDataError(
                f"{path} is not a complete file of a state: it begins with {start!r}, not {_ARCHIVE!r}"
            )
        file.seek(0)
        try:
            with np.load(file, allow_pickle=False) as members:
                arrays = {name: members[name] for name in members.files}
            if _ABOUT not in arrays:
                raise DamagedDataError(f"{path} is not a complete file of a state: it has no {_ABOUT}")
            about = json.loads(arrays.pop(_ABOUT).tobytes())
            known, wanted = about.pop("digest"), _FORMAT
            if about["format"] != wanted:
                raise DamagedDataError(f"{path} has the format {about['format']!r}, not {wanted!r}")
            state = State(about["id"], about["version"], _joined(arrays), about["attributes"])
        except _DAMAGE as error:
            raise DamagedDataError(f"{path} is not a complete file of a state: {error}") from error
    if _digest(arrays, about) != known:
        raise DamagedDataError(f"{path} is damaged: its content does not have the digest {known[:12]}")
    return state


def _joined(arrays: Mapping[str, Any]) -> dict[str, Any]:
    """Return arrays with each pair of ``NAME.values`` and ``NAME.offsets`` as one ragged array."""
    joined: dict[str, Any] = {}
    for name, array in arrays.items():
        stem, dot, part = name.rpartition(".")
        if dot and part == "values":
            joined[stem] = RaggedArray(array, arrays[f"{stem}.offsets"])
        elif not dot:
            joined[name] = array
    return joined


def _digest(arrays: dict[str, Any], about: dict[str, Any]) -> str:
    return content_digest(arrays, {"about": json.dumps(about, sort_keys=True)})
