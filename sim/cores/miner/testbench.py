"""Testbench of the miner against the golden model of a board, byte for byte."""

# ruff: noqa: D401 - the docstring of a test states what holds

import itertools
import struct
from collections.abc import Callable
from typing import Any

import cocotb

from ninefold.sim.cores.miner.requests import MinerBench
from ninefold.sim.golden.link import crc32, encoded, receive, stuff
from ninefold.sim.testbench.streams import PATTERNS, always, blocked
from ninefold.spec.formats import GRID_MAX
from ninefold.spec.link import LOAD_FINAL, Kind
from ninefold.spec.registers import BY_NAME, IDENTITY

__all__ = ["MinerBench"]

_EPOCH = BY_NAME["epoch"].address
_THRESHOLD = BY_NAME["threshold"].address
_CONTROL = BY_NAME["control"].address
#: Cycles from the last byte of a READ of one word to the first byte of its reply, without its first COBS group.
_READ_CYCLES = 42
#: Polynomial of CRC-32, highest power first.
_CRC_POLYNOMIAL = 0xEDB88320


async def started(dut: Any) -> MinerBench:
    """Return a testbench with the device reset."""
    bench = MinerBench(dut)
    await bench.restart()
    return bench


@cocotb.test()
async def directed(dut: Any) -> None:
    """A row of ones and one of minus ones, asked with ones: the scores are written by hand."""
    bench = await started(dut)
    half = bench.dimensions // 2
    bench.request(Kind.LOAD, struct.pack("<I", LOAD_FINAL) + b"\xff" * half + b"\x11" * half)
    sent = bench.request(Kind.QUERY, struct.pack("<BBH", 0, 1, 2) + b"\x11" * half)
    while bench.rx.words:
        await bench.step()
    (body,) = receive(sent, 999).frames
    found = struct.pack("<BBHHiHi", 0, 1, 2, 1, bench.dimensions, 0, -bench.dimensions)
    wanted = encoded(bytes([Kind.QUERY | 0x80, 1, body[2], 0]) + found)
    assert bytes(bench.tx.expected)[-len(wanted) :] == wanted, "the model disagrees with the values written by hand"
    await bench.finish()


@cocotb.test()
async def latency(dut: Any) -> None:
    """The reply to a READ of one word begins as many cycles after its last byte as the miner says."""
    bench = await started(dut)
    for _ in range(4):
        place = len(bench.tx.offered)
        bench.read(_EPOCH)
        while not bench.tx.expected:
            await bench.step()
        # COBS begins with the length of a group of bytes, which is known behind it.
        group = bench.tx.expected[0]
        await bench.finish()
        waited = bench.tx.offered[place] - bench.rx.accepted[-1] - group
        assert waited == _READ_CYCLES, f"the reply began after {waited} cycles and {group} for its first group"


@cocotb.test()
async def registers(dut: Any) -> None:
    """The identity, what may be written, and addresses without a register."""
    bench = await started(dut)
    bench.read(IDENTITY.start, len(IDENTITY))
    for address in (*BY_NAME["threshold"].addresses, _EPOCH):
        bench.write(address, bench.random.getrandbits(16))
        bench.read(_THRESHOLD, 5)
    for address in (0x13, 0x1D, 0x29, 0x3F, 0x40, 0x100):
        bench.read(address)
        bench.write(address, 1)
    for bit in range(16):
        bench.read(1 << bit)
        bench.read(IDENTITY.start, 1 << bit)
        bench.write(_THRESHOLD | 1 << bit, 1)
    bench.request(Kind.RESET)
    bench.read(_THRESHOLD, 5)
    await bench.finish()


@cocotb.test()
async def sizes_crossed_with_back_pressure(dut: Any) -> None:
    """Loads and queries of several sizes under each pattern of the source crossed with each of the sink."""
    bench = await started(dut)
    for offered, taken in itertools.product(PATTERNS.values(), repeat=2):
        bench.pace(offered, taken)
        bench.load(bench.random.choice([1, 2, bench.depth - 1, bench.depth]))
        for grid in (False, True):
            bench.query(bench.random.randint(1, 3), bench.random.randint(1, bench.k), grid=grid)
        await bench.finish(settle=1)
    await bench.finish()


