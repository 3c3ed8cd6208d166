"""Testbench of the sign miner against the golden model of its board, byte for byte."""

# ruff: noqa: D401 - the docstring of a test states what holds

import itertools
import struct
from collections.abc import Callable
from typing import Any

import cocotb

from ninefold.sim.cores.miner.testbench import (
    damaged_requests,
    each_request_behind_each,
    every_bit_of_the_check_counts,
    frames_of_every_length,
    latency,
    loads_in_blocks,
    offers_before_they_are_awaited,
    random_requests,
    refusals,
    registers,
    repeats_are_answered_again,
    reset_in_mid_run,
    results_that_wait,
    sizes_crossed_with_back_pressure,
    writes,
)
from ninefold.sim.cores.sign_miner.requests import SignTestbench
from ninefold.sim.golden.link import encoded, receive
from ninefold.sim.testbench.streams import PATTERNS, always, blocked
from ninefold.spec.link import LOAD_FINAL, TICKETS, Kind
from ninefold.spec.registers import BY_NAME, IDENTITY

__all__ = [
    "damaged_requests",
    "each_request_behind_each",
    "every_bit_of_the_check_counts",
    "frames_of_every_length",
    "latency",
    "loads_in_blocks",
    "offers_before_they_are_awaited",
    "random_requests",
    "refusals",
    "registers",
    "repeats_are_answered_again",
    "reset_in_mid_run",
    "results_that_wait",
    "sizes_crossed_with_back_pressure",
    "writes",
]

_THRESHOLD = BY_NAME["threshold"].address
#: Fewest cycles that a scan waits because the one before it is in another format.
_WAIT_CYCLES = 4


async def started(dut: Any) -> SignTestbench:
    """Return a testbench with the device reset."""
    tb = SignTestbench(dut)
    await tb.restart()
    return tb


@cocotb.test()
async def directed(dut: Any) -> None:
    """A row of minus ones and one of ones, asked with ones: the candidates are written by hand."""
    tb = await started(dut)
    half = tb.dimensions // 2
    tb.request(Kind.LOAD, struct.pack("<I", LOAD_FINAL) + b"\xff" * half + b"\x11" * half)
    sent = tb.request(Kind.CANDIDATES, struct.pack("<BBH", 0, 0, 2) + b"\x11" * half)
    fetched = tb.request(Kind.FETCH, struct.pack("<4H", 1, 0, 2, 0))
    while tb.rx.words:
        await tb.step()
    (asked,), (body,) = receive(sent, 999).frames, receive(fetched, 999).frames
    pairs = [(0, -tb.dimensions), (1, tb.dimensions)]
    found = b"".join(struct.pack("<Hh", *pair) for pair in (pairs if tb.by_id else pairs[::-1]))
    wanted = encoded(bytes([Kind.CANDIDATES | 0x80, 1, asked[2], 0]) + struct.pack("<HH", 1, 0))
    wanted += encoded(bytes([Kind.FETCH | 0x80, 2, body[2], 0]) + struct.pack("<HH", 2, 2) + found)
    assert bytes(tb.tx.expected)[-len(wanted) :] == wanted, "the model disagrees with the values written by hand"
    await tb.finish()


@cocotb.test()
async def scans_of_one_format_overlap(dut: Any) -> None:
    """A query is received while another of its format is scanned; after one in another format, it waits for the end."""
    tb = await started(dut)
    tb.load(tb.depth)
    await tb.finish()
    took, pairs = [], 10
    for formats in ([False] * pairs + [True] * pairs, [False, True] * pairs):
        begun = tb.cycle
        for grid in formats:
            tb.scan(1, grid=grid)
        tb.fetch()
        await tb.finish(settle=1)
        took.append(tb.cycle - begun)
    grouped, mixed = took
    wanted = grouped + _WAIT_CYCLES * 2 * pairs
    assert mixed >= wanted, f"{2 * pairs} scans took {grouped} cycles grouped by format, and {mixed} mixed"


@cocotb.test()
async def tickets(dut: Any) -> None:
    """The last two tickets are kept until a load or a reset forgets them; only a reset restarts their numbers."""
    tb = await started(dut)
    for ticket in range(TICKETS + 1):
        tb.fetch(ticket, count=0)
    for round_ in range(16):
        tb.load(tb.depth)
        tb.fetch(count=0)
        tb.pace(tb.random.choice(list(PATTERNS.values())), tb.random.choice(list(PATTERNS.values())))
        for _ in range(round_ % 4):
            tb.scan(tb.random.randint(1, tb.keep), grid=bool(tb.random.getrandbits(1)))
            # The older one is sent while the newer one is scanned.
            for older in tb.random.sample(range(3), 3):
                tb.fetch(max(0, tb.ahead.ticket - older))
        if round_ % 3 == 1:
            tb.request(Kind.RESET)
            tb.fetch(1, count=0)
        await tb.finish(settle=1)
    await tb.finish()


