"""Testbench of the miner against the golden model of a board, byte for byte; most tests are also of the sign miner."""

# ruff: noqa: D401 - the docstring of a test states what holds

import itertools
import struct
from collections.abc import Callable
from typing import Any

import cocotb

from ninefold.sim.cores.miner.requests import MinerTestbench
from ninefold.sim.cores.sign_miner.requests import SignTestbench
from ninefold.sim.golden.link import crc32, encoded, receive, stuff
from ninefold.sim.testbench.fields import parameters
from ninefold.sim.testbench.streams import PATTERNS, always, blocked
from ninefold.spec.formats import GRID_MAX
from ninefold.spec.link import LOAD_FINAL, Kind
from ninefold.spec.registers import BY_NAME, IDENTITY

__all__ = ["started"]

_EPOCH = BY_NAME["epoch"].address
_THRESHOLD = BY_NAME["threshold"].address
_CONTROL = BY_NAME["control"].address
#: Cycles from the last byte of a READ of one word to the first byte of its reply, without its first COBS group.
_READ_CYCLES = 42
#: Fewest cycles that a query waits because the one before it is in another format.
_WAIT_CYCLES = 4
#: Polynomial of CRC-32, highest power first.
_CRC_POLYNOMIAL = 0xEDB88320


async def started(dut: Any) -> MinerTestbench:
    """Return the testbench of the device's design, with the device reset."""
    tb = (SignTestbench if "keep" in parameters() else MinerTestbench)(dut)
    await tb.restart()
    return tb


@cocotb.test()
async def directed(dut: Any) -> None:
    """A row of ones and one of minus ones, asked with ones: the scores are written by hand."""
    tb = await started(dut)
    half = tb.dimensions // 2
    tb.request(Kind.LOAD, struct.pack("<I", LOAD_FINAL) + b"\xff" * half + b"\x11" * half)
    sent = tb.request(Kind.QUERY, struct.pack("<BBH", 0, 1, 2) + b"\x11" * half)
    while tb.rx.words:
        await tb.step()
    (body,) = receive(sent, 999).frames
    found = struct.pack("<BBHHiHi", 0, 1, 2, 1, tb.dimensions, 0, -tb.dimensions)
    wanted = encoded(bytes([Kind.QUERY | 0x80, 1, body[2], 0]) + found)
    assert bytes(tb.tx.expected)[-len(wanted) :] == wanted, "the model disagrees with the values written by hand"
    await tb.finish()


@cocotb.test()
async def latency(dut: Any) -> None:
    """The reply to a READ of one word begins as many cycles after its last byte as the miner says."""
    tb = await started(dut)
    for _ in range(4):
        place = len(tb.tx.offered)
        tb.read(_EPOCH)
        while not tb.tx.expected:
            await tb.step()
        # COBS begins with the length of a group of bytes, which is known behind it.
        group = tb.tx.expected[0]
        await tb.finish()
        waited = tb.tx.offered[place] - tb.rx.accepted[-1] - group
        assert waited == _READ_CYCLES, f"the reply began after {waited} cycles and {group} for its first group"


@cocotb.test()
async def queries_of_one_format_overlap(dut: Any) -> None:
    """A query is executed while others of its format are scored; after one in another format, it waits for replies."""
    tb = await started(dut)
    tb.load(tb.depth)
    await tb.finish()
    took, pairs = [], 10
    for formats in ([False] * pairs + [True] * pairs, [False, True] * pairs):
        begun = tb.cycle
        for grid in formats:
            tb.query(1, 1, grid=grid)
        await tb.finish(settle=1)
        took.append(tb.cycle - begun)
    grouped, mixed = took
    wanted = grouped + _WAIT_CYCLES * 2 * pairs
    assert mixed >= wanted, f"{2 * pairs} queries took {grouped} cycles grouped by format, and {mixed} mixed"


@cocotb.test()
async def registers(dut: Any) -> None:
    """The identity, what may be written, and addresses without a register."""
    tb = await started(dut)
    tb.read(IDENTITY.start, len(IDENTITY))
    for address in (*BY_NAME["threshold"].addresses, _EPOCH):
        tb.write(address, tb.random.getrandbits(16))
        tb.read(_THRESHOLD, 5)
    for address in (0x1E, 0x1F, 0x29, 0x3F, 0x40, 0x100):
        tb.read(address)
        tb.write(address, 1)
    for bit in range(16):
        tb.read(1 << bit)
        tb.read(IDENTITY.start, 1 << bit)
        tb.write(_THRESHOLD | 1 << bit, 1)
    tb.request(Kind.RESET)
    tb.read(_THRESHOLD, 5)
    await tb.finish()


