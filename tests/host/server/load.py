"""Load with failing devices: ``python -m tests.host.server.load --connections 200 --seconds 60``.

A device of the server fails a fifth of its calls. Every search must be answered once and correctly, or be refused in
words.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from ninefold.host import Scheduler
from ninefold.host.server.service import Limits
from ninefold.spec.errors import DeviceError

from ..scheduler.fakes import Fake, FakeDevice, backends, cpu
from .conftest import service_of, serving, vectors

__all__ = ["Outcome", "loaded"]

SEARCH = "/v1/indexes/notes/search"
#: Different searches.
_QUERIES = 50


@dataclass
class Outcome:
    """Counts of a load: answers by their status, wrong answers, refusals without words, and times in seconds."""

    asked: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    fallbacks: int = 0
    wrong: list[str] = field(default_factory=list)
    times: list[float] = field(default_factory=list)

    def __str__(self) -> str:
        times = np.percentile(self.times or [0.0], [50, 99]) * 1e3
        by = ", ".join(f"{status}: {count:,}" for status, count in sorted(self.statuses.items()))
        return (
            f"{self.asked:,} asked; answered {by}; {self.fallbacks:,} after a fallback; {len(self.wrong)} wrong; "
            f"p50 {times[0]:.1f} ms, p99 {times[1]:.1f} ms"
        )


def loaded(folder: Path, connections: int, seconds: float, seed: int = 1) -> Outcome:
    """Ask a server over many connections for some seconds, and return what came of it."""
    generator = random.Random(seed)

    def fails(_device: FakeDevice, _call: Any) -> None:
        if generator.random() < 0.2:
            raise DeviceError("it burns")

    # A breaker that never opens, so that a fifth of the calls fails all the time.
    scheduler = Scheduler(backends=backends(Fake("fake", fails), cpu()), costs=None, failures=10**9)
    queries = vectors(_QUERIES)
    with service_of(
        folder, Limits(connections=connections + 8, queue=max(8, connections // 2)), scheduler=scheduler
    ) as service:
        index = service.index("notes")
        found = index.search([*np.array(queries, np.float32)], 5, device="cpu", scheduler=scheduler)
        wanted = [[(hit.id, hit.score) for hit in hits] for hits in found]
        with serving(service) as url:
            return asyncio.run(_ask(url, queries, wanted, connections, seconds))


async def _ask(
    url: str, queries: list[list[float]], wanted: list[list[tuple[str, float]]], connections: int, seconds: float
) -> Outcome:
    outcome, until = Outcome(), time.monotonic() + seconds
    limits = httpx.Limits(max_connections=connections)
    async with httpx.AsyncClient(base_url=url, timeout=60, limits=limits) as client:

        async def asks(first: int) -> None:
            number = first
            while time.monotonic() < until:
                number = (number + 7) % _QUERIES
                outcome.asked += 1
                start = time.perf_counter()
                answer = await client.post(SEARCH, json={"vectors": [queries[number]], "k": 5, "device": "fake"})
                outcome.times.append(time.perf_counter() - start)
                _judge(outcome, answer, wanted[number])

        await asyncio.gather(*(asks(number) for number in range(connections)))
    return outcome


def _judge(outcome: Outcome, answer: httpx.Response, wanted: list[tuple[str, float]]) -> None:
    outcome.statuses[answer.status_code] += 1
    body = answer.json()
    if answer.status_code == 200:
        outcome.fallbacks += bool(body["fallbacks"])
        if [(hit["id"], hit["score"]) for hit in body["hits"][0]] != wanted:
            outcome.wrong.append(answer.text)
    elif answer.status_code != 503 or len(body["detail"]) < 20:
        outcome.wrong.append(answer.text)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connections", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=60)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        print(loaded(Path(work), given.connections, given.seconds))  # noqa: T201 - a command
