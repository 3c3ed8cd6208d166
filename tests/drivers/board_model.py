"""A board in plain Python, written from ``ninefold.spec`` apart from the codec, and a stream to it."""

from __future__ import annotations

import os
import struct
import threading
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache

import numpy as np

from ninefold.spec.formats import THRESHOLDS
from ninefold.spec.registers import BY_NAME, DESIGN_CODES, MAGIC, MODE_CODES, NO_TEMPERATURE, REGISTERS, VERSION

__all__ = ["DIGEST", "BoardModel", "Clock", "ModelTransport", "serve"]

DIGEST = bytes(range(32))
_WRITABLE = {a for r in REGISTERS if "w" in r.access for a in r.addresses}
_KNOWN = {a for r in REGISTERS for a in r.addresses}


def stuff(body: bytes) -> bytes:
    """COBS, byte by byte."""
    out, run = bytearray(), bytearray()
    for byte in body:
        if byte:
            run.append(byte)
        if not byte or len(run) == 254:
            out += bytes([len(run) + 1]) + run
            run.clear()
    return bytes(out + bytes([len(run) + 1]) + run)


def unstuff(data: bytes) -> bytes | None:
    """COBS undone byte by byte, or None."""
    out, left, zero = bytearray(), 0, False
    for byte in data:
        if left == 0:
            if zero:
                out.append(0)
            left, zero = byte - 1, byte != 255
        else:
            out.append(byte)
            left -= 1
    return None if left else bytes(out)


def nits(data: bytes) -> list[int]:
    """The numbers in packed nits."""
    return [n - 16 if n > 7 else n for byte in data for n in (byte & 15, byte >> 4)]


@cache
def stored(data: bytes) -> list[int]:
    """The same, remembered for a store that many queries see."""
    return nits(data)


class RefusalError(Exception):
    """Code and detail of an ERROR reply."""


