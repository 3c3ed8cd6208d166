"""Layout of ``Vector6D`` records: embedding, time, modality, momentum, intent, confidence and causal links.

A record is a u32, the number of bytes that follow, and a payload: `FIELDS` one after another, and for each causal link
the four bytes of `LINK_FIELDS`. All numbers are little-endian; floats are IEEE 754 half precision and are kept as their
bits, NaN included.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = [
    "EMBEDDING",
    "FIELDS",
    "FIXED_BYTES",
    "INTENTS",
    "LENGTH_BYTES",
    "LINKS",
    "LINK_BYTES",
    "LINK_FIELDS",
    "MODALITIES",
    "RecordField",
]

#: Dimensions of the embedding, and number of intents.
EMBEDDING: Final = 512
INTENTS: Final = 256
#: Maximum number of causal links.
LINKS: Final = 8
#: Bits of the field ``modality``.
MODALITIES: Final = {
    "text": 1,
    "audio": 2,
    "video": 4,
    "image": 8,
    "code": 16,
    "structured": 32,
    "real time": 64,
    "multimodal": 128,
}


@dataclass(frozen=True)
class RecordField:
    """Field of a record.

    Attributes
    ----------
    name : str
        Name of its column.
    format : str
        Type of a number: ``f2``, ``u1``, ``u2`` or ``u8``, as NumPy names them without byte order.
    count : int
        Numbers of the field in a record.
    doc : str
        Meaning and unit.
    """

    name: str
    format: str
    count: int
    doc: str

    @property
    def bytes(self) -> int:
        """Size in a record."""
        return int(self.format[1:]) * self.count


#: Fields of every record, in their order.
FIELDS: Final = (
    RecordField("embedding", "f2", EMBEDDING, "embedding"),
    RecordField("timestamp", "u8", 1, "time in microseconds"),
    RecordField("horizon", "f2", 1, "horizon in seconds"),
    RecordField("modality", "u1", 1, "bits of `MODALITIES`"),
    RecordField("subtype", "u2", 1, "kind within the modality"),
    RecordField("modality_confidence", "f2", 1, "confidence in the modality"),
    RecordField("momentum", "f2", 1, "momentum"),
    RecordField("impact", "u1", 1, "business impact"),
    RecordField("intent", "f2", INTENTS, "logits of the intents"),
    RecordField("intent_confidence", "f2", 1, "confidence in the intents"),
    RecordField("confidence", "f2", 1, "confidence of the model"),
    RecordField("calibration", "f2", 1, "calibration of the model"),
    RecordField("links", "u1", 1, "number of causal links"),
)
#: Fields of a causal link.
LINK_FIELDS: Final = (
    RecordField("link_strength", "u1", 1, "strength in 1/255"),
    RecordField("link_lag", "u2", 1, "lag in hundredths of a second"),
    RecordField("link_hash", "u1", 1, "hash of the cause"),
)
#: Bytes of the length, of a payload without links, and of a link.
LENGTH_BYTES: Final = 4
FIXED_BYTES: Final = sum(field.bytes for field in FIELDS)
LINK_BYTES: Final = sum(field.bytes for field in LINK_FIELDS)
