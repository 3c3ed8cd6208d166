"""Model of latency and throughput of a cluster, and a simulation that checks it.

A search has four parts: each node scans its rows, in a time that varies; the answers cross the network of the
coordinator; the coordinator merges them; and each of these waits for the searches before it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from ninefold.spec.errors import InputError

__all__ = ["Cluster", "Scan", "simulated", "table"]


@dataclass(frozen=True)
class Scan:
    """Kind of a scan.

    Attributes
    ----------
    name : str
    bytes_read : float
        Bytes read of each row.
    kept : int
        Rows of which each node answers score and number.
    """

    name: str
    bytes_read: float
    kept: int


#: Scans of 384 dimensions for k = 10 and rerank = 4: of nits, and of signs with oversample 4 and 32.
SCANS: Final = (Scan("nits", 192, 40), Scan("signs, oversample 4", 48, 160), Scan("signs, oversample 32", 48, 1280))
#: Bytes of a row in an answer: its number and its score.
_ANSWER: Final = 12


@dataclass(frozen=True)
class Cluster:
    """Cluster that searches by one kind of scan.

    Attributes
    ----------
    rows, nodes : int
    scan : Scan
    read : float
        Bytes that a node scans in a second.
    jitter : float
        Mean of the exponential time that a scan takes beyond its least time, as a share of that time.
    trip : float
        Time of a message to a node and back, in seconds.
    network : float
        Bytes that the coordinator receives in a second.
    merge : float
        Time in which it merges one row of an answer, in seconds.
    """

    rows: int
    nodes: int
    scan: Scan
    read: float = 11e9
    jitter: float = 0.1
    trip: float = 2e-4
    network: float = 1.25e9
    merge: float = 2e-7

    def __post_init__(self) -> None:
        if self.nodes < 1 or self.rows < 1:
            raise InputError(f"a cluster has at least 1 node and 1 row, not {self.nodes} and {self.rows}")

    @property
    def least(self) -> float:
        """Least time of a node's scan in seconds: rows are divided evenly."""
        return self.rows / self.nodes * self.scan.bytes_read / self.read

    @property
    def scanned(self) -> float:
        """Mean time of a node's scan in seconds."""
        return self.least * (1 + self.jitter)

    @property
    def merged(self) -> float:
        """Time of the coordinator for one search in seconds: it receives answers, then merges them."""
        return self.nodes * self.scan.kept * (_ANSWER / self.network + self.merge)

    @property
    def throughput(self) -> float:
        """Searches a second that nodes and coordinator sustain."""
        return 1 / max(self.scanned, self.merged)

    def latency(self, load: float) -> float:
        """Return the mean time of a search in seconds.

        The slowest of n exponential times is their mean times the harmonic number of n. The waits are means of queues
        with Poisson arrivals (Pollaczek and Khinchine).

        Parameters
        ----------
        load : float
            Share of `throughput` that is asked for, 0 to less than 1.
        """
        rate = load * self.throughput
        harmonic = sum(1 / number for number in range(1, self.nodes + 1))
        second = self.least**2 * ((1 + self.jitter) ** 2 + self.jitter**2)
        at_node = rate * second / (2 * (1 - rate * self.scanned))
        at_coordinator = rate * self.merged**2 / (2 * (1 - rate * self.merged))
        slowest = self.least * (1 + self.jitter * harmonic)
        return self.trip + at_node + slowest + at_coordinator + self.merged


def simulated(cluster: Cluster, load: float, searches: int = 2000, seed: int = 1) -> npt.NDArray[np.float64]:
    """Simulate searches that arrive at random, and return the time of each in seconds.

    Each node and the coordinator takes searches one after another in the order of their arrival. A search is merged
    when its last node has answered. Nothing of `Cluster.latency` is used.

    Parameters
    ----------
    cluster : Cluster
    load : float
        As in `Cluster.latency`.
    searches : int
        Number of searches; the first tenth is not returned, since the queues are empty at its beginning.
    seed : int
    """
    random = np.random.default_rng(seed)
    arrivals = np.cumsum(random.exponential(1 / (load * cluster.throughput), searches))
    free, merged, times = np.zeros(cluster.nodes), 0.0, np.zeros(searches)
    for number, arrival in enumerate(arrivals.tolist()):
        took = cluster.least * (1 + random.exponential(cluster.jitter, cluster.nodes))
        free = np.maximum(free, arrival + cluster.trip / 2) + took
        merged = max(merged, float(free.max()) + cluster.trip / 2) + cluster.merged
        times[number] = merged - arrival
    return times[math.ceil(searches / 10) :]


def table(rows: int = 10**10, nodes: tuple[int, ...] = (10, 100, 1000), load: float = 0.5) -> list[str]:
    """Return the rows of a table: for each scan and number of nodes, the model beside the simulation."""
    found = []
    for scan in SCANS:
        for number in nodes:
            one = Cluster(rows, number, scan)
            times = simulated(one, load)
            bound = "nodes" if one.scanned >= one.merged else "coordinator"
            cells = (
                scan.name,
                f"{number:,}",
                _three(one.throughput),
                bound,
                _three(1e3 * one.latency(load)),
                _three(1e3 * float(times.mean())),
                _three(1e3 * float(np.percentile(times, 99))),
            )
            found.append("| " + " | ".join(cells) + " |")
    return found


def _three(value: float) -> str:
    """Return a number with three digits."""
    return f"{value:,.{max(0, 2 - math.floor(math.log10(value)))}f}"
