"""Split of a large call over devices."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from ninefold.spec.signature import Call

from .batches import rows_of
from .choice import refusal
from .costs import Costs, size_class
from .residents import residents_of
from .worker import Worker

__all__ = ["shares"]

#: A call is split if one device is expected to need at least this time, and several at most this fraction of it.
WORTHWHILE_S: Final = 0.02
GAIN: Final = 0.8


def shares(
    call: Call, workers: Iterable[Worker], costs: Costs, prefer: str | None
) -> list[tuple[Worker, slice, float]]:
    """Divide the rows of a call so that all devices are expected to end at the same time.

    Only idle devices with measurements of such calls and with the residents take part, one for each piece of hardware.
    Call under the scheduler's lock.

    Returns
    -------
    list of (Worker, slice, float)
        Device, rows and expected seconds; empty if the call should not be split.
    """
    rows = rows_of(call)
    if rows is None or rows < 2 or prefer is not None:
        return []
    size = size_class(call)
    fastest: dict[str, tuple[float, Worker]] = {}
    busy = set()
    for worker in workers:
        seconds = costs.expected_s(worker.name, size)
        if worker.depth:
            busy.add(worker.unit)
        if seconds is None or worker.found.named_only or worker.breaker.state != "closed" or refusal(worker, call):
            continue
        if all(worker.residents.holds(resident) for resident in residents_of(call)):
            fastest[worker.unit] = min(
                fastest.get(worker.unit, (seconds, worker)), (seconds, worker), key=lambda p: p[0]
            )
    able = [pair for unit, pair in fastest.items() if unit not in busy]
    if len(able) < 2:
        return []
    alone = min(seconds for seconds, _ in able)
    together = 1 / sum(1 / max(seconds, 1e-9) for seconds, _ in able)
    if alone < WORTHWHILE_S or together > GAIN * alone:
        return []
    parts: list[tuple[Worker, slice, float]] = []
    first, portion = 0, 0.0
    for seconds, worker in able:
        portion += together / seconds
        last = round(rows * portion)
        if last > first:
            parts.append((worker, slice(first, last), together))
        first = last
    return parts if len(parts) > 1 else []
