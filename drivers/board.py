"""Driver of a board: identification, known-answer test, loading, queries."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ninefold.drivers.known_answer import KEEP, KnownAnswer, answer_of, candidates_of, known_rows
from ninefold.drivers.link import Request
from ninefold.drivers.loading import holds, read_register
from ninefold.drivers.paging import Mined, Page, masks_of, merged
from ninefold.drivers.protocol import QueryReply, Statistics, requests
from ninefold.drivers.queries import (
    as_grid,
    candidates_a_frame,
    encode_queries,
    queries_a_frame,
    query_fits,
    query_requests,
)
from ninefold.drivers.store import STATISTICS, Condition, Store
from ninefold.drivers.tickets import scans
from ninefold.numerics.nits import widened
from ninefold.spec.errors import DeviceError, UnsupportedError
from ninefold.spec.formats import THRESHOLDS
from ninefold.spec.link import EPOCH_RESET, FORMAT_GRID, Design

__all__ = ["Board", "Condition"]

#: A scan waits for the one before it, and each may score all rows twice; further cycles find the threshold between.
_SCANS, _SCAN_CYCLES = 3, 1000


class Board(Store):
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

    def check_k(self, k: int) -> None:
        """Raise `UnsupportedError` if the board cannot return `k` results per query."""
        if not 1 <= k <= self.identity.k:
            raise UnsupportedError(f"k must be 1 to {self.identity.k} on this board, not {k}")

    def check_keep(self, keep: int) -> None:
        """Raise `UnsupportedError` if the board cannot keep `keep` candidates per query."""
        if not 1 <= keep <= self.identity.keep:
            raise UnsupportedError(f"keep must be 1 to {self.identity.keep} on this board, not {keep}")

    def selftest(self) -> None:
        """Run a small search with a known answer. Afterwards no database is loaded.

        Raises
        ------
        DeviceError
            The answer is wrong; the message gives the first difference.
        """
        identity = self.identity
        thresholds = THRESHOLDS[identity.mode].reached_at
        rows = known_rows(identity.dimensions, identity.depth, self._tested)
        self.load(rows, identity.dimensions, thresholds)
        self._try(rows, thresholds)
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
        self._try(data, thresholds)
        return True

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
        rows, depth = self._loaded_rows(), self.identity.depth
        self._check_design("miner")
        self.check_k(k)
        form, data = encode_queries(queries, self.identity, self.thresholds)
        queries_a_frame(self.identity, form, min(k, depth, len(rows)))
        return merged([self._search_page(page, form, data, k) for page in self._pages()], k)

    def candidates(self, queries: npt.NDArray[Any], keep: int, allowed: npt.NDArray[np.uint8] | None = None) -> Mined:
        """Find the rows with the best coarse scores for each query, on a board of design signs.

        Parameters
        ----------
        queries : uint8 array of shape (Q, ceil(D / 2)) or int16 array of shape (Q, D)
            As in `search`.
        keep : int
            Rows per query.
        allowed : uint8 array of shape (ceil(N / 8),), optional
            Rows that may be returned: row r is bit r mod 8, lowest first, of byte r // 8. Parts without an allowed row
            are not loaded.

        Returns
        -------
        Mined
            Rows and coarse scores, best first, of equal scores the lower row.

        Raises
        ------
        UnsupportedError
            The board does not support the keep, size or format; raised with both numbers before anything runs.
        InputError, DeviceError, LostDeviceError
            As in `search`.
        """
        rows, depth = self._loaded_rows(), self.identity.depth
        self._check_design("signs")
        self.check_keep(keep)
        form, data = encode_queries(queries, self.identity, self.thresholds)
        masks = masks_of(allowed, len(rows), depth)
        candidates_a_frame(self.identity, form, max(len(mask) for mask, _ in masks))
        pages = [page for page in self._pages() if masks[page][1]]
        if not pages:
            return Mined(np.empty((len(data), 0), np.int64), np.empty((len(data), 0), np.int32), 0)
        found = [self._scan_page(page, form, data, masks[page][0], min(keep, masks[page][1])) for page in pages]
        return merged(found, keep, ordered=False)

    def _search_page(self, page: int, form: int, data: npt.NDArray[np.uint8], k: int) -> Page:
        rows = min(self.identity.depth, len(self._loaded_rows()) - page * self.identity.depth)
        kept = min(k, rows)
        each = queries_a_frame(self.identity, form, kept)

        def ask(done: int) -> Iterable[QueryReply | Statistics]:
            self._be_patient(each * rows * self._scoring_cycles)
            queries = query_requests(form, data[done:], each, kept)
            chained: Iterable[Request[Any]] = itertools.chain([STATISTICS], queries, [STATISTICS])
            return self.link.exchange(chained)

        return self._answered(page, len(data), kept, ask)

    def _scan_page(self, page: int, form: int, data: npt.NDArray[np.uint8], mask: bytes, kept: int) -> Page:
        """Return the best `kept` rows of a part, as the board orders them; the mask allows at least as many."""
        each = candidates_a_frame(self.identity, form, len(mask))

        def ask(done: int) -> Iterable[QueryReply | Statistics]:
            self._be_patient(_SCANS * (self.identity.depth * self._scoring_cycles + _SCAN_CYCLES))
            queries = [requests.candidates(form, kept, query.tobytes(), mask) for query in data[done:]]
            return scans(self.link, queries, kept, each)

        return self._answered(page, len(data), kept, ask)

    def _try(self, rows: npt.NDArray[np.uint8], thresholds: Sequence[int] | None) -> None:
        """Run the known-answer test on the rows in the store, in each format, and measure the board's real speed."""
        started, cycles = self._clock(), 0
        for known in self._known(rows):
            searches: list[npt.NDArray[Any]] = [known.queries]
            mask_bytes = 0 if known.allowed is None else len(known.allowed)
            # The mask of a full store may leave no room for grid values in a frame.
            if thresholds is not None and query_fits(self.identity, FORMAT_GRID, mask_bytes):
                searches.append(as_grid(known.queries, thresholds))
            for queries in searches:
                form, data = encode_queries(queries, self.identity, self.thresholds)
                cycles += self._known_page(known, form, data).cycles
        # The cycles of a simulated board take longer than its nominal clock period.
        if cycles > 0:
            self._seconds_per_cycle = max(1 / self.identity.clock_hz, (self._clock() - started) / cycles)

    @property
    def _tested(self) -> int:
        """Results per query of the known-answer test."""
        return min(self.identity.keep, KEEP) if self.identity.design == "signs" else self.identity.k

    def _known(self, rows: npt.NDArray[np.uint8]) -> list[KnownAnswer]:
        """Return the known answers of a board of this design that holds these rows."""
        if self.identity.design == "signs":
            return candidates_of(rows, self._tested)
        return [answer_of(rows, self._tested)]

    def _known_page(self, known: KnownAnswer, form: int, data: npt.NDArray[np.uint8]) -> Mined:
        """Search the first part with a known answer; raise `DeviceError` at the first difference."""
        results = known.ids.shape[1]
        if self.identity.design == "signs":
            mask = b"" if known.allowed is None else known.allowed.tobytes()
            mined = merged([self._scan_page(0, form, data, mask, results)], results, ordered=False)
        else:
            mined = merged([self._search_page(0, form, data, results)], results)
        for name, found, expected in (("score", mined.scores, known.scores), ("id", mined.ids, known.ids)):
            if not np.array_equal(found, expected):
                query, rank = (int(i) for i in np.argwhere(found != expected)[0])
                raise DeviceError(
                    f"the board fails its known-answer test: query {query} has {name} {found[query, rank]} at rank"
                    f" {rank} where {expected[query, rank]} is right"
                )
        return mined

    def _check_design(self, design: Design) -> None:
        """Raise `UnsupportedError` if the board has another design."""
        if self.identity.design != design:
            does = {"miner": "searches by all nits", "signs": "finds candidates by the signs of nits"}
            mine = self.identity.design
            raise UnsupportedError(f"a board of design {mine} {does[mine]}; only design {design} {does[design]}")
