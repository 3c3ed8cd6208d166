"""A miner of design signs against the golden board: tickets, masks, and requests that overlap scans."""

import struct
from random import Random
from typing import Any

import numpy as np
import pytest

from ninefold.hdl.configurations import configuration
from ninefold.hdl.cores.miner import Miner
from ninefold.hdl.miner import MinerParameters
from ninefold.hdl.miner.search import scan_cycles, selects_by_insertion, selects_by_threshold
from ninefold.sim.golden.link import encoded
from ninefold.sim.golden.sign_board import SignBoard
from ninefold.sim.verilated import Model, elaborate
from ninefold.spec.errors import InputError
from ninefold.spec.link import ERROR, LOAD_FINAL, REPLY, Fault, Kind
from ninefold.spec.registers import BY_NAME
from tests.hdl import client
from tests.hdl.collisions import Colliding

EPOCH = BY_NAME["epoch"].address
SIZES: dict[str, Any] = {"k": 0, "buffer_bytes": 512, "reply_bytes": 512, "design": "signs", "clock_hz": 100_000_000}
#: Several rows a cycle; one row, and many candidates; top-k; insertion, on a slow clock.
MINERS = {
    "virtual": configuration("virtual/signs").miner,
    "one": MinerParameters(dimensions=32, lanes=32, depth=100, keep=80, window=4, **SIZES),
    "array": MinerParameters(dimensions=32, lanes=16, depth=50, keep=5, window=2, **SIZES),
    "insertion": MinerParameters(dimensions=32, lanes=4, depth=50, keep=5, **SIZES | {"clock_hz": 24_000_000}),
}


