"""Case of the stream board around a loopback: requests one by one, each while no payload of another moves."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Any

from ninefold.drivers.protocol import frames, requests
from ninefold.hdl.catalogue import make_core
from ninefold.sim.golden.link import encoded
from ninefold.sim.golden.stream_board import GoldenStreamBoard
from ninefold.sim.levels.case import Case, Place, Reading
from ninefold.sim.levels.script import Script
from ninefold.sim.levels.search import NO_BOARD
from ninefold.sim.verilated import Field, Stream
from ninefold.spec.link import PREFIX_BYTES, REPLY, Kind, StreamFault
from ninefold.spec.streams import CORE_REGISTERS, CREDIT_BYTES

__all__ = ["case"]

_NO_OPERATOR = "the processor has no counterpart: this core moves data and computes nothing"
_NO_ECP5 = "the board's buffers are in block RAM (DP16KD), for which Yosys has no simulation model"
_BYTE = (Field("data", 8, False, 0),)
_STREAMS = {"rx": Stream("rx", True, _BYTE), "tx": Stream("tx", False, _BYTE)}
_MASK = CORE_REGISTERS
_ALL = 0xFFFF


def case(parameters: Mapping[str, Any], vectors: int, seed: int, steps: int) -> Case:
    """Return the case of the core: payloads through every channel, and a sequence."""
    talk = _Talk(parameters, seed)
    talk.ask(Kind.IDENTIFY, bytes(4))
    for number in range(vectors):
        talk.pass_on(number % talk.channels, 1)
    talk.script.play(steps, talk.operations())
    heard = tuple(talk.heard)
    return Case(
        lambda: make_core("stream_board", **parameters),
        talk.script.steps,
        lambda out: _read(out["tx"].tobytes(), heard),
        vectors,
        _NO_OPERATOR,
        NO_BOARD,
        operations=talk.script.operations,
        refused={"ecp5": _NO_ECP5},
    )


class _Talk:
    """Requests, each with the reply of a board whose queues are settled."""

    def __init__(self, parameters: Mapping[str, Any], seed: int) -> None:
        made: Any = make_core("stream_board", **parameters)
        p, interface = made.parameters, made.interface
        self.script = Script(_STREAMS, seed)
        self.channels: int = parameters["channels"]
        self._size: int = interface.streams[0].payload_bytes
        self._room: int = p.queue_bytes // self._size
        self._fits: int = min(self._room, (p.request_limit - PREFIX_BYTES) // self._size)
        limits = (p.queue_bytes, p.request_limit, p.reply_limit)
        self._made = lambda: GoldenStreamBoard(
            interface.streams, interface.registers, p.window, *limits, p.clock_hz, parameters["count_from"]
        )
        #: Operation of each reply, and bytes of credits at its end that depend on time.
        self.heard: list[tuple[int, int]] = []
        self._sequence = 0
        self._reset()

    def _reset(self) -> None:
        self._board = self._made()
        self._turn = 0
        #: Bytes that wait at each output.
        self._there = [b""] * self.channels

    def ask(self, kind: int, payload: bytes = b"", **how: Any) -> bytes:
        """Add a step with one request, and return it."""
        priority = self.script.some(0, 255) if self.script.number else 0
        body = bytes((kind, self._sequence, priority, 0)) + payload
        self._sequence = (self._sequence + 1) % 256
        self._send(body, **how)
        return body

    def _send(self, body: bytes, **how: Any) -> None:
        reply = self._board.answer(body, self._expected(body), alone=True)
        moves = reply[0] == Kind.PUSH | REPLY
        wire = encoded(reply)
        self.heard.append((self.script.number, CREDIT_BYTES * 2 * self.channels * moves))
        self.script.step(
            {"rx": [{"data": byte} for byte in encoded(body)]},
            {"tx": [((), {"data": byte}) for byte in wire]},
            loose={"tx": [moves] * len(wire)},
            **how,
        )

    def _expected(self, body: bytes) -> bytes:
        """Return what depends on the clock in the reply of a board whose queues are settled."""
        kind, payload = body[0], body[4:]
        found = b""
        if kind == Kind.PULL and len(payload) == PREFIX_BYTES:
            stream, turn, asked = struct.unpack("<BBH", payload)
            channel = stream - self.channels
            if turn == self._turn and 0 <= channel < self.channels:
                count = min(asked, len(self._there[channel]) // self._size)
                found = payload[:2] + struct.pack("<H", count) + self._there[channel][: count * self._size]
                self._there[channel] = self._there[channel][count * self._size :]
        elif kind == Kind.PUSH and struct.unpack("<H", payload[2:4])[0] > self._room:
            found = struct.pack("<BBHI", StreamFault.ROOM, kind, 0, self._room)
        waits = [len(one) // self._size for one in self._there]
        return body[:4] + found + struct.pack(f"<{2 * self.channels}H", *[self._room] * self.channels, *waits)

    def push(self, channel: int, data: bytes, *, turn: int | None = None, count: int | None = None) -> bytes:
        """Add a PUSH; whole payloads in turn reach the output."""
        whole = len(data) // self._size
        count = whole if count is None else count
        sound = turn is None and count * self._size == len(data)
        body = self.ask(Kind.PUSH, requests.push(channel, self._turn if turn is None else turn, count, data))
        if sound:
            self._turn = (self._turn + 1) % 256
            mask = self._board.control[_MASK]
            for at in range(0, len(data), self._size):
                one = data[at : at + self._size]
                self._there[channel] += bytes([one[0] ^ mask]) + one[1:-1] + bytes([one[-1] & 1])
        return body

    def pull(self, channel: int, count: int = _ALL) -> bytes:
        """Add a PULL."""
        body = self.ask(Kind.PULL, requests.pull(self.channels + channel, self._turn, count))
        self._turn = (self._turn + 1) % 256
        return body

    def pass_on(self, channel: int, count: int) -> None:
        """Add a PUSH and a PULL of random payloads."""
        self.push(channel, self.script.random.bytes(count * self._size))
        self.pull(channel)

    def operations(self) -> Mapping[str, Callable[[], None]]:
        """Return the operations of a sequence, by description."""
        some = self.script.some
        return {
            "payloads": lambda: self.pass_on(some(0, self.channels - 1), some(0, self._fits)),
            "payloads that are pulled one by one": self._one_by_one,
            "requests out of turn": self._out_of_turn,
            "payloads that are not whole": self._not_whole,
            "more payloads than there is room for": self._no_room,
            "repeats": self._repeats,
            "registers": self._registers,
            "a reset by a request": self._ask_for_reset,
            "a reset": self._reset_device,
        }

    def _one_by_one(self) -> None:
        channel = self.script.some(0, self.channels - 1)
        count = self.script.some(1, min(3, self._fits))
        self.push(channel, self.script.random.bytes(count * self._size))
        for _ in range(count + 1):
            self.pull(channel, 1)

    def _out_of_turn(self) -> None:
        wrong = (self._turn + self.script.some(1, 255)) % 256
        self.push(0, bytes(self._size), turn=wrong)
        self.ask(Kind.PULL, requests.pull(self.channels, wrong, 1))
        self.pass_on(0, 1)

    def _not_whole(self) -> None:
        for more in (-1, 1):
            self.push(0, bytes(self._size + more), count=1)
        self.pass_on(0, 1)

    def _no_room(self) -> None:
        self.ask(Kind.PUSH, requests.push(0, self._turn, self._room + self.script.some(1, 9), b""))
        self.pass_on(0, 1)

    def _repeats(self) -> None:
        channel = self.script.some(0, self.channels - 1)
        self.push(channel, self.script.random.bytes(self._size))
        pulled = self.pull(channel)
        self._send(pulled)
        self.pull(channel)

    def _registers(self) -> None:
        self.ask(Kind.WRITE, requests.write(_MASK, [self.script.some(0, 255)]))
        self.ask(Kind.READ, requests.read(_MASK, 1))
        self.pass_on(self.script.some(0, self.channels - 1), 1)

    def _ask_for_reset(self) -> None:
        self.push(0, self.script.random.bytes(self._size))
        self._there, self._turn = [b""] * self.channels, 0
        self.ask(Kind.RESET)
        self.pass_on(0, 1)

    def _reset_device(self) -> None:
        self.push(0, self.script.random.bytes(self._size))
        self._reset()
        self.ask(Kind.IDENTIFY, bytes(4), reset=True)
        self.pass_on(0, 1)


def _read(data: bytes, heard: tuple[tuple[int, int], ...]) -> Reading:
    """Parse replies, each as the answer to the request in its position."""
    found: dict[Place, Mapping[str, int | str]] = {}
    for number, ((step, timed), reply) in enumerate(zip(heard, frames.Decoder().feed(data), strict=False)):
        place = Place("link", f"reply {number}", 0, step)
        if isinstance(reply, frames.Damage):
            found[place] = {"frame": f"damaged: {reply.reason}"}
            break
        payload = reply.payload[: len(reply.payload) - timed].hex()
        found[place] = {"type": reply.kind, "sequence": reply.sequence, "epoch": reply.epoch, "payload": payload}
    return found
