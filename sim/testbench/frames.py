"""Stimulus for the testbenches of the link's cores: random frames, and corner cases of COBS."""

from collections.abc import Iterable, Iterator
from random import Random

from ninefold.sim.testbench.fields import join
from ninefold.spec.link import COBS_RUN

__all__ = ["FULL", "corners", "frame_words", "nearly_full", "random_frame", "random_frames"]

#: Longest run without a zero.
FULL = bytes(range(1, COBS_RUN + 1))


def frame_words(frames: Iterable[bytes]) -> Iterator[int]:
    """Convert the bytes of frames to payloads {data: 8, last: 1}."""
    for frame in frames:
        yield from (join([(byte, 8), (i == len(frame) - 1, 1)]) for i, byte in enumerate(frame))


def random_frame(random: Random, size: int) -> bytes:
    """Return a frame with many zeros, or few, or none."""
    zeros = random.choice([0.0, 0.02, 0.3, 0.9])
    return bytes(
        0 if random.random() < zeros else random.choice([1, 255, random.randrange(1, 256)]) for _ in range(size)
    )


def random_frames(random: Random, count: int, longest: int, shortest: int = 1) -> list[bytes]:
    """Return frames of random sizes."""
    return [random_frame(random, random.randint(shortest, longest)) for _ in range(count)]


def corners() -> list[bytes]:
    """Return frames where runs end, begin and are full."""
    return [
        b"\0",
        b"\0\0\0",
        b"\1",
        b"\0\1",
        b"\1\0",
        b"\xff",
        FULL[:-1],
        FULL,
        FULL + b"\0",
        b"\0" + FULL,
        FULL + b"\7",
        FULL + b"\0\7",
        FULL[:-1] + b"\0",
        FULL[:-1] + b"\0\7",
        FULL + FULL,
        FULL + b"\0" + FULL,
    ]


def nearly_full() -> list[bytes]:
    """Return frames with a group whose code differs in one bit from a full group's code, and a byte after it."""
    return [FULL[: (COBS_RUN + 1 ^ 1 << bit) - 1] + b"\0\7" for bit in range(8)]