class Board:
    """A verilated miner beside its golden model."""

    def __init__(self, p: MinerParameters, model: Model) -> None:
        self.p = p
        self.model = model
        model.reset()
        limits = (p.request_limit, p.reply_limit)
        given = (p.dimensions, p.lanes, p.depth, p.k, p.clock_hz, p.mode, p.window)
        self.golden = SignBoard(p.keep, selects_by_threshold(p), *given, *limits)
        self.random = Random(7)
        self.draw = np.random.default_rng(7)
        self.sequence = self.rows = self.epoch = 0
        self.collected: list[bytes] = []

    def add(self, kind: int, payload: bytes = b"", epoch: int = 0) -> None:
        self.collected.append(bytes([kind, self.sequence % 256, 0, epoch]) + payload)
        self.sequence += 1

    def send(self) -> list[client.Reply]:
        """Send the collected requests at once, and return the replies, which must be the golden board's."""
        bodies, self.collected = self.collected, []
        due = b"".join(encoded(self.golden.reply(body)) for body in bodies)
        sent = np.frombuffer(b"".join(map(encoded, bodies)), np.uint8).reshape(-1, 1)
        # A scan ends within this time, so no reply is missed.
        idle = 200 + 4 * scan_cycles(self.p)[1]
        run, taken = self.model.exchange({"rx": sent}, {"tx": 1 << 20}, idle=idle)
        assert taken["rx"] == len(sent), "the miner stopped taking bytes"
        found = run.outputs["tx"].tobytes()
        assert found == due, [
            (a, b) for a, b in zip(client.replies(found), client.replies(due), strict=False) if a != b
        ]
        return client.replies(found)

    def nits(self, *shape: int) -> bytes:
        return client.packed(self.draw.integers(-4, 5, (*shape, self.p.dimensions)))

    def load(self, rows: int) -> None:
        self.rows, data, most = rows, self.nits(rows), self.p.request_limit - 4
        for start in range(0, len(data), most):
            final = LOAD_FINAL if start + most >= len(data) else 0
            self.add(Kind.LOAD, struct.pack("<I", start | final) + data[start : start + most])
        self.epoch = self.random.randint(1, 255)
        self.add(Kind.WRITE, struct.pack("<HHI", EPOCH, 1, self.epoch))
        self.send()

    def candidates(self, keep: int, *, grid: bool = False, masked: int = 0, epoch: int | None = None) -> None:
        values = self.draw.integers(-7000, 7000, self.p.dimensions).astype("<i2").tobytes()
        mask = bytes(self.random.choice((0, 255, self.random.randrange(256))) for _ in range(-(-self.rows // 8)))
        data = (values if grid else self.nits(1)) + (mask if masked else b"")
        epoch = self.epoch if epoch is None else epoch
        self.add(Kind.CANDIDATES, struct.pack("<BBH", int(grid), masked, keep) + data, epoch)

    def fetch(self, ticket: int, offset: int = 0, count: int = 0) -> None:
        self.add(Kind.FETCH, struct.pack("<4H", ticket, offset, count, 0))


@pytest.fixture(scope="module", params=MINERS)
def model(request: pytest.FixtureRequest) -> tuple[MinerParameters, Model]:
    p = MINERS[request.param]
    return p, Model(elaborate(Colliding(Miner(p))))


@pytest.fixture
def board(model: tuple[MinerParameters, Model]) -> Board:
    return Board(*model)


def test_any_requests_are_answered_as_by_the_golden_board(board: Board) -> None:
    random, keep = board.random, board.p.keep
    seen: set[tuple[int, int]] = set()
    for _ in range(60):
        if not board.rows or random.random() < 0.15:
            board.load(random.choice((1, random.randint(1, board.p.depth), board.p.depth)))
        for _ in range(random.randint(1, board.p.window)):
            asked = random.random()
            if asked < 0.5:
                masked = random.choice((0, 0, 0, 1, 1, 2))
                epoch = random.choice((board.epoch,) * 9 + (board.epoch ^ 1,))
                board.candidates(
                    random.choice((0, 1, keep, keep, keep + 1, random.randint(1, keep))),
                    grid=random.random() < 0.4,
                    masked=masked,
                    epoch=epoch,
                )
            elif asked < 0.95:
                near = max(0, board.golden.ticket + random.choice((-2, -1, 0, 0, 1)))
                most = random.choice((0, 0, 1, 2, min(keep, 120), 127))
                board.fetch(near, random.choice((0, 0, 0, 1, keep)), most)
            elif asked < 0.98:
                board.add(Kind.READ, struct.pack("<HH", 0, 0x1E))
            else:
                board.add(random.choice((Kind.QUERY, Kind.RESET)), b"")
        seen |= {(reply.kind, reply.payload[0] if reply.kind == ERROR else 0) for reply in board.send()}
        board.rows = 0 if board.golden.rows is None else board.rows
    faults = (Fault.KIND, Fault.LENGTH, Fault.EPOCH, Fault.KEEP, Fault.TICKET, Fault.RANGE)
    kinds = {(kind | REPLY, 0) for kind in (Kind.CANDIDATES, Kind.FETCH, Kind.READ)}
    assert seen >= kinds | {(ERROR, fault) for fault in faults}


def test_tickets_are_forgotten_by_loads_and_resets(board: Board) -> None:
    board.load(board.p.depth)
    for forget in (
        (Kind.LOAD, struct.pack("<I", 0) + b"\1"),
        (Kind.RESET, b""),
        (Kind.WRITE, struct.pack("<HHI", BY_NAME["control"].address, 1, 1)),
    ):
        for _ in range(3):
            board.candidates(board.p.keep)
        ticket = board.golden.ticket + 3
        board.fetch(ticket - 2)
        board.fetch(ticket - 1)
        board.fetch(ticket)
        # The requests wait until the scans are complete.
        board.candidates(1)
        board.add(*forget)
        board.fetch(ticket)
        board.fetch(ticket + 1)
        refused = [reply.kind == ERROR for reply in board.send()]
        assert refused == [False] * 3 + [True, False, False, False, False, True, True]
        board.load(board.p.depth)


def test_a_repeat_of_candidates_takes_no_ticket(board: Board) -> None:
    board.load(3)
    board.candidates(1)
    again = board.collected[0]
    (first,) = board.send()
    board.collected.append(again)
    (second,) = board.send()
    assert second == first
    board.fetch(board.golden.ticket, 0, 1)
    assert board.send()[0].kind == Kind.FETCH | REPLY


def test_counters(board: Board) -> None:
    board.load(board.p.depth)
    queries, accepted = BY_NAME["queries"].address, BY_NAME["accepted_low"].address
    for _ in range(4):
        board.candidates(board.p.keep, masked=1)
        board.candidates(1, grid=True)
        board.fetch(board.golden.ticket + 2)
        board.add(Kind.READ, struct.pack("<HH", queries, 1))
        board.add(Kind.READ, struct.pack("<HH", accepted, 2))
        board.send()


@pytest.mark.parametrize(("lanes", "depth"), [(4, 1), (8, 3)])
def test_the_smallest_miners_and_tickets_that_begin_again(
    lanes: int, depth: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One candidate per ticket, by top-k of one row and by two scans; 1 follows a largest ticket of 3, not 65,535."""
    for module in ("hdl.miner.candidates", "sim.golden.sign_board"):
        monkeypatch.setattr(f"ninefold.{module}.TICKET_MAX", 3)
    p = MinerParameters(dimensions=4, lanes=lanes, depth=depth, keep=1, window=2, **SIZES)
    board = Board(p, Model(elaborate(Miner(p))))
    board.load(depth)
    for number in range(8):
        board.candidates(1, masked=board.random.randrange(2), grid=board.random.random() < 0.5)
        for ticket in range(5):
            board.fetch(ticket)
        board.fetch(number % 3 + 1, 0, 1)
        answered = [reply.kind != ERROR for reply in board.send()[1:6]]
        kept = {before % 3 + 1 for before in (number, number - 1) if before >= 0}
        assert answered == [ticket in kept for ticket in range(5)]


def test_queries_follow_one_another_as_the_estimate_says(board: Board) -> None:
    p = board.p
    board.load(p.depth)
    took = []
    for queries in (2, 6):
        for number in range(queries):
            board.candidates(min(8, p.keep))
            if number:
                board.fetch(board.golden.ticket + number, 0, 1)
        board.fetch(board.golden.ticket + queries, 0, 1)
        before = board.model.cycles
        board.send()
        took.append(board.model.cycles - before)
    interval, _ = scan_cycles(p)
    # Fewer candidates than are estimated leave in the second scan, and the search for the threshold may be shorter.
    slack = 64 if selects_by_threshold(p) else 4
    assert interval - slack < (took[1] - took[0]) / 4 <= interval


def test_selections() -> None:
    assert [selects_by_threshold(p) for p in MINERS.values()] == [True, True, False, False]
    assert [selects_by_insertion(p) for p in MINERS.values()] == [False, False, False, True]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"design": "stream"}, r"^design must be one of miner, signs, not 'stream'$"),
        ({"k": 1}, r"^k must be 0 in the design signs, not 1$"),
        ({"keep": 0}, r"^keep must be an integer from 1 to 8192, not 0$"),
        ({"keep": 8193}, r"^keep must be an integer from 1 to 8192, not 8193$"),
        ({"dimensions": 30}, r"^dimensions must be a multiple of 4 in the design signs, not 30$"),
        ({"lanes": 6}, r"^lanes must be a multiple of 4 in the design signs, not 6$"),
        ({"lanes": 48}, r"^lanes must divide dimensions \(32\) or be a multiple of it, not 48$"),
        (
            {"depth": 4096},
            r"^buffer_bytes must hold twice 536 bytes for a query of packed nits with the mask of 4096 rows, which 512",
        ),
        ({"design": "miner", "lanes": 8, "k": 1}, r"^keep must be 0 in the design miner, not 64$"),
    ],
)
def test_parameters_outside_what_is_allowed(changes: dict[str, Any], message: str) -> None:
    given: dict[str, Any] = {"dimensions": 32, "lanes": 64, "depth": 64, "keep": 64, **SIZES}
    with pytest.raises(InputError, match=message):
        MinerParameters(**given | changes)
