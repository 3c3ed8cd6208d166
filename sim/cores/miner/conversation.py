"""Requests to a miner and the replies of the golden board."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, cast

import numpy as np
import numpy.typing as npt

from ninefold.drivers.protocol import requests
from ninefold.hdl.miner import MinerParameters
from ninefold.hdl.miner.search import selects_by_threshold
from ninefold.sim.golden.board import GoldenBoard
from ninefold.sim.golden.link import encoded
from ninefold.sim.golden.packed import pack, unpack
from ninefold.sim.golden.quantise import nits_by_thresholds, nits_of_grid
from ninefold.sim.golden.sign_board import SignBoard
from ninefold.sim.levels.case import Place, Record
from ninefold.sim.levels.script import Script
from ninefold.sim.levels.search import best, computed, drawn_nits, grid_values
from ninefold.sim.verilated import Field, Stream
from ninefold.spec.formats import THRESHOLDS
from ninefold.spec.link import (
    CANDIDATE_BYTES,
    FORMAT_GRID,
    FORMAT_PACKED,
    LOAD_FINAL,
    PREFIX_BYTES,
    REPLY,
    RESULT_BYTES,
    TICKETS,
    Kind,
)
from ninefold.spec.registers import BY_NAME

__all__ = ["Conversation", "Heard"]

_EPOCH, _THRESHOLD = BY_NAME["epoch"].address, BY_NAME["threshold"].address
#: Registers of a board's state: thresholds to load_check.
_STATE = (_THRESHOLD, BY_NAME["load_check"].address + 1 - _THRESHOLD)
#: Maximum number of rows in a load.
_ROWS = 64
#: Maximum number of scans in place of the queries of a request.
_SCANS = 4
_BYTE = (Field("data", 8, False, 0),)
_STREAMS = {"rx": Stream("rx", True, _BYTE), "tx": Stream("tx", False, _BYTE)}


@dataclass(frozen=True)
class Heard:
    """Reply that the board must send.

    Attributes
    ----------
    number, step : int
        Index of the reply, and the operation it belongs to.
    queries : sequence of int
        Numbers of the queries it answers.
    results : int
        Number of results per query; 0 if it has none. Candidates of a scan are results only if the reply has them all.
    counters : str
        ``quiet`` for counters read while nothing is in flight, ``timed`` for counters read while counting; else empty.
    """

    number: int
    step: int
    queries: Sequence[int] = ()
    results: int = 0
    counters: Literal["", "quiet", "timed"] = ""


class _Scan(NamedTuple):
    """Scan of a ticket: number of the query, its nits, the allowed rows, and all rows."""

    number: int
    nits: npt.NDArray[np.int8]
    allowed: npt.NDArray[np.integer]
    rows: npt.NDArray[np.int8]


class Conversation:
    """Requests of a miner's case, collected and then sent together.

    Parameters
    ----------
    parameters : MinerParameters
        The miner.
    seed : int
        Seed of all data sent.
    count_from : int
        Initial value of its counters.

    Attributes
    ----------
    script : Script
        The steps so far.
    heard : list of Heard
        Replies that the board must send.
    computed : list
        Callables that compute the results of queries on the processor, as pairs of place and values.
    rows : array
        Rows of the latest load, int8.
    """

    def __init__(self, parameters: MinerParameters, seed: int, count_from: int) -> None:
        self.p = parameters
        self.script = Script(_STREAMS, seed)
        self.random = self.script.random
        self.heard: list[Heard] = []
        self.computed: list[Callable[[], list[tuple[Place, Record]]]] = []
        self.rows = np.zeros((0, parameters.dimensions), np.int8)
        self._count_from = count_from
        self._sequence = self._queries = 0
        #: Scans collected.
        self._scans = 0
        self._collected: list[bytes] = []
        self._asked: set[bytes] = set()
        self.reset()

    def reset(self) -> None:
        """Set the golden board to its power-on state, without tickets."""
        p = self.p
        limits = (p.request_limit, p.reply_limit)
        given = (p.dimensions, p.lanes, p.depth, p.k, p.clock_hz, p.mode, p.window, *limits, self._count_from)
        by_id = selects_by_threshold(p)
        self._tickets: dict[int, _Scan] = {}
        self.board: GoldenBoard = GoldenBoard(*given) if p.design == "miner" else SignBoard(p.keep, by_id, *given)

    def plain(self, vectors: int, epoch: int) -> npt.NDArray[Any]:
        """Add a load and `count` queries, alternating between both formats; return their grid values."""
        p = self.p
        self.identify()
        self.load(min(p.depth, _ROWS), p.request_limit - PREFIX_BYTES)
        self.write(_EPOCH, [epoch])
        grid = grid_values(self.random, (vectors, p.dimensions), THRESHOLDS[p.mode].reached_at)
        kept = min(self.most_results, len(self.rows))
        for number, values in enumerate(grid):
            packed = pack(nits_of_grid(values[None], p.mode))
            data = values.astype("<i2").tobytes() if number % 2 else packed.tobytes()
            if p.design == "miner":
                self.request(Kind.QUERY, requests.query(number % 2, 1, kept, data), epoch)
            else:
                self.request(Kind.CANDIDATES, requests.candidates(number % 2, kept, data), epoch)
                self.request(Kind.FETCH, requests.fetch(number + 1, 0, kept))
        sent, self._collected = self._collected, []
        # Half as many requests are in flight as the board keeps replies. The epoch is known only after it is written.
        for first in range(0, len(sent), max(1, p.window // 2)):
            self._collected = sent[first : first + max(1, p.window // 2)]
            self.send()
        return grid

    @property
    def most_results(self) -> int:
        """Maximum number of results of a query that fit in a reply."""
        p = self.p
        return p.k or min(p.keep, (p.reply_limit - PREFIX_BYTES) // CANDIDATE_BYTES)

    def request(self, kind: int, payload: bytes = b"", epoch: int = 0) -> bytes:
        """Collect a request; return its header and payload."""
        body = bytes((kind, self._sequence, self.script.some(0, 255) if self.script.number else 0, epoch)) + payload
        self._sequence = (self._sequence + 1) % 256
        self.raw(encoded(body))
        return body

    def raw(self, data: bytes) -> None:
        """Collect raw bytes."""
        self._collected.append(data)

    @property
    def size(self) -> int:
        """Bytes collected so far."""
        return sum(map(len, self._collected))

    def take(self) -> bytes:
        """Discard everything collected."""
        taken, self._collected = b"".join(self._collected), []
        return taken

    def last(self) -> bytes:
        """Discard the bytes collected last."""
        return self._collected.pop()

    def send(self, *, alone: bool = True, **how: Any) -> None:
        """Send the collected requests and expect their replies.

        Parameters
        ----------
        alone : bool
            No event is counted while requests read counters.
        **how
            Passed to `Script.step`.
        """
        stream = self.take()
        due: list[Record] = []
        loose: list[bool] = []
        self._scans = 0
        for body in self.board.receive(stream):
            rows, thresholds = self.board.rows, list(self.board.thresholds)
            reply = self.board.reply(body)
            wire = encoded(reply)
            timed = body[0] == Kind.STATISTICS and len(body) == 4
            if reply[0] == Kind.QUERY | REPLY:
                self._answered(body, reply, rows, thresholds)
            elif reply[0] == Kind.FETCH | REPLY:
                self._fetched(body, reply)
            else:
                if reply[0] == Kind.CANDIDATES | REPLY:
                    self._scanned(body, reply, rows, thresholds)
                counters: Literal["", "quiet", "timed"] = ("quiet" if alone else "timed") if timed else ""
                self.heard.append(Heard(len(self.heard), self.script.number, counters=counters))
            due += [{"data": byte} for byte in wire]
            loose += [timed] * len(wire)
        inputs = [{"data": byte} for byte in stream]
        outputs = {"tx": [((), row) for row in due]}
        self.script.step({"rx": inputs}, outputs, loose={"tx": loose}, **how)

    def break_off(self) -> None:
        """Send the collected requests, reset the board in the middle, and expect no reply."""
        stream = self.take()
        cut = self.script.some(1, len(stream))
        self.script.step({"rx": [{"data": byte} for byte in stream[:cut]]}, {}, broken_off=True)
        self.reset()

    def state(self) -> None:
        """Read the board's state registers and its counters while nothing is in flight, and no scan in progress."""
        if self.p.design == "signs":
            self.fetch()
        self.read(*_STATE)
        self.request(Kind.STATISTICS)
        self.send()

    def identify(self) -> None:
        """Collect an IDENTIFY."""
        self.request(Kind.IDENTIFY, self.random.bytes(4))

    def read(self, address: int, count: int = 1) -> None:
        """Collect a READ."""
        self.request(Kind.READ, requests.read(address, count))

    def write(self, address: int, words: Sequence[int]) -> None:
        """Collect a WRITE."""
        self.request(Kind.WRITE, requests.write(address, words))

    def blocks(self, rows: int, block: int | None = None) -> Iterator[bytes]:
        """Yield the payloads of LOAD requests for new rows, in blocks of one size or of random sizes."""
        self.rows = drawn_nits(self.random, rows, self.p.dimensions)
        data, offset = pack(self.rows).tobytes(), 0
        most = min(len(data), self.p.request_limit - PREFIX_BYTES)
        while offset < len(data):
            part = data[offset : offset + (block or self.script.some(1, most))]
            final = LOAD_FINAL if offset + len(part) == len(data) else 0
            yield struct.pack("<I", offset | final) + part
            offset += len(part)

    def load(self, rows: int | None = None, block: int | None = None) -> None:
        """Collect a load."""
        for payload in self.blocks(rows or self.script.some(1, min(self.p.depth, _ROWS)), block):
            self.request(Kind.LOAD, payload)

    def open(self) -> None:
        """Send a load and a write of a new epoch."""
        self.load()
        self.send()
        self.write(_EPOCH, [self.script.some(1, 255)])
        self.send()

    def query(self, count: int = 1, *, grid: bool = False, k: int | None = None, epoch: int | None = None) -> bytes:
        """Collect a QUERY of `count` queries, or as many as fit, by default in the board's current epoch."""
        p, epoch = self.p, self.board.epoch if epoch is None else epoch
        if p.design == "signs":
            return [self._scan(grid, k, epoch) for _ in range(min(count, _SCANS))][-1]
        k = k or self.script.some(1, p.k)
        results = min(k, p.depth if self.board.rows is None else len(self.board.rows))
        fits = (p.reply_limit - PREFIX_BYTES) // (RESULT_BYTES * results)
        count = min(count, 255, fits, (p.request_limit - PREFIX_BYTES) // p.query_bytes[grid])
        if grid:
            form = FORMAT_GRID
            values = grid_values(self.random, (count, p.dimensions), self.board.thresholds)
            data = values.astype("<i2").tobytes()
        else:
            form = FORMAT_PACKED
            data = pack(drawn_nits(self.random, count, p.dimensions)).tobytes()
        return self.request(Kind.QUERY, requests.query(form, count, k, data), epoch)

    def most(self, *, grid: bool = False) -> bytes:
        """Collect the QUERY with the most results."""
        return self.query(255, grid=grid, k=self.most_results)

    def fetch(self) -> None:
        """Collect a FETCH for the candidates of each ticket that the board keeps, or some of them."""
        for ticket, found in cast(SignBoard, self.board).found.items():
            first = self.script.some(0, min(len(found), 2))
            self.request(Kind.FETCH, requests.fetch(ticket, first, min(len(found) - first, self.most_results)))

    def _scan(self, grid: bool, keep: int | None, epoch: int) -> bytes:
        """Collect a FETCH for the scan before, often, and a CANDIDATES, sometimes with a mask."""
        p, ticket = self.p, cast(SignBoard, self.board).ticket + self._scans
        if ticket and self.script.some(0, 2):
            self.request(Kind.FETCH, requests.fetch(ticket, 0, self.script.some(0, 1) and self._total(ticket)))
        values = grid_values(self.random, (p.dimensions,), self.board.thresholds)
        nits = drawn_nits(self.random, 1, p.dimensions)
        query = values.astype("<i2").tobytes() if grid else pack(nits).tobytes()
        mask = b"" if self.board.rows is None else self.random.bytes(-(-len(self.board.rows) // 8))
        if self.script.some(0, 2) or PREFIX_BYTES + len(query) + len(mask) > p.request_limit:
            mask = b""
        self._scans += 1
        keep = keep or self.script.some(1, self.most_results)
        return self.request(Kind.CANDIDATES, requests.candidates(int(grid), keep, query, mask), epoch)

    def _total(self, ticket: int) -> int:
        """Return the number of candidates of a ticket, or 1 if the golden board has not scanned it yet."""
        return min(len(cast(SignBoard, self.board).found.get(ticket, [0])), self.most_results)

    def _scanned(self, body: bytes, reply: bytes, rows: npt.NDArray[np.int8] | None, thresholds: Sequence[int]) -> None:
        """Keep the query of a ticket."""
        (ticket,) = struct.unpack_from("<H", reply, 4)
        if rows is None or ticket in self._tickets:  # A repeat.
            return
        form, masked = body[4:6]
        size = self.p.query_bytes[form]
        data, mask = body[4 + PREFIX_BYTES :][:size], np.frombuffer(body[4 + PREFIX_BYTES + size :], np.uint8)
        allowed = np.flatnonzero(np.unpackbits(mask, count=len(rows), bitorder="little")) if masked else None
        nits = self._nits(data, form, thresholds)
        self._tickets[ticket] = _Scan(self._queries, nits, np.arange(len(rows)) if allowed is None else allowed, rows)
        self._queries += 1
        self._tickets = dict(list(self._tickets.items())[-TICKETS:])

    def _fetched(self, body: bytes, reply: bytes) -> None:
        """Record the expected candidates of a FETCH of a whole scan and their computation on the processor."""
        number, step = len(self.heard), self.script.number
        total, count = struct.unpack_from("<HH", reply, 4)
        scan = self._tickets.get(struct.unpack_from("<H", body, 4)[0])
        if scan is None or count == 0 or count != total:
            self.heard.append(Heard(number, step))
            return
        self.heard.append(Heard(number, step, (scan.number,), count))
        if not step or body in self._asked:
            return
        self._asked.add(body)

        def compute() -> list[tuple[Place, Record]]:
            signs = np.where(scan.rows[scan.allowed] < 0, -1, 1).astype(np.int8)
            (found,) = best(computed("similarity", {"q": scan.nits, "c": signs})["scores"], count)
            return [
                (Place("mine", f"query {scan.number}", rank, step), {"id": int(scan.allowed[i]), "score": s})
                for rank, (i, s) in enumerate(found)
            ]

        self.computed.append(compute)

    def _nits(self, data: bytes, form: int, thresholds: Sequence[int]) -> npt.NDArray[np.int8]:
        """Return the nits of queries as sent."""
        if form == FORMAT_GRID:
            return nits_by_thresholds(np.frombuffer(data, "<i2").reshape(-1, self.p.dimensions), thresholds)
        return unpack(np.frombuffer(data, np.uint8).reshape(-1, self.p.row_bytes), self.p.dimensions)

    def _answered(
        self, body: bytes, reply: bytes, rows: npt.NDArray[np.int8] | None, thresholds: Sequence[int]
    ) -> None:
        """Record the expected results of a QUERY and their computation on the processor."""
        number, step = len(self.heard), self.script.number
        _, count, results = struct.unpack_from("<BBH", reply, 4)
        queries = range(self._queries, self._queries + count)
        self._queries += count
        self.heard.append(Heard(number, step, queries, results))
        if not step or rows is None or body in self._asked:  # A repeat may be answered with results from earlier rows.
            return
        self._asked.add(body)
        form, data = body[4], body[4 + PREFIX_BYTES :]
        nits = self._nits(data, form, thresholds)

        def compute() -> list[tuple[Place, Record]]:
            scores = computed("similarity", {"q": nits, "c": rows})["scores"]
            return [
                (Place("mine", f"query {query}", rank, step), {"id": i, "score": s})
                for query, hits in zip(queries, best(scores, results), strict=True)
                for rank, (i, s) in enumerate(hits)
            ]

        self.computed.append(compute)
