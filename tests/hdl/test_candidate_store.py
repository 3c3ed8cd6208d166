"""The store of candidates against two lists."""

import re
from typing import Any

import pytest

from ninefold.hdl.miner.candidate_store import CandidateStore
from ninefold.spec.errors import InputError
from tests.hdl.streams import Testbench

# A component that refuses its parameters is never elaborated.
pytestmark = pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")

Candidates = list[tuple[int, int]]


@pytest.mark.parametrize(("dimensions", "depth", "keep"), [(1, 1, 1), (8, 40, 5), (384, 2048, 16), (4096, 65536, 9)])
@pytest.mark.parametrize("rate", [1.0, 0.5])
def test_two_scans_are_kept(dimensions: int, depth: int, keep: int, rate: float) -> None:
    store = CandidateStore(dimensions, depth, keep)
    tb = Testbench(store, seed=keep, limit=20_000)
    random = tb.random
    bits = (keep - 1).bit_length()
    halves: list[Candidates] = [[], []]

    async def scan(ctx: Any, half: int, found: Candidates) -> None:
        words = [{"id": i, "score": s, "valid": 1, "last": int(n == len(found) - 1)} for n, (i, s) in enumerate(found)]
        words = words or [{"id": 0, "score": 0, "valid": 0, "last": 1}]
        other = [*halves[1 - half]]
        for word in words:
            # The other half can be read meanwhile.
            while random.random() >= rate:
                await read(ctx, 1 - half, other)
            for name, value in word.items():
                ctx.set(store.results.payload[name], value)
            ctx.set(store.results.valid, 1)
            await ctx.tick()
            ctx.set(store.results.valid, 0)
            assert ctx.get(store.scanned) == word["last"]
        halves[half] = found
        assert [ctx.get(total) for total in store.totals] == [len(kept) for kept in halves]

    async def read(ctx: Any, half: int, kept: Candidates) -> None:
        if not kept:
            await ctx.tick()
            return
        place = random.randrange(len(kept))
        ctx.set(store.address, place | half << bits)
        await ctx.tick().repeat(2)
        assert (ctx.get(store.word.id), ctx.get(store.word.score)) == kept[place]

    async def drive(ctx: Any) -> None:
        for number in range(12):
            count = random.choice([0, 1, keep, random.randint(0, keep)])
            scores = [-4 * dimensions, 4 * dimensions, random.randint(-4 * dimensions, 4 * dimensions)]
            found = [
                (random.choice([0, depth - 1, random.randrange(depth)]), random.choice(scores)) for _ in range(count)
            ]
            await scan(ctx, number % 2, found)
            for half in random.choices((0, 1), k=6):
                await read(ctx, half, halves[half])
            await ctx.tick()
            assert not ctx.get(store.scanned)

    tb.add(drive)
    tb.run()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ((0, 10, 1), "dimensions must be an integer from 1 to 4096, not 0"),
        ((8, 65537, 1), "depth must be an integer from 1 to 65536, not 65537"),
        ((8, 10, 8193), "keep must be an integer from 1 to 8192, not 8193"),
    ],
)
def test_refusals(parameters: tuple[int, int, int], message: str) -> None:
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        CandidateStore(*parameters)
