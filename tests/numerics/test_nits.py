"""Packed nits: round trips, and what is refused."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ninefold.numerics.nits import check, pack, signed_nibbles, unpack, widened
from ninefold.sim.golden import packed as golden
from ninefold.spec.errors import InputError

NITS = hnp.arrays(np.int8, hnp.array_shapes(min_dims=1, max_dims=3, max_side=9), elements=st.integers(-4, 4))
ODD = st.booleans()


@given(NITS)
def test_unpack_undoes_pack(nits: npt.NDArray[np.int8]) -> None:
    packed = pack(nits)
    assert packed.dtype == np.uint8
    assert packed.shape == (*nits.shape[:-1], -(-nits.shape[-1] // 2))
    assert packed.flags.c_contiguous
    np.testing.assert_array_equal(unpack(packed, nits.shape[-1]), nits)


@given(hnp.arrays(np.int8, st.tuples(st.integers(0, 5), st.integers(1, 9)), elements=st.integers(-4, 4)))
def test_pack_is_the_golden_packing(nits: npt.NDArray[np.int8]) -> None:
    np.testing.assert_array_equal(pack(nits), golden.pack(nits))


def test_element_0_is_the_low_nibble_and_an_odd_count_pads_with_0() -> None:
    assert pack(np.array([1, -1, -4], np.int8)).tolist() == [0xF1, 0x0C]


def test_pack_takes_views_that_are_not_contiguous() -> None:
    nits = np.arange(-4, 5, dtype=np.int8)[None, :].repeat(4, axis=0)
    np.testing.assert_array_equal(pack(nits[::2, ::-2]), golden.pack(np.ascontiguousarray(nits[::2, ::-2])))


@given(NITS, st.data())
def test_a_corrupted_nibble_is_refused_with_its_position(nits: npt.NDArray[np.int8], data: st.DataObject) -> None:
    packed = pack(nits)
    flat = data.draw(st.integers(0, nits.size - 1))
    position = tuple(int(i) for i in np.unravel_index(flat, nits.shape))
    value = data.draw(st.sampled_from([5, 6, 7, -8, -7, -6, -5]))
    at, shift = (*position[:-1], position[-1] // 2), 4 * (position[-1] % 2)
    packed[at] = (int(packed[at]) & ~(15 << shift)) | (value & 15) << shift
    with pytest.raises(InputError) as caught:
        unpack(packed, nits.shape[-1])
    assert str(caught.value) == f"packed nits must be -4 to 4, not {value} at {position}"


def test_a_padding_nibble_that_is_not_0_is_refused() -> None:
    packed = pack(np.zeros((3, 5), np.int8))
    packed[1, 2] |= 0x10
    with pytest.raises(InputError, match=r"^the padding nibble of packed nits at \(1, 5\) must be 0, not 1$"):
        unpack(packed, 5)


def test_check_finds_a_fault_in_a_late_block() -> None:
    packed = np.zeros((40_000, 64), np.uint8)
    check(packed, 128)
    packed[39_999, 63] = 0x50
    with pytest.raises(InputError, match=r"not 5 at \(39999, 127\)"):
        check(packed, 128)


@pytest.mark.parametrize(
    ("nits", "message"),
    [
        (np.zeros(3, np.int16), "nits must have dtype int8, not int16"),
        (np.int8(1).reshape(()), "nits must have at least one axis"),
        (np.array([[0, 1], [5, 0]], np.int8), r"nits must be -4 to 4, not 5 at \(1, 0\)"),
    ],
)
def test_pack_refuses(nits: npt.NDArray[np.int8], message: str) -> None:
    with pytest.raises(InputError, match=f"^{message}$"):
        pack(nits)


@pytest.mark.parametrize(
    ("packed", "dimensions", "message"),
    [
        (np.zeros((2, 3), np.int8), 6, "packed nits must have dtype uint8, not int8"),
        (np.zeros((2, 3), np.uint8), 7, r"packed nits of 7 dimensions must have shape \(..., 4\), not \(2, 3\)"),
        (np.zeros((2, 0), np.uint8), 0, r"packed nits of 0 dimensions must have shape \(..., 0\), not \(2, 0\)"),
    ],
)
def test_unpack_refuses(packed: npt.NDArray[np.uint8], dimensions: int, message: str) -> None:
    with pytest.raises(InputError, match=f"^{message}$"):
        unpack(packed, dimensions)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(st.lists(st.lists(st.integers(0, 255) | st.sampled_from([0, 0x44, 0xCC, 0x4C]), min_size=3, max_size=3)), ODD)
def test_bytes_are_taken_if_and_only_if_they_are_what_pack_gives(rows: list[list[int]], odd: bool) -> None:
    packed, dimensions = np.array(rows, np.uint8).reshape(-1, 3), 5 if odd else 6
    nibbles = [nibble for row in rows for byte in row for nibble in (byte & 15, byte >> 4)]
    sound = all(n <= 4 or n >= 12 for n in nibbles) and not (odd and any(nibbles[5::6]))
    if sound:
        nits = unpack(packed, dimensions)
        assert nits.reshape(-1).tolist() == [n - 16 * (n > 7) for at, n in enumerate(nibbles) if at % 6 < dimensions]
        assert np.array_equal(pack(nits), packed)
    else:
        with pytest.raises(InputError, match=r"must be .*, not -?\d+( at \(\d+, \d+\))?$"):
            unpack(packed, dimensions)


@given(hnp.arrays(np.uint8, (3, 4)), st.integers(7, 8))
def test_signed_nibbles_are_read_from_any_bytes(packed: npt.NDArray[np.uint8], count: int) -> None:
    nibbles = [[n - 16 * (n > 7) for byte in row for n in (byte & 15, byte >> 4)] for row in packed.tolist()]
    assert signed_nibbles(packed, count).tolist() == [row[:count] for row in nibbles]
    assert signed_nibbles(packed).tolist() == nibbles


def test_a_message_names_the_array() -> None:
    with pytest.raises(InputError, match=r"^queries must be -4 to 4, not -5 at \(0, 1\)$"):
        check(np.array([[0xB1]], np.uint8), 2, "queries")


def test_widened_rows_end_in_zeros_of_their_type() -> None:
    wide = widened(np.array([[1, -2]], "<i2"), 4)
    assert (wide.tolist(), wide.dtype) == ([[1, -2, 0, 0]], np.dtype("<i2"))
