"""Golden model of a board of design stream behind its link: each request in turn allows certain replies."""

import struct
from collections.abc import Callable, Sequence

from ninefold.spec.link import ERROR, PREFIX_BYTES, REPLY, Fault, Kind
from ninefold.spec.registers import BY_NAME, IDENTITY, MAGIC, NO_TEMPERATURE, STATISTICS, VERSION
from ninefold.spec.stream_link import STREAM_CODE, TURNS, StreamFault, StreamKind
from ninefold.spec.streams import CREDIT_BYTES, CoreRegister, StreamLayout, board_registers, layout_check

from .link import crc32, receive

__all__ = ["GoldenStreamBoard", "ImpossibleError"]

#: Counters that depend on time.
_TIMED = tuple(BY_NAME[name].address for name in ("cycles_low", "cycles_high"))


class _RefusedError(Exception):
    """A request is refused."""

    def __init__(self, fault: Fault | StreamFault, detail: int) -> None:
        super().__init__(fault)
        self.fault, self.detail = fault, detail


class ImpossibleError(Exception):
    """A reply tells what cannot be at its time."""


class GoldenStreamBoard:
    """A board of design stream with a zero digest and no sensor.

    Three things depend on the clock: how many payloads have left the queue of an input, how many have reached the
    queue of an output, and the counter of cycles. `answer` takes them from the board's reply, checks that they are
    possible, and determines every other byte.

    Parameters
    ----------
    streams : sequence of StreamLayout
        Streams of the core, inputs first.
    registers : sequence of CoreRegister
        Registers of the core.
    window, queue_bytes, request_limit, reply_limit, clock_hz : int
        Parameters of the board.
    count_from : int
        Initial value of the counters, modulo their widths.

    Attributes
    ----------
    unsound : dict of str to int
        Number of invalid frames since a reset, by the name of their counter.
    pushed, pulled : list of bytearray
        Bytes of all payloads that each input and each output has passed since a reset.
    control : dict of int to int
        Values of the core's control registers by address.
    """

    def __init__(
        self,
        streams: Sequence[StreamLayout],
        registers: Sequence[CoreRegister],
        window: int,
        queue_bytes: int,
        request_limit: int,
        reply_limit: int,
        clock_hz: int,
        count_from: int = 0,
    ) -> None:
        self._count_from = count_from
        self._sizes = [one.payload_bytes for one in streams]
        self._inputs = sum(one.input for one in streams)
        self._capacity = [queue_bytes // size for size in self._sizes[: self._inputs]]
        # A queue holds two bytes beside its memory.
        self._most = [(queue_bytes + 2) // size for size in self._sizes[self._inputs :]]
        fits = reply_limit - PREFIX_BYTES - CREDIT_BYTES * len(streams)
        self._held = [fits // size for size in self._sizes[self._inputs :]]
        self._window = window
        # A receiver's buffer holds two of the longest requests with their CRCs, less one byte.
        self._longest = 2 * request_limit + 7
        self._table = board_registers(registers)
        fixed = {
            "magic": MAGIC,
            "version": VERSION,
            "streams": self._inputs | len(streams) - self._inputs << 8,
            "layout": layout_check(streams, registers),
            "window": window,
            "limits": request_limit | reply_limit << 16,
            "clock_hz": clock_hz,
            "design": STREAM_CODE,
            "temperature": NO_TEMPERATURE,
        }
        self._fixed = {register.address: fixed[register.name] for register in self._table if register.name in fixed}
        own = self._table[len(self._table) - len(registers) :]
        self._initial = {r.address: c.reset for r, c in zip(own, registers, strict=True) if c.access == "rw"}
        self._mask = {r.address: (1 << c.bits) - 1 for r, c in zip(own, registers, strict=True)}
        self._status = [r.address for r, c in zip(own, registers, strict=True) if c.access == "r"]
        self._answers: dict[int, Callable[[bytes, bytes], bytes]] = {
            Kind.IDENTIFY: self._identify,
            Kind.READ: self._read,
            Kind.WRITE: self._write,
            Kind.STATISTICS: self._statistics,
            Kind.RESET: self._reset_by,
            StreamKind.PUSH: self._push,
            StreamKind.PULL: self._pull,
        }
        self.reset()

    def reset(self) -> None:
        """Set the board to its state after power-on."""
        #: CRC of the request and reply, for each slot with a kept reply.
        self._kept: dict[int, tuple[int, bytes]] = {}
        self.epoch = self._turn = 0
        self.control = dict(self._initial)
        self.pushed = [bytearray() for _ in range(self._inputs)]
        self.pulled = [bytearray() for _ in self._sizes[self._inputs :]]
        self._alone = True
        #: Payloads that have left each input's queue, and that each output's has received, at least.
        self._left, self._came = [0] * len(self.pushed), [0] * len(self.pulled)
        self.unsound = dict.fromkeys(("crc_errors", "dropped"), 0)

    def receive(self, stream: bytes) -> list[bytes]:
        """Return the valid requests in a byte stream that ends with 0, without CRC, and count the invalid frames."""
        received = receive(stream, self._longest)
        self.unsound["crc_errors"] += received.crc_errors
        self.unsound["dropped"] += received.dropped
        return received.frames

    def answer(self, body: bytes, seen: bytes, *, alone: bool = False) -> bytes:
        """Return the reply to a request, both without CRC, that agrees with a reply in what depends on the clock.

        Parameters
        ----------
        body : bytes
            The request.
        seen : bytes
            Reply of the board. It is right if it equals what is returned.
        alone : bool
            The board got no other request before it replied. Otherwise the payloads of later requests may be missing
            in the free payloads of the reply.

        Raises
        ------
        ImpossibleError
            The reply tells what cannot be at this time.
        """
        self._alone = alone
        slot, check = body[1] % self._window, crc32(body)
        if slot in self._kept and self._kept[slot][0] == check:
            return self._kept[slot][1]
        kind, sequence, priority, _ = body[:4]
        kept = kind != Kind.IDENTIFY
        try:
            if kind not in self._answers:
                raise _RefusedError(Fault.KIND, 0)
            payload = self._answers[kind](body[4:], seen[4:])
            kind |= REPLY
        except _RefusedError as refusal:
            payload, kind = struct.pack("<BBHI", refusal.fault, kind, 0, refusal.detail), ERROR
            kept &= refusal.fault != StreamFault.TURN
        reply = bytes([kind, sequence, priority, self.epoch]) + payload + self._credits(seen)
        self._kept.pop(slot, None)
        if kept:
            self._kept[slot] = check, reply
        return reply

    def _credits(self, seen: bytes) -> bytes:
        """Return the credits that a reply tells, after checking them."""
        size = CREDIT_BYTES * len(self._sizes)
        told = struct.unpack(f"<{len(self._sizes)}H", seen[-size:])
        for i, free in enumerate(told[: self._inputs]):
            self._free(i, free)
        for i, there in enumerate(told[self._inputs :]):
            _check(there <= self._most[i], f"{there} payloads wait at output {i}, which holds {self._most[i]}")
            self._arrived(i, there)
        return seen[-size:]

    def _free(self, number: int, free: int) -> None:
        """Check the number of free payloads of an input."""
        capacity, sent = self._capacity[number], len(self.pushed[number]) // self._sizes[number]
        left = sent - (capacity - free)
        _check(free <= capacity, f"{free} payloads are free of {capacity}")
        least = self._left[number] if self._alone else -capacity
        _check(least <= left <= sent, f"{left} of {sent} payloads have left input {number}, of {least} at least")
        self._left[number] = max(self._left[number], left)

    def _arrived(self, number: int, there: int) -> None:
        """Check the number of payloads at an output."""
        came = len(self.pulled[number]) // self._sizes[self._inputs + number] + there
        _check(came >= self._came[number], f"{came} payloads reached output {number}, after {self._came[number]}")
        self._came[number] = came

    def register(self, address: int) -> int:
        """Return the value of a register that does not depend on time."""
        words = {
            **self._fixed,
            **self.control,
            BY_NAME["epoch"].address: self.epoch,
            **{r.address: self._turn for r in self._table if r.name == "turn"},
            **{BY_NAME[name].address: count + self._count_from for name, count in self.unsound.items()},
        }
        return words.get(address, 0) & 0xFFFFFFFF

    def _words(self, addresses: range, seen: bytes) -> bytes:
        """Return the content of registers; those that depend on time are as in the reply."""
        words = []
        for at, address in enumerate(addresses):
            told = seen[4 * at : 4 * at + 4].ljust(4, b"\0")
            if address in self._status:
                _check(int.from_bytes(told, "little") <= self._mask[address], f"register {address:#x} is too large")
            timed = address in (*_TIMED, *self._status)
            words.append(told if timed else struct.pack("<I", self.register(address)))
        return b"".join(words)

    def _identify(self, payload: bytes, seen: bytes) -> bytes:
        if len(payload) != 4:
            raise _RefusedError(Fault.LENGTH, len(payload))
        self._kept.clear()
        return payload + self._words(IDENTITY, seen[4:])

    def _read(self, payload: bytes, seen: bytes) -> bytes:
        if len(payload) != 4 or payload[2:] == b"\0\0":
            raise _RefusedError(Fault.LENGTH, len(payload))
        return self._words(self._addresses(payload, ""), seen)

    def _addresses(self, payload: bytes, access: str) -> range:
        first, count = struct.unpack_from("<HH", payload)
        there = {a for register in self._table if access in register.access for a in register.addresses}
        for address in range(first, first + count):
            if address not in there:
                raise _RefusedError(Fault.ADDRESS, address)
        return range(first, first + count)

    def _statistics(self, payload: bytes, seen: bytes) -> bytes:
        if payload:
            raise _RefusedError(Fault.LENGTH, len(payload))
        return self._words(STATISTICS, seen)

    def _write(self, payload: bytes, _seen: bytes) -> bytes:
        count = int.from_bytes(payload[2:4], "little")
        if len(payload) != 4 + 4 * count or not count:
            raise _RefusedError(Fault.LENGTH, len(payload))
        resets = False
        words = struct.unpack(f"<{count}I", payload[4:])
        for address, word in zip(self._addresses(payload, "w"), words, strict=True):
            if address == BY_NAME["epoch"].address:
                self.epoch = word & 0xFF
            elif address == BY_NAME["control"].address:
                resets |= bool(word & 1)
            else:
                self.control[address] = word & self._mask[address]
        if resets:
            self.reset()
        return b""

    def _reset_by(self, payload: bytes, _seen: bytes) -> bytes:
        if payload:
            raise _RefusedError(Fault.LENGTH, len(payload))
        self.reset()
        return b""

    def _prefix(self, payload: bytes, streams: range) -> tuple[int, int]:
        stream, turn, count = struct.unpack_from("<BBH", payload)
        if turn != self._turn:
            raise _RefusedError(StreamFault.TURN, self._turn)
        if stream not in streams:
            raise _RefusedError(StreamFault.STREAM, stream)
        return stream, count

    def _push(self, payload: bytes, seen: bytes) -> bytes:
        if len(payload) < PREFIX_BYTES:
            raise _RefusedError(Fault.LENGTH, len(payload))
        stream, count = self._prefix(payload, range(self._inputs))
        if seen[0] == StreamFault.ROOM and len(seen) == 8 + CREDIT_BYTES * len(self._sizes):
            (free,) = struct.unpack_from("<I", seen, 4)
            _check(free < count, f"a PUSH of {count} is refused where {free} payloads are free")
            self._free(stream, free)
            raise _RefusedError(StreamFault.ROOM, free)
        if count > self._capacity[stream]:
            raise _RefusedError(StreamFault.ROOM, self._capacity[stream])
        if len(payload) != PREFIX_BYTES + count * self._sizes[stream]:
            raise _RefusedError(Fault.LENGTH, len(payload))
        self.pushed[stream] += payload[PREFIX_BYTES:]
        self._turn = (self._turn + 1) % TURNS
        # All of them found room.
        least = len(self.pushed[stream]) // self._sizes[stream] - self._capacity[stream]
        self._left[stream] = max(self._left[stream], least)
        return b""

    def _pull(self, payload: bytes, seen: bytes) -> bytes:
        if len(payload) != PREFIX_BYTES:
            raise _RefusedError(Fault.LENGTH, len(payload))
        stream, asked = self._prefix(payload, range(self._inputs, len(self._sizes)))
        number, size = stream - self._inputs, self._sizes[stream]
        (count,) = struct.unpack_from("<H", seen, 2)
        there = self._came[number] - len(self.pulled[number]) // size
        most = min(asked, self._held[number])
        _check(min(there, most) <= count <= most, f"{count} payloads of {asked}, where {there} were there before")
        data = seen[PREFIX_BYTES : PREFIX_BYTES + count * size]
        self.pulled[number] += data
        self._came[number] = max(self._came[number], len(self.pulled[number]) // size)
        self._turn = (self._turn + 1) % TURNS
        return payload[:2] + struct.pack("<H", count) + data


def _check(possible: bool, otherwise: str) -> None:
    if not possible:
        raise ImpossibleError(otherwise)
