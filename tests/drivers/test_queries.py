"""Queries as a board takes them: what is refused, how nits go as grid values, and how they are put into frames."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ninefold.drivers.protocol import Identity
from ninefold.drivers.queries import as_grid, encode_queries, queries_a_frame, query_requests
from ninefold.numerics.nits import pack, unpack, widened
from ninefold.spec.errors import UnsupportedError
from ninefold.spec.formats import THRESHOLDS
from ninefold.spec.link import FORMAT_GRID, FORMAT_PACKED, PREFIX_BYTES, RESULT_BYTES

QUICK = settings(max_examples=60, deadline=None, derandomize=True)
NITS = hnp.arrays(
    np.int8, st.tuples(st.integers(0, 9), st.integers(1, 6).map(lambda n: 2 * n)), elements=st.integers(-4, 4)
)
THRESHOLD = st.sets(st.integers(1, 32767), min_size=4, max_size=4).map(lambda values: tuple(sorted(values)))


def board(dimensions: int = 12, formats: tuple[int, ...] = (0, 1), request: int = 256, reply: int = 256) -> Identity:
    return Identity("", dimensions, 2, 64, 8, "tanh", frozenset(formats), 4, request, reply, 1, "miner", 0)


@QUICK
@given(NITS, THRESHOLD)
def test_nits_as_grid_values_are_the_smallest_that_become_these_nits(
    nits: npt.NDArray[np.int8], thresholds: tuple[int, ...]
) -> None:
    values = as_grid(pack(nits), thresholds).astype(int)

    def quantised(grid: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return np.sign(grid) * sum((np.abs(grid) >= t).astype(int) for t in thresholds)

    assert np.array_equal(quantised(values), nits)
    nearer = values - np.sign(values)
    assert (np.abs(quantised(nearer)) < np.abs(nits))[nits != 0].all()


@QUICK
@given(NITS, st.integers(1, 8), st.sampled_from([(0,), (1,), (0, 1)]), st.integers(20, 90), st.integers(16, 90))
def test_frames_hold_all_queries_in_order_and_no_more_than_the_board_takes(
    nits: npt.NDArray[np.int8], kept: int, formats: tuple[int, ...], request: int, reply: int
) -> None:
    identity = board(formats=formats, request=request, reply=reply)
    form, data = encode_queries(pack(nits), identity, lambda: THRESHOLDS["tanh"].reached_at)
    assert form == formats[0]
    try:
        each = queries_a_frame(identity, form, kept)
    except UnsupportedError:
        assert PREFIX_BYTES + data.shape[1] > request or PREFIX_BYTES + RESULT_BYTES * kept > reply
        return
    sent = list(query_requests(form, data, each, kept))
    assert all(len(one.payload) <= request for one in sent)
    assert b"".join(one.payload[PREFIX_BYTES:] for one in sent) == data.tobytes()
    counts = [one.payload[1] for one in sent]
    assert sum(counts) == len(nits)
    assert all(PREFIX_BYTES + RESULT_BYTES * kept * count <= reply for count in counts)
    if form == FORMAT_PACKED:
        held = unpack(data, identity.dimensions)
        assert np.array_equal(held[:, : nits.shape[1]], nits)
        assert not held[:, nits.shape[1] :].any()


@QUICK
@given(NITS, st.lists(st.integers(1, 65535), min_size=4, max_size=4))
def test_thresholds_beyond_the_grid_are_refused_where_nits_must_go_as_grid_values(
    nits: npt.NDArray[np.int8], thresholds: list[int]
) -> None:
    if max(thresholds) <= 32767:
        assert as_grid(pack(nits), thresholds).shape == nits.shape
    else:
        with pytest.raises(
            UnsupportedError, match=r"^nits with thresholds [0-9, ]+ cannot be sent as grid values, at most 32767$"
        ):
            as_grid(pack(nits), thresholds)


def test_grid_values_pass_as_they_are() -> None:
    grid = np.array([[1, -2, 32767], [-32768, 0, 5]], np.int16)
    form, data = encode_queries(grid, board(), lambda: ())
    assert form == FORMAT_GRID
    assert np.array_equal(data.view("<i2"), np.pad(grid, ((0, 0), (0, 9))))
    with pytest.raises(UnsupportedError, match="accepts only packed nits"):
        encode_queries(grid, board(formats=(FORMAT_PACKED,)), lambda: ())


@QUICK
@given(hnp.arrays(np.uint8, st.tuples(st.integers(0, 4), st.integers(0, 5))), st.integers(5, 9))
def test_widening_adds_zeros(rows: npt.NDArray[np.uint8], width: int) -> None:
    wide = widened(rows, width)
    assert np.array_equal(wide[:, : rows.shape[1]], rows)
    assert wide.shape == (len(rows), width)
    assert not wide[:, rows.shape[1] :].any()
