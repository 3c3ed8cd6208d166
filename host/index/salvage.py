"""Program that reads tables that may be damaged: ``python -P salvage.py FOLDER [--check | --vectors]``.

It prints JSON lines: the record of each entry with its sequence number, the rows of each listed segment by digest, with
``--vectors`` the vector of each row in no segment, and, once all other values have been read too, a line that marks the
end. With ``--check`` it only reads. A damaged page may kill it (SIGABRT, or
SIGBUS beyond the end of a truncated file), so it runs in a process of its own.
"""

from __future__ import annotations

import base64
import json
import os
import sys
from pathlib import Path
from typing import Any

import lmdb

__all__ = ["main"]


def main(folder: str, *, check: bool, vectors: bool) -> None:
    """Read the tables in a folder, and print them unless they are only checked."""
    # Unless it is registered as a reader, a writer may use pages again while they are read.
    lock = os.access(Path(folder, "lock.mdb"), os.W_OK)
    with (
        lmdb.open(folder, readonly=True, lock=lock, max_dbs=16, create=False) as environment,
        environment.begin() as transaction,
    ):
        if not check:
            _tell_entries(environment, transaction)
        if vectors:
            _tell_tail(environment, transaction)
        for name in transaction.cursor().iternext(values=False):
            database: Any = environment.open_db(bytes(name), transaction, create=False)
            for _ in transaction.cursor(database):
                pass
        if not check:
            _tell({"end": True})


def _tell_entries(environment: lmdb.Environment, transaction: lmdb.Transaction) -> None:
    records: Any = environment.open_db(b"records", transaction, create=False)
    with transaction.cursor(db=records) as cursor:
        for number, record in cursor:
            _tell({"sequence": int.from_bytes(number), "entry": json.loads(bytes(record))})
    state: Any = environment.open_db(b"state", transaction, create=False)
    catalogue = json.loads(bytes(transaction.get(b"catalogue", db=state) or b"{}"))
    _tell({"listed": {one["digest"]: one["rows"] for one in catalogue.get("segments", ())}})


def _tell_tail(environment: lmdb.Environment, transaction: lmdb.Transaction) -> None:
    tail: Any = environment.open_db(b"tail", transaction, create=False)
    with transaction.cursor(db=tail) as cursor:
        for number, vector in cursor:
            _tell({"tail": int.from_bytes(number), "vector": base64.b64encode(vector).decode()})


def _tell(record: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(record) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    try:
        main(sys.argv[1], check="--check" in sys.argv[2:], vectors="--vectors" in sys.argv[2:])
    except (lmdb.Error, ValueError, KeyError, TypeError, AttributeError) as error:
        sys.exit(f"{type(error).__name__}: {error}")
