"""The cache of embeddings: what is found, eviction, damage, several processes, and writers that are killed."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

from ninefold.host.embedding import EmbeddingCache
from ninefold.host.embedding.cache import limit_bytes
from ninefold.spec.errors import InputError, UnwritableError
from tests.host.accidents import ACCIDENTS, Accidents, damaged
from tests.host.embeddings import cache_in, rows

MIB = 1 << 20


def check(cache: EmbeddingCache, start: int, count: int) -> int:
    """Return the number of rows found, all of which must have their own values."""
    keys, vectors = rows(start, count)
    found = cache.get(keys)
    for key, vector in zip(keys, vectors, strict=True):
        if key in found:
            np.testing.assert_array_equal(found[key], vector)
    return len(found)


def test_what_was_put_is_found_by_its_key_only(tmp_path: Path) -> None:
    with cache_in(tmp_path) as cache:
        assert check(cache, 0, 4) == 0
        cache.put(*rows(0, 3))
        assert check(cache, 0, 4) == 3
    with cache_in(tmp_path) as cache:
        assert check(cache, 0, 4) == 3
        assert check(cache, 3, 50) == 0
        assert cache.get([]) == {}


def test_bad_values_are_refused(tmp_path: Path) -> None:
    keys, vectors = rows(0, 2)
    with cache_in(tmp_path) as cache:
        with pytest.raises(InputError, match=r"^vectors must be float32 of shape \(2, 384\), not float64\(2, 384\)$"):
            cache.put(keys, vectors.astype(np.float64))
        with pytest.raises(InputError, match=r"^a key must have 64 bytes, not 3$"):
            cache.put([b"abc", keys[1]], vectors)
        assert check(cache, 0, 2) == 0


def test_the_oldest_go_first_and_the_file_stays_within_its_limit(tmp_path: Path) -> None:
    with cache_in(tmp_path, 2 * MIB) as cache:
        for start in range(0, 2000, 100):
            cache.put(*rows(start, 100))
            assert check(cache, start, 100) == 100
        there = [check(cache, number, 1) for number in range(2000)]
        first = there.index(1)
        assert there[first:] == [1] * (2000 - first)
        # 1,608 bytes of key, checksum and vector, and 80 of the index by key.
        assert 0.85 * 2 * MIB < (2000 - first) * 1688 < 2 * MIB
        # A key that is put again keeps its age.
        cache.put(*rows(first, 1))
        cache.put(*rows(4000, 200))
        assert check(cache, first, 1) == 0
    assert 1.8 * MIB < cache.path.stat().st_size <= 2 * MIB
    with cache_in(tmp_path, MIB) as cache:
        cache.put(*rows(5000, 1))
        assert check(cache, 5000, 1) == 1
        assert check(cache, 4100, 100) == 100
    assert cache.path.stat().st_size <= MIB


def test_a_batch_larger_than_the_cache_keeps_its_last_rows(tmp_path: Path) -> None:
    with cache_in(tmp_path, MIB) as cache:
        cache.put(*rows(0, 1500))
        assert check(cache, 0, 500) == 0
        assert check(cache, 1150, 350) == 350
    assert cache.path.stat().st_size <= MIB


def test_a_cache_of_no_bytes_opens_no_file(tmp_path: Path) -> None:
    with cache_in(tmp_path, 0) as cache:
        cache.put(*rows(0, 2))
        assert check(cache, 0, 2) == 0
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(InputError, match=r"^limit must be 0, or at least 1048576 bytes, not 5$"):
        cache_in(tmp_path, 5)


def test_the_size_is_set_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NINEFOLD_EMBEDDINGS_GIB", raising=False)
    assert limit_bytes() == 4 * 1024 * MIB
    for value, size in (("0.5", 512 * MIB), ("0", 0), ("", 4096 * MIB)):
        monkeypatch.setenv("NINEFOLD_EMBEDDINGS_GIB", value)
        assert limit_bytes() == size
    for value in ("four", "-1", "1e-9", "nan", "inf"):
        monkeypatch.setenv("NINEFOLD_EMBEDDINGS_GIB", value)
        with pytest.raises(InputError, match=rf"must be 0, or a number of GiB from 0\.000976562, not '{value}'$"):
            limit_bytes()


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return the file of a cache of 30 rows."""
    with cache_in(tmp_path_factory.mktemp("whole")) as cache:
        cache.put(*rows(0, 30))
    return cache.path.read_bytes()


