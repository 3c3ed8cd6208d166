"""Cached digests: a file is read again after any change."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from ninefold.host import digests
from ninefold.host.digests import remembered_sha256, sha256_of


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Create a file that counts as unchanged for a long time."""
    monkeypatch.setenv("NINEFOLD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(digests, "_SETTLED_S", -1.0)
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    return path


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record the algorithm of each digest that is computed."""
    seen: list[str] = []
    compute = hashlib.file_digest
    monkeypatch.setattr(hashlib, "file_digest", lambda file, name: (seen.append(name), compute(file, name))[1])
    return seen


def test_an_unchanged_file_is_read_once(file: Path, reads: list[str], tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("file")
    expected = hashlib.sha256(b"abc").hexdigest()
    assert [remembered_sha256(path) for path in (file, file, tmp_path / "link")] == [expected] * 3
    assert len(reads) == 1
    assert sha256_of(file) == expected
    assert len(reads) == 2


def test_any_change_is_seen(file: Path, tmp_path: Path) -> None:
    before = remembered_sha256(file), file.stat()
    file.write_bytes(b"abd")
    os.utime(file, ns=(before[1].st_atime_ns, before[1].st_mtime_ns))  # the time of the inode change differs
    assert remembered_sha256(file) == hashlib.sha256(b"abd").hexdigest() != before[0]
    (tmp_path / "other").write_bytes(b"abe")
    (tmp_path / "other").replace(file)
    assert remembered_sha256(file) == hashlib.sha256(b"abe").hexdigest()


def test_a_file_that_has_just_changed_is_read_again(
    file: Path, reads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    monkeypatch.setenv("NINEFOLD_CACHE", str(file.parent / "cache"))
    for content in (b"1", b"2", b"3"):
        file.write_bytes(content)
        assert remembered_sha256(file) == hashlib.sha256(content).hexdigest()
    assert not (file.parent / "cache").exists()


@pytest.mark.parametrize("content", [b"", b"[]", b'{"identity": 1}', b"\xff", b"{}"])
def test_damaged_memory_is_replaced(file: Path, reads: list[str], tmp_path: Path, content: bytes) -> None:
    digest = remembered_sha256(file)
    (entry,) = (tmp_path / "cache" / "digests").iterdir()
    entry.write_bytes(content)
    assert remembered_sha256(file) == remembered_sha256(file) == digest
    assert len(reads) == 2


def test_a_cache_that_cannot_be_written(file: Path, reads: list[str], tmp_path: Path) -> None:
    (tmp_path / "cache").write_bytes(b"")
    assert remembered_sha256(file) == remembered_sha256(file) == hashlib.sha256(b"abc").hexdigest()
    assert len(reads) == 2
    with pytest.raises(FileNotFoundError):
        remembered_sha256(tmp_path / "none")
