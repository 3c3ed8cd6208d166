"""Host side of the miner's testbench: requests, replies with their model, and refused requests."""

import itertools
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from random import Random
from typing import Any

from ninefold.sim.golden.board import GoldenBoard
from ninefold.sim.golden.link import encoded, receive
from ninefold.sim.testbench.fields import parameters
from ninefold.sim.testbench.streams import Sink, Testbench
from ninefold.spec.formats import GRID_MAX, GRID_MIN
from ninefold.spec.link import LOAD_FINAL, PREFIX_BYTES, RESULT_BYTES, Kind
from ninefold.spec.registers import BY_NAME, NO_TEMPERATURE, STATISTICS

__all__ = ["MinerTestbench", "Request", "refused", "refused_by_any"]

#: Kind, payload and epoch.
Request = tuple[int, bytes, int]

_THRESHOLD, _EPOCH = BY_NAME["threshold"].address, BY_NAME["epoch"].address
_ROWS, _CONTROL = BY_NAME["rows"].address, BY_NAME["control"].address
_TEMPERATURE = BY_NAME["temperature"].address
_GAPS = (0x1E, 0x1F, 0x29, 0x2A, 0x30, 0x3F, 0x40, 0x54, 0x80, 0x118, 0x1014, 0x8018, 0xFFFF)
#: Counters, whose values depend on time.
_TIMED = range(STATISTICS.start, BY_NAME["dropped"].address + 1)
#: Counters of one word, and of two.
_SHORT, _LONG = ("queries", "stalls", "crc_errors", "dropped"), ("cycles", "accepted")
#: Placeholder for an expected frame whose bytes depend on time.
_FRAME = -1


class _Replies(Sink):
    """The replies, byte for byte; those with counters, which depend on time, are heard only.

    Attributes
    ----------
    heard : bytes
        Frames with counters.
    """

    heard = b""

    def _judge(self, word: int) -> None:
        if not self.expected or self.expected[0] != _FRAME:
            super()._judge(word)
            return
        self.heard += bytes([word])
        if word:
            self.expected.appendleft(_FRAME)