@cocotb.test()
async def masks(dut: Any) -> None:
    """Each row alone, none, some and all are allowed, in both formats, and bits after the last row do not matter."""
    tb = await started(dut)
    for rows in {1, 2, tb.depth - 1, tb.depth}:
        tb.load(rows)
        await tb.finish(settle=1)
        size = -(-rows // 8)
        for row in range(rows):
            tb.scan(tb.keep, grid=bool(row % 2), mask=(1 << row).to_bytes(size, "little"))
            tb.fetch()
        for allowed in (0, 0.2, 0.5, 0.8, 1):
            for grid in (False, True):
                tb.scan(tb.keep, grid=grid, mask=tb.mask(allowed))
                tb.fetch()
                tb.scan(tb.random.randint(1, tb.keep), grid=grid)
                tb.fetch()
            tb.pace(always, blocked(tb.random.choice([0, 300])))
            await tb.finish(settle=1)
    await tb.finish()


@cocotb.test()
async def fetches(dut: Any) -> None:
    """Any part of the candidates of both tickets, again and again."""
    tb = await started(dut)
    tb.load(tb.depth)
    for keep in range(1, min(tb.keep, 3) + 1):
        tb.scan(tb.keep, grid=bool(keep % 2))
        tb.scan(keep, mask=tb.mask(0.8))
        for ticket in (tb.ahead.ticket - 1, tb.ahead.ticket):
            total = len(tb.ahead.found[ticket])
            for offset in range(total + 1):
                for count in range(min(total - offset, 3) + 1):
                    tb.fetch(ticket, offset, count)
        await tb.finish(settle=1)
    await tb.finish()


@cocotb.test()
async def each_request_while_rows_are_scanned(dut: Any) -> None:
    """Requests right behind a scan: they wait for its end where they would change it."""
    tb = await started(dut)
    makers: list[Callable[[], object]] = [
        lambda: tb.scan(tb.keep),
        lambda: tb.scan(tb.keep, grid=True),
        lambda: tb.scan(tb.random.randint(1, tb.keep), mask=tb.mask()),
        lambda: tb.load(tb.depth),
        lambda: tb.write(_THRESHOLD + tb.random.randrange(4), tb.random.randrange(6000)),
        lambda: tb.read(_THRESHOLD, 9),
        lambda: tb.request(Kind.RESET),
    ]
    tb.load(tb.depth)
    for first, second in itertools.product(makers, repeat=2):
        tb.scan(tb.keep, grid=bool(tb.random.getrandbits(1)))
        first()
        second()
        for older in (1, 0):
            tb.fetch(max(0, tb.ahead.ticket - older))
        if makers[-1] in (first, second):
            tb.load(tb.depth)
        tb.query(1, tb.keep, grid=True)
        await tb.finish(settle=1)
    await tb.finish()


@cocotb.test()
async def statistics(dut: Any) -> None:
    """Scans, candidates and frames that are not sound are counted, each once, also while counters are read."""
    tb = await started(dut)
    # Before any has come far: they may begin shortly before they wrap around.
    await tb.counters()
    tb.load(tb.depth)
    for round_ in range(6):
        kind = (Kind.STATISTICS, Kind.READ)[round_ % 2]
        before = await tb.counters(kind)
        # Enough in one of the rounds for a long carry in a counter.
        asked = tb.random.randint(1, 3) + 120 * (round_ == 1)
        unsound = tb.random.randint(0, 3) + 150 * (round_ == 2)
        cut = tb.random.randint(0, 3) + 1500 * (round_ == 0)
        kept = 0
        for _ in range(asked):
            tb.scan(tb.random.randint(1, tb.keep), mask=tb.random.choice((None, tb.mask())))
            kept += len(tb.ahead.found[tb.ahead.ticket])
            tb.request(Kind.STATISTICS)
        tb.fetch(count=0)
        tb.read(IDENTITY.start, len(IDENTITY))
        for count, frame in ((unsound, encoded(b"\7\0\0\0")[:-2] + b"\x7f\0"), (cut, b"\5\1\0")):
            for number in range(count):
                tb.rx.send(frame)
                if number < 3:
                    tb.request(Kind.STATISTICS)
        after = await tb.counters(kind)
        found = [after[name] - before[name] for name in ("queries", "accepted", "crc_errors", "dropped", "stalls")]
        assert found == [asked, kept, unsound, cut, 0], f"{found} were counted"
        assert after["cycles"] > before["cycles"]
    tb.request(Kind.RESET)
    await tb.finish()
    tb.begun, tb.epoch, tb.unsound = tb.tx.offered[-1], 0, {"crc_errors": 0, "dropped": 0}
    after = await tb.counters()
    assert not any(count for name, count in after.items() if name != "cycles"), f"{after} after a reset"
