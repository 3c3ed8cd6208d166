"""The cold tier returns what was written, or an error that names the file."""

from __future__ import annotations

import builtins
import json
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ninefold.host.tiers import ColdStore, ColdUse
from ninefold.host.tiers import cold as module
from ninefold.spec.errors import DamagedDataError, InputError, UnavailableError


def rows(count: int = 200, seed: int = 1) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    vectors = rng.normal(0, 0.05, (count, 64)).astype(np.float16)
    nits = rng.integers(0, 3, (count, 32), dtype=np.uint8)
    return {"ids": np.arange(count) * 7, "nits": nits, "vectors": vectors, "scale": np.float32(0.3).reshape(())}


def same(found: dict[str, Any], wanted: dict[str, Any]) -> bool:
    return list(found) == list(wanted) and all(
        (found[n].dtype, found[n].shape, found[n].tobytes()) == (wanted[n].dtype, wanted[n].shape, wanted[n].tobytes())
        for n in wanted
    )


def test_lists_come_back_with_every_bit(tmp_path: Path) -> None:
    store = ColdStore(tmp_path / "new" / "cold")
    odd = {"nan": np.array([np.nan, -0.0, np.inf], np.float32), "none": np.zeros((0, 5), np.int64)}
    lists = {0: rows(), 7: rows(3, 2), 123456: odd, 8: {}}
    for number, arrays in lists.items():
        store.write(number, arrays)
    assert all(same(store.read(number), arrays) for number, arrays in lists.items())
    store.write(7, lists[0])
    assert same(ColdStore(store.folder).read(7), lists[0])
    assert list(store.check(lists)) == []
    assert store.read(0)["vectors"].flags.writeable


def test_transposed_arrays_and_other_byte_orders(tmp_path: Path) -> None:
    store, array = ColdStore(tmp_path), np.arange(12, dtype=np.float64).reshape(3, 4)
    store.write(1, {"a": array.T, "b": array.astype(">f8")})
    assert (store.read(1)["a"] == array.T).all()
    assert (store.read(1)["b"] == array).all()
    assert store.read(1)["b"].dtype.isnative


def test_it_is_smaller(tmp_path: Path) -> None:
    store = ColdStore(tmp_path)
    assert store.use() == ColdUse(0, 0, 0)
    assert store.use().ratio == 1
    for number in range(3):
        store.write(number, rows(500, number))
    use = store.use()
    assert use.lists == 3
    assert use.nbytes == 3 * sum(array.nbytes for array in rows(500).values())
    assert use.stored == sum(path.stat().st_size for path in tmp_path.iterdir())
    assert use.ratio > 1.3


def test_bytes_apart_compress_better(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = {"vectors": rows(2000)["vectors"]}
    store = ColdStore(tmp_path)
    store.write(0, vectors)
    apart = store.use().stored
    monkeypatch.setattr(module, "_apart", lambda array: array.tobytes())
    store.write(0, vectors)
    assert apart < 0.95 * store.use().stored


def changed(at: int) -> Callable[[bytes], bytes]:
    return lambda content: content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


def header(**values: Any) -> Callable[[bytes], bytes]:
    """Replace values of the header."""

    def change(content: bytes) -> bytes:
        (length,) = struct.unpack_from("<I", content, 8)
        text = json.dumps({**json.loads(content[12 : 12 + length]), **values}).encode()
        return content[:8] + struct.pack("<I", len(text)) + text + content[12 + length :]

    return change


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (changed(0), "is not a file of the cold tier"),
        (lambda _: b"", "is not a file of the cold tier"),
        (changed(11), "is damaged: its header cannot be read: it has 16777"),
        (changed(12), "is damaged: its header cannot be read: "),
        (changed(-3), "is damaged: "),
        (lambda content: content[:-9], "is damaged: "),
        (lambda content: content[: len(content) // 2], "is damaged: "),
        (header(number=5), "holds list 5, not 3"),
        (header(digest="0" * 64), "is damaged: it does not have the digest in its header"),
        (header(arrays=[["ids", "int64", [201]]]), "is damaged: "),
        (header(arrays=[["ids", "object", [200]]]), "is damaged: its header cannot be read: its arrays are"),
        (header(arrays=[["ids", "int64", [-1]]]), "is damaged: its header cannot be read: its arrays are"),
    ],
)
def test_damage_is_an_error_that_names_the_file(tmp_path: Path, damage: Callable[[bytes], bytes], message: str) -> None:
    store = ColdStore(tmp_path)
    store.write(3, rows())
    path = store.path(3)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DamagedDataError, match=f"^{re.escape(str(path))} {message}"):
        store.read(3)
    assert [str(error).partition(" ")[0] for error in store.check([3])] == [str(path)]


def test_every_changed_byte_is_noticed(tmp_path: Path) -> None:
    store, wanted = ColdStore(tmp_path), rows(6)
    store.write(3, wanted)
    content = store.path(3).read_bytes()
    for at in range(len(content)):
        store.path(3).write_bytes(changed(at)(content))
        try:
            found = store.read(3)
        except DamagedDataError:
            continue
        assert same(found, wanted), at


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    store = ColdStore(tmp_path)
    with pytest.raises(DamagedDataError, match=rf"^{re.escape(str(store.path(9)))} is missing$"):
        store.read(9)
    store.path(9).mkdir()
    with pytest.raises(DamagedDataError, match=r"cannot be read: Is a directory$"):
        store.read(9)


def test_what_cannot_be_stored_is_refused(tmp_path: Path) -> None:
    store = ColdStore(tmp_path)
    with pytest.raises(InputError, match=r"^the number of a list must be at least 0, not -1$"):
        store.write(-1, {})
    with pytest.raises(InputError, match=r"^x must have a dtype of uint8, .*, float64, not complex64$"):
        store.write(1, {"x": np.zeros(2, np.complex64)})
    assert list(tmp_path.iterdir()) == []


def test_the_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real: Any = builtins.__import__

    def refuse(name: str) -> Any:
        if name == "zstandard":
            raise ModuleNotFoundError(name)
        return real(name)

    monkeypatch.setattr("importlib.import_module", refuse)
    with pytest.raises(
        UnavailableError, match=r"^the cold tier needs zstandard; run `pip install 'ninefold\[tiers\]'`$"
    ):
        ColdStore(tmp_path / "cold")
    assert not (tmp_path / "cold").exists()
