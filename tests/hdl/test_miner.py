import struct
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from ninefold.hdl.configurations import CONFIGURATIONS, configuration
from ninefold.hdl.cores.miner import Miner
from ninefold.hdl.miner import MinerParameters
from ninefold.hdl.miner.registers import identity_words
from ninefold.sim.verilated import Gaps, Model, elaborate
from ninefold.spec.errors import InputError
from ninefold.spec.formats import THRESHOLDS
from ninefold.spec.link import ERROR, REPLY, Fault, Kind
from ninefold.spec.registers import BY_NAME, IDENTITY, REGISTERS, STATISTICS
from tests.hdl import client
from tests.hdl.collisions import Colliding

TINY = configuration("virtual/tiny").miner


class Board:
    """A verilated miner, and the sequence number of the next request."""

    def __init__(self, model: Model) -> None:
        self.model = model
        model.reset()
        self.sequence = 0

    def send(self, data: bytes) -> bytes:
        beats = np.frombuffer(data, np.uint8).reshape(-1, 1)
        run, taken = self.model.exchange({"rx": beats}, {"tx": 1 << 20}, idle=3_000)
        assert taken["rx"] == len(data), "the miner stopped taking bytes"
        return run.outputs["tx"].tobytes()

    def ask(self, make: Any, *args: Any, **options: Any) -> client.Reply:
        """Send one request, made by a function of the client, and return its reply."""
        data = make(self.sequence, *args, **options)
        (reply,) = client.replies(self.send(data))
        assert reply.sequence == self.sequence % 256
        self.sequence += 1
        return reply

    def request(self, kind: int, payload: bytes = b"") -> client.Reply:
        return self.ask(lambda sequence: client.request(kind, sequence, payload))

    def registers(self, name: str) -> list[int]:
        register = BY_NAME[name]
        return client.words(self.ask(client.read, register.address, register.count))

    def fill(self, rows: npt.NDArray[np.integer], epoch: int = 1) -> None:
        assert client.words(self.ask(client.load, 0, client.packed(rows), final=True)) == [0]
        self.ask(client.write, BY_NAME["epoch"].address, epoch)


@pytest.fixture(scope="module")
def model() -> Model:
    return Model(elaborate(Colliding(Miner(TINY))))


@pytest.fixture
def board(model: Model) -> Board:
    return Board(model)


def nits(seed: int, count: int) -> npt.NDArray[np.integer]:
    return np.random.default_rng(seed).integers(-4, 5, (count, TINY.dimensions))


def test_every_register_of_the_table_reads_as_it_says(board: Board) -> None:
    fixed = dict(identity_words(TINY)) | {"threshold": list(THRESHOLDS[TINY.mode].reached_at)}
    for register in REGISTERS:
        if register.name.startswith("cycles"):
            continue
        expected = fixed.get(register.name) or [register.reset] * register.count
        assert board.registers(register.name) == expected, register.name
    low, high = client.words(board.ask(client.read, BY_NAME["cycles_low"].address, 2))
    assert 1000 < low < board.model.cycles
    assert high == 0


def test_addresses_without_a_register_are_refused(board: Board) -> None:
    known = {address for register in REGISTERS for address in register.addresses}
    for address in [*range(48), 64, 128, 0xFFFF]:
        reply = board.ask(client.read, address)
        if address in known:
            assert reply.kind == Kind.READ | REPLY
        else:
            assert (reply.kind, reply.payload) == (ERROR, struct.pack("<BBHI", Fault.ADDRESS, Kind.READ, 0, address))


