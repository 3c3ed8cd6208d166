"""COBS of many frames at once, beside the golden model of the link's bytes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ninefold.drivers.protocol import ProtocolError, cobs
from ninefold.sim.golden.link import pieces, stuff

#: Zeros that make a frame one of many groups, which arrays encode and decode.
MANY = bytes(300)
#: Lengths at which a run begins, fills and ends a group: around multiples of 254, and small ones.
LENGTHS = sorted({*range(5), *(254 * full + more for full in (1, 2, 3, 9) for more in range(-3, 4))})
RUN = st.sampled_from(LENGTHS)
PART = st.one_of(
    RUN.map(lambda length: b"\x01" * length),
    RUN.map(lambda length: b"\xff" * length),
    st.integers(0, 600).map(bytes),
    st.binary(max_size=80),
    st.lists(st.sampled_from([0, 1, 255]), max_size=300).map(bytes),
)
BODY = st.lists(PART, min_size=1, max_size=4).map(b"".join)
#: Bytes between two delimiters, valid or not.
ENCODED = st.one_of(BODY.map(cobs.encode), BODY.map(lambda body: body.replace(b"\0", b"\x01"))).filter(bool)
THOROUGH = settings(max_examples=200, deadline=None, derandomize=True)


def expected(encoded: bytes) -> bytes | None:
    """Return the body according to the golden model, or None for a damaged frame."""
    *body, end = pieces(encoded + b"\0")
    return None if end.damaged else bytes(piece.byte for piece in body)


@pytest.mark.parametrize("before", [b"", b"\0", MANY, MANY + b"\x05"], ids=["nothing", "zero", "many", "many, one"])
@pytest.mark.parametrize("after", [b"", b"\0", b"\0\x07"], ids=["end", "zero", "zero, one"])
def test_runs_of_every_length_around_254_are_those_of_the_golden_model(before: bytes, after: bytes) -> None:
    bodies = [before + b"\x09" * length + after for length in (*range(240, 270), *LENGTHS)]
    encoded = cobs.encode_all(bodies)
    assert [one + b"\0" for one in encoded] == [stuff(body) for body in bodies]
    assert cobs.decode_all(encoded) == bodies


@THOROUGH
@given(st.lists(BODY, max_size=6))
def test_any_bodies_are_encoded_as_by_the_golden_model(bodies: list[bytes]) -> None:
    encoded = cobs.encode_all(bodies)
    assert [one + b"\0" for one in encoded] == [stuff(body) for body in bodies]
    assert cobs.decode_all(encoded) == bodies


@THOROUGH
@given(st.lists(ENCODED, max_size=6))
def test_any_bytes_are_decoded_as_by_the_golden_model(frames: list[bytes]) -> None:
    found = cobs.decode_all(frames)
    assert [None if isinstance(body, ProtocolError) else body for body in found] == [expected(one) for one in frames]


def test_a_damaged_frame_among_many_is_described_and_the_others_are_decoded() -> None:
    good = cobs.encode_all([MANY + b"\x03" * 300, bytes(20_000), MANY])
    cut = good[0][:-1]
    found = cobs.decode_all([cut, *good, b"\x01" * 700 + b"\xff", b"\x01\x00"])
    assert found[1:4] == [MANY + b"\x03" * 300, bytes(20_000), MANY]
    assert [str(one) for one in (found[0], *found[4:])] == [
        "the COBS code 47 at byte 555 points past the frame's 601 bytes",
        "the COBS code 255 at byte 700 points past the frame's 701 bytes",
        "byte 1 of a COBS frame is zero",
    ]


def test_a_frame_of_many_groups_takes_no_step_a_group(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    groups = cobs._decode_groups

    def counted(encoded: bytes, limit: int | None = None) -> object:
        calls.append(len(encoded) if limit is None else limit)
        return groups(encoded, limit)

    monkeypatch.setattr(cobs, "_decode_groups", counted)
    monkeypatch.setattr(cobs, "_encode_groups", lambda body: calls.append(len(body)))
    bodies = [bytes(1020)] * 8
    assert cobs.decode_all(cobs.encode_all(bodies)) == bodies
    assert sum(calls) < sum(map(len, bodies)) / 50
