"""Saved states: exact, checksummed, and replaced as a whole even if the writer is killed."""

import multiprocessing
import os
import re
from pathlib import Path

import numpy as np
import pytest

from ninefold.numerics.states import load_state, save_state
from ninefold.spec import files
from ninefold.spec.data import RaggedArray, State, flattened
from ninefold.spec.errors import DamagedDataError


def state(version: int = 3, value: float = 0.1) -> State:
    arrays = {
        "psi": np.array([[complex(value, -0.0), complex(np.inf, 5e-324)]], np.complex128),
        "rows": np.arange(6, dtype=np.float16).reshape(2, 3),
        "total": np.int64(-7),
        "empty": np.zeros((0, 4), np.uint8),
        "links": RaggedArray(np.array([5, 6, 7], np.uint8), np.array([0, 2, 2, 3], np.int64)),
    }
    return State("wave é", version, arrays, {"dt": 0.1, "extent": 2**40, "mode": "tanh"})


def same(a: State, b: State) -> bool:
    def bits(state: State) -> object:
        return [(name, np.asarray(x).tobytes(), x.dtype, x.shape) for name, x in flattened(state.arrays).items()]

    return (a.id, a.version, a.attributes, bits(a)) == (b.id, b.version, b.attributes, bits(b))


def test_every_bit_comes_back(tmp_path: Path) -> None:
    save_state(state(), tmp_path / "a.npz")
    loaded = load_state(tmp_path / "a.npz")
    assert same(state(), loaded)
    assert [loaded.arrays["links"][i].tolist() for i in range(3)] == [[5, 6], [], [7]]
    assert loaded.nbytes == state().nbytes
    with np.load(tmp_path / "a.npz") as plain:
        assert plain["rows"].tolist() == [[0, 1, 2], [3, 4, 5]]


def test_every_damaged_byte_is_seen_or_harmless(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    save_state(state(), path)
    good = path.read_bytes()
    damaged = 0
    for place in range(0, len(good), 7):
        path.write_bytes(good[:place] + bytes([good[place] ^ 0x55]) + good[place + 1 :])
        try:
            assert same(state(), load_state(path)), place  # dates in the archive mean nothing
        except DamagedDataError:
            damaged += 1
    assert damaged > len(good) // 14
    for length in range(0, len(good), 13):
        path.write_bytes(good[:length])
        with pytest.raises(DamagedDataError, match="is not a complete file of a state"):
            load_state(path)


def test_other_files_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros(2))
    (tmp_path / "b.npz").write_text("{}")
    np.save(tmp_path / "d.npy", np.zeros(2))
    (tmp_path / "e.npz").touch()
    start = "it begins with {}"
    for name, reason in (
        ("a.npz", "it has no state.json"),
        ("b.npz", start.format(b"{}")),
        ("d.npy", start.format(b"\x93NUM")),
        ("e.npz", start.format(b"")),
    ):
        with pytest.raises(DamagedDataError, match=re.escape(f"{name} is not a complete file of a state: {reason}")):
            load_state(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        load_state(tmp_path / "c.npz")


def _killed(path: Path, step: int) -> None:
    """Save a state, and end the process without cleaning up at a step of `written_aside`."""
    count = iter(range(100))

    def stop_at(function):  # type: ignore[no-untyped-def]
        def call(*arguments):  # type: ignore[no-untyped-def]
            if next(count) == step:
                os._exit(9)
            return function(*arguments)

        return call

    files.sync = stop_at(files.sync)
    Path.replace = stop_at(Path.replace)  # type: ignore[method-assign]
    save_state(state(4, 0.2), path)
    os._exit(0)


@pytest.mark.parametrize(("step", "version"), [(0, 3), (1, 3), (2, 4), (3, 4)])
def test_a_killed_writer_leaves_the_old_state_or_the_new_one(tmp_path: Path, step: int, version: int) -> None:
    path = tmp_path / "a.npz"
    save_state(state(), path)
    process = multiprocessing.get_context("fork").Process(target=_killed, args=(path, step))
    process.start()
    process.join()
    assert process.exitcode == (0 if step == 3 else 9)
    assert load_state(path).version == version