@cocotb.test()
async def sizes_crossed_with_back_pressure(dut: Any) -> None:
    """Loads and queries of several sizes under each pattern of the source crossed with each of the sink."""
    tb = await started(dut)
    for offered, taken in itertools.product(PATTERNS.values(), repeat=2):
        tb.pace(offered, taken)
        tb.load(tb.random.choice([1, 2, tb.depth - 1, tb.depth]))
        for grid in (False, True):
            tb.query(tb.random.randint(1, 3), tb.random.randint(1, tb.k), grid=grid)
        await tb.finish(settle=1)
    await tb.finish()


@cocotb.test()
async def results_that_wait(dut: Any) -> None:
    """Results come faster than they leave, until all before them waits, scores and grid values alike."""
    tb = await started(dut)
    for pause in (0, 0, 400, 1200):
        tb.load(tb.depth)
        tb.pace(always, blocked(pause))
        for grid in (False, True, True, False):
            # What takes long to answer holds up the results behind it.
            tb.read(IDENTITY.start, len(IDENTITY))
            tb.query(tb.most(grid=grid), tb.k, grid=grid)
        await tb.finish(settle=1)
    await tb.finish()


@cocotb.test()
async def offers_before_they_are_awaited(dut: Any) -> None:
    """The first byte of a reply is on offer although the host takes none."""
    tb = await started(dut)
    for _ in range(3):
        tb.pace(always, blocked(400))
        tb.request(Kind.IDENTIFY, b"1234")
        await tb.steps(200)
        assert len(tb.tx.offered) > len(tb.tx.accepted), "nothing is offered"
        await tb.finish()


@cocotb.test()
async def random_requests(dut: Any) -> None:
    """Requests of every kind in a row, some refused, while the patterns change."""
    tb = await started(dut)
    tb.load(tb.depth)
    for _ in range(25):
        tb.pace(tb.random.choice(list(PATTERNS.values())), tb.random.choice(list(PATTERNS.values())))
        for _ in range(4):
            tb.random_request(tb.random)
        await tb.steps(tb.random.randint(1, 300))
    await tb.finish()


@cocotb.test()
async def damaged_requests(dut: Any) -> None:
    """Requests with a flipped bit, cut short or behind garbage: what is not sound has no effect."""
    tb = await started(dut)
    tb.load(tb.depth)
    for _ in range(30):
        queued = len(tb.rx.words)
        tb.query(1, tb.k)
        sent = [tb.rx.words.pop() for _ in range(len(tb.rx.words) - queued)][::-1]
        place = tb.random.randrange(len(sent) - 1)
        fault = tb.random.randrange(3)
        if fault == 0:
            sent[place] ^= 1 << tb.random.randrange(8)
        elif fault == 1:
            del sent[place : place + tb.random.randint(1, 9)]
        tb.rx.send(sent)
    tb.rx.send(b"\0")
    await tb.counters()


@cocotb.test()
async def repeats_are_answered_again(dut: Any) -> None:
    """A request whose reply is kept is not executed again: the same bytes come, though the epoch is another one."""
    tb = await started(dut)
    tb.load(2)
    await tb.finish()
    sent = tb.query(2, tb.k)
    await tb.finish()
    tb.write(_EPOCH, tb.epoch ^ 3)
    await tb.finish()
    for _ in range(3):
        tb.rx.send(sent)
        await tb.finish()
    tb.request(Kind.IDENTIFY, b"1234")
    tb.rx.send(sent)
    await tb.finish()
    # Requests are distinguished by their CRCs. That takes a large number of them, in every slot.
    for number in range(40):
        first = tb.random.randrange(_THRESHOLD, _THRESHOLD + 4)
        sent = tb.request(Kind.READ, struct.pack("<HH", first, 1))
        tb.write(first, tb.random.randrange(5000))
        await tb.finish(settle=1)
        tb.rx.send(sent)
        await tb.finish(settle=1)
        if number % 3 == 0:
            tb.request(Kind.IDENTIFY, b"1234")


@cocotb.test()
async def reset_in_mid_run(dut: Any) -> None:
    """After a reset nothing is left of a load, a query or a reply."""
    tb = await started(dut)
    for _ in range(10):
        tb.pace(always, tb.random.choice([always, blocked(10_000)]))
        tb.load(tb.depth)
        tb.query(3, tb.k)
        await tb.steps(tb.random.randint(1, 600))
        await tb.restart()
        await tb.steps(tb.random.choice([0, 40]))
        tb.query(1, 1)
        tb.load(1)
        tb.query(1, 1)
        await tb.finish(settle=1)
    await tb.finish()