@settings(max_examples=60, deadline=None)
@given(ACCIDENTS)
def test_a_damaged_file_never_gives_a_wrong_vector_and_is_usable(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, accidents: Accidents
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    with cache_in(folder) as cache:
        pass
    cache.path.write_bytes(damaged(content, accidents))
    with cache_in(folder) as cache:
        check(cache, 0, 30)
        cache.put(*rows(0, 40))
        assert check(cache, 0, 40) == 40


def test_a_changed_value_is_a_miss_and_costs_only_itself(tmp_path: Path, content: bytes) -> None:
    with cache_in(tmp_path) as cache:
        pass
    at = content.index(rows(7, 1)[1].tobytes()[100:200])
    cache.path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
    with cache_in(tmp_path) as cache:
        assert check(cache, 7, 1) == 0
        assert check(cache, 0, 30) == 29
        cache.put(*rows(7, 1))
        assert check(cache, 0, 30) == 30


def test_values_of_other_keys_are_misses(tmp_path: Path) -> None:
    with cache_in(tmp_path) as cache:
        cache.put(*rows(0, 2))
        with sqlite3.connect(cache.path) as other:
            other.execute("UPDATE vectors SET value = (SELECT value FROM vectors WHERE number = 1)")
        assert check(cache, 0, 2) == 1


@pytest.mark.parametrize("junk", [b"", b"not a database at all" * 1000])
def test_a_foreign_file_is_replaced_and_a_reader_of_it_goes_on(tmp_path: Path, junk: bytes) -> None:
    with cache_in(tmp_path) as early, cache_in(tmp_path) as late:
        early.put(*rows(0, 2))
        replaced = early.path.with_name("new")
        replaced.write_bytes(junk)
        replaced.replace(early.path)
        assert check(late, 0, 2) == 0
        late.put(*rows(0, 2))
        assert check(early, 0, 2) == 2
    assert [path.name for path in early.path.parent.parent.iterdir() if not path.name.endswith(".lock")] == [
        early.path.parent.name
    ]


@pytest.mark.parametrize("whole", [True, False])
def test_a_cache_that_is_cleared_meanwhile_is_created_again(tmp_path: Path, whole: bool) -> None:
    with cache_in(tmp_path) as cache:
        cache.put(*rows(0, 2))
        if whole:
            shutil.rmtree(tmp_path / "embeddings")
        else:
            cache.path.unlink()
        assert check(cache, 0, 2) == 0
        cache.put(*rows(0, 2))
        assert check(cache, 0, 2) == 2
        assert cache.path.is_file()


def test_a_folder_that_cannot_be_written_is_an_error_that_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UnwritableError, match=r"^the cache folder .*embeddings cannot be written \(Not a directory\)"):
        cache_in(tmp_path / "file")


def test_a_damaged_file_that_cannot_be_replaced_is_an_error_that_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, target: Path) -> Path:
        raise PermissionError(13, "Permission denied", str(self))

    with cache_in(tmp_path) as cache:
        cache.path.write_bytes(b"damaged" * 5000)
        monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(UnwritableError, match=r"cannot be written \(Permission denied\); set NINEFOLD_CACHE"):
        cache_in(tmp_path)


def test_a_full_disk_is_an_error_and_leaves_what_was_there(tmp_path: Path) -> None:
    with cache_in(tmp_path) as cache:
        cache.put(*rows(0, 2))
        connection = cache._connected()
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")  # SQLite then reports a full disk
        with pytest.raises(UnwritableError, match=r"cannot be written \(database or disk is full\)"):
            cache.put(*rows(2, 500))
        assert check(cache, 0, 2) == 2
        cache.put(*rows(2, 500))
        assert check(cache, 0, 502) == 502


WRITER = """
import os, sys
from pathlib import Path
from tests.host.embeddings import cache_in, rows

with cache_in(Path(sys.argv[1])) as cache:
    for start in range(int(sys.argv[2]), int(sys.argv[3]), 4):
        cache.put(*rows(start, 4))
        print(start + 4, flush=True)
"""


@pytest.fixture
def writers(tmp_path: Path) -> Iterator[list[subprocess.Popen[str]]]:
    """Start two processes that write four rows at a time, from 0 and from 10,000."""
    started = []
    for first, end in ((0, 10_000), (10_000, 10_200)):
        command = [sys.executable, "-c", WRITER, str(tmp_path), str(first), str(end)]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]))
    yield started
    for process in started:
        process.kill()
        process.communicate()


def test_two_writers_one_of_them_killed(tmp_path: Path, writers: list[subprocess.Popen[str]]) -> None:
    killed, other = writers
    assert killed.stdout
    done = 0
    for line in killed.stdout:
        done = int(line)
        if done >= 100:
            killed.send_signal(signal.SIGKILL)
            break
    rest = killed.stdout.read().split()
    done = int(rest[-1]) if rest else done
    killed.wait(60)
    assert other.wait(60) == 0
    with cache_in(tmp_path) as cache:
        assert check(cache, 0, done) == done
        assert check(cache, 10_000, 200) == 200
        # The killed one may have committed one batch more than it reported, never a part of one.
        assert check(cache, done, 8) in (0, 4)


def test_a_reader_is_not_kept_waiting_by_a_writer(tmp_path: Path) -> None:
    with cache_in(tmp_path) as cache, cache_in(tmp_path) as other:
        cache.put(*rows(0, 2))
        connection = cache._connected()
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("DELETE FROM vectors")
        assert check(other, 0, 2) == 2
        connection.execute("ROLLBACK")


def test_a_process_that_was_forked_has_a_cache_of_its_own(tmp_path: Path) -> None:
    with cache_in(tmp_path) as cache:
        cache.put(*rows(0, 2))
        child = os.fork()
        if child == 0:
            with cache_in(tmp_path) as own:
                own.put(*rows(2, 2))
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert check(cache, 0, 4) == 4
