from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ninefold.host.cluster.model import SCANS, Cluster, Scan, simulated, table
from ninefold.spec.errors import InputError

PAGE = Path(__file__).parents[3] / "docs" / "howto" / "cluster.md"


@pytest.mark.parametrize("scan", SCANS, ids=lambda scan: scan.name)
@pytest.mark.parametrize("nodes", [1, 30, 1000])
def test_the_simulation_agrees_with_the_model(scan: Scan, nodes: int) -> None:
    one = Cluster(10**9, nodes, scan)
    # Means of 3,600 searches, which depend on each other. The model leaves out that the waits of nodes differ, and that
    # the nodes smooth the arrivals at the coordinator.
    for load, bound in ((0.05, 0.03), (0.5, 0.15)):
        times = simulated(one, load, searches=4000)
        assert times.mean() == pytest.approx(one.latency(load), rel=bound)


def test_more_load_than_the_throughput_makes_queues_grow() -> None:
    one = Cluster(10**9, 20, SCANS[0])
    half = len(times := simulated(one, 1.1, searches=4000)) // 2
    assert times[half:].mean() > 1.5 * times[:half].mean()
    steady = simulated(one, 0.9, searches=4000)
    assert steady[half:].mean() < 1.5 * steady[:half].mean() + 0.1


def test_the_table_of_the_page_is_that_of_the_model() -> None:
    assert "\n".join(table()) in PAGE.read_text()


def test_one_node_without_jitter_reads_its_rows_and_merges() -> None:
    one = Cluster(11 * 10**6, 1, Scan("nits", 100, 50), jitter=0, trip=1e-3)
    assert np.isclose(one.latency(0), 1e-3 + 0.1 + 50 * (12 / 1.25e9 + 2e-7))
    with pytest.raises(InputError, match="at least 1 node and 1 row, not 0 and 5"):
        Cluster(5, 0, SCANS[0])
