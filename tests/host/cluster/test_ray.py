"""Three Ray nodes on this machine, of which one is killed under load: no answer is lost, and none is wrong."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ninefold.host.cluster import ShardedIndex, connect
from ninefold.host.index import Index
from ninefold.spec.errors import InputError

from ..index.made import DIMENSIONS, entries_of, made

pytestmark = pytest.mark.cluster

ROWS, SEARCHERS = 20_000, 6


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name, value in (
        ("RAY_AUTH_MODE", "token"),
        ("RAY_AUTH_TOKEN", "0123456789abcdef" * 4),
        ("RAY_USAGE_STATS_ENABLED", "0"),
        ("NINEFOLD_CPU_PATH", "numpy"),
        ("RAY_DISABLE_IMPORT_WARNING", "1"),
    ):
        monkeypatch.setenv(name, value)
    from ray.cluster_utils import Cluster

    some = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        yield some
    finally:
        some.shutdown()


def test_a_node_killed_under_load_loses_no_answer(cluster: Any, tmp_path: Path) -> None:
    vectors = np.random.default_rng(1).normal(0, 1, (ROWS, DIMENSIONS)).astype(np.float16)
    made(tmp_path / "notes", vectors, entries=entries_of(ROWS)).close()
    queries = np.random.default_rng(2).normal(0, 1, (50, DIMENSIONS)).astype(np.float32)
    with Index.open(str(tmp_path / "notes")) as plain:
        wanted = [[(hit.id, hit.score) for hit in plain.search(q, 8)] for q in queries]
    workers = [
        cluster.add_node(num_cpus=1, resources={"ninefold": 1, "ninefold:cpu": 1, "ninefold:opencl:0": 1})
        for _ in range(3)
    ]
    counts: Counter[str] = Counter()
    fallbacks: set[str] = set()
    stop = threading.Event()
    with (
        connect(cluster.address) as nodes,
        ShardedIndex.open(str(tmp_path / "notes"), nodes=nodes, shard_rows=500) as index,
    ):
        assert index.settle(180)

        def asks(number: int) -> None:
            while not stop.is_set():
                number = (number + 7) % len(queries)
                counts["asked"] += 1
                try:
                    found = index.search(queries[number], 8)
                except Exception as error:
                    counts[f"refused: {error}"] += 1
                    continue
                right = [(hit.id, hit.score) for hit in found] == wanted[number]
                counts["right" if right else "wrong"] += 1
                fallbacks.update(found.fallbacks)

        threads = [threading.Thread(target=asks, args=(n,)) for n in range(SEARCHERS)]
        for thread in threads:
            thread.start()
        time.sleep(4)
        before = counts["right"]
        cluster.remove_node(workers[1], allow_graceful=False)
        time.sleep(8)
        stop.set()
        for thread in threads:
            thread.join(60)
        print(dict(counts), "before the kill", before, fallbacks)  # noqa: T201 - the figures of the page
        assert counts["asked"] == counts["right"] > before > 0
        assert index.settle(120), "the lost copies are made again on the other two nodes"
        assert len(nodes.found()) == 2
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"


def test_a_cluster_without_a_token_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    with pytest.raises(InputError, match="RAY_AUTH_MODE=token"):
        connect("127.0.0.1:6379")
