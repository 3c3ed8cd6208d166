"""Vector files that cannot be indexed: each error names the file and the cause."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from ninefold.host.sources import vectors
from ninefold.spec.errors import InputError

ROWS = np.random.default_rng(4).normal(0, 1, (6, 5))


@pytest.mark.parametrize("scale", [1, 1e-4, 1e4])
def test_numbers_that_float16_holds_are_kept(scale: float) -> None:
    values = vectors.check_rows(ROWS * scale, "x")
    assert np.array_equal(vectors.check_kept(values, "x"), values.astype(np.float16))


def test_a_small_number_beside_large_ones_and_a_row_of_zeros_are_kept() -> None:
    rows = np.array([[1, 1e-9, 1e-30], [0, 0, 0]])
    assert vectors.check_kept(vectors.check_rows(rows, "x"), "x").tolist() == [[1, 0, 0], [0, 0, 0]]


@pytest.mark.parametrize("small", [1e-6, 1e-9, 1e-30])
def test_rows_that_float16_would_lose_are_refused(small: float) -> None:
    rows = ROWS.astype(np.float32)
    rows[3] *= small
    message = r"^x: the numbers of row 13, at most .*, are too small for the float16 of the stored vectors, .* use --no"
    with pytest.raises(InputError, match=message):
        vectors.check_kept(rows, "x", 10)


@pytest.mark.parametrize("small", [1e-43, 1e-60, 1e-307])
def test_rows_that_float32_would_lose_are_refused(small: float) -> None:
    rows = ROWS.copy()
    rows[2] *= small
    with pytest.raises(InputError, match=r"^x: the numbers of row 2, at most .*, are too small for the float32 of the"):
        vectors.check_rows(rows, "x")


def test_large_numbers_name_row_and_column() -> None:
    rows = ROWS.copy()
    rows[4, 3] = -1e39
    with pytest.raises(
        InputError, match=r"^x: row 4 holds -1e\+39, beyond the float32 range of .*, in column 3; divide"
    ):
        vectors.check_rows(rows, "x")


def saved(path: Path, array: np.ndarray) -> bytes:
    np.save(path, array, allow_pickle=True)
    return path.read_bytes()


def test_a_second_array_is_not_ignored(tmp_path: Path) -> None:
    with (tmp_path / "a.npy").open("wb") as file:
        for _ in range(2):
            np.save(file, ROWS)
    with pytest.raises(InputError, match=r"a\.npy holds 368 bytes after its array, which would be ignored; "):
        vectors.load(str(tmp_path / "a.npy"))


def test_each_file_that_is_none_says_why(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    whole = saved(path, ROWS)
    np.savez(tmp_path / "a.npz", ROWS)
    for content, why in (
        (saved(path, np.array([{}, {}], object)), "it holds Python objects (a pickle), not numbers"),
        (pickle.dumps(ROWS), "it is a pickle"),
        ((tmp_path / "a.npz").read_bytes(), "it is a zip archive, as .npz files are"),
        (whole[:-1], "it is truncated: an array of float64 (6, 5) needs 368 bytes, and it has 367"),
        (whole[:40], "it is truncated: it ends within its header, after 40 bytes"),
        (whole[:7], "it is truncated: it ends within its header, after 7 bytes"),
        (whole.replace(b"'descr'", b"'decsr'"), "its header is damaged"),
        (whole.replace(b"(6, 5)", b"(-6,5)"), "its header is damaged"),
        (b"", "it is empty"),
    ):
        path.write_bytes(content)
        with pytest.raises(InputError) as raised:
            vectors.load(str(path))
        assert str(raised.value) == f"{path} is not a .npy file of numbers: {why}"


@pytest.mark.parametrize(
    ("array", "what"),
    [
        (np.zeros((2, 3), np.uint8), "not uint8 (integers)"),
        (np.zeros((2, 3), bool), "not bool (booleans)"),
        (np.zeros((2, 3), np.complex128), "not complex128 (complex numbers)"),
        (np.zeros((2, 3), "U4"), "not str128 (strings)"),
        (np.zeros((2, 3), "S4"), "not bytes32 (byte strings)"),
        (np.zeros(2, [("a", "f4")]), "not void32 (records)"),
        (np.float64(3), "not (): it has 0 dimensions"),
        (np.zeros((2, 3, 4)), "not (2, 3, 4): it has 3 dimensions"),
        (np.zeros((2, 0)), "not (2, 0): it has no columns"),
        (np.zeros((2, 4097)), "not (2, 4097): it has 4097 columns"),
    ],
)
def test_other_arrays_say_what_they_hold(tmp_path: Path, array: np.ndarray, what: str) -> None:
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(InputError) as raised:
        vectors.load(str(tmp_path / "a.npy"))
    assert str(raised.value).startswith(f"{tmp_path / 'a.npy'} must ")
    assert str(raised.value).endswith(what)
