"""Stores that the suite ``store`` compares: ours and three of other libraries, each in a folder of its own."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from ninefold.host.index import Index, build
from ninefold.host.scheduler import Scheduler
from ninefold.host.sources import Entry

__all__ = ["OURS", "STORES", "Opened", "Store"]

OURS: Final = "cpu"
_TABLE: Final = "rows"
#: Rows given to a peer at once while its store is filled.
_FILLED: Final = 5000
#: Multiple of the hits that ours reranks with float vectors.
_RERANK: Final = 4

_Rows = npt.NDArray[np.float32]


class Opened(Protocol):
    """Open store."""

    def upsert(self, ids: Sequence[int], rows: _Rows) -> None:
        """Add or replace rows; they are committed when this returns."""

    def search(self, query: _Rows, k: int) -> list[int]:
        """Return the ids of the k rows nearest to a vector, of shape (D,), best first."""

    def compact(self) -> None:
        """Do what the store offers to reclaim space."""

    def close(self) -> None:
        """Close the store."""


@dataclass(frozen=True)
class Store:
    """Store of a library.

    Attributes
    ----------
    module, install : str
        Module that must be installed, and the command that installs it.
    fill : callable
        ``fill(folder, rows)`` creates the store with rows whose ids are 0, 1, ...
    open : callable
        ``open(folder)`` opens it.
    how : str
        Search and durability, for the reader of a figure.
    """

    module: str
    install: str
    fill: Callable[[Path, _Rows], None]
    open: Callable[[Path], Opened]
    how: str

    @property
    def missing(self) -> str:
        """Reason for which the store cannot take part; empty if it can."""
        if importlib.util.find_spec(self.module) is None:
            return f"{self.module} is not installed; {self.install}"
        if self.module == "sqlite_vec" and _sqlite3() is None:
            return "this Python's sqlite3 loads no extensions; pip install pysqlite3-binary"
        return ""


class _Ours:
    """Index of ours, searched on the CPU."""

    def __init__(self, folder: Path) -> None:
        self._index = Index.open(str(folder / "index"), "w")
        self._scheduler = Scheduler()

    def upsert(self, ids: Sequence[int], rows: _Rows) -> None:
        self._index.upsert([Entry(str(one), f"row {one}", "") for one in ids], rows)

    def search(self, query: _Rows, k: int) -> list[int]:
        found = self._index.search(query, k, rerank=_RERANK, device="cpu", scheduler=self._scheduler)
        return [int(hit.id) for hit in found]

    def compact(self) -> None:
        self._index.compact()

    def close(self) -> None:
        self._scheduler.close()
        self._index.close()


def _fill_ours(folder: Path, rows: _Rows) -> None:
    source = folder / "rows.npy"
    np.save(source, rows)
    build(str(source), str(folder / "index"))
    source.unlink()


class _Lance:
    """Table of LanceDB."""

    def __init__(self, folder: Path) -> None:
        import lancedb

        self._table = lancedb.connect(str(folder)).open_table(_TABLE)

    def upsert(self, ids: Sequence[int], rows: _Rows) -> None:
        merge = self._table.merge_insert("id").when_matched_update_all().when_not_matched_insert_all()
        merge.execute(_arrow(ids, rows))

    def search(self, query: _Rows, k: int) -> list[int]:
        found = self._table.search(query).distance_type("dot").select(["id", "_distance"]).limit(k).to_arrow()
        return [int(one) for one in found["id"].to_pylist()]

    def compact(self) -> None:
        from datetime import timedelta

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # no one else reads the table
            self._table.optimize(cleanup_older_than=timedelta(0))

    def close(self) -> None:
        del self._table


def _arrow(ids: Sequence[int], rows: _Rows) -> Any:
    import pyarrow

    vectors = pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(rows.reshape(-1)), rows.shape[1])
    return pyarrow.table({"id": pyarrow.array(ids, pyarrow.int64()), "vector": vectors})


def _fill_lance(folder: Path, rows: _Rows) -> None:
    import lancedb

    table = lancedb.connect(str(folder)).create_table(_TABLE, _arrow(range(len(rows)), rows))
    table.create_scalar_index("id")


class _Chroma:
    """Collection of Chroma."""

    def __init__(self, folder: Path) -> None:
        self._client = _chroma(folder)
        self._collection = self._client.get_collection(_TABLE)

    def upsert(self, ids: Sequence[int], rows: _Rows) -> None:
        self._collection.upsert(ids=[str(one) for one in ids], embeddings=rows)

    def search(self, query: _Rows, k: int) -> list[int]:
        found = self._collection.query(query_embeddings=query[None], n_results=k, include=[])
        return [int(one) for one in found["ids"][0]]

    def compact(self) -> None:
        pass

    def close(self) -> None:
        from chromadb.api.shared_system_client import SharedSystemClient

        del self._collection, self._client
        # The client is shared in a process until its system is dropped.
        SharedSystemClient.clear_system_cache()


def _chroma(folder: Path) -> Any:
    import chromadb

    settings = chromadb.config.Settings(anonymized_telemetry=False)
    return chromadb.PersistentClient(path=str(folder), settings=settings)


def _fill_chroma(folder: Path, rows: _Rows) -> None:
    collection = _chroma(folder).create_collection(_TABLE, metadata={"hnsw:space": "ip"})
    for first in range(0, len(rows), _FILLED):
        block = rows[first : first + _FILLED]
        collection.add(ids=[str(first + one) for one in range(len(block))], embeddings=block)


class _SqliteVec:
    """Virtual table of sqlite-vec."""

    def __init__(self, folder: Path) -> None:
        # One connection searches what is committed while the other writes.
        self._reader, self._writer = _sqlite(folder), _sqlite(folder)

    def upsert(self, ids: Sequence[int], rows: _Rows) -> None:
        with self._transaction():
            self._writer.executemany(f"delete from {_TABLE} where id = ?", [(one,) for one in ids])  # noqa: S608
            self._insert(ids, rows)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._writer.execute("begin immediate")
        yield
        self._writer.execute("commit")

    def _insert(self, ids: Sequence[int], rows: _Rows) -> None:
        values = [(one, row.tobytes()) for one, row in zip(ids, rows, strict=True)]
        self._writer.executemany(f"insert into {_TABLE} (id, vector) values (?, ?)", values)  # noqa: S608

    def search(self, query: _Rows, k: int) -> list[int]:
        words = f"select id from {_TABLE} where vector match ? and k = ? order by distance"  # noqa: S608
        return [int(one) for (one,) in self._reader.execute(words, (query.tobytes(), k))]

    def compact(self) -> None:
        self._writer.execute("vacuum")
        self._writer.execute("pragma wal_checkpoint(truncate)")

    def close(self) -> None:
        self._reader.close()
        self._writer.close()

    def fill(self, rows: _Rows) -> None:
        """Create the table with rows."""
        self._writer.execute(
            f"create virtual table {_TABLE} using vec0"
            f"(id integer primary key, vector float[{rows.shape[1]}] distance_metric=cosine)"
        )
        with self._transaction():
            self._insert(range(len(rows)), rows)


def _sqlite3() -> Any:
    """Return a module of SQLite that loads extensions, or None: Python may have been built without."""
    for name in ("sqlite3", "pysqlite3"):
        with contextlib.suppress(ImportError):
            module = importlib.import_module(name)
            if hasattr(module.Connection, "enable_load_extension"):
                return module
    return None


def _sqlite(folder: Path) -> Any:
    import sqlite_vec

    connection = _sqlite3().connect(folder / "rows.sqlite", isolation_level=None, check_same_thread=False)
    connection.enable_load_extension(True)
    sqlite_vec.load(connection)
    connection.enable_load_extension(False)
    # A commit appends to the log and syncs it, so that it survives a loss of power.
    connection.execute("pragma journal_mode = wal")
    connection.execute("pragma synchronous = full")
    return connection


def _fill_sqlite(folder: Path, rows: _Rows) -> None:
    opened = _SqliteVec(folder)
    opened.fill(rows)
    opened.close()


#: Stores by name; ours is the first.
STORES: Final[Mapping[str, Store]] = {
    OURS: Store("ninefold", "", _fill_ours, _Ours, "all nits scanned, reranked"),
    "lancedb": Store("lancedb", "pip install lancedb", _fill_lance, _Lance, "exact scan"),
    "chroma": Store("chromadb", "pip install chromadb", _fill_chroma, _Chroma, "HNSW of its default settings"),
    "sqlite-vec": Store("sqlite_vec", "pip install sqlite-vec", _fill_sqlite, _SqliteVec, "exact scan, synced log"),
}
