"""Bench of the miner: requests in, the golden board's replies out, byte for byte."""

# ruff: noqa: D401 - the docstring of a test states what holds

import itertools
import struct
from collections.abc import Callable
from random import Random
from typing import Any

import cocotb

from ninefold.sim.benches.fields import parameters
from ninefold.sim.benches.streams import PATTERNS, Bench, always, blocked
from ninefold.sim.golden.board import Board
from ninefold.sim.golden.link import encoded, receive
from ninefold.spec.formats import GRID_MAX, GRID_MIN
from ninefold.spec.link import LOAD_FINAL, Kind
from ninefold.spec.registers import BY_NAME, IDENTITY

__all__ = ["MinerBench"]

_EPOCH = BY_NAME["epoch"].address
_THRESHOLD = BY_NAME["threshold"].address


class MinerBench(Bench):
    """The miner, with a golden board that replies to a request when its last byte is accepted."""

    def __init__(self, dut: Any) -> None:
        super().__init__(dut)
        given = parameters()
        self.dimensions: int = given["dimensions"]
        self.depth: int = given["depth"]
        self.k: int = given["k"]
        self.longest: int = given["buffer_bytes"] // 2 - 4
        self._capacity: int = given["buffer_bytes"]
        self._given = {name: value for name, value in given.items() if not name.endswith("_bytes")}
        self._given |= {"request_limit": self.longest, "reply_limit": given["reply_bytes"] - 4}
        self.rx = self.source("rx", self._accept)
        self.tx = self.sink("tx", hex)
        self.forget()

    def forget(self) -> None:
        """Put the model back."""
        self.board = Board(**self._given)
        self.sequence = self.epoch = 0
        self.rows = 1
        self._stream = b""

    def _accept(self, byte: int) -> None:
        self._stream += bytes([byte])
        if byte == 0:
            for body in receive(self._stream, self._capacity - 1).frames:
                self.tx.expected.extend(encoded(self.board.reply(body)))
            self._stream = b""

    async def restart(self) -> None:
        """Reset the device and the model."""
        self.forget()
        await self.reset()

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
        """Return so many random rows or queries, packed."""
        most = self.random.choice([1, 4])
        pair = (
            self.random.randint(-most, most) & 15 | (self.random.randint(-most, most) & 15) << 4 for _ in range(9999)
        )
        return bytes(itertools.islice(pair, count * self.dimensions // 2))

    def grid(self, count: int) -> bytes:
        """Return so many random queries of grid values."""
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

    def query(self, count: int, k: int, *, grid: bool = False) -> bytes:
        """Queue a QUERY, and return its bytes."""
        data = self.grid(count) if grid else self.nits(count)
        return self.request(Kind.QUERY, struct.pack("<BBH", int(grid), count, k) + data, self.epoch)

    def random_request(self, random: Random) -> None:
        """Queue a request of any kind; one in five is refused."""
        makers: list[Callable[[], object]] = [
            lambda: self.query(random.randint(1, 3), random.randint(1, self.k)),
            lambda: self.query(random.randint(1, 2), random.randint(1, self.k), grid=True),
            lambda: self.read(BY_NAME["rows"].address, 3),
            lambda: self.write(_THRESHOLD + random.randrange(4), random.randrange(6000)),
            lambda: self.request(Kind.IDENTIFY, random.randbytes(4)),
            lambda: self.load(random.randint(1, self.depth)),
        ]
        faults: list[Callable[[], object]] = [
            lambda: self.request(random.choice([0, 8, 0x42, 0x85]), random.randbytes(3)),
            lambda: self.request(Kind.READ, struct.pack("<HH", random.choice([0x13, 0x29, 300]), 1)),
            lambda: self.write(BY_NAME["rows"].address, 1),
            lambda: self.request(Kind.LOAD, struct.pack("<I", 3) + b"\1"),
            lambda: self.request(Kind.QUERY, struct.pack("<BBH", 0, 1, self.k + 1) + self.nits(1), self.epoch),
            lambda: self.request(Kind.QUERY, struct.pack("<BBH", 0, 1, 1) + self.nits(1), self.epoch ^ 1),
            lambda: self.request(Kind.QUERY, struct.pack("<BBH", 0, 2, 1) + self.nits(1), self.epoch),
        ]
        random.choice(faults if random.randrange(5) == 0 else makers)()


async def started(dut: Any) -> MinerBench:
    """Return a bench with the device reset."""
    bench = MinerBench(dut)
    await bench.restart()
    return bench


@cocotb.test()
async def directed(dut: Any) -> None:
    """A row of ones and one of minus ones, asked with ones: the scores are written by hand."""
    bench = await started(dut)
    half = bench.dimensions // 2
    bench.request(Kind.LOAD, struct.pack("<I", LOAD_FINAL) + b"\xff" * half + b"\x11" * half)
    sent = bench.request(Kind.QUERY, struct.pack("<BBH", 0, 1, 2) + b"\x11" * half)
    while bench.rx.words:
        await bench.step()
    (body,) = receive(sent, 999).frames
    found = struct.pack("<BBHHiHi", 0, 1, 2, 1, bench.dimensions, 0, -bench.dimensions)
    wanted = encoded(bytes([Kind.QUERY | 0x80, 1, body[2], 0]) + found)
    assert bytes(bench.tx.expected)[-len(wanted) :] == wanted, "the model disagrees with the values written by hand"
    await bench.finish()


@cocotb.test()
async def registers(dut: Any) -> None:
    """The identity, what may be written, and addresses without a register."""
    bench = await started(dut)
    bench.read(IDENTITY.start, len(IDENTITY))
    for address in (*BY_NAME["threshold"].addresses, _EPOCH):
        bench.write(address, bench.random.getrandbits(16))
        bench.read(_THRESHOLD, 5)
    for address in (0x13, 0x1D, 0x29, 0x3F, 0x40, 0x100):
        bench.read(address)
        bench.write(address, 1)
    bench.request(Kind.RESET)
    bench.read(_THRESHOLD, 5)
    await bench.finish()


@cocotb.test()
async def sizes_crossed_with_back_pressure(dut: Any) -> None:
    """Loads and queries of several sizes under each pattern of the source crossed with each of the sink."""
    bench = await started(dut)
    for offered, taken in itertools.product(PATTERNS.values(), repeat=2):
        bench.pace(offered, taken)
        bench.load(bench.random.choice([1, 2, bench.depth - 1, bench.depth]))
        for grid in (False, True):
            bench.query(bench.random.randint(1, 3), bench.random.randint(1, bench.k), grid=grid)
        await bench.finish(settle=1)
    await bench.finish()


@cocotb.test()
async def random_requests(dut: Any) -> None:
    """Requests of every kind in a row, some refused, while the patterns change."""
    bench = await started(dut)
    bench.load(bench.depth)
    for _ in range(25):
        bench.pace(bench.random.choice(list(PATTERNS.values())), bench.random.choice(list(PATTERNS.values())))
        for _ in range(4):
            bench.random_request(bench.random)
        await bench.steps(bench.random.randint(1, 300))
    await bench.finish()


@cocotb.test()
async def damaged_requests(dut: Any) -> None:
    """Requests with a flipped bit, cut short or behind garbage: what is not sound has no effect."""
    bench = await started(dut)
    bench.load(bench.depth)
    for _ in range(30):
        queued = len(bench.rx.words)
        bench.query(1, bench.k)
        sent = [bench.rx.words.pop() for _ in range(len(bench.rx.words) - queued)][::-1]
        place = bench.random.randrange(len(sent) - 1)
        fault = bench.random.randrange(3)
        if fault == 0:
            sent[place] ^= 1 << bench.random.randrange(8)
        elif fault == 1:
            del sent[place : place + bench.random.randint(1, 9)]
        bench.rx.send(sent)
    bench.rx.send(b"\0")
    await bench.finish()


@cocotb.test()
async def repeats_are_answered_again(dut: Any) -> None:
    """A request whose reply is kept is not executed again: the same bytes come, though the epoch is another one."""
    bench = await started(dut)
    bench.load(2)
    await bench.finish()
    sent = bench.query(2, bench.k)
    await bench.finish()
    bench.write(_EPOCH, bench.epoch ^ 3)
    await bench.finish()
    for _ in range(3):
        bench.rx.send(sent)
        await bench.finish()
    bench.request(Kind.IDENTIFY, b"1234")
    bench.rx.send(sent)
    await bench.finish()


@cocotb.test()
async def reset_in_mid_run(dut: Any) -> None:
    """After a reset nothing is left of a load, a query or a reply."""
    bench = await started(dut)
    for _ in range(10):
        bench.pace(always, bench.random.choice([always, blocked(10_000)]))
        bench.load(bench.depth)
        bench.query(3, bench.k)
        await bench.steps(bench.random.randint(1, 600))
        await bench.restart()
        await bench.steps(bench.random.choice([0, 40]))
        bench.request(Kind.QUERY, struct.pack("<BBH", 0, 1, 1) + bench.nits(1))
        bench.load(1)
        bench.query(1, 1)
        await bench.finish(settle=1)
    await bench.finish()
