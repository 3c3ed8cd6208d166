"""Host side of the stream board's testbench: requests, and replies that a golden board judges."""

import struct
from collections import deque
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

from ninefold.hdl.catalogue import make_core
from ninefold.sim.golden.link import encoded, receive
from ninefold.sim.golden.stream_board import GoldenStreamBoard
from ninefold.sim.testbench.fields import core, parameters
from ninefold.sim.testbench.streams import Sink, Testbench
from ninefold.spec.link import PREFIX_BYTES, Kind
from ninefold.spec.registers import BY_NAME, STATISTICS
from ninefold.spec.streams import CORE_REGISTERS

__all__ = ["ALL", "MASK", "MOVED", "TURN", "StreamTestbench"]

#: Kind and payload.
Request = tuple[int, bytes]

#: Registers of the loopback, and the register ``turn``.
MASK, MOVED, TURN = CORE_REGISTERS, CORE_REGISTERS + 1, 0x1E
#: Count of a PULL that takes what there is.
ALL = 0xFFFF
_EPOCH, _CONTROL = BY_NAME["epoch"].address, BY_NAME["control"].address
#: Placeholder for an expected reply.
_FRAME = -1
_LONGEST = 1 << 16


class _Replies(Sink):
    """The replies; each is judged as a whole when its last byte is offered."""

    def __init__(self, dut: Any, name: str, random: Random, judge: Callable[[bytes], None]) -> None:
        super().__init__(dut, name, random, hex)
        self._judge_frame = judge
        self._frame = b""

    def clear(self) -> None:
        """Expect nothing; only for a reset."""
        super().clear()
        self._frame = b""

    def _judge(self, word: int) -> None:
        assert self.expected, f"tx, byte {len(self.accepted)}: {word:#x}, where nothing was due"
        self._frame += bytes([word])
        if word:
            self.expected.appendleft(_FRAME)
        else:
            frame, self._frame = self._frame, b""
            self._judge_frame(frame)


class _Board(GoldenStreamBoard):
    """Golden board around a loopback.

    Attributes
    ----------
    compared : list of int
        Bytes of each channel that were compared since a reset.
    """

    def reset(self) -> None:
        """Set board and loopback to their state after power-on."""
        super().reset()
        self.compared = [0] * len(self.pulled)

    def compare(self) -> None:
        """Compare what was pulled since the last comparison with what was pushed."""
        mask = self.control[MASK]
        for channel, (pushed, pulled) in enumerate(zip(self.pushed, self.pulled, strict=True)):
            size, first = self._sizes[channel], self.compared[channel]
            for at in range(first, len(pulled), size):
                wanted = bytearray(pushed[at : at + size])
                wanted[0] ^= mask
                wanted[-1] &= 1
                found = pulled[at : at + size]
                assert found == wanted, (
                    f"payload {at // size} of y{channel} is {found.hex()}, where {wanted.hex()} was due"
                )
            self.compared[channel] = len(pulled)


