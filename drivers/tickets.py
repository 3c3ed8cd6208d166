"""Candidates from a board that scans signs: scans are started, and their tickets fetched, with several in flight."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from ninefold.drivers.link import Link, RefusedError, Request
from ninefold.drivers.protocol import QueryReply, Statistics, replies, requests
from ninefold.drivers.store import STATISTICS
from ninefold.spec.errors import DeviceError
from ninefold.spec.link import TICKET_MAX, Fault, Kind

__all__ = ["scans"]

#: Number of times in a row that the ticket of a query may be lost.
_ATTEMPTS = 16


def scans(link: Link, queries: Sequence[bytes], total: int, each: int) -> Iterator[QueryReply | Statistics]:
    """Yield the candidates of each query, in order, and the board's counters before the first and after the last.

    The board scans for a query while the candidates of the query before it are fetched. Its tickets count up, so a
    ticket is fetched before the reply that names it is there. A ticket turns out to be another one if a request was
    lost or another host uses the board; the query is then asked again.

    Parameters
    ----------
    link : Link
        Link to a board of design signs.
    queries : sequence of bytes
        Payloads of CANDIDATES.
    total : int
        Number of candidates of each query, 1 or more.
    each : int
        Maximum number of candidates in a frame.

    Raises
    ------
    DeviceError
        The tickets of a query are lost again and again.
    """
    done = lost = 0
    while done < len(queries):
        before = done
        try:
            for answer in _until_lost(link, queries[done:], total, each):
                done += isinstance(answer, QueryReply)
                yield answer
        except RefusedError as error:
            # A ticket of another host may have fewer candidates.
            if error.refusal.code not in (Fault.TICKET, Fault.RANGE):
                raise
        lost = 0 if done > before else lost + 1
        if lost == _ATTEMPTS:
            raise DeviceError(f"the board lost the tickets of a query {lost} times in a row: another host uses it")


def _until_lost(link: Link, queries: Sequence[bytes], total: int, each: int) -> Iterator[QueryReply | Statistics]:
    """Yield candidates and counters as in `scans`, and end early if a ticket is not the one that was fetched."""
    first: list[Request[Any]] = [STATISTICS, _candidates(queries[0])]
    counters, ticket = link.exchange(first)
    yield counters
    answers = link.exchange(_requests(queries, ticket, total, each))
    for following in [*queries[1:], None]:
        named = None if following is None else next(answers)
        parts = [next(answers) for _ in range(0, total, each)]
        ids, scores = (np.concatenate([getattr(part, name) for part in parts], axis=1) for name in ("ids", "scores"))
        yield QueryReply(ids, scores)
        if named not in (None, _after(ticket)):
            return
        ticket = _after(ticket)
    yield next(answers)


def _requests(queries: Sequence[bytes], ticket: int, total: int, each: int) -> Iterator[Request[Any]]:
    """Yield the requests that follow the first scan: the next scan, and then the candidates of the last one."""
    for following in [*queries[1:], None]:
        if following is not None:
            yield _candidates(following)
        for offset in range(0, total, each):
            count = min(each, total - offset)
            yield Request(Kind.FETCH, requests.fetch(ticket, offset, count), _parser(total, count))
        ticket = _after(ticket)
    yield STATISTICS


def _candidates(payload: bytes) -> Request[int]:
    return Request(Kind.CANDIDATES, payload, replies.ticket)


def _parser(total: int, count: int) -> Callable[[bytes], QueryReply]:
    return lambda payload: replies.candidates(payload, total, count)


def _after(ticket: int) -> int:
    return ticket % TICKET_MAX + 1
