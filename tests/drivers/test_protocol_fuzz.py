"""Mutated byte strings: nothing but the codec's own exception, no hang, no memory that grows."""

import contextlib
import random
from collections.abc import Callable

import pytest

from ninefold.drivers.protocol import Decoder, ProtocolError, replies
from ninefold.spec.link import ENCODED_MAX, Frame
from tests.drivers import fixtures

SEED = 20260704
PARSERS: tuple[Callable[[bytes], object], ...] = (
    lambda p: replies.words(p, 19),
    replies.nothing,
    replies.load,
    lambda p: replies.found(p, 2, 2),
    replies.refusal,
    replies.statistics,
    replies.nonce,
    replies.identity,
)


def flip(data: bytearray, rng: random.Random) -> bytearray:
    for _ in range(1 + rng.getrandbits(2)):
        data[int(rng.random() * len(data))] ^= 1 << rng.getrandbits(3)
    return data


def drop(data: bytearray, rng: random.Random) -> bytearray:
    start = int(rng.random() * len(data))
    del data[start : start + 1 + rng.getrandbits(3)]
    return data


def double(data: bytearray, rng: random.Random) -> bytearray:
    start = int(rng.random() * len(data))
    data[start:start] = data[start : start + 1 + rng.getrandbits(4)]
    return data


def insert(data: bytearray, rng: random.Random) -> bytearray:
    start = int(rng.random() * len(data))
    data[start:start] = rng.randbytes(1 + rng.getrandbits(3))
    return data


def zero(data: bytearray, rng: random.Random) -> bytearray:
    data[int(rng.random() * len(data))] = 0
    return data


def noise(data: bytearray, rng: random.Random) -> bytearray:
    return bytearray(rng.randbytes(len(data)))


MUTATIONS = (flip, drop, double, insert, zero, noise)
SHORT = [fixtures.encoded(name) for name in fixtures.frames() if len(fixtures.encoded(name)) < 200]
PAYLOADS = [fixtures.frame(name).payload or b"\0" for name in fixtures.frames() if len(fixtures.encoded(name)) < 200]


def fuzz(count: int, seed: int) -> tuple[int, int]:
    """Feed `count` mutated strings in one stream; return how many frames and how much damage came of it."""
    rng = random.Random(seed)
    decoder = Decoder()
    frames = damaged = 0
    for number in range(count):
        mutate = MUTATIONS[int(rng.random() * len(MUTATIONS))]
        for item in decoder.feed(mutate(bytearray(rng.choice(SHORT)), rng)):
            if isinstance(item, Frame):
                frames += 1
                parse(item.payload)
            else:
                assert item.reason
                damaged += 1
        if number % 8 == 0:
            parse(bytes(mutate(bytearray(rng.choice(PAYLOADS)), rng)))
        assert decoder.held_bytes <= ENCODED_MAX
    # It is in step again at the next delimiter.
    decoder.feed(b"\0")
    assert decoder.feed(fixtures.encoded("query packed")) == [fixtures.frame("query packed")]
    return frames, damaged


def parse(payload: bytes) -> None:
    for parser in PARSERS:
        with contextlib.suppress(ProtocolError):
            parser(payload)


def test_a_hundred_thousand_mutated_strings() -> None:
    frames, damaged = fuzz(100_000, SEED)
    assert frames > 1000, "the mutations leave too few frames whole to reach the payloads"
    assert damaged > 50_000


@pytest.mark.slow
def test_a_million_mutated_strings() -> None:
    frames, damaged = fuzz(1_000_000, SEED + 1)
    assert frames > 10_000
    assert damaged > 500_000
