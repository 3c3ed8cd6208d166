from itertools import pairwise
from random import Random
from typing import Any

import pytest

from ninefold.hdl.parts.row_mask import RowMask
from tests.hdl.streams import Testbench

Words = list[dict[str, Any]]


def scan(random: Random, rows: int, count: int) -> Words:
    """Return the words of one pass over ``count`` rows."""
    words = -(-count // rows)
    return [
        {
            "scores": [random.randint(-32, 31) for _ in range(rows)],
            "valid": (1 << min(rows, count - word * rows)) - 1,
            "word": word,
            "last": int(word == words - 1),
        }
        for word in range(words)
    ]


def mask_bytes(bits: int, count: int, padding: int = 0) -> Words:
    size = -(-count // 8)
    content = (bits | padding << count).to_bytes(size + 4, "little")[:size]
    return [{"data": byte, "last": int(i == size - 1)} for i, byte in enumerate(content)]


def run(rows: int, depth: int, passes: int, rates: tuple[float, float, float, float], registered: bool) -> list[int]:
    """Mask some queries over databases of changing sizes; returns the cycles in which words left."""
    core = RowMask(8, rows, depth, passes, registered)
    tb = Testbench(core, seed=1, limit=20_000)
    random = tb.random
    words: Words = []
    masks: Words = []
    queries: Words = []
    model: list[tuple[Any, ...]] = []
    for number in range(12):
        count = random.choice([1, depth, depth, random.randint(1, depth)])
        masked = number % 4 != 2
        queries.append({"masked": int(masked)})
        bits = random.getrandbits(count) if masked else (1 << count) - 1
        if masked:
            # Bits beyond the last row, and bytes beyond the last word, change nothing.
            masks += mask_bytes(bits, random.choice([count, depth + 40]), padding=random.getrandbits(30))
        for _ in range(passes):
            part = scan(random, rows, count)
            words += part
            model += [
                (word["scores"], word["valid"] & bits >> word["word"] * rows, word["word"], word["last"])
                for word in part
            ]
    for port, sent, rate in zip((core.queries, core.mask, core.scores), (queries, masks, words), rates, strict=False):
        tb.send(port, sent, rate)
    got, cycles = tb.receive(core.output, len(model), rates[3])
    tb.run()
    assert got == model
    return cycles


@pytest.mark.parametrize("registered", [True, False])
@pytest.mark.parametrize("rates", [(1, 1, 1, 1), (1, 0.3, 1, 1), (0.1, 1, 1, 0.4), (1, 1, 0.3, 0.8)])
@pytest.mark.parametrize(
    ("rows", "depth", "passes"), [(1, 1, 1), (1, 11, 2), (2, 16, 1), (3, 20, 2), (4, 32, 2), (8, 40, 1), (16, 40, 3)]
)
def test_rows_of_the_mask_stay_valid(
    rows: int, depth: int, passes: int, rates: tuple[float, float, float, float], registered: bool
) -> None:
    run(rows, depth, passes, rates, registered)


@pytest.mark.parametrize("registered", [True, False])
def test_one_word_a_cycle_and_a_byte_in_eight(registered: bool) -> None:
    core = RowMask(8, 4, 32, 2, registered)
    tb = Testbench(core, seed=3)
    tb.send(core.queries, [{"masked": 1}, {"masked": 0}])
    bytes_in = tb.send(core.mask, mask_bytes(0x0F0F5A5A, 32))
    parts = [scan(tb.random, 4, 32) for _ in range(4)]
    words_in = tb.send(core.scores, [word for part in parts for word in part])
    got, cycles = tb.receive(core.output, 32)
    tb.run()
    assert [b - a for a, b in pairwise(bytes_in)] == [8, 8, 8]
    assert words_in[0] > bytes_in[-1], "scores wait for the whole mask"
    assert [out - into for into, out in zip(words_in, cycles, strict=True)] == [1 + registered] * 32
    # Between two queries, one cycle passes until the next is known.
    assert cycles == [*range(cycles[0], cycles[0] + 16), *range(cycles[0] + 17, cycles[0] + 33)]
    assert [valid for _, valid, _, _ in got[:8]] == [0xA, 0x5, 0xA, 0x5, 0xF, 0x0, 0xF, 0x0]


def test_two_masks_are_held() -> None:
    core = RowMask(8, 1, 8)
    tb = Testbench(core, seed=0)
    accepted = tb.send(core.mask, [byte for bits in (1, 2, 4) for byte in mask_bytes(bits, 8)])
    used: list[int] = []

    async def later(ctx: Any) -> None:
        await ctx.tick().repeat(60)
        used.append(tb.cycle)
        async for _ in tb.feed(ctx, core.queries, [{"masked": 1}] * 3):
            pass

    tb.add(later)
    tb.send(core.scores, scan(tb.random, 1, 8) * 3)
    got, _ = tb.receive(core.output, 24)
    tb.run()
    assert accepted[1] < used[0] < accepted[2]
    assert [i for i, (_, valid, _, _) in enumerate(got) if valid] == [0, 9, 18]