def test_what_may_be_written_is_read_back_and_nothing_else_changes(board: Board) -> None:
    for register in REGISTERS:
        if register.name == "control":
            continue
        for address in register.addresses:
            reply = board.ask(client.write, address, 0x5A)
            if "w" in register.access:
                assert reply.kind == Kind.WRITE | REPLY
                assert client.words(board.ask(client.read, address)) == [0x5A]
            else:
                assert (reply.kind, reply.payload[0]) == (ERROR, Fault.ADDRESS)
    # All of them, or none.
    thresholds = BY_NAME["threshold"].address
    reply = board.ask(client.write, thresholds + 3, 1, 2, 3)
    assert reply.payload == struct.pack("<BBHI", Fault.ADDRESS, Kind.WRITE, 0, BY_NAME["rows"].address)
    assert board.registers("threshold") == [0x5A] * 4
    board.ask(client.write, thresholds, 1, 2, 3, 4, 5)
    assert board.registers("threshold") == [1, 2, 3, 4]
    assert board.ask(client.read, 0).epoch == 5
    board.ask(client.write, BY_NAME["control"].address, 1)
    assert board.registers("threshold") == list(THRESHOLDS[TINY.mode].reached_at)
    assert board.ask(client.read, 0).epoch == 0


def test_writes_after_control_are_kept(board: Board) -> None:
    threshold, control, epoch = (BY_NAME[name].address for name in ("threshold", "control", "epoch"))
    vectors, queries = nits(31, 5), nits(32, 2)
    for value in (1, 0, 0xFFFF_FFFE, 0xFFFF_FFFF, 1):
        board.fill(vectors)
        board.ask(client.write, threshold, 11, 12, 13, 14)
        board.ask(client.write, control, value)
        expected = list(THRESHOLDS[TINY.mode].reached_at) if value & 1 else [11, 12, 13, 14]
        assert board.registers("threshold") == expected
        assert board.registers("rows") == [0 if value & 1 else len(vectors)]
        board.fill(vectors, epoch=7)
        for i in (2, 0, 3, 1):
            board.ask(client.write, threshold + i, 100 + i)
            expected[i] = 100 + i
            assert board.registers("threshold") == expected
        board.ask(client.write, control, 0)
        board.ask(client.write, epoch, 9)
        assert (board.registers("threshold"), board.registers("epoch")) == (expected, [9])
        assert client.found(board.ask(client.query, queries, 3, epoch=9)) == client.best(queries, vectors, 3)


def test_identify_and_statistics(board: Board) -> None:
    reply = board.request(Kind.IDENTIFY, b"\1\2\3\4")
    fixed = identity_words(TINY)
    assert client.words(reply) == [0x04030201, *(word for name in fixed for word in fixed[name])][: 1 + len(IDENTITY)]
    assert len(reply.payload) == 4 + 4 * len(IDENTITY)
    assert len(client.words(board.request(Kind.STATISTICS))) == len(STATISTICS)


@pytest.mark.parametrize("rows", [1, 5, 64])
@pytest.mark.parametrize("k", [1, 8])
def test_packed_queries(board: Board, rows: int, k: int) -> None:
    vectors, queries = nits(1, rows), nits(2, 5)
    board.fill(vectors)
    reply = board.ask(client.query, queries, k, epoch=1)
    assert (reply.kind, reply.epoch) == (Kind.QUERY | REPLY, 1)
    assert client.found(reply) == client.best(queries, vectors, k)


def test_grid_queries_and_packed_ones_by_turns(board: Board) -> None:
    vectors, packed = nits(3, 40), nits(4, 2)
    board.fill(vectors)
    grid = np.random.default_rng(5).integers(-7000, 7000, (3, TINY.dimensions))
    grid[0, :4] = [-32768, 32767, 0, -1]
    reached = np.array(THRESHOLDS[TINY.mode].reached_at)
    quantised = np.sign(grid) * (np.abs(grid)[..., None] >= reached).sum(-1)
    data = b"".join(
        client.query(board.sequence + i, part, 3, epoch=1, grid=i % 2 == 0) for i, part in enumerate([grid, packed] * 3)
    )
    replies = client.replies(board.send(data))
    expected = [client.best(part, vectors, 3) for part in (quantised, packed)] * 3
    assert [client.found(reply) for reply in replies] == expected


