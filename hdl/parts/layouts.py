"""Payload layouts of streams that several cores share: bytes and frames of the link, coarse scores, candidates."""

from amaranth.hdl import signed
from amaranth.lib import data

from ninefold.spec.formats import coarse_bits

__all__ = ["BYTE", "FRAME_BYTE", "HEADER", "PIECE", "candidate_layout", "coarse_layout"]

#: Byte as transmitted.
BYTE = data.StructLayout({"data": 8})
#: Byte of a frame before the CRC is added.
FRAME_BYTE = data.StructLayout({"data": 8, "last": 1})
#: Byte of a frame, or the end of a frame without a byte.
PIECE = data.StructLayout({"data": 8, "end": 1, "damaged": 1})
#: Header of a valid frame. ``crc`` identifies its content; ``length`` is the size of its payload in bytes.
HEADER = data.StructLayout({"type": 8, "sequence": 8, "priority": 8, "epoch": 8, "crc": 32, "length": 16})


def coarse_layout(dimensions: int, rows: int, depth: int) -> data.StructLayout:
    """Return the layout of a word of coarse scores.

    Parameters
    ----------
    dimensions : int
        Nits per row.
    rows : int
        Scores per word.
    depth : int
        Rows in the store.

    Returns
    -------
    data.StructLayout
        ``scores``: score of row ``word * rows + i`` at ``i``; ``valid``: bit ``i`` is set if that row is scored;
        ``word``: number of the word; ``last``: final word of a scan.
    """
    words = -(-depth // rows)
    return data.StructLayout(
        {
            "scores": data.ArrayLayout(signed(coarse_bits(dimensions)), rows),
            "valid": rows,
            "word": max(1, (words - 1).bit_length()),
            "last": 1,
        }
    )


def candidate_layout(dimensions: int, depth: int) -> data.StructLayout:
    """Return the layout of a candidate.

    Parameters
    ----------
    dimensions : int
        Nits per row.
    depth : int
        Rows in the store.

    Returns
    -------
    data.StructLayout
        ``score``: coarse score; ``id``: number of the row; ``valid``: 0 if the query has no candidate; ``last``: final
        element of a query.
    """
    return data.StructLayout(
        {
            "score": signed(coarse_bits(dimensions)),
            "id": max(1, (depth - 1).bit_length()),
            "valid": 1,
            "last": 1,
        }
    )
