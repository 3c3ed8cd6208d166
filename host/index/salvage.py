"""Program that prints the entries of tables that may be damaged: ``python -m ninefold.host.index.salvage FOLDER``.

It prints JSON lines: the rows of each listed segment by digest, the record of each entry, and a line that marks the
end. A damaged page may kill it (SIGBUS beyond the end of a truncated file), so it runs in a process of its own.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import lmdb

__all__ = ["main"]


def main(folder: str) -> None:
    """Print the tables in a folder."""
    with (
        lmdb.open(folder, readonly=True, lock=False, max_dbs=16, create=False) as environment,
        environment.begin() as transaction,
    ):
        state: Any = environment.open_db(b"state", transaction, create=False)
        catalogue = json.loads(transaction.get(b"catalogue", db=state) or b"{}")
        _tell({"listed": {one["digest"]: one["rows"] for one in catalogue.get("segments", ())}})
        records: Any = environment.open_db(b"records", transaction, create=False)
        with transaction.cursor(db=records) as cursor:
            for record in cursor.iternext(keys=False):
                _tell(json.loads(bytes(record)))
        _tell({"end": True})


def _tell(record: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(record) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except (lmdb.Error, ValueError, KeyError, TypeError) as error:
        sys.exit(f"{type(error).__name__}: {error}")
