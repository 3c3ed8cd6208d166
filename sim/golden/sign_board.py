"""Golden model of a board of design signs: a miner whose queries leave candidates to fetch."""

import struct
from typing import Any

import numpy as np

from ninefold.spec.link import (
    CANDIDATE_BYTES,
    FETCH_BYTES,
    FORMAT_GRID,
    PREFIX_BYTES,
    TICKET_MAX,
    TICKETS,
    Fault,
    Kind,
)
from ninefold.spec.registers import BY_NAME, DESIGN_CODES

from .board import GoldenBoard, RefusedError
from .mine import coarse_score

__all__ = ["SignBoard"]


class SignBoard(GoldenBoard):
    """A board of design signs, with a zero digest and no sensor.

    Scans take no time, so the counter of accepted scores may be ahead of a real board's until a FETCH.

    Parameters
    ----------
    keep : int
        Maximum number of candidates per ticket.
    by_id : bool
        Candidates are in the order of their ids, not best first.
    *given, **named
        As of `GoldenBoard`; ``k`` is 0.

    Attributes
    ----------
    ticket : int
        Last ticket; 0 before the first.
    found : dict of int to list of tuple
        Candidates of the tickets that are kept: pairs of id and score.
    """

    def __init__(self, keep: int, by_id: bool, *given: Any, **named: Any) -> None:
        self._keep = keep
        self._by_id = by_id
        super().__init__(*given, **named)
        self._fixed[BY_NAME["design"].address] = DESIGN_CODES["signs"]
        self._fixed[BY_NAME["keep"].address] = keep
        del self._answers[Kind.QUERY]
        self._answers[Kind.CANDIDATES] = self._candidates
        self._answers[Kind.FETCH] = self._fetch

    def _reset(self) -> None:
        super()._reset()
        self.ticket = 0
        self.found: dict[int, list[tuple[int, int]]] = {}

    def _forget(self) -> None:
        super()._forget()
        self.found = {}

    def _candidates(self, payload: bytes, epoch: int) -> bytes:
        if len(payload) < PREFIX_BYTES or payload[1] > 1:
            raise RefusedError(Fault.LENGTH, len(payload))
        form, masked, keep = struct.unpack_from("<BBH", payload)
        rows = self._searched(form, epoch)
        if not 1 <= keep <= self._keep:
            raise RefusedError(Fault.KEEP, self._keep)
        size = PREFIX_BYTES + (2 * self._dimensions if form == FORMAT_GRID else self._row_bytes)
        if len(payload) != size + masked * -(-len(rows) // 8):
            raise RefusedError(Fault.LENGTH, len(payload))
        (query,) = self._nits(payload[PREFIX_BYTES:size], form)
        bits = np.unpackbits(np.frombuffer(payload[size:], np.uint8), bitorder="little")
        allowed = [row for row in range(len(rows)) if not masked or bits[row]]
        scored = sorted(((row, coarse_score(query, rows[row])) for row in allowed), key=lambda one: (-one[1], one[0]))
        self.ticket = self.ticket % TICKET_MAX + 1
        kept = scored[:keep]
        self.found[self.ticket] = sorted(kept) if self._by_id else kept
        self.found = dict(list(self.found.items())[-TICKETS:])
        self._counts["queries"] += 1
        self._counts["accepted"] += len(kept)
        return struct.pack("<HH", self.ticket, 0)

    def _fetch(self, payload: bytes, _epoch: int) -> bytes:
        if len(payload) != FETCH_BYTES:
            raise RefusedError(Fault.LENGTH, len(payload))
        ticket, offset, count, _ = struct.unpack("<4H", payload)
        if ticket not in self.found:
            raise RefusedError(Fault.TICKET, self.ticket)
        if PREFIX_BYTES + CANDIDATE_BYTES * count > self._reply_limit:
            raise RefusedError(Fault.REPLY, self._reply_limit)
        found = self.found[ticket]
        if offset + count > len(found):
            raise RefusedError(Fault.RANGE, len(found))
        pairs = b"".join(struct.pack("<Hh", *pair) for pair in found[offset : offset + count])
        return struct.pack("<HH", len(found), count) + pairs