def test_loads_in_blocks_of_any_size(board: Board) -> None:
    for seed, size in enumerate([1, 3, 16, 40, 500]):
        vectors, queries = nits(seed, 33), nits(seed + 10, 2)
        data = client.packed(vectors)
        for offset in range(0, len(data), size):
            block = data[offset : offset + size]
            final = offset + size >= len(data)
            reply = board.ask(client.load, offset, block, final=final)
            assert client.words(reply) == [0 if final else offset + size]
            assert reply.epoch == 0
        assert board.registers("rows") == [33]
        assert board.registers("load_bytes") == [len(data)]
        assert board.registers("load_check") == [client.zlib.crc32(data)]
        assert client.found(board.ask(client.query, queries, 8)) == client.best(queries, vectors, 8)


def test_a_load_that_was_broken_off_is_begun_again(board: Board) -> None:
    vectors, queries = nits(6, 20), nits(7, 2)
    board.fill(nits(8, 30))
    board.ask(client.load, 0, client.packed(nits(9, 10))[:-3])
    assert board.registers("rows") == [0]
    reply = board.ask(client.query, queries, 2)
    assert reply.payload == struct.pack("<BBHI", Fault.EMPTY, Kind.QUERY, 0, 0)
    board.fill(vectors)
    assert client.found(board.ask(client.query, queries, 8, epoch=1)) == client.best(queries, vectors, 8)
    board.ask(client.load, 0, b"\1" * 21)
    board.request(Kind.RESET)
    board.fill(vectors[:7])
    assert client.found(board.ask(client.query, queries, 8, epoch=1)) == client.best(queries, vectors[:7], 8)


def test_refusals_change_nothing(board: Board) -> None:
    vectors, queries = nits(11, 9), nits(12, 2)
    row = TINY.row_bytes
    head = struct.pack("<BBH", 0, 1, 1)
    cases: list[tuple[int, bytes, Fault, int]] = [
        (0x42, b"", Fault.KIND, 0),
        (0x08, b"abc", Fault.KIND, 0),
        (Kind.IDENTIFY, b"abc", Fault.LENGTH, 3),
        (Kind.READ, b"\0\0\0\0", Fault.LENGTH, 4),
        (Kind.READ, b"\0\0\1\0\0", Fault.LENGTH, 5),
        (Kind.WRITE, b"\x18\0\2\0\1\1\1\1", Fault.LENGTH, 8),
        (Kind.LOAD, b"\0\0\0", Fault.LENGTH, 3),
        (Kind.LOAD, b"\0\0\0\0", Fault.LENGTH, 4),
        (Kind.LOAD, struct.pack("<I", 16) + b"1", Fault.OFFSET, 0),
        (Kind.LOAD, struct.pack("<I", 1 << 31) + b"1" * (row + 3), Fault.ROW, 3),
        (Kind.QUERY, b"\0", Fault.LENGTH, 1),
        (Kind.QUERY, struct.pack("<BBH", 0, 0, 1), Fault.LENGTH, 4),
        (Kind.QUERY, head + b"1" * (row + 1), Fault.LENGTH, row + 5),
        (Kind.QUERY, struct.pack("<BBH", 2, 1, 1) + b"1" * row, Fault.FORMAT, 3),
        (Kind.QUERY, struct.pack("<BBH", 0, 1, 0) + b"1" * row, Fault.K, TINY.k),
        (Kind.QUERY, struct.pack("<BBH", 0, 1, TINY.k + 1) + b"1" * row, Fault.K, TINY.k),
        (Kind.QUERY, struct.pack("<BBH", 0, 20, 8) + b"1" * 20 * row, Fault.REPLY, TINY.reply_limit),
        (Kind.STATISTICS, b"1", Fault.LENGTH, 1),
        (Kind.RESET, b"12345", Fault.LENGTH, 5),
    ]
    board.fill(vectors, epoch=0)
    for kind, payload, fault, detail in cases:
        reply = board.request(kind, payload)
        assert (reply.kind, reply.payload) == (ERROR, struct.pack("<BBHI", fault, kind, 0, detail)), (kind, payload)
        assert client.found(board.ask(client.query, queries, 3)) == client.best(queries, vectors, 3)
    board.fill(vectors, epoch=9)
    reply = board.ask(client.query, queries, 3, epoch=8)
    assert reply.payload == struct.pack("<BBHI", Fault.EPOCH, Kind.QUERY, 0, 9)


