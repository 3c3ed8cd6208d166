"""A plain client of the link, written apart from both codecs: bytes of requests, and replies taken apart."""

import struct
import zlib
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ninefold.spec.link import LOAD_FINAL, Kind


class Reply(NamedTuple):
    kind: int
    sequence: int
    priority: int
    epoch: int
    payload: bytes


def stuffed(data: bytes) -> bytes:
    out, run = bytearray(), bytearray()
    for byte in data:
        if byte:
            run.append(byte)
        if not byte or len(run) == 254:
            out += bytes([len(run) + 1]) + run
            run.clear()
    return bytes(out + bytes([len(run) + 1]) + run + b"\0")


def unstuffed(data: bytes) -> bytes:
    out, i = bytearray(), 0
    while i < len(data):
        code = data[i]
        out += data[i + 1 : i + code]
        i += code
        if code < 255 and i < len(data):
            out.append(0)
    return bytes(out)


def request(kind: int, sequence: int, payload: bytes = b"", *, epoch: int = 0, priority: int = 0) -> bytes:
    frame = bytes([kind, sequence % 256, priority, epoch]) + payload
    return stuffed(frame + zlib.crc32(frame).to_bytes(4, "little"))


def replies(stream: bytes) -> list[Reply]:
    """Take a stream of sound frames apart."""
    found = []
    *frames, rest = stream.split(b"\0")
    assert rest == b"", f"the stream ends within a frame: {rest.hex()}"
    for frame in map(unstuffed, frames):
        assert zlib.crc32(frame[:-4]) == int.from_bytes(frame[-4:], "little"), frame.hex()
        found.append(Reply(*frame[:4], frame[4:-4]))
    return found


def read(sequence: int, address: int, count: int = 1) -> bytes:
    return request(Kind.READ, sequence, struct.pack("<HH", address, count))


def write(sequence: int, address: int, *words: int) -> bytes:
    return request(Kind.WRITE, sequence, struct.pack(f"<HH{len(words)}I", address, len(words), *words))


def load(sequence: int, offset: int, data: bytes, *, final: bool = False) -> bytes:
    return request(Kind.LOAD, sequence, struct.pack("<I", offset | (LOAD_FINAL if final else 0)) + data)


def query(sequence: int, queries: npt.NDArray[np.integer], k: int, *, epoch: int = 0, grid: bool = False) -> bytes:
    """Return a QUERY of nits, or of grid values, of shape (count, dimensions)."""
    data = queries.astype("<i2").tobytes() if grid else packed(queries)
    return request(Kind.QUERY, sequence, struct.pack("<BBH", int(grid), len(queries), k) + data, epoch=epoch)


def packed(nits: npt.NDArray[np.integer]) -> bytes:
    nibbles = nits.astype(np.int64).reshape(-1, 2) & 15
    return bytes((nibbles[:, 0] | nibbles[:, 1] << 4).astype(np.uint8))


def words(reply: Reply) -> list[int]:
    return list(struct.unpack(f"<{len(reply.payload) // 4}I", reply.payload))


def found(reply: Reply) -> list[list[tuple[int, int]]]:
    """Return for each query of a QUERY's reply the pairs of id and score."""
    zero, count, results = struct.unpack_from("<BBH", reply.payload)
    assert zero == 0
    pairs = list(struct.iter_unpack("<Hi", reply.payload[4:]))
    assert len(pairs) == count * results
    return [pairs[i * results : (i + 1) * results] for i in range(count)]


def best(queries: npt.NDArray[np.integer], rows: npt.NDArray[np.integer], k: int) -> list[list[tuple[int, int]]]:
    """Return what the replies must hold, by sorting all scores."""
    scores = queries.astype(np.int64) @ rows.astype(np.int64).T
    order = [sorted(range(len(rows)), key=lambda i, s=s: (-s[i], i))[:k] for s in scores]
    return [[(i, int(s[i])) for i in ids] for s, ids in zip(scores, order, strict=True)]