@dataclass
class BoardModel:
    """A board with a store; `receive` takes bytes and gives those that it answers with.

    A board of design signs has ``design="signs"``, ``k=0`` and a `keep`.
    """

    dimensions: int = 32
    depth: int = 64
    k: int = 16
    window: int = 8
    formats: int = 3
    request_max: int = 520
    reply_max: int = 520
    digest: bytes = DIGEST
    design: str = "miner"
    keep: int = 0
    lanes: int = 2
    ticket: int = 0
    hung: bool = False
    executed: int = 0
    loads: int = 0
    _input: bytearray = field(default_factory=bytearray)
    _kept: dict[int, tuple[bytes, int, bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """As power-on."""
        self.epoch = self.rows = self.queries = self.crc_errors = self.dropped = 0
        self.loaded = b""
        self.next = 0
        self.thresholds = list(THRESHOLDS["tanh"].reached_at)
        self.tickets: dict[int, list[tuple[int, int]]] = {}
        self._kept.clear()

    def receive(self, data: bytes) -> bytes:
        """Take bytes, return bytes."""
        answers = b""
        for byte in data:
            if byte:
                self._input.append(byte)
                continue
            piece = bytes(self._input)
            self._input.clear()
            if piece:
                answers += self._frame(piece)
        return b"" if self.hung else answers

    def _frame(self, piece: bytes) -> bytes:
        body = unstuff(piece)
        if body is None or not 8 <= len(body) <= 8 + self.request_max:
            self.dropped += 1
            return b""
        if zlib.crc32(body[:-4]) != int.from_bytes(body[-4:], "little"):
            self.crc_errors += 1
            return b""
        kind, sequence, priority, epoch = body[:4]
        if self.hung:
            return b""
        # A repeat is the same request. Another host may use the same sequence number for a request of its own.
        kept = self._kept.get(sequence % self.window)
        if kind == 1 or kept is None or kept[0] != body:
            self.executed += 1
            try:
                kept = (body, kind | 0x80, self._execute(kind, epoch, body[4:-4]))
            except RefusalError as refusal:
                code, detail = refusal.args
                kept = (body, 0xFF, struct.pack("<BBHI", code, kind, 0, detail))
            if kind == 1:
                self._kept.clear()
            self._kept[sequence % self.window] = kept
        reply = bytes([kept[1], sequence, priority, self.epoch]) + kept[2]
        return stuff(reply + zlib.crc32(reply).to_bytes(4, "little")) + b"\0"

    def _execute(self, kind: int, epoch: int, payload: bytes) -> bytes:
        match kind:
            case 1 if len(payload) == 4:
                return payload + self._words(range(0x15))
            case 2 if len(payload) == 4:
                address, count = struct.unpack("<HH", payload)
                return self._words(range(address, address + count))
            case 3 if len(payload) >= 8:
                self._write(payload)
                answer = b""
            case 4 if len(payload) >= 5:
                answer = self._load(payload)
            case 5 if len(payload) >= 5 and self.design == "miner":
                answer = self._query(epoch, payload)
            case 8 if len(payload) >= 4 and self.design == "signs":
                answer = self._candidates(epoch, payload)
            case 9 if len(payload) == 8 and self.design == "signs":
                answer = self._fetch(payload)
            case 6 if not payload:
                answer = self._words(range(0x20, 0x29))
            case 7 if not payload:
                self.reset()
                self.ticket = 0
                answer = b""
            case _:
                own = (5,) if self.design == "miner" else (8, 9)
                raise RefusalError(2, len(payload)) if kind in (1, 2, 3, 4, 6, 7, *own) else RefusalError(1, 0)
        return answer

    def _words(self, addresses: range) -> bytes:
        unknown = [a for a in addresses if a not in _KNOWN]
        if unknown:
            raise RefusalError(3, unknown[0])
        return b"".join(struct.pack("<I", self.word(a)) for a in addresses)

    def word(self, address: int) -> int:
        """Return a register."""
        name = next(r.name for r in REGISTERS if address in r.addresses)
        index = address - BY_NAME[name].address
        return {
            "magic": MAGIC,
            "version": VERSION,
            "digest": int.from_bytes(self.digest[4 * index : 4 * index + 4], "little"),
            "dimensions": self.dimensions,
            "lanes": self.lanes,
            "depth": self.depth,
            "k": self.k,
            "mode": MODE_CODES["tanh"],
            "formats": self.formats,
            "window": self.window,
            "limits": self.request_max | self.reply_max << 16,
            "clock_hz": 1_000_000,
            "design": DESIGN_CODES[self.design],
            "keep": self.keep,
            "threshold": self.thresholds[index % 4],
            "epoch": self.epoch,
            "rows": self.rows,
            "load_bytes": len(self.loaded),
            "load_check": zlib.crc32(self.loaded),
            "queries": self.queries,
            "crc_errors": self.crc_errors,
            "dropped": self.dropped,
            "temperature": NO_TEMPERATURE,
        }.get(name, 0)

    def _write(self, payload: bytes) -> None:
        address, count = struct.unpack_from("<HH", payload)
        words = struct.unpack(f"<{count}I", payload[4:])
        for a in range(address, address + count):
            if a not in _WRITABLE:
                raise RefusalError(3, a)
        for a, word in zip(range(address, address + count), words, strict=True):
            if a == 0x19:
                self.epoch = word & 255
            elif a == 0x1D:
                if word & 1:
                    self.reset()
                    self.ticket = 0
            else:
                self.thresholds[a - 0x15] = word & 0xFFFF

    def _load(self, payload: bytes) -> bytes:
        (word,) = struct.unpack_from("<I", payload)
        offset, final, data = word & 0x7FFFFFFF, word >> 31, payload[4:]
        if offset not in (0, self.next):
            raise RefusalError(4, self.next)
        size = self.dimensions // 2
        if offset + len(data) > self.depth * size:
            raise RefusalError(5, self.depth * size)
        if final and (offset + len(data)) % size:
            raise RefusalError(6, (offset + len(data)) % size)
        if offset == 0:
            self.loaded, self.rows, self.epoch = b"", 0, 0
            self.tickets.clear()
        self.loaded += data
        self.next = len(self.loaded)
        if final:
            self.rows, self.next = len(self.loaded) // size, 0
            self.loads += 1
        return struct.pack("<I", self.next)

    def _query(self, epoch: int, payload: bytes) -> bytes:
        form, count, k = struct.unpack_from("<BBH", payload)
        data = payload[4:]
        if self.rows == 0:
            raise RefusalError(7, 0)
        if epoch != self.epoch:
            raise RefusalError(8, self.epoch)
        if not 1 <= k <= self.k:
            raise RefusalError(9, self.k)
        if not self.formats >> form & 1:
            raise RefusalError(10, self.formats)
        each = self.dimensions * 2 if form else self.dimensions // 2
        if count == 0 or len(data) != count * each:
            raise RefusalError(2, len(payload))
        kept = min(k, self.rows)
        if 4 + 6 * count * kept > self.reply_max:
            raise RefusalError(11, self.reply_max)
        store = np.array(stored(self.loaded)).reshape(self.rows, self.dimensions)
        queries = self._grid(data) if form else np.array(nits(data))
        out = struct.pack("<BBH", 0, count, kept)
        for scores in queries.reshape(count, self.dimensions) @ store.T:
            for row in np.argsort(-scores, kind="stable")[:kept]:
                out += struct.pack("<Hi", row, scores[row])
        self.queries += count
        return out

    def _candidates(self, epoch: int, payload: bytes) -> bytes:
        form, masked, keep = struct.unpack_from("<BBH", payload)
        data, each = payload[4:], self.dimensions * 2 if form else self.dimensions // 2
        if masked > 1:
            raise RefusalError(2, len(payload))
        if not self.formats >> form & 1:
            raise RefusalError(10, self.formats)
        if self.rows == 0:
            raise RefusalError(7, 0)
        if epoch != self.epoch:
            raise RefusalError(8, self.epoch)
        if not 1 <= keep <= self.keep:
            raise RefusalError(12, self.keep)
        if len(data) != each + masked * (-(-self.rows // 8)):
            raise RefusalError(2, len(payload))
        query = self._grid(data[:each]) if form else np.array(nits(data[:each]))
        rows = [r for r in range(self.rows) if not masked or data[each + r // 8] >> r % 8 & 1]
        signs = np.where(np.array(stored(self.loaded)).reshape(self.rows, self.dimensions) < 0, -1, 1)
        scores = (signs @ query).tolist()
        kept = sorted(rows, key=lambda row: (-scores[row], row))[:keep]
        self.ticket = self.ticket % 65535 + 1
        self.tickets[self.ticket] = [(row, scores[row]) for row in sorted(kept)]
        if len(self.tickets) > 2:
            del self.tickets[next(iter(self.tickets))]
        self.queries += 1
        return struct.pack("<HH", self.ticket, 0)

    def _fetch(self, payload: bytes) -> bytes:
        ticket, offset, count, _ = struct.unpack("<HHHH", payload)
        if ticket not in self.tickets:
            raise RefusalError(13, self.ticket)
        if 4 + 4 * count > self.reply_max:
            raise RefusalError(11, self.reply_max)
        found = self.tickets[ticket]
        if offset + count > len(found):
            raise RefusalError(14, len(found))
        some = found[offset : offset + count]
        return struct.pack("<HH", len(found), count) + b"".join(struct.pack("<Hh", *one) for one in some)

    def _grid(self, data: bytes) -> np.ndarray:
        values = struct.unpack(f"<{len(data) // 2}h", data)
        return np.array([sum(abs(v) >= t for t in self.thresholds) * (1 if v > 0 else -1) for v in values], np.int64)


class Clock:
    """Time that passes only where something waits."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class ModelTransport:
    """A stream to a model; `there` and `back` may change the bytes that pass, and `event` sees each write."""

    def __init__(
        self,
        board: BoardModel,
        clock: Clock,
        there: Callable[[bytes], bytes] = bytes,
        back: Callable[[bytes], bytes] = bytes,
        event: Callable[[BoardModel], None] = lambda _board: None,
    ) -> None:
        self.board = board
        self.closed = False
        self._clock, self._there, self._back, self._event = clock, there, back, event
        self._ready = bytearray()

    def write(self, data: bytes, timeout_s: float) -> None:  # noqa: ARG002
        """Hand the bytes to the board."""
        self._event(self.board)
        self._ready += self._back(self.board.receive(self._there(data)))

    def read(self, size: int, timeout_s: float) -> bytes:
        """Return what the board has answered; waiting only moves the clock."""
        if not self._ready:
            self._ready += self._back(b"")
            self._clock.now += timeout_s
        taken = bytes(self._ready[:size])
        del self._ready[:size]
        self._clock.now += 1e-5
        return taken

    def close(self) -> None:
        """Note it."""
        self.closed = True


#: Hosts of one board are answered one after another, and each by whole frames.
_HUB = threading.Lock()


def serve(descriptor: int, board: BoardModel) -> None:
    """Answer as a board until the other end is gone; several hosts of one board may be served at once, as by a hub."""
    started = b""
    while True:
        try:
            data = os.read(descriptor, 4096)
            if not data:
                return
            frames, mark, started = (started + data).rpartition(b"\0")
            with _HUB:
                answers = board.receive(frames + mark)
            os.write(descriptor, answers)
        except OSError:
            return