def test_a_load_past_the_store_is_refused(board: Board) -> None:
    size = TINY.depth * TINY.row_bytes
    for offset in range(0, size, 512):
        board.ask(client.load, offset, bytes(512))
    reply = board.ask(client.load, size, b"\1")
    assert reply.payload == struct.pack("<BBHI", Fault.STORE, Kind.LOAD, 0, size)
    reply = board.ask(client.load, size - 1, b"\1")
    assert reply.payload == struct.pack("<BBHI", Fault.OFFSET, Kind.LOAD, 0, size)


def test_repeats_are_answered_from_the_kept_replies_and_not_executed_again(board: Board) -> None:
    vectors = nits(13, 20)
    board.fill(vectors)
    requests = [client.query(board.sequence + i, nits(20 + i, 1), 4, epoch=1) for i in range(8)]
    first = client.replies(board.send(b"".join(requests)))
    assert [client.found(reply) for reply in first] == [client.best(nits(20 + i, 1), vectors, 4) for i in range(8)]
    again = [3, 0, 7, 3, 5]
    assert client.replies(board.send(b"".join(requests[i] for i in again))) == [first[i] for i in again]
    board.sequence += 8
    assert board.registers("queries") == [8]
    # While a request is executed or answered, its repeats are dropped.
    data = client.query(board.sequence, nits(30, 4), 4, epoch=1)
    assert len(client.replies(board.send(data * 3))) == 1
    board.sequence += 1
    assert board.registers("queries") == [12]


def test_identify_forgets_the_kept_replies(board: Board) -> None:
    data = client.read(5, BY_NAME["rows"].address)
    board.send(data)
    board.sequence = 6
    board.fill(nits(14, 3))
    assert client.words(client.replies(board.send(data))[0]) == [0]
    board.ask(lambda sequence: client.request(Kind.IDENTIFY, sequence, bytes(4)))
    assert client.words(client.replies(board.send(data))[0]) == [3]


@pytest.mark.parametrize("seed", range(3))
def test_damaged_frames_are_dropped_and_counted(board: Board, seed: int) -> None:
    random = np.random.default_rng(seed)
    vectors = nits(15, 12)
    board.fill(vectors)
    data, expected, damaged = b"", [], 0
    for i in range(40):
        queries = nits(100 + i, 1)
        sent = bytearray(client.query(board.sequence + i, queries, 2, epoch=1))
        if random.random() < 0.4:
            place = random.integers(len(sent) - 1)
            sent[place] = (sent[place] + 1 + random.integers(254)) % 256 or 1
            damaged += 1
        else:
            expected.append(client.best(queries, vectors, 2))
        data += bytes(sent)
    assert [client.found(reply) for reply in client.replies(board.send(data))] == expected
    board.sequence += 40
    crc_errors, dropped = board.registers("crc_errors")[0], board.registers("dropped")[0]
    assert crc_errors + dropped >= damaged > 0


