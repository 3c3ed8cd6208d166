"""Residents of a device: loaded once, evicted in order of use, refused with the numbers."""

from __future__ import annotations

import pytest

from ninefold.host.scheduler.residents import ResidentTable, key_of
from ninefold.spec.errors import UnsupportedError

from .fakes import FakeDevice, database, total

A, B, C = (database(seed=seed) for seed in range(3))
SIZE = A.nbytes


def test_loaded_once() -> None:
    device, residents = FakeDevice("fake", None, None), ResidentTable()
    for _ in range(3):
        residents.bring(device, A)
    assert device.loads == [A.digest]
    assert residents.holds(A)
    assert not residents.holds(B)


def test_the_least_recently_used_goes() -> None:
    device, residents = FakeDevice("fake", None, 2 * SIZE), ResidentTable()
    for data in (A, B, A, C):
        residents.bring(device, data)
    assert device.unloads == [B.digest]
    assert list(residents.sizes()) == [A.digest, C.digest]
    assert sum(residents.sizes().values()) == 2 * SIZE


def test_what_the_same_call_needs_stays() -> None:
    device, residents = FakeDevice("fake", None, 2 * SIZE), ResidentTable()
    residents.bring(device, A)
    residents.bring(device, B)
    residents.bring(device, C, keep=[A.digest])
    assert device.unloads == [B.digest]
    with pytest.raises(
        UnsupportedError,
        match=rf"^fake holds at most {2 * SIZE} bytes, but {SIZE} must be loaded in addition to {2 * SIZE} ",
    ):
        residents.bring(device, B, keep=[A.digest, C.digest])


def test_too_large_is_refused_before_anything_is_evicted() -> None:
    device, residents = FakeDevice("fake", None, SIZE), ResidentTable()
    residents.bring(device, A)
    big = database(rows=4000)
    with pytest.raises(
        UnsupportedError, match=rf"^fake holds at most {SIZE} bytes, but {big.nbytes:,} must be loaded$"
    ):
        residents.bring(device, big)
    assert device.unloads == []
    assert residents.holds(A)


def test_a_state_is_there_in_one_version_only() -> None:
    device, residents = FakeDevice("fake", None, None), ResidentTable()
    first = total()
    residents.bring(device, first)
    following = first.next({"total": first.arrays["total"]})
    assert not residents.holds(following)
    residents.advance(following)
    assert residents.holds(following)
    assert not residents.holds(first)
    residents.bring(device, first)
    assert device.loads == ["sum@0", "sum@0"]
    residents.forget(key_of(first))
    assert residents.sizes() == {}
