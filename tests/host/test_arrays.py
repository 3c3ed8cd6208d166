"""Files of arrays, whole and damaged."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ninefold.host.arrays import mapped
from tests.host.accidents import ACCIDENTS, Accidents, damaged

QUICK = settings(max_examples=150, deadline=None, derandomize=True)
WHY = (
    r"it is empty|it begins with b.*, not with .*|it is (truncated: .*|a pickle|a zip archive.*)|its header is damaged|"
    r"it holds Python .*"
)


def saved(array: npt.NDArray[Any]) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


WHOLE = saved(np.arange(12, dtype=np.float32).reshape(4, 3))


@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    array=hnp.arrays(
        st.sampled_from([np.uint8, np.float16, np.float32, np.int64]), hnp.array_shapes(max_dims=2), elements=st.just(3)
    )
)
def test_what_was_saved_is_mapped(tmp_path_factory: pytest.TempPathFactory, array: npt.NDArray[Any]) -> None:
    path = tmp_path_factory.getbasetemp() / "array.npy"
    np.save(path, array)
    found = mapped(path)
    assert isinstance(found, np.memmap)
    assert found.dtype == array.dtype
    assert np.array_equal(found, array)


@QUICK
@given(accidents=ACCIDENTS)
# What Python's tokeniser and parser say of a header is no ValueError.
@example(accidents=[(0.41, "drop", 0), (0.41, "drop", 0)])
@example(accidents=[(20.5 / len(WHOLE), "change", ord("0"))])
def test_damage_is_an_error_in_words_or_another_array(
    tmp_path_factory: pytest.TempPathFactory, accidents: Accidents
) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.npy"
    path.write_bytes(damaged(WHOLE, accidents))
    said = "its header is damaged"
    try:
        assert isinstance(mapped(path), np.ndarray)
    except ValueError as error:
        said = str(error)
    assert re.fullmatch(WHY, said, re.DOTALL)


@pytest.mark.parametrize("header", ["{'descr': '<f4', ", "{'descr': '<04', 'shape': (1,)}", "", "[" * 60, "7", "\0"])
def test_headers_that_are_none(tmp_path: Path, header: str) -> None:
    text = f"{header}\n".encode()
    (tmp_path / "a.npy").write_bytes(b"\x93NUMPY\x01\0" + len(text).to_bytes(2, "little") + text + bytes(8))
    with pytest.raises(ValueError, match=r"^its header is damaged"):
        mapped(tmp_path / "a.npy")


def test_an_archive_is_no_array(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", np.zeros(3))
    with pytest.raises(ValueError, match=r"^it is a zip archive, as \.npz files are$"):
        mapped(tmp_path / "a.npz")
