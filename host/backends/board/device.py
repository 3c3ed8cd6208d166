"""Board as a device: connecting, testing, loading and searching."""

import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import TypeVar

from ninefold.drivers.board import Board
from ninefold.drivers.boards import bitstream, open_board
from ninefold.numerics.databases import checked_nits
from ninefold.spec.data import Answer, Database, State
from ninefold.spec.errors import DeviceError, LostDeviceError, UnavailableError
from ninefold.spec.formats import THRESHOLDS
from ninefold.spec.residents import LoadedResidents
from ninefold.spec.runners import Runners
from ninefold.spec.signature import Call

__all__ = ["BoardDevice"]

_T = TypeVar("_T")
_LOG = logging.getLogger("ninefold.board")
#: Time limit of a request in seconds, in addition to the board's computation. After a dozen such times the board is
#: lost.
_TIMEOUT_S = 0.4


class BoardDevice:
    """Board behind a URL, connected on `connect` or first use.

    The board keeps one database until another one is used. Of a database larger than the board's store, each call
    reloads the parts that the store does not hold. After a lost link the next use connects, tests and loads again.

    Parameters
    ----------
    name : str
        Name of the device.
    url : str
        URL of the board.
    digest : str
        Digest of the expected bitstream; empty to accept any bitstream that a manifest describes.
    runners : Runners
        The operators of this backend.
    """

    def __init__(self, name: str, url: str, digest: str, runners: Runners) -> None:
        self.name = name
        self.simulated = url.startswith("sim://")
        self._url = url
        self._digest = digest
        self._residents = LoadedResidents(self, runners)
        self._board: Board | None = None
        self._bitstream = ""
        self._held = ""
        self._fit = False
        self._connect_seconds = 0.0
        self._closed = False

    @property
    def capacity_bytes(self) -> int | None:
        """None: larger databases are paged through the store, so only the host's memory limits them."""
        return None

    @property
    def path(self) -> str:
        """Bitstream that answers, and the simulator if one runs it."""
        return f"{self._bitstream}{' in Verilator' if self.simulated else ''}"

    def connect(self) -> Board:
        """Return the board; open and identify it first if necessary.

        Raises
        ------
        UnavailableError
            There is no board; the message gives the reason.
        LostDeviceError
            The board does not answer, or holds a bitstream that no manifest describes.
        """
        if self._closed:
            raise DeviceError(f"the device {self.name} is closed")
        if self._board is not None and self._board.link.ended:
            self._leave()
            try:
                return self.connect()  # another host has had its turn since the last call; this one asks for its own
            except UnavailableError as error:
                raise LostDeviceError(f"{self._url} was closed by the other end, and is gone: {error}") from error
        if self._board is None:
            started = time.perf_counter()
            self._board = open_board(self._url, digest=self._digest, selftest=False, timeout_s=_TIMEOUT_S)
            self._bitstream = bitstream(self._board.identity.digest) or self._board.identity.digest[:16]
            self._connect_seconds += time.perf_counter() - started
            if self._board.condition.interrupted:
                _LOG.info("the last load of the board was interrupted", extra={"device": self.name})
        return self._board

    def load(self, resident: Database | State) -> None:
        """Load a resident into the board, of a database as many rows as the store holds; see `LoadedResidents.load`.

        A database that the board already holds, from an earlier process, is not sent again. Before its first use a
        board must pass a known-answer test.

        Raises
        ------
        UnsupportedError
            A row has more dimensions than the board supports; the message gives both numbers.
        LostDeviceError
            The board is lost, or fails its test.
        """

        def load() -> None:
            if isinstance(resident, Database) and resident.digest != self._held:
                self._residents.unload(resident.digest)  # another database may have taken its place
            self._residents.load(resident)

        self._in_turn(load)

    def unload(self, key: str) -> None:
        """Release the database with digest `key`."""
        self._residents.unload(key)
        if key == self._held:
            self._held = ""
            if self._board is not None:
                self._board.unload()

    def run(self, call: Call) -> Answer:
        """Run one call; the time to compile and connect counts as ``build_seconds``, not as ``seconds``.

        A call during which a served board gave another host its turn is run again in the next turn.
        """
        if self._closed:
            raise DeviceError(f"the device {self.name} is closed")
        return self._in_turn(lambda: self._residents.run(call))

    def close(self) -> None:
        """Close the link; the board keeps its contents."""
        self._leave()
        self._closed = True

    @contextlib.contextmanager
    def timed(self) -> Iterator[dict[str, float]]:
        """Measure a block: seconds, bytes on the link, repeated requests, and reloads after a reset."""
        started, connecting = time.perf_counter(), self._connect_seconds
        metrics: dict[str, float] = {}
        before = self._counts()
        yield metrics
        metrics["build_seconds"] = self._connect_seconds - connecting
        metrics["seconds"] = time.perf_counter() - started - metrics["build_seconds"]
        metrics |= {name: count - before.get(name, 0) for name, count in self._counts().items()}

    def holding(self, database: Database) -> Board:
        """Return the board with a database in its store, loaded again if another one has replaced it."""
        board = self.connect()
        if self._held == database.digest:
            return board
        rows, dimensions = checked_nits(database), int(database.attributes["dimensions"])
        if not len(rows):
            return board
        thresholds = THRESHOLDS[database.attributes["mode"]].reached_at  # type: ignore[index]  # checked above
        self._held = ""
        try:
            if not self._fit and board.adopt(rows, dimensions, thresholds):
                _LOG.info("the board already holds the database", extra={"device": self.name})
            else:
                if not self._fit:
                    board.selftest()
                board.load(rows, dimensions, thresholds)
        except DeviceError as error:
            raise LostDeviceError(f"{self.name} cannot be used: {error}") from error
        self._fit, self._held = True, database.digest
        return board

    def _counts(self) -> dict[str, float]:
        if self._board is None:
            return {}
        link = asdict(self._board.link_statistics)
        counts = {f"link_{name}": link[name] for name in ("bytes_out", "bytes_in", "repeats")}
        return {**counts, "reloads": self._board.reloads}

    def _in_turn(self, work: Callable[[], _T]) -> _T:
        """Return the result of work that may be repeated, which it is once if the other end closes the link meanwhile.

        A served board closes the link of a host that is quiet while another waits, and the two may cross.
        """
        try:
            return work()
        except LostDeviceError as error:
            closed = self._board is not None and self._board.link.ended
            self._leave()
            if not closed:
                raise
            lost = error
        try:
            return work()
        except UnavailableError as error:
            raise LostDeviceError(f"{lost}, and is gone: {error}") from error
        except LostDeviceError:
            self._leave()
            raise

    def _leave(self) -> None:
        if self._board is not None:
            self._board.close()
        self._board, self._held, self._fit = None, "", False
