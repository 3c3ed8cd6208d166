"""StreamBoard against the golden model of a board, request by request, as compiled by Verilator."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from functools import cache
from random import Random
from typing import Any

import numpy as np
import pytest
from amaranth.hdl import signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ninefold.hdl.stream_board import StreamBoardParameters
from ninefold.hdl.stream_board.board import StreamBoard
from ninefold.hdl.stream_board.interface import interface_of
from ninefold.sim.golden.link import encoded, receive
from ninefold.sim.golden.stream_board import GoldenStreamBoard
from ninefold.sim.verilated import Design, Gaps, Model, elaborate
from ninefold.spec.errors import InputError
from ninefold.spec.link import PREFIX_BYTES, REPLY, Kind
from ninefold.spec.registers import BY_NAME, IDENTITY
from ninefold.spec.stream_link import StreamFault, StreamKind
from tests.hdl.stream_cores import Delay, Sums, Wire

SMALL = StreamBoardParameters(buffer_bytes=128, queue_bytes=32)
CORES = {"wire": Wire, "sums": Sums, "delay": Delay, "packets": lambda: Wire(13, last=True)}
_EPOCH, _CONTROL = BY_NAME["epoch"].address, BY_NAME["control"].address
_IDLE = 1500


@cache
def design(core: str) -> Design:
    return elaborate(StreamBoard(CORES[core](), SMALL))


class Host:
    """A board, the golden model beside it, and the requests of a host."""

    def __init__(self, core: str, seed: int = 0, parameters: StreamBoardParameters = SMALL) -> None:
        made = design(core) if parameters is SMALL else elaborate(StreamBoard(CORES[core](), parameters))
        self.model = Model(made)
        self.interface = interface_of(CORES[core]())
        p = parameters
        self.golden = GoldenStreamBoard(
            self.interface.streams,
            self.interface.registers,
            p.window,
            p.queue_bytes,
            p.request_limit,
            p.reply_limit,
            p.clock_hz,
        )
        self.p = p
        self.random = Random(seed)
        self.sequence = self.turn = 0
        self.collected: list[bytes] = []

    def __enter__(self) -> Host:
        return self

    def __exit__(self, *_: object) -> None:
        self.model.close()

    def request(self, kind: int, payload: bytes = b"") -> bytes:
        body = bytes((kind, self.sequence, self.random.randrange(256), 0)) + payload
        self.sequence = (self.sequence + 1) % 256
        self.collected.append(encoded(body))
        return self.collected[-1]

    def push(self, stream: int, count: int, data: bytes | None = None, turn: int | None = None) -> bytes:
        size = self.interface.streams[stream].payload_bytes if stream < len(self.interface.streams) else 1
        data = self.random.randbytes(count * size) if data is None else data
        return self.request(StreamKind.PUSH, self._prefix(stream, count, turn) + data)

    def pull(self, stream: int, count: int = 65535, turn: int | None = None) -> bytes:
        return self.request(StreamKind.PULL, self._prefix(stream, count, turn))

    def _prefix(self, stream: int, count: int, turn: int | None) -> bytes:
        number = self.turn if turn is None else turn
        if turn is None:
            self.turn = (self.turn + 1) % 256
        return struct.pack("<BBH", stream, number, count)

    def talk(self, gaps: Gaps | None = None) -> list[bytes]:
        """Send what is collected, compare each reply with the golden model, and return the replies."""
        stream, self.collected = b"".join(self.collected), []
        beats = np.frombuffer(stream, np.uint8).reshape(-1, 1)
        run, _ = self.model.exchange({"rx": beats}, {"tx": 1 << 16}, _IDLE, gaps)
        replies = receive(run.outputs["tx"].tobytes(), 1 << 16)
        assert (replies.crc_errors, replies.dropped) == (0, 0)
        bodies = self.golden.receive(stream)
        assert len(bodies) == len(replies.frames), (bodies, replies.frames)
        for body, seen in zip(bodies, replies.frames, strict=True):
            right = self.golden.answer(body, seen, alone=len(bodies) == 1)
            assert seen == right, f"{body.hex(' ')} is answered by {seen.hex(' ')}"
        self.turn = self.golden.register(0x1E)
        return replies.frames

    def ask(self, kind: int, payload: bytes = b"") -> bytes:
        self.request(kind, payload)
        (reply,) = self.talk()
        return reply


def test_directed() -> None:
    with Host("wire") as host:
        host.push(0, 5, b"hello")
        host.talk()
        host.pull(1, 3)
        (reply,) = host.talk()
        assert reply[0] == StreamKind.PULL | REPLY
        assert reply[4:] == b"\1\1\3\0hel" + struct.pack("<HH", 32, 2)
        host.pull(1)
        assert host.talk()[0][4:] == b"\1\2\2\0lo" + struct.pack("<HH", 32, 0)
        assert host.golden.pulled == host.golden.pushed


def test_identity_and_registers() -> None:
    with Host("sums") as host:
        reply = host.ask(Kind.IDENTIFY, b"1234")
        assert reply[4:12] == b"1234NFLD"
        for address in (*range(0x48), 0x7F, 0x80, 0x100, 0x4040):
            host.request(Kind.READ, struct.pack("<HH", address, 1))
            host.request(Kind.WRITE, struct.pack("<HHI", address, 1, host.random.getrandbits(32) & ~1))
            host.talk()
        for count in (0, 1, 8, len(IDENTITY), 64, 0x8000):
            host.request(Kind.READ, struct.pack("<HH", 0, count))
            host.request(Kind.WRITE, struct.pack("<HHI", _EPOCH, count, 5))
            host.talk()
        host.request(Kind.WRITE, struct.pack("<HHII", 0x40, 2, 5, 5))
        host.request(Kind.STATISTICS)
        host.talk()
        host.ask(Kind.WRITE, struct.pack("<HHI", _CONTROL, 1, 1))
        host.ask(Kind.READ, struct.pack("<HH", 0x40, 2))


def test_core_registers_reach_the_core() -> None:
    with Host("sums") as host:
        host.ask(Kind.WRITE, struct.pack("<HHI", 0x40, 1, 1000))
        host.push(0, 2, struct.pack("<HH", 31 | 7 << 5, 1 | 2 << 5))  # a = -1, b = 7; a = 1, b = 2
        host.talk()
        host.pull(2)
        (reply,) = host.talk()
        assert [int.from_bytes(reply[8 + 3 * i : 11 + 3 * i], "little") for i in range(2)] == [1006, 1003]
        assert host.ask(Kind.READ, struct.pack("<HH", 0x41, 1))[4:8] == b"\2\0\0\0"
        host.ask(Kind.RESET)
        assert host.ask(Kind.READ, struct.pack("<HH", 0x40, 2))[4:12] == b"\3\0\0\0\0\0\0\0"


def test_packets_keep_their_ends_and_padding_is_zero() -> None:
    with Host("packets") as host:
        host.push(0, 3, b"\xff\xff\x01\x01\x00\xfe\x02\xe0\xff")
        host.talk()
        host.pull(1)
        assert host.talk()[0][8:17] == b"\xff\x1f\x01\x01\x00\x00\x02\x00\x01"


@pytest.mark.parametrize("core", CORES)
def test_refusals_change_nothing(core: str) -> None:
    with Host(core) as host:
        inputs, streams = len(host.interface.inputs), len(host.interface.streams)
        for stream in range(streams + 1):
            size = host.interface.streams[min(stream, streams - 1)].payload_bytes
            for count, data in ((1, size - 1), (1, size + 1), (2, size), (0, 1), (1, 2 * size), (33, 3)):
                host.push(stream, count, bytes(data), turn=host.turn)
                host.talk()
        host.push(0, 1, turn=host.turn + 1)
        host.pull(inputs, turn=(host.turn - 1) % 256)
        for kind in (StreamKind.PUSH, StreamKind.PULL):
            for length in (0, 1, 3, 5):
                host.request(kind, bytes(length))
            host.talk()
        for kind in (0, Kind.LOAD, Kind.QUERY, Kind.CANDIDATES, Kind.FETCH, 0x12, 0x20, 0x80, 0xFF):
            host.request(kind, bytes(4))
            host.talk()
        assert all(not sent for sent in host.golden.pushed)
        host.pull(inputs)
        assert host.talk()[0][4:8] == bytes([inputs, 0, 0, 0])


@pytest.mark.parametrize("core", CORES)
def test_all_or_nothing_while_payloads_move(core: str) -> None:
    """A PUSH that turns out wrong behind others leaves no byte in the queue."""
    with Host(core, 5) as host:
        for _ in range(60):
            stream = host.random.randrange(len(host.interface.inputs))
            size = host.interface.streams[stream].payload_bytes
            count = host.random.randint(0, 32 // size + 1)
            wrong = host.random.choice([0, 0, 0, 1, -1])
            host.push(stream, count, host.random.randbytes(max(0, min(count * size, 54) + wrong)))
            host.talk(Gaps(0.3, host.random.getrandbits(30)) if host.random.random() < 0.5 else None)
            for number in range(len(host.interface.inputs), len(host.interface.streams)):
                host.pull(number, host.random.choice([0, 1, 3, 65535]))
            host.talk()
        _check_outputs(core, host)
        assert all(len(sent) > 32 for sent in host.golden.pulled)


@pytest.mark.parametrize(("core", "seed"), [(core, seed) for core in CORES for seed in (1, 2)])
def test_random_requests(core: str, seed: int) -> None:
    with Host(core, seed) as host:
        for _ in range(40):
            for _ in range(host.random.randint(1, 6)):
                _random_request(host)
            host.talk(Gaps(host.random.choice([0.1, 0.6]), host.random.getrandbits(30)))
        _check_outputs(core, host)


def _random_request(host: Host) -> None:
    random = host.random
    kinds = [StreamKind.PUSH] * 5 + [StreamKind.PULL] * 5 + [Kind.READ, Kind.WRITE, Kind.STATISTICS, Kind.IDENTIFY]
    kind = random.choice(kinds)
    inputs, streams = len(host.interface.inputs), len(host.interface.streams)
    turn = None if random.random() < 0.9 else random.randrange(256)
    if kind is StreamKind.PUSH:
        stream = random.randrange(inputs)
        host.push(stream, random.randint(0, 48 // host.interface.streams[stream].payload_bytes), turn=turn)
    elif kind is StreamKind.PULL:
        host.pull(random.randrange(inputs, streams), random.choice([1, 5, 65535]), turn)
    elif kind is Kind.READ:
        host.request(kind, struct.pack("<HH", random.choice([0, 0x10, 0x19, 0x1E, 0x20]), random.randint(1, 4)))
    elif kind is Kind.WRITE:
        host.request(kind, struct.pack("<HHI", _EPOCH, 1, random.randrange(256)))
    else:
        host.request(kind, random.randbytes(4 if kind is Kind.IDENTIFY else 0))


def _check_outputs(core: str, host: Host) -> None:
    """Compare what left the outputs with what entered the inputs."""
    pushed, pulled = [bytes(one) for one in host.golden.pushed], [bytes(one) for one in host.golden.pulled]
    streams = host.interface.streams
    if core == "delay":
        due = (np.cumsum(np.frombuffer(pushed[0], np.uint8)) + 7).astype(np.uint8).tobytes()
        assert due.startswith(pulled[0])
        return
    if core == "sums":
        pairs = np.frombuffer(pushed[0], "<u2").astype(int)
        a, b = pairs & 31, pairs >> 5 & 63
        sums = ((a - (a >> 4) * 32 + b + 3) & 0xFFFFF).astype("<u4")
        assert sums.view(np.uint8).reshape(-1, 4)[:, :3].tobytes().startswith(pulled[0])
    data = np.frombuffer(pushed[-1], np.uint8).reshape(-1, streams[-1].payload_bytes).copy()
    if streams[-1].last:
        data[:, -1] &= 1
        data[:, -2] &= 0x1F if core == "packets" else 0xFF
    assert data.tobytes().startswith(pulled[-1])


def test_repeats_are_answered_again_and_executed_once() -> None:
    with Host("wire") as host:
        sent = host.push(0, 4, b"abcd")
        host.talk()
        again = host.pull(1)
        host.talk()
        for data in (sent, again, again, sent):
            host.collected.append(data)
            host.talk()
        assert host.golden.pulled[0] == b"abcd"
        # A refusal because of its turn is not kept: the same bytes are executed when their turn has come.
        late = host.push(0, 1, b"e", turn=host.turn + 1)
        assert host.talk()[0][4] == StreamFault.TURN
        host.push(0, 1, b"f")
        host.talk()
        host.collected.append(late)
        assert host.talk()[0][0] == StreamKind.PUSH | REPLY
        host.pull(1)
        host.talk()
        assert host.golden.pulled[0] == b"abcdfe"


def test_damaged_bytes() -> None:
    with Host("wire", 3) as host:
        for _ in range(40):
            host.push(0, 4)
            data = bytearray(host.collected.pop())
            place = host.random.randrange(len(data) - 1)
            fault = host.random.randrange(3)
            if fault == 0:
                data[place] ^= 1 << host.random.randrange(8)
            elif fault == 1:
                del data[place : place + host.random.randint(1, 6)]
            host.collected.append(bytes(data) + b"\0")
            host.turn = host.golden.register(0x1E)
            host.talk()
            host.pull(1)
            host.talk()
        host.ask(Kind.STATISTICS)
        _check_outputs("wire", host)


def test_resets_empty_queues_and_core() -> None:
    with Host("delay") as host:
        for reset in (Kind.RESET, Kind.WRITE):
            host.push(0, 20)
            host.request(reset, struct.pack("<HHI", _CONTROL, 1, 1) if reset is Kind.WRITE else b"")
            host.talk()
            host.push(0, 1, b"\1", turn=0)
            host.talk()
            host.pull(1)
            assert host.talk()[0][4:9] == b"\1\1\1\0\x08"


def test_two_hosts() -> None:
    """A second host identifies itself; the turn of the first is over, and its repeats are not answered from memory."""
    with Host("wire") as host:
        first = host.push(0, 3, b"abc")
        host.talk()
        host.sequence = 0
        host.request(Kind.IDENTIFY, b"host")
        host.talk()
        host.sequence = 0
        host.push(0, 3, b"xyz")
        host.collected.append(first)
        replies = host.talk()
        assert replies[1][4] == StreamFault.TURN
        host.pull(1)
        assert host.talk()[0][8:14] == b"abcxyz"


def test_rate() -> None:
    """PUSH and PULL together sustain 0.8 payload bytes a cycle each way."""
    p = StreamBoardParameters(window=4)
    with Host("wire", 0, p) as host:
        size = p.reply_limit - PREFIX_BYTES - host.interface.credit_bytes
        before = host.model.cycles
        count = 60
        for _ in range(count):
            host.push(0, size)
            host.pull(1)
        host.talk()
        cycles = host.model.cycles - before - _IDLE
        assert host.golden.pulled[0] + b"" == host.golden.pushed[0][: len(host.golden.pulled[0])]
        rate = len(host.golden.pulled[0]) / cycles
        assert rate >= 0.8, f"{rate:.3f} payload bytes a cycle"


def wrong() -> Iterator[tuple[Any, dict[str, int], str]]:
    yield (
        lambda: Wire(8 * 40),
        {"queue_bytes": 32},
        "queue_bytes must hold a payload of a of 40 bytes, which 32 does not",
    )
    yield (
        lambda: Wire(8 * 60),
        {"buffer_bytes": 128},
        "buffer_bytes must hold twice 68 bytes for a payload of a of 60 bytes, which 128 does not",
    )
    yield (
        lambda: Wire(8 * 250),
        {},
        "reply_bytes must hold 262 bytes for a payload of y of 250 bytes, which 256 does not",
    )


@pytest.mark.parametrize(("core", "parameters", "message"), list(wrong()))
def test_refuses_what_cannot_hold_a_payload(core: Any, parameters: dict[str, int], message: str) -> None:
    with pytest.raises(InputError) as error:
        StreamBoard(core(), StreamBoardParameters(**parameters))
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("name", "value"), [("window", 3), ("window", 32), ("queue_bytes", 8), ("buffer_bytes", 100), ("reply_bytes", 128)]
)
def test_refuses_parameters(name: str, value: int) -> None:
    with pytest.raises(InputError, match=name):
        StreamBoardParameters(**{name: value})


def _names(layouts: Sequence[Any]) -> list[str]:
    return [one.name for one in layouts]


class Registers(wiring.Component):
    """A wire with one more register."""

    def __init__(self, name: str, shape: Any, init: int) -> None:
        byte = stream.Signature(data.StructLayout({"data": 8}))
        super().__init__({"a": In(byte), "y": Out(byte), name: In(shape, init=init)})


def test_a_negative_initial_value_is_the_bits_that_a_read_gives() -> None:
    (register,) = interface_of(Registers("level", signed(4), -1)).registers
    assert (register.bits, register.reset) == (4, 15)


@pytest.mark.parametrize("name", ["control", "Turn", "epoch", "streams"])
def test_a_register_of_the_core_has_a_name_of_its_own(name: str) -> None:
    with pytest.raises(InputError, match=f"another name than the board's .*, not '{name}'"):
        interface_of(Registers(name, 4, 0))


def test_interface() -> None:
    found = interface_of(Sums())
    assert (_names(found.inputs), _names(found.outputs)) == (["pairs", "w"], ["y", "v"])
    assert [one.payload_bytes for one in found.streams] == [2, 4, 3, 4]
    assert [(one.name, one.bits, one.access, one.reset) for one in found.registers] == [
        ("offset", 16, "rw", 3),
        ("seen", 32, "r", 0),
    ]
