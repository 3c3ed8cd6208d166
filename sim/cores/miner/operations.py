"""Operations of a miner's sequence: loads, queries, writes, resets, repeats and damage."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from functools import partial
from itertools import islice

from ninefold.sim.cores.miner.conversation import Conversation
from ninefold.sim.golden.link import crc32, encoded, following, stuff
from ninefold.sim.levels.frames import damaged
from ninefold.sim.levels.search import drawn_threshold
from ninefold.spec.link import CRC_BYTES, LOAD_FINAL, PREFIX_BYTES, Kind
from ninefold.spec.registers import BY_NAME

__all__ = ["Operations"]

_EPOCH, _THRESHOLD = BY_NAME["epoch"].address, BY_NAME["threshold"].address
_CONTROL, _DIMENSIONS = BY_NAME["control"].address, BY_NAME["dimensions"].address
#: A frame that is too short: a code byte and its end.
_SHORT = b"\1\0"


class Operations:
    """Operations of a miner's sequence; after each one, the state of the board is read.

    Parameters
    ----------
    talk : Conversation
        Conversation that receives the requests.
    """

    def __init__(self, talk: Conversation) -> None:
        self._talk = talk
        self._some = talk.script.some
        self._random = talk.random

    def all(self) -> Mapping[str, Callable[[], None]]:
        """Return the operations by description."""
        named: Mapping[str, Callable[[], None]] = {
            "queries": self._queries,
            "long batches": self._long,
            "a load": self._load,
            "a load that is broken off, and another": self._load_again,
            "loads and queries at once": self._interleaved,
            "writes of registers": self._writes,
            "a reset by a write, and writes after it": self._control,
            "a reset by command": partial(self._reset, by_command=True),
            "a reset in the middle of requests": partial(self._reset, by_command=False),
            "requests that are refused": self._refused,
            "damaged frames": self._damaged,
            "a bit of the CRC": self._checks,
            "a frame that is too long": self._too_long,
            "repeated sequence numbers": self._repeats,
            "requests whose CRCs differ in a bit": self._near_repeats,
            "events while counters are held": self._held,
        }
        return {name: partial(self._and_state, operation) for name, operation in named.items()}

    def fill(self) -> None:
        """Fill the board's buffers with the same requests before and after a reset."""
        talk = self._talk
        talk.request(Kind.RESET)
        talk.send()
        talk.load()
        load = talk.take()
        talk.raw(load)
        talk.send()
        while talk.size < 2 * talk.p.buffer_bytes + 256:
            talk.query(grid=bool(self._some(0, 1)))
        asked = talk.take()
        talk.raw(asked)
        talk.send(fills=True)
        talk.reset()
        talk.raw(load)
        talk.send(reset=True)
        talk.raw(asked)
        talk.send(fills=True)

    def _and_state(self, operation: Callable[[], None]) -> None:
        """Run an operation on a board with rows, then read the board's state."""
        if self._talk.script.number == 1:
            # The sequence begins in the power-on state, to which a real board is reset first.
            self._talk.reset()
            self._talk.identify()
            self._talk.send(reset=True)
        if self._talk.board.rows is None:
            self._talk.open()
        operation()
        self._talk.state()

    def _queries(self) -> None:
        for _ in range(self._some(1, self._talk.p.window)):
            self._talk.query(self._some(1, 4), grid=bool(self._some(0, 1)))
        self._talk.send()

    def _long(self) -> None:
        """Query for more results than the queues hold, after a long reply."""
        for grid in (False, True):
            self._talk.identify()
            self._talk.most(grid=grid)
            self._talk.most(grid=False)
        self._talk.send(blocked=True)

    def _load(self) -> None:
        self._talk.open()
        self._talk.most()
        self._talk.query(2, grid=True)
        self._talk.send()

    def _load_again(self) -> None:
        """Abort a load at any byte and load again: no data of the first load may remain."""
        talk = self._talk
        # An odd number of blocks of odd size ends within a word.
        blocks = talk.blocks(min(talk.p.depth, 64), self._odd())
        for payload in islice(blocks, self._some(0, 2) * 2 + 1):
            (word,) = struct.unpack_from("<I", payload)
            talk.request(Kind.LOAD, struct.pack("<I", word & ~LOAD_FINAL) + payload[PREFIX_BYTES:])
        if self._some(0, 1):
            self._talk.query()
        self._talk.send()
        self._talk.state()
        self._load()

    def _odd(self) -> int:
        """Return an odd block size, so that no block is a multiple of a word, if one fits."""
        return min(2 * self._some(0, 9) + 1, self._talk.p.request_limit - PREFIX_BYTES)

    def _interleaved(self) -> None:
        talk = self._talk
        for number in range(self._some(2, 3)):
            epoch = talk.board.epoch if number == 0 else 0
            talk.query(2, epoch=epoch)
            talk.query(1, grid=True, epoch=epoch)
            talk.load()
            talk.query(1, epoch=0)
        talk.query(2, grid=True, epoch=0)
        talk.send()

    def _writes(self) -> None:
        first = self._some(_THRESHOLD, _EPOCH)
        words = [drawn_threshold(self._random) for _ in range(first, _EPOCH + 1)]
        self._talk.write(first, words[: self._some(1, len(words))])
        self._talk.write(_CONTROL, [0xFFFFFFFE])
        self._talk.send()
        self._talk.query(3, grid=True)
        self._talk.query(3)
        self._talk.send()

    def _control(self) -> None:
        self._talk.write(_THRESHOLD, [drawn_threshold(self._random) for _ in range(4)])
        self._talk.write(_CONTROL, [1])
        self._talk.send()
        self._talk.write(_THRESHOLD + self._some(0, 3), [drawn_threshold(self._random)])
        self._talk.write(_EPOCH, [self._some(1, 255)])
        self._talk.send()
        self._talk.state()
        self._load()

    def _reset(self, *, by_command: bool) -> None:
        """Reset a board in a changed state, then load fewer rows and query with the initial thresholds."""
        talk = self._talk
        talk.write(_THRESHOLD, [drawn_threshold(self._random) for _ in range(4)])
        talk.raw(_SHORT)
        sent = talk.query(2)
        talk.send()
        if by_command:
            talk.request(Kind.RESET)
            talk.send()
        else:
            talk.query(3, grid=True)
            talk.load()
            talk.query(2, epoch=0)
            talk.break_off()
        # A repeat of a forgotten request is refused, since no rows are loaded.
        talk.raw(encoded(sent))
        talk.send(reset=not by_command)
        talk.state()
        if by_command:
            talk.request(Kind.LOAD, next(talk.blocks(2, self._odd())))
            talk.request(Kind.RESET)
            talk.send()
            talk.state()
        self._load()

    def _refused(self) -> None:
        talk, p = self._talk, self._talk.p
        payloads = [
            (self._some(8, 127), bytes(self._some(0, 9)), 0),
            (Kind.READ, struct.pack("<HH", self._some(0x29, 0xFFFF), 1), 0),
            (Kind.READ, struct.pack("<HH", _DIMENSIONS, self._some(20, 0xFFFF)), 0),
            (Kind.WRITE, struct.pack("<HHI", _DIMENSIONS, 1, 1), 0),
            (Kind.WRITE, struct.pack("<HHII", _EPOCH, 2, 1, 1), 0),
            (Kind.LOAD, struct.pack("<I", self._some(1, 1 << 30)) + b"\1", 0),
            (Kind.LOAD, struct.pack("<I", LOAD_FINAL) + bytes(p.row_bytes + 1), 0),
            (Kind.QUERY, struct.pack("<BBH", 0, 1, p.k + 1) + bytes(p.row_bytes), talk.board.epoch),
            (Kind.QUERY, struct.pack("<BBH", 0, 1, 1) + bytes(p.row_bytes), talk.board.epoch ^ 1),
            (Kind.QUERY, struct.pack("<BBH", 0, 1, 1) + bytes(p.row_bytes - 1), talk.board.epoch),
            (Kind.RESET, b"\1", 0),
        ]
        if p.design == "signs":
            query, epoch = bytes(p.row_bytes), talk.board.epoch
            payloads += [
                (Kind.CANDIDATES, struct.pack("<BBH", 0, 0, p.keep + 1) + query, epoch),
                (Kind.CANDIDATES, struct.pack("<BBH", 0, 2, 1) + query, epoch),
                (Kind.CANDIDATES, struct.pack("<BBH", 0, 1, 1) + query, epoch),
                (Kind.CANDIDATES, struct.pack("<BBH", 2, 0, 1) + query, epoch),
                (Kind.CANDIDATES, struct.pack("<BBH", 0, 0, 1) + query, epoch ^ 1),
                (Kind.FETCH, bytes(8), 0),
                (Kind.FETCH, struct.pack("<4H", 1, 0, 0xFFFF, 0), 0),
            ]
        for place in self._random.permutation(len(payloads))[: self._some(2, 6)]:
            talk.request(*payloads[place])
            if self._some(0, 1):
                talk.query()
        talk.send()

    def _damaged(self) -> None:
        """Send damaged frames, some followed by a sound one: they must be counted and have no effect."""
        for _ in range(self._some(3, 8)):
            self._talk.query()
            self._talk.raw(damaged(self._random, self._talk.last()))
            if self._some(0, 1):
                self._talk.read(_DIMENSIONS, 4)
        self._talk.raw(b"\0")
        self._talk.send()

    def _checks(self) -> None:
        """Send a request with each bit of its CRC flipped in turn: it must never be answered."""
        self._talk.query()
        self._talk.last()
        body = self._talk.query()
        self._talk.last()
        for bit in range(8 * CRC_BYTES):
            self._talk.raw(stuff(body + (crc32(body) ^ 1 << bit).to_bytes(CRC_BYTES, "little")))
        self._talk.read(_DIMENSIONS)
        self._talk.send()

    def _too_long(self) -> None:
        size = self._talk.p.buffer_bytes + self._some(0, 40)
        self._talk.raw(encoded(bytes([Kind.READ]) + self._random.bytes(size)))
        self._talk.read(_DIMENSIONS, 8)
        self._talk.query(2)
        self._talk.send()

    def _repeats(self) -> None:
        """Repeat requests whose replies are kept, after a write that would change their replies."""
        talk, p = self._talk, self._talk.p
        bodies = [talk.query(self._some(1, 2), grid=bool(i % 2)) for i in range(p.window - 1)]
        talk.send()
        talk.write(_EPOCH, [talk.board.epoch ^ self._some(1, 255)])
        talk.send()
        for place in self._random.permutation(len(bodies))[: self._some(1, len(bodies))]:
            talk.raw(encoded(bodies[place]))
        talk.send()
        # The reply is forgotten, so the request is executed in the new epoch.
        talk.identify()
        talk.raw(encoded(bodies[0]))
        talk.send()

    def _near_repeats(self) -> None:
        """Send requests in one slot, whose CRCs differ by one bit from one to the next."""
        talk = self._talk
        head = talk.request(Kind.READ, struct.pack("<HH", _DIMENSIONS, 1))[:4]
        talk.last()
        check = self._some(0, 2**32 - 1)
        for bit in range(8 * CRC_BYTES):
            talk.raw(encoded(head + following(head, check)))
            check ^= 1 << bit
        talk.send()

    def _held(self) -> None:
        """Cause dropped frames and scores to be counted while counters are read."""
        talk = self._talk
        for _ in range(2):
            talk.request(Kind.STATISTICS)
            talk.raw(_SHORT * self._some(60, 90))
        for _ in range(2):
            talk.most()
            talk.request(Kind.STATISTICS)
        talk.send(alone=False, pause=0.0)
        talk.state()