@cocotb.test()
async def results_that_wait(dut: Any) -> None:
    """Results come faster than they leave, until all before them waits, scores and grid values alike."""
    bench = await started(dut)
    for pause in (0, 0, 400, 1200):
        bench.load(bench.depth)
        bench.pace(always, blocked(pause))
        for grid in (False, True, True, False):
            # What takes long to answer holds up the results behind it.
            bench.read(IDENTITY.start, len(IDENTITY))
            bench.query(bench.most(grid=grid), bench.k, grid=grid)
        await bench.finish(settle=1)
    await bench.finish()


@cocotb.test()
async def offers_before_they_are_awaited(dut: Any) -> None:
    """The first byte of a reply is on offer although the host takes none."""
    bench = await started(dut)
    for _ in range(3):
        bench.pace(always, blocked(400))
        bench.request(Kind.IDENTIFY, b"1234")
        await bench.steps(200)
        assert len(bench.tx.offered) > len(bench.tx.accepted), "nothing is offered"
        await bench.finish()


@cocotb.test()
async def random_requests(dut: Any) -> None:
    """Requests of every kind in a row, some refused, while the patterns change."""
    bench = await started(dut)
    bench.load(bench.depth)
    for _ in range(25):
        bench.pace(bench.random.choice(list(PATTERNS.values())), bench.random.choice(list(PATTERNS.values())))
        for _ in range(4):
            bench.random_request(bench.random)
        await bench.steps(bench.random.randint(1, 300))
    await bench.finish()


@cocotb.test()
async def damaged_requests(dut: Any) -> None:
    """Requests with a flipped bit, cut short or behind garbage: what is not sound has no effect."""
    bench = await started(dut)
    bench.load(bench.depth)
    for _ in range(30):
        queued = len(bench.rx.words)
        bench.query(1, bench.k)
        sent = [bench.rx.words.pop() for _ in range(len(bench.rx.words) - queued)][::-1]
        place = bench.random.randrange(len(sent) - 1)
        fault = bench.random.randrange(3)
        if fault == 0:
            sent[place] ^= 1 << bench.random.randrange(8)
        elif fault == 1:
            del sent[place : place + bench.random.randint(1, 9)]
        bench.rx.send(sent)
    bench.rx.send(b"\0")
    await bench.counters()


@cocotb.test()
async def repeats_are_answered_again(dut: Any) -> None:
    """A request whose reply is kept is not executed again: the same bytes come, though the epoch is another one."""
    bench = await started(dut)
    bench.load(2)
    await bench.finish()
    sent = bench.query(2, bench.k)
    await bench.finish()
    bench.write(_EPOCH, bench.epoch ^ 3)
    await bench.finish()
    for _ in range(3):
        bench.rx.send(sent)
        await bench.finish()
    bench.request(Kind.IDENTIFY, b"1234")
    bench.rx.send(sent)
    await bench.finish()
    # Requests are distinguished by their CRCs. That takes a large number of them, in every slot.
    for number in range(40):
        first = bench.random.randrange(_THRESHOLD, _THRESHOLD + 4)
        sent = bench.request(Kind.READ, struct.pack("<HH", first, 1))
        bench.write(first, bench.random.randrange(5000))
        await bench.finish(settle=1)
        bench.rx.send(sent)
        await bench.finish(settle=1)
        if number % 3 == 0:
            bench.request(Kind.IDENTIFY, b"1234")


@cocotb.test()
async def reset_in_mid_run(dut: Any) -> None:
    """After a reset nothing is left of a load, a query or a reply."""
    bench = await started(dut)
    for _ in range(10):
        bench.pace(always, bench.random.choice([always, blocked(10_000)]))
        bench.load(bench.depth)
        bench.query(3, bench.k)
        await bench.steps(bench.random.randint(1, 600))
        await bench.restart()
        await bench.steps(bench.random.choice([0, 40]))
        bench.request(Kind.QUERY, struct.pack("<BBH", 0, 1, 1) + bench.nits(1))
        bench.load(1)
        bench.query(1, 1)
        await bench.finish(settle=1)
    await bench.finish()


@cocotb.test()
async def refusals(dut: Any) -> None:
    """Refusals give the reason, at every limit, and change nothing."""
    bench = await started(dut)
    bench.query(1, 1)
    bench.load(bench.depth)
    await bench.finish()
    for number, (kind, payload, epoch) in enumerate(bench.refused()):
        bench.request(kind, payload, epoch)
        if number % 8 == 0:
            bench.read(_THRESHOLD, 9)
            bench.query(1, bench.k, grid=bool(number & 8))
            await bench.finish(settle=1)
    bench.read(_THRESHOLD, 9)
    await bench.finish()


