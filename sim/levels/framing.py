"""Cases of the link's cores and the queue."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ninefold.drivers.protocol import cobs
from ninefold.hdl.catalogue import make_core
from ninefold.sim.golden.link import encoded, pieces, receive, stuff
from ninefold.sim.levels.case import Case, Place, Reading, Record
from ninefold.sim.levels.damage import damaged
from ninefold.sim.levels.ports import Loop, StreamsOnly
from ninefold.sim.levels.script import PAUSES, Due, Script
from ninefold.sim.levels.search import NO_BOARD
from ninefold.sim.verilated.streams import streams_of
from ninefold.spec.errors import InputError
from ninefold.spec.link import COBS_RUN, CRC_BYTES, HEADER_BYTES

__all__ = ["CORES", "framing_case"]

_NO_OPERATOR = "the processor has no counterpart: this core moves data and computes nothing"
_LONGEST = 40
#: Share of cycles in which the UART's bytes may wait; a byte that is not taken before the next one is lost.
_UART_PAUSES = (0.0, 0.25, 0.5)


def framing_case(core: str, parameters: Mapping[str, Any], vectors: int, seed: int, steps: int) -> Case:
    """Return the case of one of `CORES`: frames, or words of a queue.

    Parameters
    ----------
    core : str
        Name of the core.
    parameters : mapping
        Parameters of the core.
    vectors : int
        Number of frames or words.
    seed : int
        Seed of the case.
    steps : int
        Number of operations in the sequence after them.

    Raises
    ------
    InputError
        The group length differs from the link's.
    """
    if parameters.get("group", COBS_RUN) != COBS_RUN:
        raise InputError(f"group must be {COBS_RUN} to be compared with the link's frames, not {parameters['group']}")
    made = CORES[core](core, parameters, seed)
    made.send(made.frames(vectors))
    made.script.play(steps, made.operations(), made.fill if made.blocks else None)
    return Case(
        made.component,
        made.script.steps,
        made.script.read,
        vectors,
        made.processor if made.on_host else _NO_OPERATOR,
        NO_BOARD,
        operations=made.script.operations,
    )


class _Bytes:
    """Case of a core with one input and one output: frames and the resulting beats.

    Parameters
    ----------
    core : str
        Name of the core.
    parameters : mapping
        Parameters of the core.
    seed : int
        Seed of all frames.
    """

    #: Names of the core's streams.
    source, sink = "input", "output"
    #: Whether the host has an equivalent codec.
    on_host = False
    #: Length of the shortest frame.
    shortest = 1
    #: Argument of `Script`.
    pauses: Sequence[float] = PAUSES
    blocks = True

    def __init__(self, core: str, parameters: Mapping[str, Any], seed: int) -> None:
        self.core = core
        self.given = parameters
        streams = {stream.name: stream for stream in streams_of(self.component())}
        self.script = Script(streams, seed, pauses=self.pauses, blocks=self.blocks)
        self.random = self.script.random
        self._count = 0
        self._host: dict[Place, Record] = {}

    def component(self) -> Any:
        """Build the core."""
        return make_core(self.core, **self.given)

    def operations(self) -> Mapping[str, Callable[[], None]]:
        """Return the operations of a sequence, by description."""
        some = self.script.some
        return {
            "frames": lambda: self.send(self.frames(some(1, 4))),
            "short frames": lambda: self.send([self._frame(self.shortest + some(0, 2)) for _ in range(some(4, 16))]),
            "frames about as long as a group": lambda: self.send([self._frame(some(250, 258), 0.0) for _ in range(3)]),
            "a full core": lambda: self.send(self.frames(6), blocked=True),
            "a reset within a frame": self._reset,
        }

    def processor(self) -> Reading:
        """Return the reading of the host's codec."""
        return self._host

    def frames(self, count: int) -> list[bytes]:
        """Return frames with many zeros, and frames with long runs without one."""
        sizes = self.random.integers(self.shortest, _LONGEST, count)
        sizes[:: max(1, count // 2)] += COBS_RUN
        return [self._frame(size) for size in sizes.tolist()]

    def fill(self) -> None:
        """Fill the core, reset it, and fill it again."""
        frames = [*self.frames(4), self._frame(self.given.get("capacity", 600), 0.0)]
        for reset in (False, True):
            self.send(frames, fills=True, reset=reset)

    def send(self, frames: Sequence[bytes], **how: Any) -> None:
        """Add a step with these frames; the other arguments go to `Script.step`."""
        due: list[tuple[list[Place], Record]] = []
        for frame in frames:
            came, host = self.given_out(frame)
            places = self.script.places(self.core, f"frame {self._count}", len(came))
            self._count += 1
            due += [([place], row) for place, row in zip(places, came, strict=True)]
            self._host.update(zip(places, host, strict=False))
        sent = [record for frame in frames for record in self.taken_in(frame)]
        self.script.step({self.source: sent}, {self.sink: due}, **how)

    def one_by_one(self, frames: Sequence[bytes]) -> None:
        """Add a step for each frame."""
        for frame in frames:
            self.send([frame])

    def taken_in(self, frame: bytes) -> Sequence[Record]:
        """Return the input beats of a frame."""
        return plain(frame)

    def given_out(self, frame: bytes) -> tuple[Sequence[Record], Sequence[Record]]:
        """Return the output beats of a frame, from the golden model and from the host's codec."""
        return plain(frame), ()

    def _reset(self) -> None:
        sent = [record for frame in self.frames(2) for record in self.taken_in(frame)]
        self.script.step({self.source: sent[: self.script.some(1, len(sent) - 1)]}, {}, broken_off=True)
        self.send(self.frames(2), reset=True)

    def _frame(self, size: int, zeros: float | None = None) -> bytes:
        share = self.random.choice([0.0, 0.5]) if zeros is None else zeros
        return bytes(np.where(self.random.random(size) < share, 0, self.random.integers(1, 256, size)).tolist())


class _Encoder(_Bytes):
    on_host = True

    def taken_in(self, frame: bytes) -> Sequence[Record]:
        return [{"data": byte, "last": int(i == len(frame) - 1)} for i, byte in enumerate(frame)]

    def given_out(self, frame: bytes) -> tuple[Sequence[Record], Sequence[Record]]:
        return plain(stuff(frame)), plain(cobs.encode(frame) + b"\0")


class _Sender(_Encoder):
    source = "frames"
    shortest = HEADER_BYTES

    def given_out(self, frame: bytes) -> tuple[Sequence[Record], Sequence[Record]]:
        checked = frame + zlib.crc32(frame).to_bytes(CRC_BYTES, "little")
        return plain(encoded(frame)), plain(cobs.encode(checked) + b"\0")


class _Decoder(_Bytes):
    on_host = True

    def operations(self) -> Mapping[str, Callable[[], None]]:
        return {**super().operations(), "damaged frames": lambda: self._damaged(6)}

    def taken_in(self, frame: bytes) -> Sequence[Record]:
        return plain(stuff(frame))

    def given_out(self, frame: bytes) -> tuple[Sequence[Record], Sequence[Record]]:
        host: list[Record] = [{"data": byte, "end": 0} for byte in cobs.decode(cobs.encode(frame))]
        return decoded(stuff(frame)), [*host, {"end": 1, "damaged": 0}]

    def _damaged(self, count: int) -> None:
        stream = b"".join(damaged(self.random, stuff(frame)) for frame in self.frames(count))
        # A damaged frame may have lost its end and merge with the next.
        stream += b"\0"
        came = decoded(stream)
        places = self.script.places(self.core, "damaged frames", len(came))
        due = [([place], row) for place, row in zip(places, came, strict=True)]
        self.script.step({self.source: plain(stream)}, {self.sink: due})
        self.send(self.frames(1))


class _Loop(_Bytes):
    pauses = _UART_PAUSES
    blocks = False

    def component(self) -> Any:
        return Loop(self.given["divisor"])

    def operations(self) -> Mapping[str, Callable[[], None]]:
        some = self.script.some
        return {
            "bytes": lambda: self.send([self._frame(some(1, 9))]),
            "single bytes": lambda: self.one_by_one([self._frame(1) for _ in range(3)]),
            "a reset within a byte": self._reset,
        }

    def frames(self, count: int) -> list[bytes]:
        return [self._frame(4) for _ in range(count)]


class _Queue(_Bytes):
    def component(self) -> Any:
        return StreamsOnly(make_core(self.core, **self.given))

    def operations(self) -> Mapping[str, Callable[[], None]]:
        some, depth = self.script.some, self.given["depth"]
        return {
            "words": lambda: self.send([bytes(some(1, depth))]),
            "single words": lambda: self.one_by_one([bytes(1)] * 4),
            "a full queue": lambda: self.send([bytes(2 * depth + 3)], blocked=True),
            "a reset": self._reset,
        }

    def frames(self, count: int) -> list[bytes]:
        return [bytes(2 * self.given["depth"] + 3) for _ in range(count)]

    def send(self, frames: Sequence[bytes], **how: Any) -> None:
        """Add a step with one word of random value for each byte."""
        rows: list[Record] = []
        due: list[tuple[list[Place], Record]] = []
        for frame in frames:
            words = self.taken_in(frame)
            rows += words
            places = self.script.places(self.core, f"word {self._count}", len(words))
            self._count += 1
            due += [([place], row) for place, row in zip(places, words, strict=True)]
        self.script.step({self.source: rows}, {self.sink: due}, **how)

    def taken_in(self, frame: bytes) -> Sequence[Record]:
        top = 1 << min(self.given["width"], 62)
        return [{"data": value} for value in self.random.integers(0, top, len(frame)).tolist()]


class _Receiver(_Bytes):
    shortest = HEADER_BYTES

    def component(self) -> Any:
        return StreamsOnly(make_core(self.core, **self.given))

    def operations(self) -> Mapping[str, Callable[[], None]]:
        capacity = self.given["capacity"]
        return {
            **super().operations(),
            "a bit of the CRC": self._checks,
            "damaged frames": lambda: self.send(self.frames(6), damage=1.0),
            "a frame that is too long": lambda: self.send([self._frame(capacity + 9), *self.frames(2)]),
        }

    def send(self, frames: Sequence[bytes], *, damage: float | None = None, **how: Any) -> None:
        """Add a step with these frames and damage a share of them, by default a third of the plain ones."""
        share = damage if damage is not None else 0.0 if self.script.number else 1 / 3
        sent = [encoded(frame) for frame in frames]
        stream = b"".join(damaged(self.random, one) if self.random.random() < share else one for one in sent)
        self._step(stream + b"\0", **how)

    def taken_in(self, frame: bytes) -> Sequence[Record]:
        return plain(encoded(frame))

    def _checks(self) -> None:
        """Send a frame with each bit of its CRC flipped in turn, then once intact."""
        (frame,) = self.frames(1)
        check = zlib.crc32(frame)
        flipped = [check ^ 1 << bit for bit in range(8 * CRC_BYTES)]
        self._step(b"".join(stuff(frame + c.to_bytes(CRC_BYTES, "little")) for c in [*flipped, check]))

    def _step(self, stream: bytes, **how: Any) -> None:
        headers: list[tuple[list[Place], Record]] = []
        payload: list[tuple[list[Place], Record]] = []
        for frame in receive(stream, self.given["capacity"] - 1).frames:
            called, size = f"frame {self._count}", len(frame) - HEADER_BYTES
            self._count += 1
            head = dict(zip(("type", "sequence", "priority", "epoch"), frame, strict=False))
            head |= {"crc": zlib.crc32(frame), "length": size}
            headers.append((self.script.places("headers", called, 1), head))
            places = self.script.places("payload", called, size)
            payload += [([place], row) for place, row in zip(places, plain(frame[HEADER_BYTES:]), strict=True)]
        outputs: Mapping[str, Due] = {"headers": headers, "payload": payload}
        self.script.step({"input": plain(stream)}, outputs, **how)


def plain(data: bytes) -> list[Record]:
    """Return a beat for each byte."""
    return [{"data": byte} for byte in data]


def decoded(stream: bytes) -> list[Record]:
    """Return the output of the decoder."""
    return [{"data": p.byte, "end": int(p.end), "damaged": int(p.damaged)} for p in pieces(stream)]


#: Class of each core's case.
CORES: Mapping[str, Callable[[str, Mapping[str, Any], int], _Bytes]] = {
    "queue": _Queue,
    "cobs_encoder": _Encoder,
    "cobs_decoder": _Decoder,
    "frame_sender": _Sender,
    "frame_receiver": _Receiver,
    "uart_transmitter": _Loop,
    "uart_receiver": _Loop,
}
