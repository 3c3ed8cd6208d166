"""Measurement of the codec of the link: windows of full frames to bytes and back, beside the package ``cobs``."""

from __future__ import annotations

import importlib.util
import zlib
from collections.abc import Callable, Mapping, Sequence
from time import process_time
from typing import Final

import numpy as np

from ninefold.drivers.protocol import Decoder, encode_all
from ninefold.spec.benchmark import Figure, Parameter, Request, Size, summary
from ninefold.spec.errors import DeviceError
from ninefold.spec.link import CRC_BYTES, DELIMITER, HEADER_BYTES, WINDOW, Frame, Kind

__all__ = ["measure_codec"]

#: Rounds, and windows a round.
_PLANS: Final[Mapping[Size, tuple[int, int]]] = {"tiny": (3, 1), "small": (25, 40), "large": (101, 100)}
#: Payload of a full frame on most boards.
_PAYLOAD_BYTES: Final = 1016
_OURS, _PEER = "ninefold", "cobs"
#: Least rate in MB/s, and least share of payload in the bytes of full frames.
_RATE, _SHARE = ">= 20", ">= 0.9"
_SEED: Final = 3

Contenders = Mapping[str, Callable[[], object]]


def measure_codec(request: Request) -> list[Figure]:
    """Encode and decode windows of full frames of random bytes, of zeros, and of small integers of 16 bits.

    Frames include header and CRC-32, which the peer's caller adds and checks by zlib.

    Raises
    ------
    DeviceError
        Frames do not come back, or the peer gives other bytes.
    """
    random = np.random.default_rng(_SEED)
    contents = {
        "random bytes": random.bytes(WINDOW * _PAYLOAD_BYTES),
        "zeros": bytes(WINDOW * _PAYLOAD_BYTES),
        "small integers": random.integers(-3, 4, WINDOW * _PAYLOAD_BYTES // 2, np.int16).tobytes(),
    }
    if importlib.util.find_spec(_PEER) is None:
        request.note("link: the codec has no peer: cobs is not installed; pip install 'ninefold[bench]'")
    return [figure for name, content in contents.items() for figure in _content(request.size, name, content)]


def _content(size: Size, name: str, content: bytes) -> list[Figure]:
    payloads = [content[i : i + _PAYLOAD_BYTES] for i in range(0, len(content), _PAYLOAD_BYTES)]
    frames = [Frame(Kind.QUERY, number, 0, 1, payload) for number, payload in enumerate(payloads)]
    stream = b"".join(encode_all(frames))
    if Decoder().feed(stream) != frames:
        raise DeviceError(f"the frames of {name} do not come back")
    encoders: dict[str, Callable[[], object]] = {_OURS: lambda: encode_all(frames)}
    decoders: dict[str, Callable[[], object]] = {_OURS: lambda: Decoder().feed(stream)}
    if importlib.util.find_spec(_PEER) is not None:
        encoders[_PEER], decoders[_PEER] = _peer(frames, stream)
    parameters: dict[str, Parameter] = {"content": name, "payload bytes": _PAYLOAD_BYTES, "window": len(frames)}
    share = Figure(
        "codec",
        _OURS,
        "payload of bytes on a UART",
        len(content) / len(stream),
        "",
        parameters=parameters,
        kind="exact",
        better="more",
        target=_SHARE,
        detail=f"{len(content):,} bytes of payload in {len(stream):,}",
    )
    return [
        share,
        *_figures("encoded", _rates(encoders, len(content), size), parameters, size),
        *_figures("decoded", _rates(decoders, len(content), size), parameters, size),
    ]


def _peer(frames: Sequence[Frame], stream: bytes) -> tuple[Callable[[], object], Callable[[], object]]:
    """Return functions that encode and decode the frames by the package ``cobs``."""
    from cobs import cobs

    def encode() -> bytes:
        parts = []
        for frame in frames:
            body = bytes((frame.kind, frame.sequence, frame.priority, frame.epoch)) + frame.payload
            parts.append(cobs.encode(body + zlib.crc32(body).to_bytes(CRC_BYTES, "little")))
        return bytes([DELIMITER]).join([*parts, b""])

    def decode() -> list[Frame]:
        found = []
        for piece in stream.split(bytes([DELIMITER]))[:-1]:
            body = cobs.decode(piece)
            if zlib.crc32(body[:-CRC_BYTES]) == int.from_bytes(body[-CRC_BYTES:], "little"):
                found.append(Frame(body[0], body[1], body[2], body[3], body[HEADER_BYTES:-CRC_BYTES]))
        return found

    if encode() != stream or decode() != frames:
        raise DeviceError("the package cobs gives other frames")
    return encode, decode


def _rates(contenders: Contenders, size_bytes: int, size: Size) -> dict[str, list[float]]:
    """Return MB of payload a second of each contender, one value a round; they take turns.

    Rates are per second of processor time: one thread computes, and waits for nothing.
    """
    rounds, windows = _PLANS[size]
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, contender in contenders.items():
            contender()
            began = process_time()
            for _ in range(windows):
                contender()
            rates[name].append(windows * size_bytes / (process_time() - began) / 1e6)
    return rates


def _figures(
    quantity: str, rates: Mapping[str, list[float]], parameters: Mapping[str, Parameter], size: Size
) -> list[Figure]:
    """Return the rate with its target, and beside the peer, whose rate is absolute too."""
    # A few calls measure only what a call costs.
    target = "" if size == "tiny" else _RATE
    ours = rates[_OURS]
    figures = [
        Figure.timed("codec", _OURS, quantity, ours, "MB/s", parameters=parameters, better="more", target=target)
    ]
    if _PEER in rates:
        peer = rates[_PEER]
        figures += [
            Figure.timed(
                "codec",
                _OURS,
                f"{quantity}, beside cobs",
                ours,
                "MB/s",
                parameters=parameters,
                better="more",
                beside=_PEER,
                ratio=summary(ours)[0] / summary(peer)[0],
                ratio_spread=summary([a / b for a, b in zip(ours, peer, strict=True)])[1],
                detail="cobs is compiled C, frame by frame",
            ),
            Figure.timed("codec", _PEER, quantity, peer, "MB/s", parameters=parameters),
        ]
    return figures