@cocotb.test()
async def writes(dut: Any) -> None:
    """Several registers at once; only bit 0 of control resets, and only once; thresholds hold for later queries."""
    bench = await started(dut)
    bench.load(bench.depth)
    for bit in range(32):
        bench.epoch = (bit * 37 + 1) % 256
        thresholds = [bench.random.randrange(1, GRID_MAX) for _ in range(4)]
        bench.write(_THRESHOLD, *(t | 1 << bit & ~0x7FFF for t in thresholds), bench.epoch | 1 << bit & ~0xFF)
        bench.write(_CONTROL, 1 << bit & ~1)
        bench.write(_THRESHOLD + bit % 4, thresholds[bit % 4])
        bench.read(_THRESHOLD, 9)
        values = [bench.random.choice((-1, 1)) * (t + bench.random.randint(-1, 1)) for t in thresholds]
        asked = struct.pack(f"<{bench.dimensions}h", *bench.random.choices(values, k=bench.dimensions))
        bench.request(Kind.QUERY, struct.pack("<BBH", 1, 1, bench.k) + asked, bench.epoch)
        await bench.finish(settle=1)
    for control in (0xFFFFFFFF, 1, 0, 0xFFFFFFFE, 1):
        bench.write(_THRESHOLD, 1, 2)
        bench.write(_CONTROL, control)
        bench.read(_THRESHOLD, 9)
        # Registers written after a reset keep their values, and rows loaded after it stay.
        bench.write(_THRESHOLD + 1, 3, 4)
        bench.read(_THRESHOLD, 9)
        bench.epoch = 0
        bench.query(1, 1)
        bench.load(1)
        bench.write(_THRESHOLD, 5)
        bench.query(1, 1, grid=True)
        bench.write(_CONTROL, 0)
        bench.write(_THRESHOLD + 3, 6)
        bench.read(_THRESHOLD, 9)
        await bench.finish(settle=1)
    await bench.finish()


