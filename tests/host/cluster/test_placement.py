from __future__ import annotations

import hashlib

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ninefold.host.cluster.placement import Shard, ranked_nodes, shards_of

SHARDS = [Shard(hashlib.sha256(bytes([n % 50])).hexdigest(), 100 * n, 100 * n + 100) for n in range(3000)]
NODES = [f"node {n}" for n in range(10)]


def first_choices(nodes: list[str]) -> list[list[str]]:
    return [[nodes[at] for at in row[:2]] for row in ranked_nodes(SHARDS, nodes).tolist()]


def test_copies_spread_evenly_over_different_nodes() -> None:
    chosen = first_choices(NODES)
    assert all(a != b for a, b in chosen)
    for copy in (0, 1):
        counts = [sum(names[copy] == node for names in chosen) for node in NODES]
        # Binomial with p = 1/10: the standard deviation is 16.4.
        assert max(abs(count - 300) for count in counts) < 75


def test_a_lost_node_moves_its_own_shards_only_and_spreads_them() -> None:
    before, after = first_choices(NODES), first_choices(NODES[:-1])
    heirs = []
    for old, new in zip(before, after, strict=True):
        kept = [name for name in old if name != NODES[-1]]
        assert new[: len(kept)] == kept
        heirs += new[len(kept) :]
    counts = [heirs.count(node) for node in NODES[:-1]]
    assert sum(counts) == sum(NODES[-1] in names for names in before)
    assert min(counts) > 30


def test_the_order_of_nodes_and_shards_does_not_matter() -> None:
    turned = NODES[::-1]
    assert first_choices(turned) == first_choices(NODES)
    assert np.array_equal(ranked_nodes(SHARDS[:7], NODES), ranked_nodes(SHARDS, NODES)[:7])


def test_placement_stays_as_it_is_between_releases() -> None:
    # Written down: a coordinator that starts again must find the copies where they are.
    some = [Shard("0" * 64, 0, 10), Shard("0" * 64, 10, 20), Shard("f" * 64, 0, 10)]
    assert ranked_nodes(some, ["a", "b", "c", "d"]).tolist() == [[0, 2, 3, 1], [2, 1, 0, 3], [3, 1, 0, 2]]


@given(st.integers(1, 5000), st.integers(1, 600))
def test_shards_cover_a_segment_once(rows: int, most: int) -> None:
    found = shards_of("x", rows, most)
    assert [row for one in found for row in range(one.first, one.last)] == list(range(rows))
    sizes = {len(one) for one in found}
    assert max(sizes) <= most
    assert max(sizes) - min(sizes) <= 1
