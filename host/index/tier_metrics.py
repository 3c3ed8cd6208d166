"""Prometheus metrics of tiers, in the registry of their scheduler."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

from ninefold.host.scheduler import Scheduler

from .tier_record import TIERS, TierRecord

if TYPE_CHECKING:
    from prometheus_client.core import Metric

__all__ = ["Measured", "publish", "withdraw"]


class Measured(Protocol):
    """Tiers with a record of their counts."""

    called: str
    scheduler: Scheduler

    @property
    def record(self) -> TierRecord:
        """Places of the lists, and counts."""
        ...


_guard = threading.Lock()
_measured: weakref.WeakKeyDictionary[Scheduler, weakref.WeakSet[Measured]] = weakref.WeakKeyDictionary()


def publish(tiers: Measured) -> None:
    """Add tiers to the metrics of their scheduler."""
    with _guard:
        known = _measured.get(tiers.scheduler)
        if known is None:
            known = _measured[tiers.scheduler] = weakref.WeakSet()
            tiers.scheduler.add_metrics(lambda: _metrics(known))
        known.add(tiers)


def withdraw(tiers: Measured) -> None:
    """Remove tiers from the metrics of their scheduler."""
    with _guard:
        _measured.get(tiers.scheduler, weakref.WeakSet()).discard(tiers)


def _metrics(measured: weakref.WeakSet[Measured]) -> Iterator[Metric]:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, SummaryMetricFamily

    with _guard:
        known = sorted(measured, key=lambda one: one.called)
    if not known:
        return
    lists = GaugeMetricFamily("ninefold_tier_lists", "Lists in a tier.", labels=("index", "tier"))
    lookups = CounterMetricFamily(
        "ninefold_tier_lookups", "Lists that questions used, by their tier.", labels=("index", "tier")
    )
    answers = CounterMetricFamily("ninefold_tier_answers", "Questions, by stage.", labels=("index", "stage"))
    seconds = SummaryMetricFamily("ninefold_tier_seconds", "Time of a stage's search.", labels=("index", "stage"))
    ratio = GaugeMetricFamily(
        "ninefold_tier_compression", "Bytes of the lists for each byte of their files.", labels=("index",)
    )
    momentum = GaugeMetricFamily("ninefold_tier_momentum", "Largest momentum of a list.", labels=("index",))
    for one in known:
        record, counts = one.record, one.record.counts
        total = len(record.rows)
        for tier, number in zip(TIERS, (len(record.hot), len(record.warm), total), strict=True):
            lists.add_metric((one.called, tier), number)
            lookups.add_metric((one.called, tier), counts.lookups[tier])
        for stage, number in counts.answers.items():
            answers.add_metric((one.called, stage), number)
            seconds.add_metric((one.called, stage), counts.searches[stage], counts.seconds[stage])
        ratio.add_metric((one.called,), record.ratio)
        momentum.add_metric((one.called,), max((m for _, m in record.hottest), default=0.0))
    yield from (lists, lookups, answers, seconds, ratio, momentum)
