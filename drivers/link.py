"""Requests over an unreliable byte stream: a window of requests in flight, repeated until answered."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Generic, TypeVar

from ninefold.drivers.protocol import Damage, Decoder, ProtocolError, Refusal, encode_all, replies
from ninefold.drivers.transports.descriptor import DescriptorTransport
from ninefold.spec.errors import DeviceError, InputError, LostDeviceError
from ninefold.spec.link import DELIMITER, EPOCH_MAX, ERROR, REPLY, WINDOW_MAX, Frame, Kind
from ninefold.spec.protocols import Transport
from ninefold.spec.stream_link import StreamFault, StreamKind

__all__ = ["TIMEOUT_S", "TRIES", "BoardResetError", "Link", "LinkStatistics", "RefusedError", "Request"]

T = TypeVar("T")

#: Maximum time a link waits for a reply before it repeats the request, in seconds.
TIMEOUT_S = 1.0
#: Number of times a request is sent before the link counts as dead.
TRIES = 12
#: Minimum time before requests are repeated, in seconds; a busy computer may pause this long.
_PATIENCE_S = 0.005
#: Number of replies of another epoch to one request, each after a repeat, that proves a reset.
_FOREIGN = 3
#: Number of refusals of the first pending request with TURN, each after a repeat, that proves another host.
_OUT_OF_TURN = 3
_READ_BYTES = 1 << 16
#: Requests for the database of an epoch; and requests whose replies count only if they are of that epoch.
_OF_EPOCH: frozenset[Kind | StreamKind] = frozenset({Kind.QUERY, Kind.CANDIDATES})
_ANSWERED_IN_EPOCH = _OF_EPOCH | {Kind.FETCH, StreamKind.PUSH, StreamKind.PULL}


class RefusedError(DeviceError):
    """Refusal of a request by the board.

    Attributes
    ----------
    refusal : Refusal
        Code and detail from the board.
    """

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(str(refusal))
        self.refusal = refusal


class BoardResetError(DeviceError):
    """Reply of another epoch: the board was reset or loaded by another host, and must be loaded again.

    Attributes
    ----------
    epoch : int
        Epoch of the board.
    """

    def __init__(self, expected: int, epoch: int) -> None:
        super().__init__(f"the board answers from epoch {epoch} instead of {expected}: it was reset or loaded again")
        self.epoch = epoch


@dataclass
class LinkStatistics:
    """Counters of a link.

    Attributes
    ----------
    requests, replies : int
        Requests, without repeats, and requests that were answered.
    repeats : int
        Requests sent again, for any reason.
    timeouts : int
        Times when no reply arrived within the time limit.
    damaged : int
        Pieces of the incoming stream that were no valid frame.
    late : int
        Valid replies to no pending request: to a repeat, or to an abandoned request.
    foreign : int
        Replies of another epoch.
    wrong : int
        Replies with a payload of another kind than requested.
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
    """Request to a board.

    Attributes
    ----------
    kind : Kind or StreamKind
        Type of the request.
    payload : bytes
        Payload, made by `ninefold.drivers.protocol.requests`.
    parse : callable
        ``parse(payload)`` of the reply gives the answer, or raises `ProtocolError`.
    """

    kind: Kind | StreamKind
    payload: bytes
    parse: Callable[[bytes], T]


@dataclass
class _Pending:
    """Request in flight. `first` and `last` number its first and last transmission among all of the link."""

    request: Request[Any]
    sequence: int
    data: bytes
    first: int
    last: int
    sent_s: float
    tries: int = 1
    foreign: int = 0
    out_of_turn: int = 0
    answered: bool = False
    answer: Any = None
    trouble: list[str] = field(default_factory=list)