@cocotb.test()
async def loads_in_blocks(dut: Any) -> None:
    """Blocks of every size, at every offset; one that does not continue the load is refused, one at 0 starts a load."""
    bench = await started(dut)
    size = bench.dimensions // 2
    whole = bench.nits(min(bench.depth, 5))[: (bench.longest - 4) // size * size]
    for step in (1, 2, 3, size, size + 1, len(whole)):
        for cut in (step, 2 * step, len(whole)):
            for offset in range(0, len(whole), step):
                final = LOAD_FINAL if offset + step >= len(whole) else 0
                bench.request(Kind.LOAD, struct.pack("<I", offset | final) + whole[offset : offset + step])
                if offset < cut <= offset + step:
                    bench.read(_EPOCH, 5)
                    bench.request(Kind.LOAD, struct.pack("<I", offset + step + 1) + b"\0")
                    bench.request(Kind.LOAD, struct.pack("<I", offset + step | LOAD_FINAL) + bytes(len(whole) + 1))
                    bench.query(1, 1)
                    bench.write(_THRESHOLD, bench.random.randrange(4096))
            bench.read(_EPOCH, 5)
            bench.epoch = 0
            bench.query(2, bench.k)
            bench.request(Kind.LOAD, struct.pack("<I", 0) + whole[:step])
            bench.read(_EPOCH, 5)
            if bench.random.getrandbits(1):
                bench.request(Kind.RESET)
            await bench.finish(settle=1)
    bench.load(bench.depth)
    bench.query(2, bench.k)
    await bench.finish()


@cocotb.test()
async def each_request_behind_each(dut: Any) -> None:
    """Pairs of requests, the second received while the first is executed and nothing is sent; none overtakes."""
    bench = await started(dut)
    makers: list[Callable[[], object]] = [
        lambda: bench.query(2, bench.k),
        lambda: bench.query(2, 1, grid=True),
        lambda: bench.load(bench.random.randint(1, bench.depth)),
        lambda: bench.write(_THRESHOLD + bench.random.randrange(4), bench.random.randrange(6000)),
        lambda: bench.read(_THRESHOLD, 9),
        lambda: bench.request(Kind.IDENTIFY, bench.random.randbytes(4)),
        lambda: bench.request(Kind.RESET),
    ]
    bench.load(bench.depth)
    for first, second in itertools.product(makers, repeat=2):
        bench.pace(always, blocked(bench.random.choice([0, 0, 200, 400])))
        first()
        second()
        bench.query(1, bench.k, grid=True)
        if makers[-1] in (first, second):
            bench.load(bench.depth)
        await bench.finish(settle=1)
    await bench.finish()


@cocotb.test()
async def frames_of_every_length(dut: Any) -> None:
    """Requests of no kind, as long as the buffer and longer, one behind another while the board waits."""
    bench = await started(dut)
    lengths = [*range(12), *range(bench.longest - 2, bench.longest + 8), *range(bench.capacity - 6, bench.capacity + 4)]
    for length in bench.random.sample(lengths, len(lengths)):
        bench.pace(always, blocked(bench.random.choice([0, 300])))
        bench.request(0x3F, bench.random.randbytes(length))
        # Groups of COBS as long as a request can have.
        bench.request(0x3F, bytes(bench.random.choices(range(1, 256), k=min(length, bench.longest))), epoch=1)
        bench.rx.send(bench.random.choice([b"", b"\0", b"\0\0", b"\1\0", b"\5\0"]))
        if bench.random.getrandbits(1):
            await bench.finish(settle=1)
    await bench.counters()


@cocotb.test()
async def every_bit_of_the_check_counts(dut: Any) -> None:
    """Frames whose CRC leaves a remainder that is wrong in one bit are refused."""
    bench = await started(dut)
    body = bytes([Kind.IDENTIFY, bench.sequence, 0, 0]) + b"1234"
    for bit in range(32):
        # The remainder of a whole frame, 32 bits after the check: backwards through the division.
        wrong = 1 << bit
        for _ in range(32):
            wrong = (wrong ^ _CRC_POLYNOMIAL) << 1 | 1 if wrong >> 31 else wrong << 1
        bench.rx.send(stuff(body + (crc32(body) ^ wrong).to_bytes(4, "little")))
    assert (await bench.counters())["crc_errors"] == 32


@cocotb.test()
async def statistics(dut: Any) -> None:
    """Queries, scores and frames that are not sound are counted, each once, also while counters are read."""
    bench = await started(dut)
    # Before any has come far: they may begin shortly before they wrap around.
    await bench.counters()
    bench.load(bench.depth)
    for round_ in range(8):
        kind = (Kind.STATISTICS, Kind.READ)[round_ % 2]
        before = await bench.counters(kind)
        # Enough in one of the rounds for a long carry in a counter.
        asked = bench.random.randint(1, 3) + 60 * (round_ == 1)
        unsound = bench.random.randint(0, 3) + 150 * (round_ == 2)
        cut = bench.random.randint(0, 3) + 1500 * (round_ == 0)
        # As many scores as there is time for while counters are held.
        many = min(bench.most(grid=False), 8)
        bench.request(Kind.STATISTICS)
        bench.query(many, bench.k)
        await bench.finish(settle=1)
        bench.read(IDENTITY.start, len(IDENTITY))
        bench.query(many, 1)
        for _ in range(asked):
            bench.query(2, bench.k)
            bench.request(Kind.STATISTICS)
        for count, frame in ((unsound, encoded(b"\7\0\0\0")[:-2] + b"\x7f\0"), (cut, b"\5\1\0")):
            for number in range(count):
                bench.rx.send(frame)
                if number < 3:
                    bench.request(Kind.STATISTICS)
        after = await bench.counters(kind)
        found = [after[name] - before[name] for name in ("queries", "accepted", "crc_errors", "dropped")]
        queries = 2 * (asked + many)
        assert found == [queries, queries * bench.rows, unsound, cut], f"{found} were counted"
        assert 0 < after["stalls"] - before["stalls"] < after["cycles"] - before["cycles"]
    bench.request(Kind.RESET)
    await bench.finish()
    bench.begun, bench.epoch, bench.unsound = bench.tx.offered[-1], 0, {"crc_errors": 0, "dropped": 0}
    after = await bench.counters()
    assert not any(count for name, count in after.items() if name != "cycles"), f"{after} after a reset"
