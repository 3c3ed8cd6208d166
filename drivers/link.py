"""Requests over a byte stream that may lose, repeat or damage bytes: a window of them, repeated until answered."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from ninefold.drivers.protocol import Damage, Decoder, ProtocolError, Refusal, encode, replies
from ninefold.spec.errors import DeviceError, InputError, LostDeviceError
from ninefold.spec.link import DELIMITER, EPOCH_MAX, ERROR, REPLY, WINDOW_MAX, Frame, Kind
from ninefold.spec.protocols import Transport

__all__ = ["TIMEOUT_S", "TRIES", "BoardResetError", "Link", "LinkStatistics", "RefusedError", "Request"]

T = TypeVar("T")

#: How long a board may take for one request, in seconds, before the request is repeated.
TIMEOUT_S = 1.0
#: How often a request is sent before the link counts as dead.
TRIES = 12
#: Silence of less than this many seconds never has requests repeated; a computer may be busy elsewhere for so long.
_PATIENCE_S = 0.005
#: Replies of another epoch to one request, each of which had it sent again, that make a reset certain.
_FOREIGN = 3
_READ_BYTES = 1 << 16


class RefusedError(DeviceError):
    """The board refused a request.

    Attributes
    ----------
    refusal : Refusal
        What it said.
    """

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(str(refusal))
        self.refusal = refusal


class BoardResetError(DeviceError):
    """The board answers from another epoch: it was reset or loaded by someone else, and must be loaded again.

    Attributes
    ----------
    epoch : int
        The board's.
    """

    def __init__(self, expected: int, epoch: int) -> None:
        super().__init__(f"the board answers from epoch {epoch} instead of {expected}: it was reset or loaded anew")
        self.epoch = epoch


@dataclass
class LinkStatistics:
    """What has happened on a link so far.

    Attributes
    ----------
    requests, replies : int
        Requests sent for the first time, and those that were answered.
    repeats : int
        Requests sent again, for whatever reason.
    timeouts : int
        Times when nothing was answered for as long as a request may take.
    damaged : int
        Pieces of the incoming stream that were no frame.
    late : int
        Whole replies that nothing waited for: to a repeat, or to a request that was given up.
    foreign : int
        Replies of another epoch.
    wrong : int
        Replies whose payload was not what the request asks for.
    bytes_out, bytes_in : int
        Bytes written and read.
    """

    requests: int = 0
    replies: int = 0
    repeats: int = 0
    timeouts: int = 0
    damaged: int = 0
    late: int = 0
    foreign: int = 0
    wrong: int = 0
    bytes_out: int = 0
    bytes_in: int = 0


@dataclass(frozen=True)
class Request(Generic[T]):
    """One request.

    Attributes
    ----------
    kind : Kind
        Its type.
    payload : bytes
        As `ninefold.drivers.protocol.requests` makes it.
    parse : callable
        ``parse(payload)`` of the reply gives the answer, or raises `ProtocolError`.
    """

    kind: Kind
    payload: bytes
    parse: Callable[[bytes], T]


@dataclass
class _Pending:
    """A request that was sent; `first` and `last` order all sendings on the link."""

    request: Request[Any]
    sequence: int
    data: bytes
    first: int
    last: int
    sent_s: float
    tries: int = 1
    foreign: int = 0
    answered: bool = False
    answer: Any = None
    trouble: list[str] = field(default_factory=list)


class Link:
    """One end of a conversation with a board; used by one thread at a time.

    Requests are sent up to a window ahead of the first that is not answered yet. Boards serve requests in the order of
    arrival and byte streams keep order, so a reply shows that what was sent before its request, and is not answered,
    was lost: that is repeated at once. When nothing is answered for longer than replies have taken so far, everything
    unanswered is repeated, and again after twice that time, up to `timeout_s`. A request that was sent `tries` times
    ends in an error, so no call waits longer than ``tries * timeout_s`` for an answer.

    Parameters
    ----------
    transport : Transport
        The byte stream.
    timeout_s : float
        How long the board may take for one request; setting it forgets how long replies took.
    tries : int
        How often a request is sent at most, 1 or more.
    clock : callable
        Seconds that pass, as `time.monotonic` tells them.

    Attributes
    ----------
    epoch : int
        Which QUERY requests are meant for, and their replies must have.
    window : int
        Requests under way at most; 1 until the board has said how many it can have.
    statistics : LinkStatistics
        What has happened so far.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        timeout_s: float = TIMEOUT_S,
        tries: int = TRIES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if tries < 1:
            raise InputError(f"tries must be 1 or more, not {tries}")
        self.timeout_s = timeout_s
        self.tries = tries
        self.statistics = LinkStatistics()
        self._transport = transport
        self._clock = clock
        self._decoder = Decoder()
        self._window = 1
        self._epoch = 0
        self._sequence = 0
        self._sendings = 0
        # A board may hold half a frame of whoever spoke to it before; this ends it.
        self._write(bytes([DELIMITER]))

    @property
    def timeout_s(self) -> float:
        """How long the board may take for one request, in seconds."""
        return self._timeout_s

    @timeout_s.setter
    def timeout_s(self, timeout_s: float) -> None:
        if not 0 < timeout_s < float("inf"):
            raise InputError(f"timeout_s must be finite and greater than 0, not {timeout_s}")
        self._timeout_s = timeout_s
        #: Kind of request -> how long replies took, and how that varies.
        self._took_s: dict[Kind, tuple[float, float]] = {}

    @property
    def epoch(self) -> int:
        """The epoch of queries, 0 to 255."""
        return self._epoch

    @epoch.setter
    def epoch(self, epoch: int) -> None:
        if not 0 <= epoch <= EPOCH_MAX:
            raise InputError(f"epoch must be 0 to {EPOCH_MAX}, not {epoch}")
        self._epoch = epoch

    @property
    def window(self) -> int:
        """Requests under way at most, 1 to 128."""
        return self._window

    @window.setter
    def window(self, window: int) -> None:
        if not 1 <= window <= WINDOW_MAX:
            raise InputError(f"window must be 1 to {WINDOW_MAX}, not {window}")
        self._window = window

    def ask(self, request: Request[T]) -> T:
        """Send one request and return its answer; raises as `exchange` does."""
        (answer,) = self.exchange([request])
        return answer

    def exchange(self, requests: Iterable[Request[T]]) -> Iterator[T]:
        """Send requests, and yield their answers in the same order.

        Raises
        ------
        RefusedError
            When the board refuses one; those sent after it may or may not have been carried out.
        BoardResetError
            When the board has lost the epoch that the queries are meant for.
        LostDeviceError
            When one was sent as often as allowed and not answered, or the byte stream has ended.
        """
        waiting = iter(requests)
        pending: deque[_Pending] = deque()
        more = True
        while True:
            while more and len(pending) < self._window:
                more = self._send(waiting, pending)
            if not pending:
                return
            self._await(pending)
            while pending and pending[0].answered:
                yield pending.popleft().answer

    def close(self) -> None:
        """Close the byte stream."""
        self._transport.close()

    def _send(self, waiting: Iterator[Request[Any]], pending: deque[_Pending]) -> bool:
        request = next(waiting, None)
        if request is None:
            return False
        epoch = self._epoch if request.kind == Kind.QUERY else 0
        data = encode(Frame(request.kind, self._sequence, 0, epoch, request.payload))
        self._sendings += 1
        pending.append(_Pending(request, self._sequence, data, self._sendings, self._sendings, self._clock()))
        self._sequence = (self._sequence + 1) % 256
        self.statistics.requests += 1
        self._write(data)
        return True

    def _repeat(self, one: _Pending) -> None:
        if one.tries >= self.tries:
            said = f"; last: {one.trouble[-1]}" if one.trouble else ""
            raise LostDeviceError(
                f"the link is dead: {one.request.kind.name} was sent {one.tries} times within"
                f" {self._clock() - one.sent_s:.1f} s without an answer{said}"
            )
        one.tries += 1
        self._sendings += 1
        one.last = self._sendings
        self.statistics.repeats += 1
        self._write(one.data)

    def _await(self, pending: deque[_Pending]) -> None:
        """Return when the first pending request is answered."""
        silences, kind = 0, pending[0].request.kind
        deadline = self._clock() + self._patience(kind, silences)
        while not pending[0].answered:
            now = self._clock()
            data = self._transport.read(_READ_BYTES, max(0.0, deadline - now))
            self.statistics.bytes_in += len(data)
            # Garbage that never ends must not put the deadline off; answers do.
            if sum(self._take(item, pending) for item in self._decoder.feed(data)):
                silences = 0
            elif self._clock() >= deadline:
                self.statistics.timeouts += 1
                silences += 1
                for one in pending:
                    if not one.answered:
                        self._repeat(one)
            else:
                continue
            deadline = self._clock() + self._patience(kind, silences)

    def _patience(self, kind: Kind, silences: int) -> float:
        """Return how long to wait for any answer when one of that kind is next, after so many waits in vain.

        The estimate is TCP's (RFC 6298), for each kind of request by itself, since a query takes longer than a question
        for registers: the smoothed time of replies and four times its smoothed deviation.
        """
        if kind not in self._took_s:
            return self._timeout_s
        took_s, varies_s = self._took_s[kind]
        return min(self._timeout_s, max(_PATIENCE_S, took_s + 4 * varies_s) * 2.0**silences)

    def _measure(self, kind: Kind, now_s: float) -> None:
        took_s, varies_s = self._took_s.get(kind, (now_s, now_s / 2))
        if kind in self._took_s:
            varies_s += (abs(now_s - took_s) - varies_s) / 4
            took_s += (now_s - took_s) / 8
        self._took_s[kind] = took_s, varies_s

    def _take(self, item: Frame | Damage, pending: deque[_Pending]) -> bool:
        """Find the request that a frame answers; return whether there is one."""
        if isinstance(item, Damage):
            self.statistics.damaged += 1
            return False
        one = next((p for p in pending if p.sequence == item.sequence and not p.answered), None)
        if one is None or item.kind not in (one.request.kind | REPLY, ERROR):
            self.statistics.late += 1
            return False
        if one.request.kind == Kind.QUERY and item.epoch != self._epoch:
            self._foreign(one, item.epoch)
            return False
        try:
            if item.kind == ERROR:
                self._refused(one, replies.refusal(item.payload))
            one.answer = one.request.parse(item.payload)
        except ProtocolError as error:
            self.statistics.wrong += 1
            one.trouble.append(str(error))
            self._repeat(one)
            return False
        one.answered = True
        self.statistics.replies += 1
        if one.tries == 1:  # else it is not known which sending was answered
            self._measure(one.request.kind, self._clock() - one.sent_s)
        for other in pending:
            if not other.answered and other.last < one.first:
                self._repeat(other)
        return True

    def _foreign(self, one: _Pending, epoch: int) -> None:
        self.statistics.foreign += 1
        one.foreign += 1
        if one.foreign >= _FOREIGN:
            raise BoardResetError(self._epoch, epoch)
        self._repeat(one)

    @staticmethod
    def _refused(one: _Pending, refusal: Refusal) -> None:
        if refusal.kind != one.request.kind:
            raise ProtocolError(f"an error for request {refusal.kind} answers {one.request.kind.name}")
        raise RefusedError(refusal)

    def _write(self, data: bytes) -> None:
        self._transport.write(data, self.timeout_s)
        self.statistics.bytes_out += len(data)