class StreamTestbench(Testbench):
    """The stream board around a loopback, with a golden board that judges each reply.

    Attributes
    ----------
    board : GoldenStreamBoard
        The golden board.
    channels, size : int
        Number of inputs and of outputs, and bytes of a payload.
    longest : int
        Longest payload of a request in bytes.
    room : int
        Payloads that the queue of an input holds.
    turn : int
        Turn of the next PUSH or PULL, if those before it are not refused.
    replies : list of bytes
        The replies without CRC.
    """

    def __init__(self, dut: Any) -> None:
        super().__init__(dut)
        given = parameters()
        self.channels: int = given["channels"]
        self.window: int = given["window"]
        self.longest: int = given["buffer_bytes"] // 2 - 4
        self._count_from: int = given["count_from"]
        board = make_core(core(), **given)
        interface = board.interface  # type: ignore[attr-defined]
        self.size: int = interface.streams[0].payload_bytes
        self.room: int = given["queue_bytes"] // self.size
        self._made = lambda: _Board(
            interface.streams,
            interface.registers,
            given["window"],
            given["queue_bytes"],
            self.longest,
            given["reply_bytes"] - 4,
            given["clock_hz"],
            self._count_from,
        )
        self.rx = self.source("rx", self._accept)
        self.tx = _Replies(dut, "tx", self.random, self._judge)
        self.sinks.append(self.tx)
        self.forget()

    def forget(self) -> None:
        """Reset the model."""
        self.board = self._made()
        self.sequence = self.turn = 0
        self.replies: list[bytes] = []
        self._asked: deque[bytes] = deque()
        self._stream = b""

    def _accept(self, byte: int) -> None:
        self._stream += bytes([byte])
        if byte == 0:
            bodies = self.board.receive(self._stream)
            self._asked.extend(bodies)
            self.tx.expected.extend([_FRAME] * len(bodies))
            self._stream = b""

    def _judge(self, frame: bytes) -> None:
        received = receive(frame, _LONGEST)
        assert len(received.frames) == 1, f"a reply is damaged: {frame.hex()}"
        body, (seen,) = self._asked.popleft(), received.frames
        right = self.board.answer(body, seen, alone=not self._asked)
        assert seen == right, f"{body.hex()} is answered by {seen.hex()}, where {right.hex()} was due"
        self.replies.append(seen)
        self.board.compare()

    async def restart(self) -> None:
        """Reset the device and the model."""
        self.forget()
        await self.reset()
        self.begun = self.cycle

    async def settled(self) -> None:
        """Wait until every request is answered and no payload moves, and learn the turn."""
        await self.finish()
        self.turn = self.board.register(TURN)

    async def drained(self) -> None:
        """Pull every payload."""
        await self.settled()
        while any(
            len(pushed) != len(pulled) for pushed, pulled in zip(self.board.pushed, self.board.pulled, strict=True)
        ):
            before = sum(map(len, self.board.pulled))
            for channel in range(self.channels):
                self.pull(channel)
            await self.settled()
            assert sum(map(len, self.board.pulled)) > before, "payloads are lost"

    async def counters(self) -> dict[str, int]:
        """Request the counters and return their values by name, those of cycles as ``cycles``."""
        await self.settled()
        place = len(self.tx.offered)
        self.request(Kind.STATISTICS)
        while self.rx.words:
            await self.step()
        asked = self.cycle
        await self.settled()
        words = struct.unpack(f"<{len(STATISTICS)}I", self.replies[-1][4 : 4 + 4 * len(STATISTICS)])
        names = {register.address: name for name, register in BY_NAME.items()}
        said = dict(zip((names[address] for address in STATISTICS), words, strict=True))
        cycles = said["cycles_low"] + (said["cycles_high"] << 32) - self._count_from & 0xFFFF_FFFF_FFFF_FFFF
        assert asked <= cycles + self.begun <= self.tx.offered[place], f"{cycles} cycles"
        return {name: said[name] - self._count_from & 0xFFFF_FFFF for name in ("crc_errors", "dropped")} | {
            "cycles": cycles
        }

    def request(self, kind: int, payload: bytes = b"") -> bytes:
        """Queue a request, and return its bytes."""
        sent = encoded(bytes([kind, self.sequence, *self.random.randbytes(2)]) + payload)
        self.sequence = (self.sequence + 1) % 256
        self.rx.send(sent)
        return sent

    def read(self, address: int, count: int = 1) -> None:
        """Queue a READ."""
        self.request(Kind.READ, struct.pack("<HH", address, count))

    def write(self, address: int, *words: int) -> None:
        """Queue a WRITE."""
        self.request(Kind.WRITE, struct.pack(f"<HH{len(words)}I", address, len(words), *words))

    def push(self, stream: int, count: int, *, data: bytes | None = None, turn: int | None = None) -> bytes:
        """Queue a PUSH, of random payloads by default, and return its bytes."""
        data = self.random.randbytes(count * self.size) if data is None else data
        return self.request(Kind.PUSH, self._prefix(stream, turn, count) + data)

    def pull(self, channel: int, count: int = ALL, *, turn: int | None = None) -> bytes:
        """Queue a PULL from an output, and return its bytes."""
        return self.request(Kind.PULL, self._prefix(self.channels + channel, turn, count))

    def _prefix(self, stream: int, turn: int | None, count: int) -> bytes:
        if turn is None:
            turn, self.turn = self.turn, (self.turn + 1) % 256
        return struct.pack("<BBH", stream, turn, count)

    @property
    def most(self) -> int:
        """Maximum number of payloads of a PUSH, by its size and by the room."""
        return min(self.room, (self.longest - PREFIX_BYTES) // self.size)

    def random_request(self) -> None:
        """Queue a request of any kind; some are refused."""
        random = self.random
        channel = random.randrange(self.channels)
        turn = None if random.randrange(10) else random.randrange(256)
        makers: list[Callable[[], object]] = [
            *[lambda: self.push(channel, random.randint(0, self.most), turn=turn)] * 4,
            *[lambda: self.pull(channel, random.choice([1, 2, ALL]), turn=turn)] * 4,
            lambda: self.push(channel, 1, data=bytes(random.choice([self.size - 1, self.size + 1])), turn=turn),
            lambda: self.read(random.choice([0, 0x10, _EPOCH, MASK, TURN]), random.randint(1, 3)),
            lambda: self.write(_EPOCH, random.randrange(256)),
            lambda: self.request(Kind.IDENTIFY, random.randbytes(4)),
            lambda: self.request(random.choice([0, Kind.LOAD, Kind.QUERY, 0x12, 0x90]), bytes(random.randrange(6))),
        ]
        random.choice(makers)()

    def refused(self) -> Iterator[Request]:
        """Yield requests that are refused while the queues are empty and the turn stays."""
        turn, inputs = self.turn, self.channels
        for kind in (0, Kind.LOAD, Kind.QUERY, Kind.CANDIDATES, Kind.FETCH, 0x12, 0x30, 0x50, 0x91, 0xFF):
            yield from ((kind, bytes(length)) for length in (0, 4))
        for kind, lengths in (
            (Kind.IDENTIFY, (0, 3, 5, 8)),
            (Kind.READ, (0, 1, 3, 5, 8)),
            (Kind.WRITE, (0, 3, 4)),
            (Kind.STATISTICS, (1, 4)),
            (Kind.RESET, (1, 4)),
            (Kind.PUSH, (0, 1, 3)),
            (Kind.PULL, (0, 1, 3, 5, 8)),
        ):
            yield from ((kind, struct.pack("<BBHI", inputs, turn, 1, 1)[:length]) for length in lengths)
        for bit in range(8):
            yield Kind.PUSH, struct.pack("<BBH", 0, turn ^ 1 << bit, 0)
            yield Kind.PULL, struct.pack("<BBH", inputs, turn ^ 1 << bit, 0)
            yield Kind.PUSH, struct.pack("<BBH", 1 << bit | inputs, turn, 0)
        for stream in (*range(inputs), 2 * inputs, *(1 << bit for bit in range(4, 8))):
            yield Kind.PULL, struct.pack("<BBH", stream, turn, 1)
        for count in (self.room + 1, self.room + 2, self.room | 0x100, self.room | 0x8000, ALL):
            yield from ((Kind.PUSH, struct.pack("<BBH", 0, turn, count) + bytes(size)) for size in (0, self.size))
        for count in range(self.most + 1):
            whole = count * self.size
            for size in {whole - self.size, whole - 1, whole + 1, whole + self.size}:
                if 0 <= size <= self.longest - PREFIX_BYTES:
                    yield Kind.PUSH, struct.pack("<BBH", 0, turn, count) + bytes([255] * size)
        yield from _accesses()


def _accesses() -> Iterator[Request]:
    """Yield reads and writes of addresses without a register, or with a read-only one."""
    gaps = (0x14, 0x1A, 0x1F, 0x20, 0x29, 0x3F, MOVED + 1, 0x60, 0x80, 0x119, 0x1013, 0x8012, 0xFFFF)
    for address in gaps:
        yield Kind.READ, struct.pack("<HH", address, 1)
    for address in (*gaps, 0, 1, 0x10, TURN, MOVED, _EPOCH - 1, _CONTROL - 1, _CONTROL + 1):
        yield Kind.WRITE, struct.pack("<HHI", address, 1, 0x0101_0101)
    for address, count in ((MASK, 3), (0, 0), (0, 0x101), (MASK, 0x8001), (_EPOCH, 2), (0x13, 2)):
        yield Kind.READ, struct.pack("<HH", address, count)
    for address, words in ((_EPOCH, 2), (MASK, 2), (MASK - 1, 2)):
        yield Kind.WRITE, struct.pack("<HH", address, words) + b"\x11\1\0\0" * words
    for count, length in ((0, 4), (1, 3), (1, 5), (1, 8), (2, 4), (2, 7), (0x101, 4), (0x4001, 4)):
        yield Kind.WRITE, struct.pack("<HH", MASK, count) + b"\x22" * length