@pytest.mark.parametrize("seed", range(4))
def test_back_pressure_changes_no_byte(board: Board, seed: int) -> None:
    vectors = nits(18, 30)
    grid = np.random.default_rng(seed).integers(-7000, 7000, (2, TINY.dimensions))
    data = client.packed(vectors)
    requests = [
        client.load(0, 0, data[:100]),
        client.load(1, 100, data[100:], final=True),
        client.write(2, BY_NAME["epoch"].address, 1),
        *(client.query(3 + i, nits(40 + i, 1 + i % 3), 1 + i % 8, epoch=1) for i in range(12)),
        *(client.query(15 + i, grid, 5, epoch=1, grid=True) for i in range(3)),
        client.read(18, 0, len(IDENTITY)),
        client.request(0x33, 19),
        client.request(Kind.RESET, 20),
        client.read(21, BY_NAME["threshold"].address, 4),
    ]
    expected = board.send(b"".join(requests))
    assert len(client.replies(expected)) == len(requests)
    board.model.reset()
    beats = np.frombuffer(b"".join(requests), np.uint8).reshape(-1, 1)
    run = board.model.run({"rx": beats}, {"tx": len(expected)}, gaps=Gaps(0.15 + 0.2 * seed, seed))
    assert run.outputs["tx"].tobytes() == expected


def test_cycles(model: Model) -> None:
    """Queries that come fast enough are scored without a bubble: one each rows * dimensions / lanes cycles."""
    board = Board(model)
    vectors, queries = nits(16, TINY.depth), nits(17, 24)
    board.fill(vectors)
    before = board.request(Kind.STATISTICS)
    board.send(b"".join(client.query(board.sequence + i, queries[3 * i : 3 * i + 3], 1, epoch=1) for i in range(8)))
    board.sequence += 8
    interval = TINY.depth * TINY.dimensions // TINY.lanes
    accepted = [client.words(reply)[3] for reply in (before, board.request(Kind.STATISTICS))]
    assert accepted[1] - accepted[0] == len(queries) * TINY.depth
    assert interval == 256
    times = reply_cycles(board, [client.query(board.sequence + i, queries[:1], 1, epoch=1) for i in range(8)])
    assert {b - a for a, b in pairwise(times)} == {interval}


def reply_cycles(board: Board, requests: list[bytes]) -> list[int]:
    """Return the cycle in which the last byte of each reply left."""
    beats = np.frombuffer(b"".join(requests), np.uint8).reshape(-1, 1)
    cycles, ends = 0, []
    for _ in range(20_000):
        run, taken = board.model.exchange({"rx": beats}, {"tx": 1}, idle=1)
        beats = beats[taken["rx"] :]
        cycles += run.cycles
        if run.outputs["tx"].tobytes() == b"\0":
            ends.append(cycles)
        if len(ends) == len(requests):
            return ends
    raise AssertionError(f"only {len(ends)} of {len(requests)} replies came")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lanes": 5}, "lanes must be even and divide dimensions"),
        ({"depth": 70_000}, "depth must be an integer from 1 to 65536, not 70000"),
        ({"window": 3}, "window must be a power of two, not 3"),
        ({"buffer_bytes": 128}, "buffer_bytes must hold twice 72 bytes for a query of 32 grid values"),
        ({"reply_bytes": 256, "k": 64}, "reply_bytes must hold 392 bytes, which 256 does not"),
        ({"digest": b"x"}, "digest must have 32 bytes, not 1"),
    ],
)
def test_parameters_are_refused(change: dict[str, Any], message: str) -> None:
    parameters = {"dimensions": 32, "lanes": 8, "depth": 64, "k": 8, "clock_hz": 1} | change
    with pytest.raises(InputError, match=message):
        MinerParameters(**parameters)


@pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")
def test_what_counters_begin_with_is_refused_outside_64_bits() -> None:
    with pytest.raises(InputError, match=r"^count_from must be .* not 9223372036854775808$"):
        Miner(TINY, 2**63)


def test_catalogue() -> None:
    assert {"virtual/tiny", "virtual/demo", "icebreaker/small"} <= set(CONFIGURATIONS)
    assert all(c.divisor is None or c.divisor >= 4 for c in CONFIGURATIONS.values())
    with pytest.raises(InputError, match=r"configuration must be one of virtual/tiny, .*, not 'x'"):
        configuration("x")
