"""Preparation of queries for a board: padding to its dimensions, conversion to its formats, packing into frames."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ninefold.drivers.link import Request
from ninefold.drivers.protocol import Identity, QueryReply, replies, requests
from ninefold.numerics.nits import check, widened
from ninefold.spec.errors import InputError, UnsupportedError
from ninefold.spec.formats import GRID_MAX
from ninefold.spec.link import CANDIDATE_BYTES, FORMAT_GRID, FORMAT_PACKED, PREFIX_BYTES, RESULT_BYTES, Kind

__all__ = [
    "as_grid",
    "candidates_a_frame",
    "check_packed",
    "encode_queries",
    "queries_a_frame",
    "query_fits",
    "query_requests",
]


def check_packed(name: str, packed: npt.NDArray[Any], dimensions: int, identity: Identity) -> None:
    """Check that `packed` holds rows of packed nits and that the board has enough dimensions.

    Raises
    ------
    InputError
        The dtype or shape is wrong, or a nibble is no nit; the message gives its position.
    UnsupportedError
        There are too many dimensions.
    """
    if packed.ndim != 2:
        raise InputError(f"{name} must be rows of packed nits, not an array of shape {packed.shape}")
    _check_dimensions(dimensions, identity)
    check(packed, dimensions, name)


def encode_queries(
    queries: npt.NDArray[Any], identity: Identity, thresholds: Callable[[], Sequence[int]]
) -> tuple[int, npt.NDArray[np.uint8]]:
    """Return a query format that the board accepts, and the bytes of each query as a row.

    Parameters
    ----------
    queries : uint8 array of shape (Q, ceil(D / 2)) or int16 array of shape (Q, D)
        Packed nits or grid values.
    identity : Identity
        Identity of the board.
    thresholds : callable
        Returns the board's thresholds; called if nits have to be sent as grid values.
    """
    if queries.dtype == np.int16 and queries.ndim == 2:
        _check_dimensions(queries.shape[1], identity)
        if FORMAT_GRID not in identity.formats:
            raise UnsupportedError("the board accepts only packed nits, not grid values")
        return FORMAT_GRID, widened(np.ascontiguousarray(queries, "<i2").view(np.uint8), 2 * identity.dimensions)
    check_packed("queries", queries, 2 * queries.shape[-1] if queries.ndim else 0, identity)
    filled = widened(queries, identity.row_bytes)
    if FORMAT_PACKED in identity.formats:
        return FORMAT_PACKED, filled
    return FORMAT_GRID, as_grid(filled, thresholds()).view(np.uint8)


def as_grid(packed: npt.NDArray[np.uint8], thresholds: Sequence[int]) -> npt.NDArray[np.int16]:
    """Return, for each packed nit, the grid value of smallest magnitude that is quantised to it.

    Raises
    ------
    UnsupportedError
        A threshold is beyond the grid, so no grid value is quantised to its nit.
    """
    if max(thresholds) > GRID_MAX:
        begin = ", ".join(map(str, thresholds))
        raise UnsupportedError(f"nits with thresholds {begin} cannot be sent as grid values, at most {GRID_MAX}")
    one, two, three, four = thresholds
    # Indexed by nibble: 0 to 4, then nibbles that are no nits, then -4 to -1.
    values = np.array([0, one, two, three, four, *[0] * 7, -four, -three, -two, -one], "<i2")
    nibbles = np.stack([packed & np.uint8(15), packed >> np.uint8(4)], axis=-1).reshape(
        len(packed), 2 * packed.shape[1]
    )
    return np.ascontiguousarray(values[nibbles]).reshape(len(packed), 2 * packed.shape[1])


def queries_a_frame(identity: Identity, form: int, kept: int) -> int:
    """Return the number of queries with `kept` results that fit into a frame; raise `UnsupportedError` if none does."""
    size = _query_bytes(identity, form)
    there = (identity.request_max - PREFIX_BYTES) // size
    back = (identity.reply_max - PREFIX_BYTES) // (RESULT_BYTES * kept)
    if there < 1 or back < 1:
        raise UnsupportedError(
            f"a query of {size} bytes with {kept} results does not fit the board's frames of {identity.request_max}"
            f" bytes to the board and {identity.reply_max} from it"
        )
    return min(there, back, 255)


def candidates_a_frame(identity: Identity, form: int, mask_bytes: int) -> int:
    """Return the number of candidates that fit into a frame from the board.

    Raises
    ------
    UnsupportedError
        A query with a mask of `mask_bytes` does not fit into a frame to the board.
    """
    if not query_fits(identity, form, mask_bytes):
        size = _query_bytes(identity, form)
        raise UnsupportedError(
            f"a query of {size} bytes with a mask of {mask_bytes} does not fit the board's frames of"
            f" {identity.request_max} bytes"
        )
    return (identity.reply_max - PREFIX_BYTES) // CANDIDATE_BYTES


def query_fits(identity: Identity, form: int, mask_bytes: int) -> bool:
    """Return True if the board accepts the format, and a query in it, with a mask, fits into a frame to the board."""
    size = PREFIX_BYTES + _query_bytes(identity, form) + mask_bytes
    return form in identity.formats and size <= identity.request_max


def query_requests(form: int, data: npt.NDArray[np.uint8], each: int, kept: int) -> Iterator[Request[QueryReply]]:
    """Yield the requests for rows of bytes, with `each` queries per frame."""

    def parse(count: int) -> Callable[[bytes], QueryReply]:
        return lambda payload: replies.found(payload, count, kept)

    for first in range(0, len(data), each):
        some = data[first : first + each]
        payload = requests.query(form, len(some), kept, some.tobytes())
        yield Request(Kind.QUERY, payload, parse(len(some)))


def _query_bytes(identity: Identity, form: int) -> int:
    return 2 * identity.dimensions if form == FORMAT_GRID else identity.row_bytes


def _check_dimensions(dimensions: int, identity: Identity) -> None:
    if dimensions > identity.dimensions:
        raise UnsupportedError(f"{dimensions} dimensions, where the board has {identity.dimensions}")
