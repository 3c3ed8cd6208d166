import time
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from ninefold.drivers.transports import open_transport
from ninefold.hdl.configurations import CONFIGURATIONS, configuration
from ninefold.sim.board import Faults, VirtualBoard, catalogue
from ninefold.sim.board.build import identity
from ninefold.sim.board.faults import Line
from ninefold.sim.golden.mine import mine
from ninefold.spec.errors import InputError, LostDeviceError
from ninefold.spec.link import Kind
from ninefold.spec.protocols import Transport
from ninefold.spec.registers import BY_NAME
from tests.hdl import client

TINY = configuration("virtual/tiny").miner
NONCE = b"\1\2\3\4"


def listen(board: Transport, count: int, patience_s: float = 20.0) -> list[client.Reply]:
    """Read until a number of frames have come."""
    heard, deadline = b"", time.monotonic() + patience_s
    while heard.count(0) < count:
        assert time.monotonic() < deadline, f"only {heard.count(0)} of {count} replies came"
        heard += board.read(1 << 16, 0.1)
    return client.replies(heard)


def hear(board: Transport) -> bytes:
    """Read until nothing has come for a while."""
    heard = b""
    while more := board.read(1 << 16, 0.1):
        heard += more
    return heard


def silent(board: Transport) -> bool:
    return board.read(1, 0.05) == b""


def nits(seed: int, count: int) -> npt.NDArray[np.integer]:
    return np.random.default_rng(seed).integers(-4, 5, (count, TINY.dimensions))


@pytest.mark.parametrize("rows", [1, 33, 64])
def test_load_and_queries_answer_as_the_golden_model(rows: int) -> None:
    board = open_transport("sim://virtual/tiny")
    assert isinstance(board, Transport)
    vectors = nits(rows, rows)
    # On the grid exactly, so that the scale of 1 rounds nothing.
    grid = np.random.default_rng(1).integers(-7000, 7000, (6, TINY.dimensions))
    requests = [
        client.load(0, 0, client.packed(vectors), final=True),
        client.write(1, BY_NAME["epoch"].address, 3),
        *(client.query(2 + i, grid[2 * i : 2 * i + 2], 5, epoch=3, grid=True) for i in range(3)),
    ]
    board.write(b"".join(requests), 1.0)
    replies = listen(board, len(requests))
    found = [hits for reply in replies[2:] for hits in client.found(reply)]
    golden = mine((grid / 4096).astype(np.float32), vectors.astype(np.int8), 1.0, TINY.mode, 5)
    assert found == golden
    board.close()


def test_a_board_with_a_uart() -> None:
    board = VirtualBoard("icebreaker/small")
    random = np.random.default_rng(9)
    vectors, queries = random.integers(-4, 5, (40, 384)), random.integers(-4, 5, (2, 384))
    data = client.packed(vectors)
    blocks = [(start, data[start : start + 1000]) for start in range(0, len(data), 1000)]
    for i, (start, block) in enumerate(blocks):
        board.write(client.load(i, start, block, final=start + 1000 >= len(data)), 1.0)
        listen(board, 1)
    before = board.cycles
    board.write(client.query(len(blocks), queries, 16), 1.0)
    (reply,) = listen(board, 1)
    assert client.found(reply) == client.best(queries, vectors, 16)
    divisor = configuration("icebreaker/small").divisor
    assert divisor is not None
    assert board.cycles - before > 10 * divisor * (2 * 192 + len(reply.payload))


def test_the_boards_that_are_listed_are_those_of_the_catalogue() -> None:
    listed = {place.name: place.description for place in catalogue.places()}
    assert sorted(listed) == sorted(CONFIGURATIONS)
    assert next(iter(listed)) == "virtual/demo"
    for name, text in listed.items():
        miner = configuration(name).miner
        holds, most = (
            ("signs", f"keep up to {miner.keep:,}") if miner.design == "signs" else ("nits", f"k up to {miner.k}")
        )
        assert f"{miner.depth:,} rows of {miner.dimensions} {holds}, {most}; Verilator " in text
    known = catalogue.identities()
    assert known[identity("virtual/tiny").hex()] == "virtual/tiny"
    assert known[identity("icebreaker/small").hex()] == "icebreaker/small, simulated"
    assert len(known) == len(CONFIGURATIONS)


def test_identity() -> None:
    for kind, expected in (("right", identity("virtual/tiny")), ("wrong", None)):
        board = open_transport(f"sim://virtual/tiny?identity={kind}")
        board.write(client.request(Kind.IDENTIFY, 0, NONCE), 1.0)
        (reply,) = listen(board, 1)
        start = 4 * (1 + BY_NAME["digest"].address)
        assert reply.payload[:4] == NONCE
        assert (reply.payload[start : start + 32] == expected) == (kind == "right")
        board.close()