@cocotb.test()
async def refusals(dut: Any) -> None:
    """Refusals give the reason, at every limit, the first one of several, and change nothing."""
    tb = await started(dut)
    tb.query(1, 1)
    for kind, payload, epoch in tb.refused_empty():
        tb.request(kind, payload, epoch)
    tb.load(tb.depth)
    await tb.finish()
    for number, (kind, payload, epoch) in enumerate(tb.refused()):
        tb.request(kind, payload, epoch)
        if number % 8 == 0:
            tb.read(_THRESHOLD, 9)
            tb.query(1, tb.k, grid=bool(number & 8))
            await tb.finish(settle=1)
    tb.read(_THRESHOLD, 9)
    await tb.finish()


@cocotb.test()
async def writes(dut: Any) -> None:
    """Several registers at once; only bit 0 of control resets, and only once; thresholds hold for later queries."""
    tb = await started(dut)
    tb.load(tb.depth)
    for bit in range(32):
        tb.epoch = (bit * 37 + 1) % 256
        thresholds = [tb.random.randrange(1, GRID_MAX) for _ in range(4)]
        tb.write(_THRESHOLD, *(t | 1 << bit & ~0x7FFF for t in thresholds), tb.epoch | 1 << bit & ~0xFF)
        tb.write(_CONTROL, 1 << bit & ~1)
        tb.write(_THRESHOLD + bit % 4, thresholds[bit % 4])
        tb.read(_THRESHOLD, 9)
        values = [tb.random.choice((-1, 1)) * (t + tb.random.randint(-1, 1)) for t in thresholds]
        asked = struct.pack(f"<{tb.dimensions}h", *tb.random.choices(values, k=tb.dimensions))
        tb.query(1, tb.k, grid=True, data=asked)
        await tb.finish(settle=1)
    for control in (0xFFFFFFFF, 1, 0, 0xFFFFFFFE, 1):
        tb.write(_THRESHOLD, 1, 2)
        tb.write(_CONTROL, control)
        tb.read(_THRESHOLD, 9)
        # Registers written after a reset keep their values, and rows loaded after it stay.
        tb.write(_THRESHOLD + 1, 3, 4)
        tb.read(_THRESHOLD, 9)
        tb.epoch = 0
        tb.query(1, 1)
        tb.load(1)
        tb.write(_THRESHOLD, 5)
        tb.query(1, 1, grid=True)
        tb.write(_CONTROL, 0)
        tb.write(_THRESHOLD + 3, 6)
        tb.read(_THRESHOLD, 9)
        await tb.finish(settle=1)
    await tb.finish()


