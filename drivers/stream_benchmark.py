"""Measurement of the link of boards that hold a core: payload bytes a cycle, while requests never wait for the host."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from ninefold.drivers.protocol import Decoder, encode_all, replies, requests, stream_replies
from ninefold.drivers.stream_core import interface_of
from ninefold.drivers.streams import StreamClient
from ninefold.drivers.transports import open_transport
from ninefold.spec.benchmark import Figure, Parameter, Size
from ninefold.spec.benchmark import Request as BenchmarkRequest
from ninefold.spec.errors import DeviceError
from ninefold.spec.link import DELIMITER, PREFIX_BYTES, Frame, Kind
from ninefold.spec.protocols import Transport
from ninefold.spec.stream_link import TURNS, StreamKind
from ninefold.spec.streams import CREDIT_BYTES

__all__ = ["measure_streams"]

#: Core that gives back what it takes.
_CORE: Final = "queue"
#: Kilobytes of payload each way. A simulated board takes up to 64 at once.
_PLANS: Final[Mapping[Size, int]] = {"tiny": 8, "small": 48, "large": 48}
#: PUSHes before the first count of cycles.
_WARM: Final = 2
#: Simulated boards: clock cycles of a byte of the link, and least share of its bytes that payload must take.
_BOARDS: Final[Mapping[str, tuple[int, str]]] = {
    "virtual": (1, ">= 0.8"),
    # 6 Mbaud at 24 MHz, ten bits a byte.
    "icebreaker": (40, ">= 0.9"),
}
_TIMEOUT_S: Final = 120.0
_SEED: Final = 5


#: Request: its kind, payload, and number of payloads of the stream.
Asked = tuple[StreamKind | Kind, bytes, int]


@dataclass(frozen=True)
class _Moved:
    payload_bytes: int
    cycles: int


def measure_streams(request: BenchmarkRequest) -> list[Figure]:
    """Send payloads through boards around a queue by PUSH and PULL, and count the cycles of the simulated boards.

    All requests are written at once, so that the board, and not the host, limits the rate. Requests whose
    replies are longer are followed by delimiters, because a UART cannot hold them back. Two
    requests for the counters, one after the first PUSHes and one at the end, tell the cycles between them.

    Raises
    ------
    DeviceError
        A payload is lost or changed.
    """
    boards = _BOARDS if request.size != "tiny" else {"virtual": _BOARDS["virtual"]}
    return [_figure(name, *about, request.size) for name, about in boards.items()]


def _figure(board: str, byte_cycles: int, target: str, size: Size) -> Figure:
    found = interface_of(_CORE, {})
    transport = open_transport(f"sim://{board}/{_CORE}")
    client = StreamClient(transport, found.streams, found.registers)
    try:
        moved = _move(client, transport, _PLANS[size] << 10)
    finally:
        client.close()
    parameters: dict[str, Parameter] = {"window": client.identity.window, "core": _CORE}
    return Figure(
        "streams",
        f"board:{board}",
        "payload bytes a cycle, each way" if byte_cycles == 1 else "payload of the UART's bytes, each way",
        moved.payload_bytes * byte_cycles / moved.cycles,
        "",
        parameters=parameters,
        kind="exact",
        better="more",
        target="" if size == "tiny" else target,
        detail=f"{moved.payload_bytes:,} bytes in and out in {moved.cycles:,} simulated cycles",
    )


def _move(client: StreamClient, transport: Transport, size_bytes: int) -> _Moved:
    asked = list(_requests(client, size_bytes))
    start = client.link._sequence
    frames = [
        Frame(kind, (start + number) % 256, 0, client.link.epoch, payload)
        for number, (kind, payload, _) in enumerate(asked)
    ]
    transport.write(_paced(frames, asked, client), _TIMEOUT_S)
    decoder = Decoder()
    answers: list[Frame] = []
    while len(answers) < len(frames):
        data = transport.read(1 << 16, _TIMEOUT_S)
        if not data:
            raise DeviceError(f"the board answered {len(answers)} of {len(frames)} requests")
        answers += [frame for frame in decoder.feed(data) if isinstance(frame, Frame)]
    streams, size = len(client.streams), client.streams[1].payload_bytes
    sent, taken = b"", b""
    counted: list[tuple[int, int]] = []
    for (kind, payload, count), answer in zip(asked, answers, strict=True):
        body = stream_replies.body(answer.payload, streams)
        if kind is Kind.STATISTICS:
            counted.append((len(taken), stream_replies.statistics(body).cycles))
        elif kind is StreamKind.PULL:
            taken += stream_replies.pulled(body, 1, payload[1], count, size)
        else:
            replies.nothing(body)
            sent += payload[PREFIX_BYTES:]
    if not sent.startswith(taken):
        raise DeviceError(f"the board gave {len(taken):,} bytes, which are not the first of {len(sent):,} that it took")
    (before, began), (after, ended) = counted
    return _Moved(after - before, ended - began)


def _paced(frames: Sequence[Frame], asked: Sequence[Asked], client: StreamClient) -> bytes:
    """Return requests as bytes, with delimiters after those whose replies are longer."""
    credits, size = CREDIT_BYTES * len(client.streams), client.streams[1].payload_bytes
    replies_of = [
        Frame(kind, 0, 0, 1, b"\1" * (credits + (kind is StreamKind.PULL) * (PREFIX_BYTES + count * size)))
        for kind, _, count in asked
    ]
    parts, ahead = [], 0
    for request, reply in zip(encode_all(frames), encode_all(replies_of), strict=True):
        ahead += len(reply) - len(request)
        parts += [request, bytes([DELIMITER]) * max(0, ahead)]
        ahead = min(0, ahead)
    return b"".join(parts)


def _requests(client: StreamClient, size_bytes: int) -> Iterator[Asked]:
    """Yield PUSHes, each followed by PULLs of as many payloads, and two requests for the counters."""
    into, out = client.streams
    each_in, each_out = (
        (limit - PREFIX_BYTES) // one.payload_bytes
        for one, limit in ((into, client.identity.request_max), (out, client.identity.reply_max - CREDIT_BYTES * 2))
    )
    random = np.random.default_rng(_SEED)
    turn, owed = client._turn, 0
    for number in range(_WARM + size_bytes // (each_in * into.payload_bytes)):
        if number == _WARM:
            yield Kind.STATISTICS, b"", 0
        data = np.frombuffer(random.bytes(each_in * into.payload_bytes), np.uint8).reshape(each_in, -1).copy()
        data[:, -1] &= (1 << ((into.bits - 1) % 8 + 1)) - 1
        yield StreamKind.PUSH, requests.push(0, turn, each_in, data.tobytes()), each_in
        turn, owed = (turn + 1) % TURNS, owed + each_in
        while owed >= each_out:
            yield StreamKind.PULL, requests.pull(1, turn, each_out), each_out
            turn, owed = (turn + 1) % TURNS, owed - each_out
    yield Kind.STATISTICS, b"", 0
