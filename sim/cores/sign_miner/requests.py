"""Host side of the sign miner's testbench: scans, masks and fetches."""

import copy
import itertools
import struct
from collections.abc import Callable, Iterator, Mapping
from random import Random
from typing import Any

from ninefold.hdl.catalogue import make_core
from ninefold.hdl.miner.search import selects_by_threshold
from ninefold.sim.cores.miner.requests import MinerTestbench, Request, refused_by_any
from ninefold.sim.golden.link import receive
from ninefold.sim.golden.sign_board import SignBoard
from ninefold.sim.testbench.fields import core
from ninefold.spec.link import CANDIDATE_BYTES, FETCH_BYTES, FORMAT_GRID, PREFIX_BYTES, Kind

__all__ = ["SignTestbench"]


class SignTestbench(MinerTestbench):
    """The sign miner, with a golden board; a query is a scan and a FETCH of its candidates.

    Attributes
    ----------
    ahead : SignBoard
        Golden board that has executed all requests when they are queued, so that a FETCH can name the ticket of a scan
        that is still to be sent. Frames that are damaged afterwards leave it wrong until nothing is queued.
    keep : int
        Maximum number of candidates per ticket.
    by_id : bool
        Candidates are in the order of their ids, not best first.
    most_fetched : int
        Maximum number of candidates in a reply.
    """

    board: SignBoard
    ahead: SignBoard

    def _results(self, given: Mapping[str, Any]) -> int:
        self.keep: int = given["keep"]
        self.most_fetched: int = (given["reply_bytes"] - 4 - PREFIX_BYTES) // CANDIDATE_BYTES
        self.by_id: bool = selects_by_threshold(make_core(core(), **given).parameters)
        results: int = min(self.keep, self.most_fetched)
        return results

    def _model(self) -> SignBoard:
        return SignBoard(by_id=self.by_id, k=0, **self._given)

    def forget(self) -> None:
        """Reset the models."""
        super().forget()
        self.ahead = copy.deepcopy(self.board)

    def request(self, kind: int, payload: bytes = b"", epoch: int = 0) -> bytes:
        """Queue a request, and return its bytes."""
        if not self.rx.words:
            self.ahead = copy.deepcopy(self.board)
        sent = super().request(kind, payload, epoch)
        for body in receive(sent, self.capacity - 1).frames:
            self.ahead.reply(body)
        return sent

    def query(self, count: int, k: int, *, grid: bool = False, data: bytes = b"") -> bytes:
        """Queue scans for `k` candidates, each with a FETCH of all of them, and return the bytes of the last FETCH."""
        sent = b""
        for _ in range(count):
            self.scan(k, grid=grid, data=data)
            sent = self.fetch()
        return sent

    def most(self, *, grid: bool) -> int:  # noqa: ARG002 - the format does not limit scans
        """Return a number of queries that keeps the board busy."""
        return 4

    def scan(
        self, keep: int, *, grid: bool = False, data: bytes = b"", mask: bytes | None = None, epoch: int | None = None
    ) -> bytes:
        """Queue a CANDIDATES, of random data by default, and return its bytes."""
        data = data or (self.grid(1) if grid else self.nits(1))
        prefix = struct.pack("<BBH", int(grid), mask is not None, keep)
        return self.request(Kind.CANDIDATES, prefix + data + (mask or b""), self.epoch if epoch is None else epoch)

    def fetch(self, ticket: int | None = None, offset: int = 0, count: int | None = None) -> bytes:
        """Queue a FETCH, by default of all candidates of the last ticket, and return its bytes."""
        ticket = self.ahead.ticket if ticket is None else ticket
        if count is None:
            count = min(max(0, len(self.ahead.found.get(ticket, ())) - offset), self.most_fetched)
        return self.request(Kind.FETCH, struct.pack("<4H", ticket, offset, count, self.random.randrange(2**16)))

    def mask(self, allowed: float = 0.5) -> bytes:
        """Return a mask that allows each row with a probability; bits after the last row are random."""
        rows = self.random.choices((0, 1), (1 - allowed, allowed), k=self.rows)
        bits = rows + self.random.choices((0, 1), k=-self.rows % 8)
        return bytes(sum(bit << place for place, bit in enumerate(bits[at : at + 8])) for at in range(0, len(bits), 8))

    def refused_empty(self) -> Iterator[Request]:
        """Yield queries that are refused while no rows are loaded, for this reason or an earlier one."""
        for masked, form, epoch in itertools.product((0, 2), (0, 2), (0, 1)):
            yield Kind.CANDIDATES, struct.pack("<BBH", form, masked, 0) + self.nits(1), epoch

    def refused(self) -> Iterator[Request]:
        """Yield requests that are refused while rows are loaded and no load is in progress."""
        row = self.dimensions // 2
        yield from refused_by_any(row, self.depth, self.longest, self.epoch, (Kind.QUERY, 0x0A, 0x18))
        for form, masked, keep, size, epoch in self._refused_scans(row):
            yield Kind.CANDIDATES, struct.pack("<BBH", form, masked, keep) + bytes(max(0, size)), epoch
        for length in range(PREFIX_BYTES):
            yield Kind.CANDIDATES, b"\0\0\1"[:length], self.epoch
        for length in (0, 2, 3, 4, 7, 9, 12, 16, 24):
            yield Kind.FETCH, struct.pack("<6L", self.ahead.ticket, *bytes(5))[:length], self.epoch
        # A FETCH takes no epoch.
        yield from ((Kind.FETCH, struct.pack("<4H", *fields), self.epoch ^ 1) for fields in self._refused_fetches())

    def _refused_scans(self, row: int) -> Iterator[tuple[int, int, int, int, int]]:
        """Yield format, masked, keep, bytes after the prefix, and epoch."""
        epoch = self.epoch
        yield from ((form, 0, 1, row, epoch) for form in (2, 3, 4, 0x11, 0x80, 0xFF))
        yield from ((0, masked, 1, row, epoch) for masked in (2, 3, 4, 0x11, 0x80, 0xFF))
        yield from ((0, 0, 1, row, epoch ^ 1 << bit) for bit in range(8))
        beyond = (0, self.keep + 1, self.keep + 2, 0x100 | self.keep, 0x8000 | self.keep)
        yield from ((0, 0, keep, row, epoch) for keep in beyond)
        for form, masked in itertools.product((0, FORMAT_GRID), (0, 1)):
            size = (row << 2 * form) + masked * -(-self.rows // 8)
            yield from ((form, masked, 1, size + more, epoch) for more in (-size, -1, 1, 2, row))
        # Several faults, of which the first check that fails decides.
        for size, keep, form, masked in itertools.product((0, row), (0, 1), (0, 2), (0, 2)):
            yield form, masked, keep, size, epoch ^ 1

    def _refused_fetches(self) -> Iterator[tuple[int, int, int, int]]:
        """Yield the fields; the last tickets change while refusals are sent."""
        yield from ((ticket, 0, 0, 0) for ticket in (0, self.ahead.ticket + 1, max(0, self.ahead.ticket - 2)))
        for bit in range(16):
            yield self.ahead.ticket ^ 1 << bit | 0x4000, 0, 0, 0
        for older, beyond in itertools.product((0, 1), (1, 2, 0x100, 0x8000)):
            ticket = self.ahead.ticket - older
            total = len(self.ahead.found[ticket])
            yield ticket, total, beyond, 0
            yield ticket, total + beyond, 0, 0
            yield ticket, 0xFFFF, beyond & 0xFF, 0
            # The reply would be too long, which is found first.
            yield ticket, 0, self.most_fetched + beyond, 0
            yield ticket, 0xFFFF, 0xFFFF, 0
            # Neither ticket nor range is right.
            yield ticket ^ 0x4000, total + beyond, self.most_fetched + beyond, 0

    def _makers(self, random: Random) -> list[Callable[[], object]]:
        return [
            *super()._makers(random),
            lambda: self.scan(random.randint(1, self.keep), mask=self.mask(random.random())),
            lambda: self.scan(random.randint(1, self.keep), grid=True, mask=self.mask(random.random())),
            lambda: self.scan(self.keep),
            self.fetch,
            lambda: self.fetch(max(0, self.ahead.ticket - 1)),
            lambda: self.fetch(offset=1),
            lambda: self.fetch(count=0),
        ]

    def _faults(self, random: Random) -> list[Callable[[], object]]:
        return [
            *super()._faults(random),
            lambda: self.scan(self.keep + 1),
            lambda: self.scan(0),
            lambda: self.scan(1, epoch=self.epoch ^ 1),
            lambda: self.scan(1, mask=self.mask() + b"\0"),
            lambda: self.fetch(offset=self.keep + 1),
            lambda: self.fetch(self.ahead.ticket + 1),
            lambda: self.request(Kind.FETCH, bytes(FETCH_BYTES + 1)),
        ]