@cocotb.test()
async def loads_in_blocks(dut: Any) -> None:
    """Blocks of every size, at every offset; one that does not continue the load is refused, one at 0 starts a load."""
    tb = await started(dut)
    size = tb.dimensions // 2
    whole = tb.nits(min(tb.depth, 5))[: (tb.longest - 4) // size * size]
    for step in (1, 2, 3, size, size + 1, len(whole)):
        for cut in (step, 2 * step, len(whole)):
            for offset in range(0, len(whole), step):
                final = LOAD_FINAL if offset + step >= len(whole) else 0
                tb.request(Kind.LOAD, struct.pack("<I", offset | final) + whole[offset : offset + step])
                if offset < cut <= offset + step:
                    tb.read(_EPOCH, 5)
                    tb.request(Kind.LOAD, struct.pack("<I", offset + step + 1) + b"\0")
                    tb.request(Kind.LOAD, struct.pack("<I", offset + step | LOAD_FINAL) + bytes(len(whole) + 1))
                    tb.query(1, 1)
                    tb.write(_THRESHOLD, tb.random.randrange(4096))
            tb.read(_EPOCH, 5)
            tb.epoch = 0
            tb.query(2, tb.k)
            tb.request(Kind.LOAD, struct.pack("<I", 0) + whole[:step])
            tb.read(_EPOCH, 5)
            if tb.random.getrandbits(1):
                tb.request(Kind.RESET)
            await tb.finish(settle=1)
    tb.load(tb.depth)
    tb.query(2, tb.k)
    await tb.finish()


@cocotb.test()
async def each_request_behind_each(dut: Any) -> None:
    """Pairs of requests, the second received while the first is executed and nothing is sent; none overtakes."""
    tb = await started(dut)
    makers: list[Callable[[], object]] = [
        lambda: tb.query(2, tb.k),
        lambda: tb.query(2, 1, grid=True),
        lambda: tb.load(tb.random.randint(1, tb.depth)),
        lambda: tb.write(_THRESHOLD + tb.random.randrange(4), tb.random.randrange(6000)),
        lambda: tb.read(_THRESHOLD, 9),
        lambda: tb.request(Kind.IDENTIFY, tb.random.randbytes(4)),
        lambda: tb.request(Kind.RESET),
    ]
    tb.load(tb.depth)
    for first, second in itertools.product(makers, repeat=2):
        tb.pace(always, blocked(tb.random.choice([0, 0, 200, 400])))
        first()
        second()
        tb.query(1, tb.k, grid=True)
        if makers[-1] in (first, second):
            tb.load(tb.depth)
        await tb.finish(settle=1)
    await tb.finish()


@cocotb.test()
async def frames_of_every_length(dut: Any) -> None:
    """Requests of no kind, as long as the buffer and longer, one behind another while the board waits."""
    tb = await started(dut)
    lengths = [*range(12), *range(tb.longest - 2, tb.longest + 8), *range(tb.capacity - 6, tb.capacity + 4)]
    for length in tb.random.sample(lengths, len(lengths)):
        tb.pace(always, blocked(tb.random.choice([0, 300])))
        tb.request(0x3F, tb.random.randbytes(length))
        # Groups of COBS as long as a request can have.
        tb.request(0x3F, bytes(tb.random.choices(range(1, 256), k=min(length, tb.longest))), epoch=1)
        tb.rx.send(tb.random.choice([b"", b"\0", b"\0\0", b"\1\0", b"\5\0"]))
        if tb.random.getrandbits(1):
            await tb.finish(settle=1)
    await tb.counters()


@cocotb.test()
async def every_bit_of_the_check_counts(dut: Any) -> None:
    """Frames whose CRC leaves a remainder that is wrong in one bit are refused."""
    tb = await started(dut)
    body = bytes([Kind.IDENTIFY, tb.sequence, 0, 0]) + b"1234"
    for bit in range(32):
        # The remainder of a whole frame, 32 bits after the check: backwards through the division.
        wrong = 1 << bit
        for _ in range(32):
            wrong = (wrong ^ _CRC_POLYNOMIAL) << 1 | 1 if wrong >> 31 else wrong << 1
        tb.rx.send(stuff(body + (crc32(body) ^ wrong).to_bytes(4, "little")))
    assert (await tb.counters())["crc_errors"] == 32


@cocotb.test()
async def statistics(dut: Any) -> None:
    """Queries, scores and frames that are not sound are counted, each once, also while counters are read."""
    tb = await started(dut)
    # Before any has come far: they may begin shortly before they wrap around.
    await tb.counters()
    tb.load(tb.depth)
    for round_ in range(8):
        kind = (Kind.STATISTICS, Kind.READ)[round_ % 2]
        before = await tb.counters(kind)
        # Enough in one of the rounds for a long carry in a counter.
        asked = tb.random.randint(1, 3) + 60 * (round_ == 1)
        unsound = tb.random.randint(0, 3) + 150 * (round_ == 2)
        cut = tb.random.randint(0, 3) + 1500 * (round_ == 0)
        # As many scores as there is time for while counters are held.
        many = min(tb.most(grid=False), 8)
        tb.request(Kind.STATISTICS)
        tb.query(many, tb.k)
        await tb.finish(settle=1)
        tb.read(IDENTITY.start, len(IDENTITY))
        tb.query(many, 1)
        for _ in range(asked):
            tb.query(2, tb.k)
            tb.request(Kind.STATISTICS)
        for count, frame in ((unsound, encoded(b"\7\0\0\0")[:-2] + b"\x7f\0"), (cut, b"\5\1\0")):
            for number in range(count):
                tb.rx.send(frame)
                if number < 3:
                    tb.request(Kind.STATISTICS)
        after = await tb.counters(kind)
        found = [after[name] - before[name] for name in ("queries", "accepted", "crc_errors", "dropped")]
        queries = 2 * (asked + many)
        assert found == [queries, queries * tb.rows, unsound, cut], f"{found} were counted"
        assert 0 < after["stalls"] - before["stalls"] < after["cycles"] - before["cycles"]
    tb.request(Kind.RESET)
    await tb.finish()
    tb.begun, tb.epoch, tb.unsound = tb.tx.offered[-1], 0, {"crc_errors": 0, "dropped": 0}
    after = await tb.counters()
    assert not any(count for name, count in after.items() if name != "cycles"), f"{after} after a reset"
