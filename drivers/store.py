"""Store of a board: identification, the parts of a database, and their reload after a reset."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ninefold.drivers.link import TIMEOUT_S, TRIES, BoardResetError, Link, LinkStatistics, RefusedError, Request
from ninefold.drivers.loading import load, read_register, write_register
from ninefold.drivers.paging import Page
from ninefold.drivers.protocol import Identity, ProtocolError, QueryReply, Statistics, replies, requests
from ninefold.drivers.queries import check_packed
from ninefold.numerics.nits import widened
from ninefold.spec.errors import DeviceError, InputError, LostDeviceError
from ninefold.spec.link import EPOCH_MAX, EPOCH_RESET, PREFIX_BYTES, Fault, Kind
from ninefold.spec.protocols import Transport
from ninefold.spec.text import counted

__all__ = ["STATISTICS", "Condition", "Store"]

#: Number of reloads after resets in one search, after which the board counts as failing.
_RELOADS = 3
#: Factor by which a request may exceed the time of its cycles, in addition to the time of the link.
_MARGIN = 4
#: Request for the counters of a board.
STATISTICS = Request(Kind.STATISTICS, b"", replies.statistics)


@dataclass(frozen=True)
class Condition:
    """Contents of a board when the driver connected.

    Attributes
    ----------
    epoch, rows, load_bytes : int
        Values of the registers with these names.
    """

    epoch: int
    rows: int
    load_bytes: int

    @property
    def interrupted(self) -> bool:
        """True if a load was started and not completed."""
        return self.epoch == EPOCH_RESET and self.load_bytes > 0

    def __str__(self) -> str:
        if self.interrupted:
            return f"a load that was interrupted after {counted(self.load_bytes, 'byte')}"
        return f"{counted(self.rows, 'row')} of epoch {self.epoch}" if self.rows else "nothing loaded"


class Store:
    """Identified board behind a byte stream, and the part of a database in its store.

    `ninefold.drivers.board.Board`, which searches the database, documents the parameters, attributes and errors.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        timeout_s: float = TIMEOUT_S,
        tries: int = TRIES,
        seed: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._random = random.Random(seed)  # noqa: S311 - nothing here is secret
        self._clock = clock
        self._timeout_s = timeout_s
        self._rows: npt.NDArray[np.uint8] | None = None
        self._page: int | None = None
        self._thresholds: tuple[int, ...] | None = None
        self.reloads = 0
        try:
            self.link = Link(transport, timeout_s=timeout_s, tries=tries, clock=clock)
            self.identity = self._meet()
            self.condition = Condition(*(read_register(self.link, n)[0] for n in ("epoch", "rows", "load_bytes")))
        except BaseException:
            transport.close()
            raise
        self._seconds_per_cycle = 1 / self.identity.clock_hz

    @property
    def link_statistics(self) -> LinkStatistics:
        """Counters of the link."""
        return self.link.statistics

    def check_digest(self, digest: str) -> None:
        """Raise `LostDeviceError` unless the board's bitstream has this digest (64 hexadecimal digits)."""
        if self.identity.digest != digest.lower():
            raise LostDeviceError(
                f"the board holds the bitstream {self.identity.digest[:16]} where {digest[:16]} is expected: program it"
            )

    def unload(self) -> None:
        """Forget the database. Queries are refused until another one is loaded."""
        self._rows = self._page = None

    def statistics(self) -> Statistics:
        """Return the counters of the board."""
        return self.link.ask(STATISTICS)

    def thresholds(self) -> tuple[int, ...]:
        """Return the magnitudes of grid values at which nits 1 to 4 begin."""
        return read_register(self.link, "threshold")

    def set_thresholds(self, values: tuple[int, int, int, int]) -> None:
        """Set the magnitudes of grid values, 0 to 65535, at which nits 1 to 4 begin."""
        for value in values:
            if not 0 <= value <= 0xFFFF:
                raise InputError(f"a threshold must be 0 to 65535, not {value}")
        write_register(self.link, "threshold", *values)
        self._thresholds = values

    def reset(self) -> None:
        """Reset the board to its state after power-on. The database is kept and loaded again when it is searched."""
        self.link.ask(Request(Kind.RESET, b"", replies.nothing))
        self._page = self._thresholds = None

    def close(self) -> None:
        """Close the byte stream."""
        self.link.close()

    def _meet(self) -> Identity:
        try:
            return self._identify()
        except LostDeviceError as error:
            if not self.link.statistics.timeouts:  # the byte stream has ended
                raise
            raise LostDeviceError(
                f"{error}; the board is not programmed, has another baud rate or serves another host"
            ) from error

    def _identify(self) -> Identity:
        nonce = self._random.getrandbits(32)

        def parse(payload: bytes) -> bytes:
            if replies.nonce(payload) != nonce:
                raise ProtocolError("a reply to another host's IDENTIFY")
            return payload

        self.link.window = 1
        payload = self.link.ask(Request(Kind.IDENTIFY, requests.identify(nonce), parse))
        try:
            identity = replies.identity(payload)
        except ProtocolError as error:
            raise LostDeviceError(f"the device that answers is no board of this version: {error}") from error
        self.link.window = identity.window
        return identity

    def _identify_again(self) -> None:
        """Check that it is the same board, and clear its kept replies, which may be for another host."""
        identity = self._identify()
        if identity != self.identity:
            raise LostDeviceError(
                f"another board answers now: bitstream {identity.digest[:16]} instead of {self.identity.digest[:16]}"
            )

    def _check_rows(self, rows: npt.NDArray[np.uint8], dimensions: int) -> None:
        check_packed("rows", rows, dimensions, self.identity)
        if len(rows) == 0:
            raise InputError("a board cannot be loaded with 0 rows")

    def _take(self, rows: npt.NDArray[np.uint8], thresholds: tuple[int, ...] | None) -> None:
        self.unload()
        self._rows, self._thresholds = rows, thresholds

    def _loaded_rows(self) -> npt.NDArray[np.uint8]:
        if self._rows is None:
            raise InputError("nothing is loaded on the board")
        return self._rows

    def _fill(self, page: int) -> None:
        """Load a page of the database, under a new epoch."""
        rows = self._loaded_rows()
        depth, size = self.identity.depth, self.identity.row_bytes
        self._page = None
        self._be_patient(0)
        self._identify_again()
        # A new epoch, so that another host notices that its database is gone.
        taken = (EPOCH_RESET, self.link.epoch, *read_register(self.link, "epoch"))
        epoch = self._random.choice([e for e in range(EPOCH_MAX + 1) if e not in taken])
        data = widened(rows[page * depth : (page + 1) * depth], size).tobytes()
        load(self.link, data, size, self.identity.request_max - PREFIX_BYTES, epoch, self._thresholds)
        self._page = page

    def _pages(self) -> list[int]:
        """Return the numbers of the parts of the database, beginning with the one in the store, which saves a load."""
        pages = list(range(-(-len(self._loaded_rows()) // self.identity.depth)))
        return pages if self._page is None else pages[self._page :] + pages[: self._page]

    def _answered(
        self, page: int, queries: int, results: int, ask: Callable[[int], Iterable[QueryReply | Statistics]]
    ) -> Page:
        """Ask a part of the database all queries. After a reset, load it again and ask those that have no answer.

        ``ask(done)`` asks the queries from number `done` on, and yields their results and, before and after them, the
        counters of the board.
        """
        if page != self._page:
            self._fill(page)
        ids, scores = np.empty((queries, results), np.uint16), np.empty((queries, results), np.int32)
        done = resets = cycles = 0
        while done < queries:
            clock: list[int] = []
            try:
                for answer in ask(done):
                    if isinstance(answer, Statistics):
                        clock.append(answer.cycles)
                        continue
                    end = done + len(answer.ids)
                    ids[done:end], scores[done:end] = answer.ids, answer.scores
                    done = end
                cycles += max(0, clock[-1] - clock[0])  # a reset clears the counter
            except (BoardResetError, RefusedError) as error:
                if isinstance(error, RefusedError) and error.refusal.code != Fault.EMPTY:
                    raise
                if resets == _RELOADS:
                    raise DeviceError(f"the board was reset {resets + 1} times in one search; last: {error}") from error
                resets += 1
                self.reloads += 1
                self._fill(page)
        return Page(page * self.identity.depth, QueryReply(ids, scores), cycles)

    @property
    def _scoring_cycles(self) -> int:
        """Clock cycles that scoring a row takes, at most."""
        return -(-self.identity.dimensions // self.identity.lanes)

    def _be_patient(self, cycles: int) -> None:
        """Extend the time limit of requests by the time that the board computes."""
        self.link.timeout_s = self._timeout_s + _MARGIN * cycles * self._seconds_per_cycle
