"""Vectors for the cores of the link and the queue."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ninefold.drivers.protocol import cobs
from ninefold.drivers.protocol.errors import ProtocolError
from ninefold.hdl.catalogue import make_core
from ninefold.sim.golden.link import encoded, pieces, receive, stuff
from ninefold.sim.levels.case import Beats, Case, Place, Reading, Step, numbers, records
from ninefold.sim.levels.ports import Loop, StreamsOnly
from ninefold.sim.levels.search import NO_BOARD
from ninefold.sim.verilated.streams import streams_of
from ninefold.spec.errors import InputError
from ninefold.spec.link import COBS_RUN, CRC_BYTES, HEADER_BYTES

__all__ = ["CORES", "framing_case"]

_NO_OPERATOR = "the processor has no counterpart of it: it moves data and computes nothing"
_LONGEST = 40


def framing_case(core: str, parameters: Mapping[str, Any], vectors: int, seed: int) -> Case:
    """Return the vectors of one of `CORES`: frames, or words of a queue.

    Parameters
    ----------
    core : str
        Its name.
    parameters : mapping
        Its parameters.
    vectors : int
        How many frames, or words.
    seed : int
        Of all of them.

    Raises
    ------
    InputError
        A group of another length than the link's.
    """
    if parameters.get("group", COBS_RUN) != COBS_RUN:
        raise InputError(f"group must be {COBS_RUN} to be compared with the link's frames, not {parameters['group']}")
    return CORES[core](core, parameters, vectors, np.random.default_rng(seed))


def _frames(random: np.random.Generator, count: int, shortest: int = 1) -> list[bytes]:
    """Return frames with many zeros, and with none for long."""
    sizes = random.integers(shortest, _LONGEST, count)
    sizes[:: max(1, count // 2)] += 254
    return [
        bytes(np.where(random.random(size) < random.choice([0.0, 0.5]), 0, random.integers(1, 256, size)).tolist())
        for size in sizes.tolist()
    ]


def _encoder(core: str, parameters: Mapping[str, Any], vectors: int, random: np.random.Generator) -> Case:
    frames = _frames(random, vectors)
    return _bytes(
        core,
        parameters,
        ("input", [_marked(frame) for frame in frames]),
        ("output", [_plain(stuff(frame)) for frame in frames]),
        [_plain(cobs.encode(frame) + b"\0") for frame in frames],
    )


def _sender(core: str, parameters: Mapping[str, Any], vectors: int, random: np.random.Generator) -> Case:
    frames = _frames(random, vectors, HEADER_BYTES)
    checked = [frame + zlib.crc32(frame).to_bytes(CRC_BYTES, "little") for frame in frames]
    return _bytes(
        core,
        parameters,
        ("frames", [_marked(frame) for frame in frames]),
        ("output", [_plain(encoded(frame)) for frame in frames]),
        [_plain(cobs.encode(frame) + b"\0") for frame in checked],
    )


def _decoder(core: str, parameters: Mapping[str, Any], vectors: int, random: np.random.Generator) -> Case:
    sent = [stuff(frame) for frame in _frames(random, vectors)]
    # The code of a group that the frame does not have.
    sent[-1] = bytes([200]) + sent[-1][1:] if len(sent[-1]) < 190 else sent[-1]

    def decoded(frame: bytes) -> list[dict[str, int]]:
        try:
            return [{"data": byte, "end": 0} for byte in cobs.decode(frame[:-1])] + [{"end": 1, "damaged": 0}]
        except ProtocolError:
            return []

    came = [[{"data": p.byte, "end": int(p.end), "damaged": int(p.damaged)} for p in pieces(frame)] for frame in sent]
    return _bytes(core, parameters, ("input", [_plain(f) for f in sent]), ("output", came), [decoded(f) for f in sent])


def _loop(core: str, parameters: Mapping[str, Any], vectors: int, random: np.random.Generator) -> Case:
    words = [_plain(random.integers(0, 256, 4, np.uint8).tobytes()) for _ in range(vectors)]
    return _bytes(core, parameters, ("input", words), ("output", words), None, lambda: Loop(parameters["divisor"]))


def _queue(core: str, parameters: Mapping[str, Any], vectors: int, random: np.random.Generator) -> Case:
    size = 2 * parameters["depth"] + 3
    top = 1 << min(parameters["width"], 62)
    words = [[{"data": value} for value in random.integers(0, top, size).tolist()] for _ in range(vectors)]

    def component() -> StreamsOnly:
        return StreamsOnly(make_core(core, **parameters))

    return _bytes(core, parameters, ("input", words), ("output", words), None, component)


def _receiver(core: str, parameters: Mapping[str, Any], vectors: int, random: np.random.Generator) -> Case:
    sent = [bytearray(encoded(frame)) for frame in _frames(random, vectors, HEADER_BYTES)]
    for frame in sent[1::3]:
        frame[len(frame) // 2] ^= 0x80 if frame[len(frame) // 2] != 0x80 else 0x40

    def component() -> StreamsOnly:
        return StreamsOnly(make_core(core, **parameters))

    streams = {stream.name: stream for stream in streams_of(component())}
    frames = receive(b"".join(map(bytes, sent)), parameters["capacity"]).frames
    heads = [
        {
            "type": frame[0],
            "sequence": frame[1],
            "priority": frame[2],
            "epoch": frame[3],
            "crc": zlib.crc32(frame),
            "length": len(frame) - HEADER_BYTES,
        }
        for frame in frames
    ]
    payloads = [frame[HEADER_BYTES:] for frame in frames]
    head_places = [Place("headers", f"frame {i}", 0) for i in range(len(frames))]
    places = [Place("payload", f"frame {i}", e) for i, payload in enumerate(payloads) for e in range(len(payload))]

    def read(out: Mapping[str, Beats]) -> Reading:
        found = dict(zip(head_places, records(streams["headers"], out["headers"]), strict=False))
        return {**found, **dict(zip(places, records(streams["payload"], out["payload"]), strict=False))}

    outputs = {
        "headers": numbers(streams["headers"], [heads]),
        "payload": numbers(streams["payload"], map(_plain, payloads)),
    }
    entering = numbers(streams["input"], map(_plain, sent))
    return Case(component, (Step({"input": entering}, outputs),), read, vectors, _NO_OPERATOR, NO_BOARD)


def _bytes(
    core: str,
    parameters: Mapping[str, Any],
    source: tuple[str, list[list[dict[str, int]]]],
    sink: tuple[str, list[list[dict[str, int]]]],
    host: Sequence[Sequence[Mapping[str, int]]] | None,
    component: Callable[[], Any] | None = None,
) -> Case:
    """Return the case of a core with one input and one output, and what the host's own codec says."""
    made = component or (lambda: make_core(core, **parameters))
    streams = {stream.name: stream for stream in streams_of(made())}
    called = "word" if core == "queue" else "frame"
    places = [Place(core, f"{called} {i}", e) for i, frame in enumerate(sink[1]) for e in range(len(frame))]

    def compute() -> Reading:
        return {Place(core, f"{called} {i}", e): row for i, rows in enumerate(host or ()) for e, row in enumerate(rows)}

    entering = numbers(streams[source[0]], source[1])
    leaving = numbers(streams[sink[0]], sink[1])
    return Case(
        made,
        (Step({source[0]: entering}, {sink[0]: leaving}),),
        lambda out: dict(zip(places, records(streams[sink[0]], out[sink[0]]), strict=False)),
        len(sink[1]),
        _NO_OPERATOR if host is None else compute,
        NO_BOARD,
    )


def _plain(data: bytes | bytearray) -> list[dict[str, int]]:
    return [{"data": byte} for byte in data]


def _marked(data: bytes) -> list[dict[str, int]]:
    return [{"data": byte, "last": int(i == len(data) - 1)} for i, byte in enumerate(data)]


#: What makes the case of each core.
CORES: Mapping[str, Callable[[str, Mapping[str, Any], int, np.random.Generator], Case]] = {
    "queue": _queue,
    "cobs_encoder": _encoder,
    "cobs_decoder": _decoder,
    "frame_sender": _sender,
    "frame_receiver": _receiver,
    "uart_transmitter": _loop,
    "uart_receiver": _loop,
}