class Link:
    """Host end of the link to a board, for use by one thread at a time.

    Up to a window of requests are in flight. Boards serve requests in order of arrival and byte streams keep order. A
    reply therefore shows that unanswered requests sent before its own were lost, and they are repeated immediately.
    When no reply arrives for longer than replies have taken so far, all unanswered requests are repeated, and again
    after twice that time, up to `timeout_s`. A request that was sent `tries` times ends in an error, so no call waits
    longer than ``tries * timeout_s`` for an answer.

    Parameters
    ----------
    transport : Transport
        Byte stream to the board.
    timeout_s : float
        Time limit of one request in seconds. Setting it discards the measured times of replies.
    tries : int
        Maximum number of times a request is sent, at least 1.
    clock : callable
        Function that returns the time in seconds, such as `time.monotonic`.

    Attributes
    ----------
    epoch : int
        Epoch of QUERY and CANDIDATES requests, and of the replies to these and to FETCH, PUSH and PULL.
    credit_bytes : int
        Number of bytes of credits at the end of every reply; they are passed on with its payload.
    window : int
        Maximum number of requests in flight; 1 until the board has reported its window.
    statistics : LinkStatistics
        Counters since the link was opened.
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
        self.credit_bytes = 0
        self._window = 1
        self._epoch = 0
        self._sequence = 0
        self._sendings = 0
        # Ends a partial frame that another host may have left.
        self._write(bytes([DELIMITER]))

    @property
    def timeout_s(self) -> float:
        """Time limit of one request, in seconds."""
        return self._timeout_s

    @timeout_s.setter
    def timeout_s(self, timeout_s: float) -> None:
        if not 0 < timeout_s < float("inf"):
            raise InputError(f"timeout_s must be finite and greater than 0, not {timeout_s}")
        self._timeout_s = timeout_s
        #: Kind of request -> smoothed time of replies, and its deviation.
        self._took_s: dict[Kind | StreamKind, tuple[float, float]] = {}

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
        """Maximum number of requests in flight, 1 to 128."""
        return self._window

    @window.setter
    def window(self, window: int) -> None:
        if not 1 <= window <= WINDOW_MAX:
            raise InputError(f"window must be 1 to {WINDOW_MAX}, not {window}")
        self._window = window

    def ask(self, request: Request[T]) -> T:
        """Send one request and return its answer, with the errors of `exchange`."""
        (answer,) = self.exchange([request])
        return answer

    def exchange(self, requests: Iterable[Request[T]]) -> Iterator[T]:
        """Send requests and yield their answers in the same order.

        An iterator that ends is asked again after each answer, so that it can decide by the answers what to send. The
        exchange ends when it gives nothing and all is answered.

        Raises
        ------
        RefusedError
            The board refuses a request; later requests may or may not have been executed.
        BoardResetError
            The board no longer has the epoch of the queries.
        LostDeviceError
            A request got no answer after `tries` transmissions, or the byte stream has ended.
        """
        waiting = iter(requests)
        pending: deque[_Pending] = deque()
        while True:
            self._fill(waiting, pending)
            if not pending:
                return
            self._await(pending)
            while pending and pending[0].answered:
                yield pending.popleft().answer

    @property
    def ended(self) -> bool:
        """True if the other end has closed the byte stream, as a served board does when another host has its turn."""
        return isinstance(self._transport, DescriptorTransport) and self._transport.ended

    def close(self) -> None:
        """Close the byte stream."""
        self._transport.close()

    def _fill(self, waiting: Iterator[Request[Any]], pending: deque[_Pending]) -> None:
        """Send requests until the window is full."""
        requests = list(islice(waiting, self._window - len(pending)))
        sequences = [(self._sequence + number) % 256 for number in range(len(requests))]
        frames = [
            Frame(request.kind, sequence, 0, self._epoch if request.kind in _OF_EPOCH else 0, request.payload)
            for request, sequence in zip(requests, sequences, strict=True)
        ]
        for request, sequence, data in zip(requests, sequences, encode_all(frames), strict=True):
            self._sendings += 1
            pending.append(_Pending(request, sequence, data, self._sendings, self._sendings, self._clock()))
            self._sequence = (sequence + 1) % 256
            self.statistics.requests += 1
            self._write(data)

    def _repeat(self, one: _Pending) -> None:
        if one.tries >= self.tries:
            said = f"; last: {one.trouble[-1]}" if one.trouble else ""
            raise LostDeviceError(
                f"the link is dead: {one.request.kind.name} was sent {one.tries} times within"
                f" {self._clock() - one.sent_s:.1f} s without an answer{said}"
            )
        one.tries += 1
        self._resend(one)

    def _resend(self, one: _Pending) -> None:
        self._sendings += 1
        one.last = self._sendings
        self.statistics.repeats += 1
        self._write(one.data)

    def _await(self, pending: deque[_Pending]) -> None:
        """Wait until the first pending request is answered."""
        silences, kind = 0, pending[0].request.kind
        deadline = self._clock() + self._patience(kind, silences)
        while not pending[0].answered:
            now = self._clock()
            data = self._transport.read(_READ_BYTES, max(0.0, deadline - now))
            self.statistics.bytes_in += len(data)
            # Only answers extend the deadline, so that endless garbage cannot.
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

    def _patience(self, kind: Kind | StreamKind, silences: int) -> float:
        """Return the time to wait for an answer to this kind of request, after a number of timeouts, in seconds.

        The estimate follows TCP (RFC 6298): the smoothed time of replies plus four times its smoothed deviation. It is
        kept per kind of request, because a query takes longer than a register read.
        """
        if kind not in self._took_s:
            return self._timeout_s
        took_s, varies_s = self._took_s[kind]
        return min(self._timeout_s, max(_PATIENCE_S, took_s + 4 * varies_s) * 2.0**silences)

    def _measure(self, kind: Kind | StreamKind, now_s: float) -> None:
        took_s, varies_s = self._took_s.get(kind, (now_s, now_s / 2))
        if kind in self._took_s:
            varies_s += (abs(now_s - took_s) - varies_s) / 4
            took_s += (now_s - took_s) / 8
        self._took_s[kind] = took_s, varies_s

    def _take(self, item: Frame | Damage, pending: deque[_Pending]) -> bool:
        """Assign a frame to the request that it answers; return False if there is none."""
        if isinstance(item, Damage):
            self.statistics.damaged += 1
            return False
        one = next((p for p in pending if p.sequence == item.sequence and not p.answered), None)
        if one is None or item.kind not in (one.request.kind | REPLY, ERROR):
            self.statistics.late += 1
            return False
        if one.request.kind in _ANSWERED_IN_EPOCH and item.epoch != self._epoch:
            self._foreign(one, item.epoch)
            return False
        try:
            if item.kind == ERROR:
                refusal = replies.refusal(item.payload[: len(item.payload) - self.credit_bytes])
                if refusal.code == StreamFault.TURN and self._order(one, pending):
                    return True
                self._refused(one, refusal)
            one.answer = one.request.parse(item.payload)
        except ProtocolError as error:
            # A reply to a request of the host before this one, whose own is still to come. Repeating it at once would
            # use up all tries on the replies to what that host repeated.
            self.statistics.wrong += 1
            one.trouble.append(str(error))
            return False
        one.answered = True
        self.statistics.replies += 1
        if one.first == one.last:  # after a repeat, it is unknown which transmission was answered
            self._measure(one.request.kind, self._clock() - one.sent_s)
        for other in pending:
            if not other.answered and other.last < one.first:
                self._repeat(other)
        return True

    def _order(self, one: _Pending, pending: deque[_Pending]) -> bool:
        """Send a request again that was refused because one before it was lost, after that one.

        The board shows that it listens, so only the lost request uses up a try. Return False after three such refusals
        with nothing lost, which prove another host.
        """
        earlier = [other for other in pending if not other.answered and other.first < one.first]
        one.out_of_turn = 0 if earlier else one.out_of_turn + 1
        if one.out_of_turn >= _OUT_OF_TURN:
            return False
        for other in earlier:
            if other.last < one.last:
                self._repeat(other)
        self._resend(one)
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
