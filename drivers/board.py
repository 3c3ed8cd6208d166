"""Driver of a board: identification, known-answer test, loading, queries."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ninefold.drivers.known_answer import KnownAnswer, answer_of, known_answer
from ninefold.drivers.link import TIMEOUT_S, TRIES, BoardResetError, Link, LinkStatistics, RefusedError, Request
from ninefold.drivers.loading import holds, load, read_register, write_register
from ninefold.drivers.paging import Mined, Page, merged
from ninefold.drivers.protocol import Identity, ProtocolError, QueryReply, Statistics, replies, requests
from ninefold.drivers.queries import as_grid, check_packed, encode_queries, queries_a_frame, query_requests
from ninefold.numerics.nits import widened
from ninefold.spec.errors import DeviceError, InputError, LostDeviceError, UnsupportedError
from ninefold.spec.formats import THRESHOLDS
from ninefold.spec.link import EPOCH_MAX, EPOCH_RESET, FORMAT_GRID, PREFIX_BYTES, Fault, Kind
from ninefold.spec.protocols import Transport
from ninefold.spec.text import counted

__all__ = ["Board", "Condition"]

#: Number of reloads after resets in one search, after which the board counts as failing.
_RELOADS = 3
#: Factor by which a request may exceed the time of its cycles, in addition to the time of the link.
_MARGIN = 4
_STATISTICS = Request(Kind.STATISTICS, b"", replies.statistics)


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


class Board:
    """Board behind a byte stream, for use by one thread at a time. The constructor identifies it.

    A board that is reset during a search is identified and loaded again, and the search continues from where it
    stopped; `reloads` counts this.

    Parameters
    ----------
    transport : Transport
        Byte stream to the board; closed if the board cannot be identified.
    timeout_s : float
        Time limit of a request in seconds, in addition to the board's computation.
    tries : int
        Number of times a request is sent before the board counts as lost.
    seed : int, optional
        Seed of nonces and epochs, which distinguish this driver from other hosts; random by default.
    clock : callable
        Function that returns the time in seconds.

    Attributes
    ----------
    identity : Identity
        Identity that the board reports.
    condition : Condition
        Contents of the board when the driver connected.
    reloads : int
        Number of reloads after resets.

    Raises
    ------
    LostDeviceError
        Nothing answers, or the answer is not from a board of this version.
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

    def check_k(self, k: int) -> None:
        """Raise `UnsupportedError` if the board cannot return `k` results per query."""
        if not 1 <= k <= self.identity.k:
            raise UnsupportedError(f"k must be 1 to {self.identity.k} on this board, not {k}")

    def selftest(self) -> None:
        """Run a small search with a known answer. Afterwards no database is loaded.

        Raises
        ------
        DeviceError
            The answer is wrong; the message gives the first difference.
        """
        known = known_answer(self.identity.dimensions, self.identity.depth, self.identity.k)
        thresholds = THRESHOLDS[self.identity.mode].reached_at
        self.load(known.rows, self.identity.dimensions, thresholds)
        self._try(known, thresholds)
        self.unload()

    def load(
        self, rows: npt.NDArray[np.uint8], dimensions: int, thresholds: tuple[int, int, int, int] | None = None
    ) -> None:
        """Set the database, and load as many rows as the store holds. Other rows are loaded when they are searched.

        Parameters
        ----------
        rows : uint8 array of shape (N, ceil(dimensions / 2))
            Packed nits. The array is not copied and must not change.
        dimensions : int
            Nits per row. Rows are padded with zero nits to the board's dimensions, which changes no score.
        thresholds : tuple of int, optional
            Magnitudes of grid values at which nits 1 to 4 begin; the board's current values by default.

        Raises
        ------
        UnsupportedError
            The database has more dimensions than the board.
        InputError
            The array has another shape.
        """
        self._check_rows(rows, dimensions)
        self._take(rows, thresholds)
        self._fill(0)

    def adopt(
        self, rows: npt.NDArray[np.uint8], dimensions: int, thresholds: tuple[int, int, int, int] | None = None
    ) -> bool:
        """Reuse a database that the store already holds, from an earlier process for example, after a test.

        Parameters and errors are as in `load`. If the database has more rows than the store, its first part is
        compared.

        Returns
        -------
        bool
            False if the store holds something else; then nothing has changed.

        Raises
        ------
        DeviceError
            The board's answers do not match the database.
        """
        self._check_rows(rows, dimensions)
        self._identify_again()
        (epoch,) = read_register(self.link, "epoch")
        data = widened(rows[: self.identity.depth], self.identity.row_bytes)
        if epoch == EPOCH_RESET or not holds(self.link, data.tobytes(), self.identity.row_bytes):
            return False
        if thresholds not in (None, self.thresholds()):
            return False
        self._take(rows, thresholds)
        self._page, self.link.epoch = 0, epoch
        self._try(answer_of(data, self.identity.k), thresholds)
        return True

    def unload(self) -> None:
        """Forget the database. Queries are refused until another one is loaded."""
        self._rows = self._page = None

    def search(self, queries: npt.NDArray[Any], k: int) -> Mined:
        """Find the best rows for each query.

        Parameters
        ----------
        queries : uint8 array of shape (Q, ceil(D / 2)) or int16 array of shape (Q, D)
            Packed nits, or grid values that the board quantises; at most as many dimensions as the board has.
        k : int
            Results per query.

        Raises
        ------
        UnsupportedError
            The board does not support the k, size or format; raised with both numbers before anything runs.
        InputError
            Nothing is loaded, or the shape or dtype is wrong.
        DeviceError
            The board refuses a query, or is reset repeatedly.
        LostDeviceError
            The board stops answering, or another board answers.
        """
        if self._rows is None:
            raise InputError("nothing is loaded on the board")
        rows, depth = self._rows, self.identity.depth
        self.check_k(k)
        form, data = encode_queries(queries, self.identity, self.thresholds)
        queries_a_frame(self.identity, form, min(k, depth, len(rows)))
        pages = list(range(-(-len(rows) // depth)))
        # Starting with the page in the store saves a load.
        if self._page in pages:
            pages = pages[self._page :] + pages[: self._page]
        return merged([self._search_page(page, form, data, k) for page in pages], k)

    def statistics(self) -> Statistics:
        """Return the counters of the board."""
        return self.link.ask(_STATISTICS)

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

    def _search_page(self, page: int, form: int, data: npt.NDArray[np.uint8], k: int) -> Page:
        if page != self._page:
            self._fill(page)
        rows = min(self.identity.depth, len(self._loaded_rows()) - page * self.identity.depth)
        kept = min(k, rows)
        each = queries_a_frame(self.identity, form, kept)
        ids = np.empty((len(data), kept), np.uint16)
        scores = np.empty((len(data), kept), np.int32)
        done = resets = cycles = 0
        while done < len(data):
            self._be_patient(each * rows)
            clock: list[int] = []
            queries = query_requests(form, data[done:], each, kept)
            try:
                requests: Iterator[Request[Any]] = itertools.chain([_STATISTICS], queries, [_STATISTICS])
                for answer in self.link.exchange(requests):
                    if isinstance(answer, Statistics):
                        clock.append(answer.cycles)
                        continue
                    end = done + len(answer.ids)
                    ids[done:end], scores[done:end] = answer.ids, answer.scores
                    done = end
                cycles += max(0, clock[1] - clock[0])  # a reset clears the counter
            except (BoardResetError, RefusedError) as error:
                if isinstance(error, RefusedError) and error.refusal.code != Fault.EMPTY:
                    raise
                if resets == _RELOADS:
                    raise DeviceError(f"the board was reset {resets + 1} times in one search; last: {error}") from error
                resets += 1
                self.reloads += 1
                self._fill(page)
        return Page(page * self.identity.depth, QueryReply(ids, scores), cycles)

    def _try(self, known: KnownAnswer, thresholds: Sequence[int] | None) -> None:
        """Run the known-answer test on the first page in each format, and measure the board's real speed."""
        started, cycles = self._clock(), 0
        searches: list[npt.NDArray[Any]] = [known.queries]
        if FORMAT_GRID in self.identity.formats and thresholds is not None:
            searches.append(as_grid(known.queries, thresholds))
        for queries in searches:
            form, data = encode_queries(queries, self.identity, self.thresholds)
            mined = merged([self._search_page(0, form, data, self.identity.k)], self.identity.k)
            cycles += mined.cycles
            for name, found, expected in (("score", mined.scores, known.scores), ("id", mined.ids, known.ids)):
                if not np.array_equal(found, expected):
                    query, rank = (int(i) for i in np.argwhere(found != expected)[0])
                    raise DeviceError(
                        f"the board fails its known-answer test: query {query} has {name} {found[query, rank]} at rank"
                        f" {rank} where {expected[query, rank]} is right"
                    )
        # The cycles of a simulated board take longer than its nominal clock period.
        if cycles > 0:
            self._seconds_per_cycle = max(1 / self.identity.clock_hz, (self._clock() - started) / cycles)

    def _check_rows(self, rows: npt.NDArray[np.uint8], dimensions: int) -> None:
        check_packed("rows", rows, dimensions, self.identity)
        if len(rows) == 0:
            raise InputError("a board cannot be loaded with 0 rows")

    def _take(self, rows: npt.NDArray[np.uint8], thresholds: tuple[int, ...] | None) -> None:
        self.unload()
        self._rows, self._thresholds = rows, thresholds

    def _be_patient(self, scores: int) -> None:
        """Extend the time limit for the number of scores in one request."""
        cycles = scores * (self.identity.dimensions // self.identity.lanes)
        self.link.timeout_s = self._timeout_s + _MARGIN * cycles * self._seconds_per_cycle

    def _loaded_rows(self) -> npt.NDArray[np.uint8]:
        if self._rows is None:
            raise InputError("nothing is loaded on the board")
        return self._rows
