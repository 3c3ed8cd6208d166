"""Writes with a key: made at most once, with the result of the first."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from ninefold.host.index import Index, tables
from ninefold.host.index.environment import Transaction
from ninefold.host.index.tables import Name, Written
from ninefold.spec.errors import InputError
from tests.host.index.made import entries_of, made


def vectors_of(rows: int) -> np.ndarray:
    return np.random.default_rng(rows).normal(0, 1, (rows, 4)).astype(np.float16)


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    made(tmp_path / "index", vectors_of(3)).close()
    with Index.open(str(tmp_path / "index"), "w") as index:
        yield index


def test_a_repeated_write_changes_nothing(index: Index) -> None:
    assert index.upsert(entries_of(3, 2), vectors_of(3), key="first") == Written(2, 1, 0)
    assert index.delete(["id 0", "id 4"], key="second") == Written(0, 0, 2)
    index.upsert(entries_of(1, 4), vectors_of(1))
    before = [(entry.id, entry) for entry in index], index.vectors
    assert index.upsert(entries_of(3, 2), vectors_of(3), key="first") == Written(2, 1, 0)
    assert index.delete(["id 0", "id 4"], key="second") == Written(0, 0, 2)
    index.close()
    with Index.open(str(index.folder), "w") as again:
        assert again.upsert(entries_of(3, 2), vectors_of(3), key="first") == Written(2, 1, 0)
        assert [(entry.id, entry) for entry in again] == before[0]
        assert np.array_equal(again.vectors, before[1])
        # Writes without a key are made each time.
        assert again.upsert(entries_of(1, 2), vectors_of(1)) == Written(0, 1, 0)


def test_writes_of_one_transaction_and_of_the_queue(index: Index, tmp_path: Path) -> None:
    with index.transaction() as written:
        index.upsert(entries_of(2, 3), vectors_of(2), key="a")
        index.upsert(entries_of(2, 3), vectors_of(2), key="a")
        index.delete(["id 0"], key="b")
    assert written == Written(4, 0, 1)
    assert len(index) == 4
    with index.transaction() as written:
        assert index.upsert(entries_of(2, 3), vectors_of(2), key="a") is written
        assert index.delete(["id 0"], key="b") is written
    assert written == Written(2, 0, 1)
    assert len(index) == 4

    def undone() -> None:
        with index.transaction():
            index.upsert(entries_of(1, 9), vectors_of(1), key="c")
            raise ValueError("undone")

    with pytest.raises(ValueError, match="undone"):
        undone()
    assert index.upsert(entries_of(1, 9), vectors_of(1), key="c") == Written(1, 0, 0)
    index.close()
    with Index.open(str(index.folder), "w", durability="interval") as queued:
        results = [queued.upsert(entries_of(1, 20), vectors_of(1), key="d") for _ in range(3)]
        queued.flush()
        assert results == [Written(1, 0, 0)] * 3
        assert len(queued) == 6


def test_the_last_keys_are_known(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "KNOWN_WRITES", 3)
    for n in range(5):
        index.upsert(entries_of(1, 10 + n), vectors_of(1), key=f"key {n}")
    with index._content.environment.reading() as transaction:  # type: ignore[union-attr]
        assert transaction.count("writes") == 6
    assert index.upsert(entries_of(1, 12), vectors_of(1), key="key 2") == Written(1, 0, 0)
    assert index.delete(["id 10"], key="key 1") == Written(0, 0, 1)
    assert index.get("id 10") is None


@pytest.mark.parametrize("key", ["", 7])
def test_refused_keys(index: Index, key: str) -> None:
    for write in (lambda: index.delete(["id 0"], key=key), lambda: index.upsert([], vectors_of(0), key=key)):
        with pytest.raises(InputError, match=r"^the key of a write must be a string that is not empty, not "):
            write()
    assert len(index) == 3


def test_a_write_of_nothing_is_a_write(index: Index) -> None:
    assert index.upsert([], np.zeros((0, 4), np.float16), key="nothing") == Written(0, 0, 0)
    with pytest.raises(InputError, match=r"^the key nothing names a write of other content: "):
        index.upsert(entries_of(1, 9), vectors_of(1), key="nothing")
    assert len(index) == 3


def refused(first: str, second: str, key: str = "a") -> str:
    said = f"the key {key} names a write of other content: the SHA-256 of that one is {first}, of this one {second}"
    return f"^{said}; give each write a key of its own$"


def test_a_key_is_of_one_content(index: Index) -> None:
    rows, other = vectors_of(2), vectors_of(2)[::-1]
    index.upsert(entries_of(2, 5), rows, key="a")
    first = Name.of("a", "upsert", entries_of(2, 5), rows)
    writes = {
        Name.of("a", "upsert", entries_of(2, 6), rows): lambda: index.upsert(entries_of(2, 6), rows, key="a"),
        Name.of("a", "upsert", entries_of(2, 5), other): lambda: index.upsert(entries_of(2, 5), other, key="a"),
        Name.of("a", "delete", ["id 5", "id 6"]): lambda: index.delete(["id 5", "id 6"], key="a"),
    }
    assert len({first.digest, *(name.digest for name in writes)}) == 4
    for name, write in writes.items():
        with pytest.raises(InputError, match=refused(first.digest, name.digest)):
            write()
    before = [entry.id for entry in index]

    def grouped() -> None:
        with index.transaction():
            index.upsert(entries_of(1, 9), vectors_of(1))
            index.delete(["id 1"], key="b")
            index.delete(["id 2"], key="b")

    one, two = (Name.of("b", "delete", [name]).digest for name in ("id 1", "id 2"))
    with pytest.raises(InputError, match=refused(one, two, "b")):
        grouped()
    assert [entry.id for entry in index] == before
    # Ids are told apart, however they are joined.
    assert Name.of("c", "delete", ["ab", "c"]) != Name.of("c", "delete", ["a", "bc"])


def test_a_queued_key_is_of_one_content(index: Index) -> None:
    index.close()
    with Index.open(str(index.folder), "w", durability="interval") as queued:
        queued.upsert(entries_of(1, 9), vectors_of(1), key="a")
        with pytest.raises(InputError, match=r"^the key a names a write of other content: "):
            queued.delete(["id 9"], key="a")
        queued.flush()
        assert queued.get("id 9") is not None
        with pytest.raises(InputError, match=r"^the key a names a write of other content: "):
            queued.delete(["id 9"], key="a")


def test_keys_of_an_earlier_version_have_no_content(index: Index) -> None:
    index.upsert(entries_of(1, 9), vectors_of(1), key="a")

    def older(transaction: Transaction) -> None:
        (key,) = (key for key in transaction.keys("writes") if key[:1] == b"k")
        transaction.put("writes", key, b"[1, 1, 0, 0]")

    index._content.environment.write(older)  # type: ignore[union-attr]
    assert index.delete(["id 9"], key="a") == Written(1, 0, 0)