class MinerTestbench(Testbench):
    """The miner, with a golden board that replies to a request when its last byte is accepted."""

    def __init__(self, dut: Any) -> None:
        super().__init__(dut)
        given = parameters()
        self.dimensions: int = given["dimensions"]
        self.depth: int = given["depth"]
        #: Maximum number of results per query.
        self.k: int = self._results(given)
        self.longest: int = given["buffer_bytes"] // 2 - 4
        self.capacity: int = given["buffer_bytes"]
        self._count_from: int = given.get("count_from", 0)
        others = ("buffer_bytes", "reply_bytes", "count_from")
        self._given = {name: value for name, value in given.items() if name not in others}
        self._given |= {"request_limit": self.longest, "reply_limit": given["reply_bytes"] - 4}
        self.rx = self.source("rx", self._accept)
        self.tx = _Replies(dut, "tx", self.random, hex)
        self.sinks.append(self.tx)
        self.forget()

    def forget(self) -> None:
        """Reset the model."""
        self.board = self._model()
        self.sequence = self.epoch = 0
        self.rows = 1
        self.unsound = {"crc_errors": 0, "dropped": 0}
        self._stream = b""

    def _results(self, given: Mapping[str, Any]) -> int:
        k: int = given["k"]
        return k

    def _model(self) -> GoldenBoard:
        return GoldenBoard(**self._given)

    def _accept(self, byte: int) -> None:
        self._stream += bytes([byte])
        if byte == 0:
            received = receive(self._stream, self.capacity - 1)
            self.unsound["crc_errors"] += received.crc_errors
            self.unsound["dropped"] += received.dropped
            for body in received.frames:
                reply = encoded(self.board.reply(body))
                self.tx.expected.extend([_FRAME] if _is_timed(body) else reply)
            self._stream = b""

    async def restart(self) -> None:
        """Reset the device and the model."""
        self.forget()
        await self.reset()
        self.begun = self.cycle

    async def counters(self, kind: Kind = Kind.STATISTICS) -> dict[str, int]:
        """Request the counters, by one of two requests, and return their values by name.

        The names of 64-bit counters are without ``_low`` and ``_high``.
        """
        await self.finish(settle=1)
        self.tx.heard, place = b"", len(self.tx.offered)
        self.request(kind, b"" if kind == Kind.STATISTICS else struct.pack("<HH", STATISTICS.start, len(STATISTICS)))
        sequence = self.sequence - 1 & 255
        while self.rx.words:
            await self.step()
        asked = self.cycle
        await self.finish(settle=1)
        body = receive(self.tx.heard, 999).frames[-1]
        assert (body[0], body[1], body[3]) == (kind | 0x80, sequence, self.epoch), f"another header: {body[:4].hex()}"
        names = {register.address: name for name, register in BY_NAME.items()}
        said = dict(zip((names[address] for address in STATISTICS), _words(body[4:]), strict=True))
        assert said.pop("temperature") == NO_TEMPERATURE
        counts = {name: said.pop(name) - self._count_from & 0xFFFF_FFFF for name in _SHORT}
        for name in _LONG:
            counts[name] = said[f"{name}_low"] + (said[f"{name}_high"] << 32) - self._count_from & 0xFFFF_FFFF_FFFF_FFFF
        assert asked <= counts["cycles"] + self.begun <= self.tx.offered[place], f"{counts['cycles']} cycles"
        for name, count in self.unsound.items():
            assert counts[name] == count, f"{counts[name]} frames are counted as {name}, not {count}"
        return counts

    def request(self, kind: int, payload: bytes = b"", epoch: int = 0) -> bytes:
        """Queue a request, and return its bytes."""
        sent = encoded(bytes([kind, self.sequence, self.random.randrange(256), epoch]) + payload)
        self.sequence = (self.sequence + 1) % 256
        self.rx.send(sent)
        return sent

    def read(self, address: int, count: int = 1) -> None:
        """Queue a READ."""
        self.request(Kind.READ, struct.pack("<HH", address, count))

    def write(self, address: int, *words: int) -> None:
        """Queue a WRITE."""
        self.request(Kind.WRITE, struct.pack(f"<HH{len(words)}I", address, len(words), *words))

    def nits(self, count: int) -> bytes:
        """Return random packed rows or queries."""
        most = self.random.choice([1, 4])
        pair = (
            self.random.randint(-most, most) & 15 | (self.random.randint(-most, most) & 15) << 4 for _ in range(9999)
        )
        return bytes(itertools.islice(pair, count * self.dimensions // 2))

    def grid(self, count: int) -> bytes:
        """Return random queries of grid values."""
        values = (self.random.choice([GRID_MIN, GRID_MAX, self.random.randint(-7000, 7000)]) for _ in range(9999))
        return b"".join(struct.pack("<h", value) for value in itertools.islice(values, count * self.dimensions))

    def load(self, rows: int) -> None:
        """Queue a load in blocks of random sizes, and a write of the epoch."""
        data, offset = self.nits(rows), 0
        while offset < len(data):
            block = data[offset : offset + self.random.randint(1, min(len(data), self.longest - 4))]
            final = LOAD_FINAL if offset + len(block) == len(data) else 0
            self.request(Kind.LOAD, struct.pack("<I", offset | final) + block)
            offset += len(block)
        self.epoch, self.rows = self.random.randint(1, 255), rows
        self.write(_EPOCH, self.epoch)

    def query(self, count: int, k: int, *, grid: bool = False, data: bytes = b"") -> bytes:
        """Queue a QUERY, of random data by default, and return its bytes."""
        data = data or (self.grid(count) if grid else self.nits(count))
        return self.request(Kind.QUERY, struct.pack("<BBH", int(grid), count, k) + data, self.epoch)

    def most(self, *, grid: bool) -> int:
        """Return the maximum number of queries in a request, by the limits on request and reply."""
        size = self.dimensions * 2 if grid else self.dimensions // 2
        results: int = (self._given["reply_limit"] - PREFIX_BYTES) // RESULT_BYTES
        return min((self.longest - PREFIX_BYTES) // size, results // self.k, 255)

    def refused_empty(self) -> Iterator[Request]:
        """Yield queries that are refused while no rows are loaded, for this reason or an earlier one."""
        for form, epoch in itertools.product((0, 2), (0, 1)):
            yield Kind.QUERY, struct.pack("<BBH", form, 1, 0) + self.nits(1), epoch

    def refused(self) -> Iterator[Request]:
        """Yield requests that are refused while rows are loaded and no load is in progress."""
        return refused(self.dimensions, self.depth, self.k, self.longest, self._given["reply_limit"], self.epoch)

    def random_request(self, random: Random) -> None:
        """Queue a request of any kind; one in five is refused."""
        random.choice(self._faults(random) if random.randrange(5) == 0 else self._makers(random))()

    def _makers(self, random: Random) -> list[Callable[[], object]]:
        return [
            lambda: self.query(random.randint(1, 3), random.randint(1, self.k)),
            lambda: self.query(random.randint(1, 2), random.randint(1, self.k), grid=True),
            lambda: self.read(BY_NAME["rows"].address, 3),
            lambda: self.write(_THRESHOLD + random.randrange(4), random.randrange(6000)),
            lambda: self.request(Kind.IDENTIFY, random.randbytes(4)),
            lambda: self.load(random.randint(1, self.depth)),
        ]

    def _faults(self, random: Random) -> list[Callable[[], object]]:
        return [
            lambda: self.request(random.choice([0, 8, 0x42, 0x85]), random.randbytes(3)),
            lambda: self.request(Kind.READ, struct.pack("<HH", random.choice([0x1F, 0x29, 300]), 1)),
            lambda: self.write(BY_NAME["rows"].address, 1),
            lambda: self.request(Kind.LOAD, struct.pack("<I", 3) + b"\1"),
            lambda: self.request(Kind.QUERY, struct.pack("<BBH", 0, 1, self.k + 1) + self.nits(1), self.epoch),
            lambda: self.request(Kind.QUERY, struct.pack("<BBH", 0, 1, 1) + self.nits(1), self.epoch ^ 1),
            lambda: self.request(Kind.QUERY, struct.pack("<BBH", 0, 2, 1) + self.nits(1), self.epoch),
        ]


def _is_timed(body: bytes) -> bool:
    if body[0] == Kind.STATISTICS:
        return len(body) == 4
    first, count = struct.unpack_from("<HH", body.ljust(8, b"\0"), 4)
    return body[0] == Kind.READ and len(body) == 8 and first in _TIMED and first < first + count <= STATISTICS.stop


def _words(payload: bytes) -> tuple[int, ...]:
    return struct.unpack(f"<{len(payload) // 4}I", payload)


def refused(dimensions: int, depth: int, k: int, longest: int, reply_limit: int, epoch: int) -> Iterator[Request]:
    """Yield requests that a miner refuses while rows are loaded and no load is in progress, given its registers."""
    row = dimensions // 2
    yield from refused_by_any(row, depth, longest, epoch, (Kind.CANDIDATES, Kind.FETCH))
    yield from ((Kind.QUERY, b"\1\1\1"[:length], epoch) for length in (0, 2, 3))
    for form, count, results, bytes_, at in _queries(row, k, longest, reply_limit, epoch):
        yield Kind.QUERY, struct.pack("<BBH", form, count, results) + bytes(bytes_), at


def refused_by_any(row: int, depth: int, longest: int, epoch: int, others: Sequence[int]) -> Iterator[Request]:
    """Yield requests that any design refuses then, and its types of requests of `others`; `row` is in bytes."""
    for kind in (0, *others, 0x0D, 0x15, 0x25, 0x45, 0x85, 0xFF):
        yield from ((kind, bytes(length), epoch) for length in (0, 4))
    for kind, lengths in (
        (Kind.IDENTIFY, (0, 3, 5, 8)),
        (Kind.READ, (0, 1, 3, 5, 8)),
        (Kind.WRITE, (0, 3, 4)),
        (Kind.LOAD, (0, 1, 3, 4)),
        (Kind.STATISTICS, (1, 4)),
        (Kind.RESET, (1, 4)),
    ):
        yield from ((kind, b"\1\1\1\0\1\1\1\1"[:length], epoch) for length in lengths)
    yield from _accesses()
    for offset in (1, row, 1 << 30, 1 << 20):
        for length in (row, row + 1):
            yield Kind.LOAD, struct.pack("<I", offset) + bytes(length), 0
            yield Kind.LOAD, struct.pack("<I", offset | LOAD_FINAL) + bytes(length), 0
    for length in (1, row - 1, row + 1, depth * row - 1):
        if length % row:
            yield Kind.LOAD, struct.pack("<I", LOAD_FINAL) + bytes(length), 0
    for length in (depth * row + 1, (depth + 1) * row, longest - PREFIX_BYTES):
        if depth * row < length <= longest - PREFIX_BYTES:
            for offset in (0, 1, LOAD_FINAL, LOAD_FINAL | 1):
                yield Kind.LOAD, struct.pack("<I", offset) + bytes(length), 0


def _accesses() -> Iterator[Request]:
    for address in _GAPS:
        yield Kind.READ, struct.pack("<HH", address, 1), 0
    for address in (*_GAPS, 0, 1, _THRESHOLD - 1, _ROWS, _CONTROL - 1, _CONTROL + 1, _TEMPERATURE):
        yield Kind.WRITE, struct.pack("<HHI", address, 1, 0x0101_0101), 0
    for address, count in ((0x12, 2), (0x10, 0x104), (_CONTROL, 2), (_TEMPERATURE, 2), (0, 0), (_THRESHOLD, 0x1001)):
        yield Kind.READ, struct.pack("<HH", address, count), 0
    for address, words in ((_EPOCH, 2), (_THRESHOLD, 6), (_THRESHOLD + 3, 3), (_CONTROL, 2)):
        yield Kind.WRITE, struct.pack("<HH", address, words) + b"\x11\1\0\0" * words, 0
    for count, length in ((0, 4), (1, 3), (1, 5), (1, 8), (2, 4), (2, 7), (0x101, 4), (0x4001, 4)):
        yield Kind.WRITE, struct.pack("<HH", _THRESHOLD, count) + b"\x22" * length, 0


def _queries(row: int, k: int, longest: int, reply_limit: int, epoch: int) -> Iterator[tuple[int, int, int, int, int]]:
    """Yield format, queries, results and bytes of data, and epoch."""
    yield from ((form, 1, 1, row, epoch) for form in (2, 3, 4, 0x11, 0x80, 0xFF))
    yield from ((0, 1, 1, row, epoch ^ 1 << bit) for bit in range(8))
    yield from ((0, 1, results, row, epoch) for results in (0, k + 1, k + 2, 0x100 | k, 0x8000 | k))
    yield from ((form, 0, 1, row << 2 * form, epoch) for form in (0, 1))
    for form in (0, 1):
        size = row << 2 * form
        yield from ((form, 2, 1, size * 2 + more, epoch) for more in (-size, -1, 1, size))
        yield form, 1, 1, 0, epoch
    # Several faults, of which the first check that fails decides.
    for size in (0, row):
        yield from ((2, count, 0, size, epoch ^ 1) for count in (0, 1))
        yield from ((0, 1, 0, size, at) for at in (epoch ^ 1, epoch))
    most = (reply_limit - PREFIX_BYTES) // RESULT_BYTES
    fit = most // k
    if fit < 255 and (fit + 1) * row <= longest - PREFIX_BYTES:
        # The reply is too long only if the request has as many whole queries as fit.
        yield from ((0, fit + 1, k, size, epoch) for size in (row, fit * row - 1, fit * row, fit * row + 1))
    for count in range(1, (longest - PREFIX_BYTES) // row + 1):
        if most < count * k <= most + 2 * k:
            yield 0, count, k, count * row, epoch
