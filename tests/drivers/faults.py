"""Seeded faults of a byte stream, in one direction."""

import random
from dataclasses import dataclass, field

__all__ = ["Faults"]


@dataclass
class Faults:
    """Changes the bytes that pass; each rate is of one byte, or of one write where it says so."""

    rng: random.Random
    flip: float = 0.0
    drop: float = 0.0
    repeat: float = 0.0
    #: Of a write: what passes is held back until a later one, or until a reader waits.
    delay: float = 0.0
    #: Of a write: only its beginning passes.
    cut: float = 0.0
    #: Of a write: noise before it.
    garbage: float = 0.0
    _held: bytes = field(default=b"", init=False)

    def __call__(self, data: bytes) -> bytes:
        """Return what comes out when `data` goes in; with nothing going in, what was held back."""
        if not data:
            held, self._held = self._held, b""
            return held
        rng, out = self.rng, bytearray()
        if rng.random() < self.garbage:
            out += rng.randbytes(rng.randint(1, 60))
        passing = data[: rng.randrange(len(data))] if rng.random() < self.cut else data
        out += self._bytes(passing)
        everything = self._held + bytes(out)
        if rng.random() < self.delay:
            self._held = everything
            return b""
        self._held = b""
        return everything

    def _bytes(self, data: bytes) -> bytes:
        rate = self.flip + self.drop + self.repeat
        out, start = bytearray(), 0
        while rate:
            # How far it is to the next fault.
            gap = int(self.rng.expovariate(rate))
            if start + gap >= len(data):
                break
            out += data[start : start + gap]
            at, kind = start + gap, self.rng.random() * rate
            if kind < self.flip:
                out.append(data[at] ^ 1 << self.rng.randrange(8))
            elif kind < self.flip + self.repeat:
                out += data[at : at + self.rng.randint(1, 40)] + data[at : at + 1]
            start = at + 1
        return bytes(out + data[start:])
