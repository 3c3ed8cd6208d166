"""Golden model of a miner behind its link: each request in turn gives its reply, without a clock."""

import struct
from collections.abc import Callable, Mapping

import numpy as np

from ninefold.spec.formats import THRESHOLDS, Mode
from ninefold.spec.link import ERROR, FORMAT_GRID, LOAD_FINAL, PREFIX_BYTES, REPLY, RESULT_BYTES, Fault, Kind
from ninefold.spec.registers import (
    BY_NAME,
    DESIGN_CODES,
    IDENTITY,
    MAGIC,
    MODE_CODES,
    NO_TEMPERATURE,
    STATISTICS,
    VERSION,
)

from .link import crc32, receive
from .packed import unpack
from .quantise import nits_by_thresholds
from .similarity import similarity
from .topk import topk

__all__ = ["GoldenBoard", "RefusedError"]


class RefusedError(Exception):
    """A request is refused.

    Attributes
    ----------
    fault : Fault
        Reason.
    detail : int
        Its detail.
    """

    def __init__(self, fault: Fault, detail: int) -> None:
        super().__init__(fault)
        self.fault, self.detail = fault, detail


class GoldenBoard:
    """A board with a zero digest and no sensor.

    Counters of cycles and stalls depend on time and read as 0. The other counters count the received and answered
    requests. A real board counts a frame on arrival, so the count may show in the reply to an earlier request.

    Parameters
    ----------
    dimensions, lanes, depth, k, clock_hz, mode, window
        Values of the registers of these names.
    request_limit, reply_limit : int
        Maximum payload lengths in bytes.
    count_from : int
        Initial value of the counters, modulo their widths.

    Attributes
    ----------
    rows : array or None
        Loaded rows, int8 of shape (rows, dimensions); None until a final load.
    thresholds : list of int
        Thresholds of the quantiser.
    epoch : int
        Current epoch.
    """

    def __init__(
        self,
        dimensions: int,
        lanes: int,
        depth: int,
        k: int,
        clock_hz: int,
        mode: Mode,
        window: int,
        request_limit: int,
        reply_limit: int,
        count_from: int = 0,
    ) -> None:
        self._row_bytes = dimensions // 2
        self._dimensions = dimensions
        self._store_bytes = depth * self._row_bytes
        self._k = k
        self._reply_limit = reply_limit
        self._initial = [*THRESHOLDS[mode].reached_at]
        fixed: Mapping[str, int] = {
            "magic": MAGIC,
            "version": VERSION,
            "dimensions": dimensions,
            "lanes": lanes,
            "depth": depth,
            "k": k,
            "mode": MODE_CODES[mode],
            "formats": 0b11,
            "window": window,
            "limits": request_limit | reply_limit << 16,
            "clock_hz": clock_hz,
            "design": DESIGN_CODES["miner"],
            "keep": 0,
            "temperature": NO_TEMPERATURE,
        }
        self._fixed = {BY_NAME[name].address: word for name, word in fixed.items()}
        self._window = window
        # A receiver's buffer holds two of the longest requests with their CRCs, less one byte.
        self._longest = 2 * request_limit + 7
        self._count_from = count_from
        #: Kind -> reply to the payload and the epoch of a request.
        self._answers: dict[int, Callable[[bytes, int], bytes]] = {
            Kind.IDENTIFY: self._identify,
            Kind.READ: self._read,
            Kind.WRITE: self._write,
            Kind.LOAD: self._load,
            Kind.QUERY: self._query,
            Kind.STATISTICS: self._statistics,
            Kind.RESET: self._reset_by,
        }
        self._reset()

    def _reset(self) -> None:
        #: CRC of the request and reply, for each slot with a kept reply.
        self._kept: dict[int, tuple[int, bytes]] = {}
        self.thresholds = list(self._initial)
        self.epoch = 0
        self.rows: np.ndarray[tuple[int, ...], np.dtype[np.int8]] | None = None
        self._loaded: bytes | None = None
        self._checked = b""
        self._counts = dict.fromkeys(("queries", "accepted", "crc_errors", "dropped"), self._count_from)

    def receive(self, stream: bytes) -> list[bytes]:
        """Return the valid requests in a byte stream that ends with 0, without CRC, and count the invalid frames."""
        received = receive(stream, self._longest)
        self._counts["crc_errors"] += received.crc_errors
        self._counts["dropped"] += received.dropped
        return received.frames

    def reply(self, body: bytes) -> bytes:
        """Return the reply to a request, both without CRC; a repeated request gets its kept reply again."""
        slot, check = body[1] % self._window, crc32(body)
        if slot in self._kept and self._kept[slot][0] == check:
            return self._kept[slot][1]
        reply = self._execute(body)
        if body[0] == Kind.IDENTIFY:
            self._kept.pop(slot, None)
        else:
            self._kept[slot] = (check, reply)
        return reply

    def _execute(self, body: bytes) -> bytes:
        kind, sequence, priority, epoch = body[:4]
        try:
            if kind not in self._answers:
                raise RefusedError(Fault.KIND, 0)
            payload = self._answers[kind](body[4:], epoch)
            kind |= REPLY
        except RefusedError as refusal:
            payload, kind = struct.pack("<BBHI", refusal.fault, kind, 0, refusal.detail), ERROR
        return bytes([kind, sequence, priority, self.epoch]) + payload

    def register(self, address: int) -> int:
        """Return the value of a register."""
        words = {
            **self._fixed,
            **dict(zip(BY_NAME["threshold"].addresses, self.thresholds, strict=True)),
            BY_NAME["epoch"].address: self.epoch,
            BY_NAME["rows"].address: 0 if self.rows is None else len(self.rows),
            BY_NAME["load_bytes"].address: len(self._checked),
            BY_NAME["load_check"].address: crc32(self._checked),
            BY_NAME["queries"].address: self._counts["queries"],
            BY_NAME["accepted_low"].address: self._counts["accepted"],
            BY_NAME["accepted_high"].address: self._counts["accepted"] >> 32,
            BY_NAME["crc_errors"].address: self._counts["crc_errors"],
            BY_NAME["dropped"].address: self._counts["dropped"],
        }
        return words.get(address, 0) & 0xFFFFFFFF

    def _identify(self, payload: bytes, _epoch: int) -> bytes:
        if len(payload) != 4:
            raise RefusedError(Fault.LENGTH, len(payload))
        self._kept.clear()
        return payload + self._words(IDENTITY)

    def _words(self, addresses: range) -> bytes:
        return struct.pack(f"<{len(addresses)}I", *map(self.register, addresses))

    def _read(self, payload: bytes, _epoch: int) -> bytes:
        if len(payload) != 4 or payload[2:] == b"\0\0":
            raise RefusedError(Fault.LENGTH, len(payload))
        return self._words(self._addresses(payload, ""))

    def _addresses(self, payload: bytes, access: str) -> range:
        first, count = struct.unpack_from("<HH", payload)
        there = {a for register in BY_NAME.values() if access in register.access for a in register.addresses}
        for address in range(first, first + count):
            if address not in there:
                raise RefusedError(Fault.ADDRESS, address)
        return range(first, first + count)

    def _statistics(self, payload: bytes, _epoch: int) -> bytes:
        if payload:
            raise RefusedError(Fault.LENGTH, len(payload))
        return self._words(STATISTICS)

    def _write(self, payload: bytes, _epoch: int) -> bytes:
        count = int.from_bytes(payload[2:4], "little")
        if len(payload) != 4 + 4 * count or not count:
            raise RefusedError(Fault.LENGTH, len(payload))
        resets = False
        words = struct.unpack(f"<{count}I", payload[4:])
        for address, word in zip(self._addresses(payload, "w"), words, strict=True):
            if address == BY_NAME["epoch"].address:
                self.epoch = word & 0xFF
            elif address == BY_NAME["control"].address:
                resets |= bool(word & 1)
            else:
                self.thresholds[address - BY_NAME["threshold"].address] = word & 0xFFFF
        if resets:
            self._reset()
        return b""

    def _reset_by(self, payload: bytes, _epoch: int) -> bytes:
        if payload:
            raise RefusedError(Fault.LENGTH, len(payload))
        self._reset()
        return b""

    def _load(self, payload: bytes, _epoch: int) -> bytes:
        if len(payload) <= PREFIX_BYTES:
            raise RefusedError(Fault.LENGTH, len(payload))
        word = int.from_bytes(payload[:PREFIX_BYTES], "little")
        offset, final, data = word & ~LOAD_FINAL, bool(word & LOAD_FINAL), payload[PREFIX_BYTES:]
        before = b"" if offset == 0 else self._loaded
        if before is None or offset != len(before):
            raise RefusedError(Fault.OFFSET, 0 if self._loaded is None else len(self._loaded))
        block = before + data
        if len(block) > self._store_bytes:
            raise RefusedError(Fault.STORE, self._store_bytes)
        if final and len(block) % self._row_bytes:
            raise RefusedError(Fault.ROW, len(block) % self._row_bytes)
        if offset == 0:
            self._forget()
        self._loaded = None if final else block
        self._checked = block
        if final:
            self.rows = unpack(np.frombuffer(block, np.uint8).reshape(-1, self._row_bytes), self._dimensions)
        return struct.pack("<I", 0 if final else len(block))

    def _forget(self) -> None:
        """Begin a load."""
        self.epoch, self.rows = 0, None

    def _searched(self, form: int, epoch: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int8]]:
        """Return the rows; refuse an unknown format, a query while nothing is loaded, or another epoch."""
        if form > FORMAT_GRID:
            raise RefusedError(Fault.FORMAT, 0b11)
        if self.rows is None:
            raise RefusedError(Fault.EMPTY, 0)
        if epoch != self.epoch:
            raise RefusedError(Fault.EPOCH, self.epoch)
        return self.rows

    def _query(self, payload: bytes, epoch: int) -> bytes:
        if len(payload) < PREFIX_BYTES or not payload[1]:
            raise RefusedError(Fault.LENGTH, len(payload))
        form, count, k = struct.unpack_from("<BBH", payload)
        rows = self._searched(form, epoch)
        if not 1 <= k <= self._k:
            raise RefusedError(Fault.K, self._k)
        results = min(k, len(rows))
        size = 2 * self._dimensions if form else self._row_bytes
        # The board counts query by query, up to the first incomplete one.
        counted = min(count, (len(payload) - PREFIX_BYTES) // size + 1)
        if PREFIX_BYTES + RESULT_BYTES * counted * results > self._reply_limit:
            raise RefusedError(Fault.REPLY, self._reply_limit)
        if len(payload) != PREFIX_BYTES + count * size:
            raise RefusedError(Fault.LENGTH, len(payload))
        ids, scores, _ = topk(similarity(self._nits(payload[PREFIX_BYTES:], form), rows), results)
        self._counts["queries"] += count
        self._counts["accepted"] += count * len(rows)
        pairs = zip(ids.reshape(-1).tolist(), scores.reshape(-1).tolist(), strict=True)
        return struct.pack("<BBH", 0, count, results) + b"".join(struct.pack("<Hi", *pair) for pair in pairs)

    def _nits(self, data: bytes, form: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int8]]:
        if not form:
            return unpack(np.frombuffer(data, np.uint8).reshape(-1, self._row_bytes), self._dimensions)
        return nits_by_thresholds(np.frombuffer(data, "<i2").reshape(-1, self._dimensions), self.thresholds)
