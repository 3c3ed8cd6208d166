"""A board as a device: opened, tested, loaded and asked."""

import contextlib
import logging
import time
from collections.abc import Iterator
from dataclasses import asdict

import numpy as np

from ninefold.drivers.board import Board
from ninefold.drivers.boards import bitstream, open_board
from ninefold.host.nits import check_database
from ninefold.spec.data import Answer, Database, State
from ninefold.spec.errors import DeviceError, LostDeviceError, UnsupportedError
from ninefold.spec.formats import THRESHOLDS
from ninefold.spec.registry import Runners
from ninefold.spec.signature import Call

__all__ = ["BoardDevice"]

_LOG = logging.getLogger("ninefold.board")
#: How long a request may take beside the board's own computation, in seconds; a dozen times that, and it is lost.
_TIMEOUT_S = 0.4


class BoardDevice:
    """A board behind a URL; connected to when that is asked for or first needed.

    It holds one database, which stays until another one is used; of one that is larger than the board's store, each
    call loads the parts anew that are not there. After a lost link the next use connects, tests and loads again.

    Parameters
    ----------
    name : str
        What it was opened as.
    url : str
        Of the board.
    digest : str
        Of its bitstream; one that a manifest describes where it is empty.
    runners : Runners
        The operators of this backend.
    """

    def __init__(self, name: str, url: str, digest: str, runners: Runners) -> None:
        self.name = name
        self.simulated = url.startswith("sim://")
        self._url = url
        self._digest = digest
        self._runners = runners
        self._board: Board | None = None
        self._bitstream = ""
        self._held = ""
        self._fit = False
        self._connect_seconds = 0.0
        self._closed = False

    @property
    def capacity_bytes(self) -> int | None:
        """None: what exceeds the store is paged through it, so only the host's memory bounds it."""
        return None

    @property
    def path(self) -> str:
        """What answers: the bitstream, and where it runs."""
        return f"{self._bitstream}{' in Verilator' if self.simulated else ''}"

    def connect(self) -> Board:
        """Return the board, opened and identified where it was not.

        Raises
        ------
        UnavailableError
            When nothing is there, with the reason.
        LostDeviceError
            When it does not answer, or holds a bitstream that no manifest describes.
        """
        if self._closed:
            raise DeviceError(f"the device {self.name} is closed")
        if self._board is None:
            started = time.perf_counter()
            self._board = open_board(self._url, digest=self._digest, selftest=False, timeout_s=_TIMEOUT_S)
            self._bitstream = bitstream(self._board.identity.digest) or self._board.identity.digest[:16]
            self._connect_seconds += time.perf_counter() - started
            if self._board.condition.interrupted:
                _LOG.info("a board was left in mid-load", extra={"device": self.name})
        return self._board

    def load(self, resident: Database | State) -> None:
        """Check the packed nits of a database and bring them, or as many rows as the store takes, to the board.

        What the board holds already, from an earlier process, is not sent again. Before it is first used, a board
        passes a search whose answer is known.

        Raises
        ------
        InputError
            When they are not rows x dimensions packed nits (the message names the first position at fault), or scale
            or mode is not what quantise takes.
        UnsupportedError
            When a row exceeds the board's, with both numbers.
        LostDeviceError
            When the board is gone, or not fit for use.
        """
        if isinstance(resident, State):
            raise UnsupportedError("board runs no stateful operator, so it takes databases only")
        if "nits" not in resident.arrays:
            return
        with self._lost_is_left():
            self._load(resident)

    def unload(self, key: str) -> None:
        """Forget the database of that digest."""
        if key == self._held:
            self._held = ""
            if self._board is not None:
                self._board.unload()

    def run(self, call: Call) -> Answer:
        """Run one call to its end; the time to compile and connect is in ``build_seconds``, not in ``seconds``."""
        if self._closed:
            raise DeviceError(f"the device {self.name} is closed")
        with self._lost_is_left():
            return self._runners(self, call)

    def close(self) -> None:
        """Close the link; the board keeps what it holds."""
        self._leave()
        self._closed = True

    @contextlib.contextmanager
    def timed(self) -> Iterator[dict[str, float]]:
        """Measure a block: seconds, bytes on the link, requests that were repeated, and loads after a reset."""
        started, connecting = time.perf_counter(), self._connect_seconds
        metrics: dict[str, float] = {}
        before = self._counts()
        yield metrics
        metrics["build_seconds"] = self._connect_seconds - connecting
        metrics["seconds"] = time.perf_counter() - started - metrics["build_seconds"]
        metrics |= {name: count - before.get(name, 0) for name, count in self._counts().items()}

    def holding(self, database: Database) -> Board:
        """Return the board with a database on it."""
        self._load(database)
        return self.connect()

    def _load(self, database: Database) -> None:
        board = self.connect()
        if self._held == database.digest:
            return
        check_database(database)
        rows, dimensions = np.asarray(database.require("nits")), int(database.attributes["dimensions"])
        if not len(rows):
            return
        thresholds = THRESHOLDS[database.attributes["mode"]].reached_at  # type: ignore[index]  # checked above
        self._held = ""
        try:
            if not self._fit and board.adopt(rows, dimensions, thresholds):
                _LOG.info("a board holds the database already", extra={"device": self.name})
            else:
                if not self._fit:
                    board.selftest()
                board.load(rows, dimensions, thresholds)
        except DeviceError as error:
            raise LostDeviceError(f"{self.name} cannot be used: {error}") from error
        self._fit, self._held = True, database.digest

    def _counts(self) -> dict[str, float]:
        if self._board is None:
            return {}
        link = asdict(self._board.link_statistics)
        counts = {f"link_{name}": link[name] for name in ("bytes_out", "bytes_in", "repeats")}
        return {**counts, "reloads": self._board.mended}

    @contextlib.contextmanager
    def _lost_is_left(self) -> Iterator[None]:
        try:
            yield
        except LostDeviceError:
            self._leave()
            raise

    def _leave(self) -> None:
        if self._board is not None:
            self._board.close()
        self._board, self._held, self._fit = None, "", False
