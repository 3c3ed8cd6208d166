"""Driver of a board of design stream: whole arrays of payloads to and from the streams of a core."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Final, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from ninefold.drivers.link import TIMEOUT_S, TRIES, Link, LinkStatistics, Request
from ninefold.drivers.protocol import ProtocolError, replies, requests, stream_replies
from ninefold.drivers.protocol.stream_replies import StreamIdentity, StreamStatistics
from ninefold.spec.errors import DeviceError, InputError, LostDeviceError
from ninefold.spec.link import CRC_BYTES, EPOCH_MAX, PREFIX_BYTES, Kind
from ninefold.spec.protocols import Transport
from ninefold.spec.registers import BY_NAME, Register
from ninefold.spec.stream_link import TURNS, StreamKind
from ninefold.spec.streams import CoreRegister, StreamLayout, board_registers, layout_check
from ninefold.spec.text import counted

__all__ = ["StreamClient"]

Beats = npt.NDArray[np.uint8]
T = TypeVar("T")

#: Time without a payload after which none is expected, and number of answers within it.
_IDLE_S: Final = 0.05
_IDLE_ANSWERS: Final = 6
#: Maximum number of payloads of a request.
_COUNT_MAX: Final = 0xFFFF


class _Answer(NamedTuple):
    """Answer to a request, with the credits at its end: number of an output and the bytes of its payloads, if any."""

    credits: tuple[int, ...]
    stream: int = -1
    data: bytes = b""


class StreamClient:
    """Board of design stream behind a byte stream, for use by one thread at a time.

    The constructor identifies the board and resets it. PUSH and PULL requests fill the window, and a PUSH never holds
    more than the credit of its stream. They are executed in the order of their turns, each once, whatever the link
    loses. After an error of the link or of the core, the next `exchange` or `write` resets the board first, with its
    control registers.

    Parameters
    ----------
    transport : Transport
        Byte stream to the board; closed if the board cannot be identified.
    streams : sequence of StreamLayout
        Streams of the core, inputs first.
    registers : sequence of CoreRegister
        Registers of the core.
    digest : str
        Digest of the bitstream that the board must hold; empty for any.
    timeout_s, tries, clock
        As of `Link`.
    seed : int, optional
        Seed of nonces and epochs.

    Attributes
    ----------
    identity : StreamIdentity
        Identity of the board.
    streams : tuple of StreamLayout
        Streams of the core.
    link : Link
        The link.

    Raises
    ------
    LostDeviceError
        The board does not answer, is of another design, or holds another bitstream.
    """

    def __init__(
        self,
        transport: Transport,
        streams: Sequence[StreamLayout],
        registers: Sequence[CoreRegister] = (),
        *,
        digest: str = "",
        timeout_s: float = TIMEOUT_S,
        tries: int = TRIES,
        seed: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._random = random.Random(seed)  # noqa: S311 - nothing here is secret
        self._clock = clock
        self.streams = tuple(streams)
        self.registers: Mapping[str, Register] = {one.name: one for one in board_registers(registers)}
        self._bits = {one.name: one.bits for one in registers}
        self._layout = layout_check(self.streams, registers)
        try:
            self.link = Link(transport, timeout_s=timeout_s, tries=tries, clock=clock)
            self.identity = self._identify(digest)
            self.reset()
        except BaseException:
            transport.close()
            raise

    @property
    def link_statistics(self) -> LinkStatistics:
        """Counters of the link."""
        return self.link.statistics

    def statistics(self) -> StreamStatistics:
        """Return the counters of the board."""
        return self._ask(Kind.STATISTICS, b"", stream_replies.statistics)

    def reset(self) -> None:
        """Reset the board: its queues are empty, and the core and its registers are as after power-on."""
        self._sound = False
        # A board that was reset, or that another host used, keeps replies to other requests.
        if self._identify(self.identity.digest) != self.identity:
            raise LostDeviceError(f"another board answers now, instead of bitstream {self.identity.digest[:16]}")
        self._ask(Kind.RESET, b"", replies.nothing)
        epoch = self._random.choice([e for e in range(1, EPOCH_MAX + 1) if e != self.link.epoch])
        self._ask(Kind.WRITE, requests.write(BY_NAME["epoch"].address, [epoch]), replies.nothing)
        self.link.epoch = epoch
        self._turn = 0
        self._free = list(self._credits[: self.identity.inputs])
        self._capacity = tuple(self._free)
        self._sound = True

    def read(self, name: str) -> int:
        """Return the value of a register."""
        register = self._register(name)
        (word,) = self._ask(Kind.READ, requests.read(register.address, 1), partial(replies.words, count=1))
        return int(word)

    def write(self, name: str, value: int) -> None:
        """Write a control register of the core."""
        written = [one for one in self._bits if "w" in self.registers[one].access]
        if name not in written:
            raise InputError(f"a control register must be one of {', '.join(written) or 'none'}, not {name!r}")
        register, high = self.registers[name], (1 << self._bits[name]) - 1
        if not 0 <= value <= high:
            raise InputError(f"{name} must be 0 to {high}, not {value}")
        if not self._sound:
            self.reset()
        self._ask(Kind.WRITE, requests.write(register.address, [value]), replies.nothing)

    def exchange(
        self,
        inputs: Mapping[str, Beats],
        wanted: Mapping[str, int] | None = None,
        expected: Mapping[str, int] | None = None,
    ) -> dict[str, Beats]:
        """Send payloads to inputs and return what the outputs give.

        Parameters
        ----------
        inputs : mapping of str to array
            For each input in use, uint8 of shape (n, payload_bytes).
        wanted : mapping of str to int, optional
            Number of payloads to take from each output. By default all that come, until none has come for a while.
        expected : mapping of str to int, optional
            Without `wanted`: number of payloads of each output after which no others are awaited. If fewer come, none
            is missed.

        Returns
        -------
        dict of str to array
            uint8 of shape (n, payload_bytes), for each output.

        Raises
        ------
        InputError
            A stream does not exist, or an array has another shape.
        DeviceError
            The core did not take all payloads, or did not give the wanted number.
        BoardResetError
            The board was reset meanwhile; the payloads are lost.
        LostDeviceError
            The board does not answer.
        """
        self._check(inputs, wanted if expected is None else expected)
        if not self._sound:
            self.reset()
        self._sound = False
        transfer = _Transfer(self, inputs, wanted, expected)
        transfer.run()
        self._sound = True
        return transfer.outputs()

    def close(self) -> None:
        """Close the byte stream."""
        self.link.close()

    def number(self, name: str) -> int:
        """Return the number of a stream."""
        return next(i for i, one in enumerate(self.streams) if one.name == name)

    def _check(self, inputs: Mapping[str, Beats], wanted: Mapping[str, int] | None) -> None:
        into = {one.name: one for one in self.streams if one.input}
        out = [one.name for one in self.streams if not one.input]
        for name, beats in inputs.items():
            if name not in into:
                raise InputError(f"an input must be one of {', '.join(into) or 'none'}, not {name!r}")
            size = into[name].payload_bytes
            if beats.dtype != np.uint8 or beats.ndim != 2 or beats.shape[1] != size:
                raise InputError(
                    f"payloads of {name} must be uint8 of shape (n, {size}), not {beats.dtype} {beats.shape}"
                )
        for name, count in (wanted or {}).items():
            if name not in out or count < 0:
                raise InputError(f"wanted must map {', '.join(out) or 'nothing'} to 0 or more, not {name!r} to {count}")

    def _register(self, name: str) -> Register:
        if name not in self.registers:
            raise InputError(f"a register must be one of {', '.join(self.registers)}, not {name!r}")
        return self.registers[name]

    def _identify(self, digest: str) -> StreamIdentity:
        nonce = self._random.getrandbits(32)

        def parse(payload: bytes) -> bytes:
            if payload[:4] != nonce.to_bytes(4, "little"):
                raise ProtocolError("a reply to another host's IDENTIFY")
            return payload

        self.link.window, self.link.credit_bytes = 1, 0
        payload = self.link.ask(Request(Kind.IDENTIFY, requests.identify(nonce), parse))
        try:
            identity = stream_replies.identity(payload)
        except ProtocolError as error:
            raise LostDeviceError(f"the device that answers is no board of design stream: {error}") from error
        mine = [sum(one.input == side for one in self.streams) for side in (True, False)]
        if [identity.inputs, identity.outputs] != mine:
            raise LostDeviceError(
                f"the board has {counted(identity.inputs, 'input')} and {counted(identity.outputs, 'output')}, where "
                f"the core has {mine[0]} and {mine[1]}: it holds another bitstream"
            )
        if identity.layout != self._layout:
            raise LostDeviceError(
                f"the board holds a core with layout {identity.layout:#010x}, where this core has {self._layout:#010x}:"
                " names or widths of streams or registers differ, so it holds another bitstream"
            )
        if digest and identity.digest != digest.lower():
            raise LostDeviceError(
                f"the board holds the bitstream {identity.digest[:16]} where {digest[:16]} is expected: program it"
            )
        self.link.window = identity.window
        self.link.credit_bytes = len(payload) - len(stream_replies.body(payload, identity.streams))
        return identity

    def _ask(self, kind: Kind, payload: bytes, parse: Callable[[bytes], T]) -> T:
        streams = len(self.streams)

        def parsed(answer: bytes) -> tuple[T, tuple[int, ...]]:
            return parse(stream_replies.body(answer, streams)), stream_replies.credits(answer, streams)

        answer, self._credits = self.link.ask(Request(kind, payload, parsed))
        return answer


class _Flying(NamedTuple):
    """Request in flight: number of the stream, number of payloads, and bytes in the receive buffer."""

    stream: int
    payloads: int
    size: int


class _Transfer:
    """One call of `StreamClient.exchange`: an iterator of requests that ends while nothing can be sent."""

    def __init__(
        self,
        client: StreamClient,
        inputs: Mapping[str, Beats],
        wanted: Mapping[str, int] | None,
        expected: Mapping[str, int] | None,
    ) -> None:
        self._client = client
        identity, streams = client.identity, client.streams
        self._inputs = identity.inputs
        self._left = {client.number(name): beats for name, beats in inputs.items()}
        outputs = range(identity.inputs, identity.streams)
        # A core without outputs is done when it has taken all.
        known = wanted if outputs else {}
        self._wanted = None if known is None else {client.number(name): count for name, count in known.items()}
        self._expected = None if expected is None else {client.number(name): n for name, n in expected.items()}
        self._taken: dict[int, list[bytes]] = {number: [] for number in outputs}
        self._counts = dict.fromkeys(outputs, 0)
        # The receive buffer holds two of the longest requests, whatever the window is.
        self._buffer = 2 * (identity.request_max + CRC_BYTES) - 1
        limits = [identity.request_max if one.input else identity.reply_max for one in streams]
        self._each = [
            min(_COUNT_MAX, max(1, (limit - PREFIX_BYTES) // one.payload_bytes))
            for one, limit in zip(streams, limits, strict=True)
        ]
        # Half a queue is sent while the other half leaves it.
        for number, capacity in enumerate(client._capacity):
            self._each[number] = min(self._each[number], max(1, capacity // 2))
        self._pulls = max(1, identity.window // (2 * max(1, len(outputs))))
        self._flying: list[_Flying] = []
        self._moved_s, self._idle = client._clock(), 0
        self._pushed = False

    def run(self) -> None:
        """Exchange requests until all has moved."""
        for answer in self._client.link.exchange(self):
            self._take(answer)
        lacks = any(self._counts[n] < count for n, count in (self._wanted or {}).items())
        if lacks or any(map(len, self._left.values())):
            self._fail()

    def __iter__(self) -> Iterator[Request[_Answer]]:
        return self

    def __next__(self) -> Request[_Answer]:
        """Return a PUSH and a PULL in turn, if they are allowed."""
        if not self._done():
            for request in (self._pull, self._push) if self._pushed else (self._push, self._pull):
                found = request()
                if found is not None:
                    self._pushed = found.kind is StreamKind.PUSH
                    return found
            if not self._flying:
                return self._ask()
        raise StopIteration

    def outputs(self) -> dict[str, Beats]:
        """Return the payloads of each output."""
        streams = self._client.streams
        return {
            streams[n].name: np.frombuffer(b"".join(parts), np.uint8).reshape(-1, streams[n].payload_bytes)
            for n, parts in self._taken.items()
            if self._wanted is None or n in self._wanted
        }

    def _stalled(self) -> bool:
        return self._idle >= _IDLE_ANSWERS and self._client._clock() - self._moved_s >= _IDLE_S

    def _done(self) -> bool:
        if any(map(len, self._left.values())):
            return self._stalled()
        due = self._expected if self._wanted is None else self._wanted
        return self._stalled() or (due is not None and all(self._counts[n] >= count for n, count in due.items()))

    def _push(self) -> Request[_Answer] | None:
        """Return the next PUSH, of as many payloads as a request or what is left has; None if it is not allowed."""
        for number, beats in self._left.items():
            count = min(len(beats), self._each[number])
            size = PREFIX_BYTES + count * self._client.streams[number].payload_bytes + CRC_BYTES
            buffered = sum(one.size for one in self._flying)
            if count and count <= self._client._free[number] and buffered + size <= self._buffer:
                return self._push_of(number, count)
        return None

    def _pull(self) -> Request[_Answer] | None:
        """Return the next PULL; None if enough are in flight, or nothing more is wanted."""
        for number, count in sorted(self._counts.items(), key=lambda one: self._asked(one[0])[0]):
            pulls, asked = self._asked(number)
            more = self._each[number] if self._wanted is None else self._wanted.get(number, 0) - count - asked
            if more > 0 and pulls < self._pulls:
                return self._pull_of(number, min(more, self._each[number]))
        return None

    def _asked(self, number: int) -> tuple[int, int]:
        """Return the number of PULLs of an output in flight, and of the payloads that they ask."""
        counts = [one.payloads for one in self._flying if one.stream == number]
        return len(counts), sum(counts)

    def _ask(self) -> Request[_Answer]:
        """Return a PUSH of what there is room for, or of nothing, to learn the credits."""
        number, beats = next((one for one in self._left.items() if len(one[1])), (0, None))
        return self._push_of(number, 0 if beats is None else min(len(beats), self._client._free[number]))

    def _push_of(self, number: int, count: int) -> Request[_Answer]:
        client = self._client
        data = b""
        if count:
            data, self._left[number] = self._left[number][:count].tobytes(), self._left[number][count:]
        client._free[number] -= count
        self._flying.append(_Flying(number, count, PREFIX_BYTES + len(data) + CRC_BYTES))
        streams = len(client.streams)

        def parse(payload: bytes) -> _Answer:
            replies.nothing(stream_replies.body(payload, streams))
            return _Answer(stream_replies.credits(payload, streams))

        return Request(StreamKind.PUSH, requests.push(number, self._next_turn(), count, data), parse)

    def _pull_of(self, number: int, count: int) -> Request[_Answer]:
        streams = self._client.streams
        self._flying.append(_Flying(number, count, PREFIX_BYTES + CRC_BYTES))
        turn = self._next_turn()
        size = streams[number].payload_bytes

        def parse(payload: bytes) -> _Answer:
            body = stream_replies.body(payload, len(streams))
            data = stream_replies.pulled(body, number, turn, count, size)
            return _Answer(stream_replies.credits(payload, len(streams)), number, data)

        return Request(StreamKind.PULL, requests.pull(number, turn, count), parse)

    def _next_turn(self) -> int:
        turn = self._client._turn
        self._client._turn = (turn + 1) % TURNS
        return turn

    def _take(self, answer: _Answer) -> None:
        """Account for an answer; answers come in the order of the requests."""
        client = self._client
        done = self._flying.pop(0)
        for number in range(self._inputs):
            # What was sent after this request may not be in its credits yet.
            later = sum(one.payloads for one in self._flying if one.stream == number)
            client._free[number] = max(0, answer.credits[number] - later)
        if answer.data:
            self._taken[answer.stream].append(answer.data)
            self._counts[answer.stream] += len(answer.data) // client.streams[answer.stream].payload_bytes
        if answer.data or (done.payloads and done.stream < self._inputs):
            self._moved_s, self._idle = client._clock(), 0
        else:
            self._idle += 1

    def _fail(self) -> None:
        client = self._client
        waits = [f"{len(beats)} payloads of {client.streams[n].name}" for n, beats in self._left.items() if len(beats)]
        lacks = [
            f"{count - self._counts[n]} of {count} payloads of {client.streams[n].name}"
            for n, count in (self._wanted or {}).items()
            if self._counts[n] < count
        ]
        said = [f"did not take {', '.join(waits)}"] * bool(waits) + [f"did not give {', '.join(lacks)}"] * bool(lacks)
        raise DeviceError(f"the core {' and '.join(said)} for {_IDLE_S:g} s")
