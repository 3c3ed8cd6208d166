"""Similarity of context vectors: weights and constants, and the declaration of `Vector6D` columns as arguments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from .finite import check_finite_halves
from .signature import Record, Tensor
from .vector6d import FIELDS, LINK_FIELDS, LINKS, RecordField

__all__ = [
    "BATCH_WEIGHTS",
    "CANDIDATES",
    "FADE_S",
    "SCORED",
    "WEIGHTS",
    "WITHOUT_LINKS",
    "check_scored",
    "columns",
    "record_columns",
]

#: Weight of each part of ``similarity6d``; their sum is 1.
WEIGHTS: Final[Mapping[str, float]] = {
    "embedding": 0.40,
    "time": 0.20,
    "modality": 0.15,
    "intent": 0.15,
    "links": 0.05,
    "confidence": 0.05,
}
#: Weights of the dot product and of the closeness in time in ``batch_similarity``.
BATCH_WEIGHTS: Final = (0.7, 0.3)
#: Time constant of ``batch_similarity``, and the shortest one of ``similarity6d``, in seconds.
FADE_S: Final = 300.0
#: Similarity of the links of two records if one of them has none.
WITHOUT_LINKS: Final = 0.5
#: Number of records that ``search6d`` scores for each of its results.
CANDIDATES: Final = 4
#: Fields of floats that are scored, and must be finite. The bits of other floats do not matter.
SCORED: Final = ("embedding", "horizon", "intent", "confidence")

_DTYPES: Final = {"f2": "float16", "u1": "uint8", "u2": "uint16", "u8": "uint64"}


def columns(rows: str) -> tuple[Tensor, ...]:
    """Return the columns of records, as `ninefold.numerics.vector6d.Vector6DColumns.arrays` has them.

    Parameters
    ----------
    rows : str
        Symbol of the number of records.
    """
    fields = [_column(f, (rows, f.count) if f.count > 1 else (rows,)) for f in FIELDS]
    return (*fields, *(_column(f, (rows, LINKS)) for f in LINK_FIELDS))


def record_columns(name: str, rows: str, doc: str) -> Record:
    """Return the declaration of an argument that is the columns of records; see `columns`."""
    return Record(name, columns(rows), doc=doc)


def check_scored(name: str, record: Mapping[str, Any]) -> None:
    """Raise `InputError` if a float that is scored is NaN or infinite."""
    for field in SCORED:
        check_finite_halves(f"{name}.{field}", record[field])


def _column(field: RecordField, shape: tuple[str | int, ...]) -> Tensor:
    # `check_scored` refuses NaN where it matters, with infinities, in less time.
    free = field.format == "f2"
    high = LINKS if field.name == "links" else None
    return Tensor(field.name, shape, (_DTYPES[field.format],), high=high, nan=free, doc=field.doc)