def test_a_board_that_hangs_takes_bytes_and_answers_nothing() -> None:
    request = client.request(Kind.IDENTIFY, 0, NONCE)
    board = VirtualBoard("virtual/tiny", Faults(hang=len(request)))
    board.write(request, 1.0)
    listen(board, 0)
    heard = board.read(1 << 10, 0.1)
    board.write(request, 1.0)
    assert silent(board)
    assert len(heard) < 200


def test_a_board_that_resets_in_mid_run_has_epoch_0_and_no_rows() -> None:
    first = client.load(0, 0, client.packed(nits(1, 4)), final=True) + client.write(1, BY_NAME["epoch"].address, 7)
    board = VirtualBoard("virtual/tiny", Faults(reset=len(first)))
    board.write(first, 1.0)
    replies = listen(board, 2)
    assert replies[1].epoch == 7
    board.write(client.read(2, BY_NAME["rows"].address), 1.0)
    (reply,) = listen(board, 1)
    assert (reply.epoch, client.words(reply)) == (0, [0])


def test_a_closed_board() -> None:
    board = VirtualBoard("virtual/tiny")
    board.close()
    board.close()
    with pytest.raises(LostDeviceError, match="sim://virtual/tiny is closed"):
        board.read(1, 0.0)


def test_only_whole_replies_pass_when_bytes_are_damaged() -> None:
    vectors, queries = nits(2, 20), nits(3, 200)
    board = open_transport("sim://virtual/tiny?flip=1e-3&drop=1e-3&repeat=1e-3&cut=1e-3&seed=5")
    for i in range(40):
        board.write(client.load(i, 0, client.packed(vectors), final=True), 1.0)
    heard = hear(board)
    for i, query in enumerate(queries):
        board.write(client.query(i, query[None], 3), 1.0)
    heard += hear(board)
    answered = 0
    for frame in map(client.unstuffed, heard.split(b"\0")):
        if len(frame) > 8 and client.zlib.crc32(frame[:-4]) == int.from_bytes(frame[-4:], "little"):
            reply = client.Reply(*frame[:4], frame[4:-4])
            if reply.kind == Kind.QUERY | 0x80:
                assert client.found(reply) == client.best(queries[reply.sequence][None], vectors, 3)
                answered += 1
    assert 100 < answered < 200


class TestLine:
    @pytest.mark.parametrize("size", [1, 7, 1000])
    def test_faults_do_not_depend_on_how_bytes_are_put_together(self, size: int) -> None:
        data = np.random.default_rng(1).bytes(4000)
        faults = Faults(flip=0.01, drop=0.01, repeat=0.01, cut=0.001, seed=3)

        def passed(size: int, direction: int = 0) -> bytes:
            line = Line(faults, direction)
            for start in range(0, len(data), size):
                line.put(data[start : start + size])
            return line.take()

        assert passed(size) == passed(4000)
        assert passed(size, 1) != passed(size) != data

    @pytest.mark.parametrize(
        ("faults", "check"),
        [
            (Faults(), lambda data, out: out == data),
            (Faults(drop=1), lambda data, out: data and not out),
            (Faults(repeat=1), lambda data, out: out == bytes(b for b in data for _ in range(2))),
            (Faults(flip=1), lambda data, out: {(a ^ b).bit_count() for a, b in zip(data, out, strict=True)} == {1}),
            (Faults(drop=0.1), lambda data, out: 0.85 < len(out) / len(data) < 0.95),
        ],
    )
    def test_each_fault(self, faults: Faults, check: Any) -> None:
        data = np.random.default_rng(2).bytes(4000)
        line = Line(faults, 0)
        line.put(data)
        assert check(data, line.take())

    def test_a_cut_ends_at_the_next_delimiter(self) -> None:
        line = Line(Faults(cut=0.02, seed=4), 0)
        frames = [bytes([i]) * 30 + b"\0" for i in range(1, 101)]
        line.put(b"".join(frames))
        whole = [part + b"\0" for part in line.take().split(b"\0")[:-1]]
        assert 20 < sum(frame in whole for frame in frames) < 90

    def test_delayed_bytes_come_late_and_in_order(self) -> None:
        line = Line(Faults(delay=0.5, delay_s=0.02, seed=1), 0)
        line.put(b"abcd")
        early = line.take()
        time.sleep(0.1)
        assert early + line.take() == b"abcd"
        assert len(early) < 4


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("sim://virtual/big", "configuration must be one of virtual/tiny, .* not 'virtual/big'"),
        ("sim://virtual/tiny?flop=1", "an option of sim:// must be one of .* not 'flop'"),
        ("sim://virtual/tiny?flip=2", "flip must be a chance from 0 to 1, not 2.0"),
        ("sim://virtual/tiny?flip=x", "flip must be a number, not 'x'"),
        ("sim://virtual/tiny?hang=-1", "hang must be 0 or more, not -1"),
        ("sim://virtual/tiny?identity=other", "identity must be right or wrong, not 'other'"),
        ("sim://virtual/tiny?delay_s=61", "delay_s must be 0 to 60 s, not 61.0"),
    ],
)
def test_refusals(url: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        open_transport(url)
