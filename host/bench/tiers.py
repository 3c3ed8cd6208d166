"""Hit rates of tiers by momentum beside the last and the number of uses, and times of a live index's stages.

Run with ``ninefold bench tiers --data VECTORS``.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from ninefold.host.clustering import cluster
from ninefold.host.index import Index, build
from ninefold.host.index.merging import nearest_lists
from ninefold.host.index.tiered import Tiers
from ninefold.host.scheduler import Scheduler
from ninefold.host.tiers import LeastFrequent, LeastRecent, Momentum, Placement, Policy, TierSizes, replay
from ninefold.host.tiers.routing import STAGES, Thresholds
from ninefold.spec.benchmark import Benchmark, Figure, Parameter, Request, Size, summary
from ninefold.spec.errors import InputError

from .data import in_order

__all__ = ["tiers"]


@dataclass(frozen=True)
class _Plan:
    """Size of the experiment: clusters, lists of each, tiers, questions of a stream, of a window and of the index."""

    macro: int
    micro: int
    sizes: TierSizes
    questions: int
    window: int
    live: int


_PLANS: Final[Mapping[Size, _Plan]] = {
    "tiny": _Plan(8, 16, TierSizes(8, 24), 200, 50, 0),
    "small": _Plan(64, 16, TierSizes(32, 256), 3200, 200, 600),
    "large": _Plan(64, 16, TierSizes(32, 256), 24000, 1000, 2000),
}
#: Questions after which hot lists are chosen again, as a live index does; time between questions.
_SETTLE, _SECONDS = 8, 10.0
#: Share of the rows that are questions: every fourth.
_EVERY: Final = 4
_SEED: Final = 17
_RECENT, _FREQUENT, _MOMENTUM = "least recent", "least frequent", "momentum"
_TOPICS: Final = "4 topics"
#: Streams by name: number of topics, questions until one changes, and share of the questions about them.
_DRIFTING: Final = {_TOPICS: (4, 400, 0.9), "2 topics": (2, 400, 0.95), "2 topics, fast": (2, 100, 0.95)}
#: Streams by name: exponent of Zipf's law of the lists' popularity, and questions until two lists exchange it.
_SKEWED: Final = {"Zipf 1.2": (1.2, 200), "Zipf 1.6": (1.6, 200), "Zipf 1.8": (1.8, 200)}
#: Stream whose skew should let the hot tier have nine of ten uses.
_STEEP: Final = "Zipf 1.8"
#: Rows from which an index has clusters.
_CLUSTERED: Final = 49_152

_Floats = npt.NDArray[np.float32]
_Ids = npt.NDArray[np.int64]


@dataclass(frozen=True)
class _Stream:
    """Questions by number, and the topics of each; no topics for a stream without."""

    numbers: _Ids
    topics: list[tuple[int, ...]]


def _measure(request: Request) -> list[Figure]:
    plan = _PLANS[request.size]
    name, rows = in_order(request)
    chosen = np.arange(len(rows)) % _EVERY == 0
    questions, entries = rows[chosen], rows[~chosen]
    clusters = cluster(entries, plan.macro, plan.micro)
    lists = nearest_lists(questions, (clusters.arrays["macro"], clusters.arrays["micro"]))
    figures: list[Figure] = []
    with Scheduler() as scheduler:
        streams = dict(_streams(plan, lists))
        for stream, found in streams.items():
            parameters: dict[str, Parameter] = {
                "data": name,
                "stream": stream,
                "questions": len(found.numbers),
                "lists": plan.macro * plan.micro,
                "hot lists": plan.sizes.hot,
            }
            figures += _rates(scheduler, plan, found, lists, questions, parameters, windows=stream == _TOPICS)
        if plan.live and len(entries) >= _CLUSTERED:
            figures += _live(scheduler, plan, name, entries, questions[streams[_TOPICS].numbers])
        elif plan.live:
            request.note(f"no index is measured: {len(entries):,} rows are less than {_CLUSTERED:,}; give --data")
    return figures


def _streams(plan: _Plan, lists: _Ids) -> Iterator[tuple[str, _Stream]]:
    """Yield streams of questions, from the lists to which they are nearest."""
    number, total = plan.questions, plan.macro * plan.micro
    members = [np.flatnonzero(lists == one) for one in range(total)]
    asked = np.flatnonzero([len(one) > 0 for one in members])
    for name, (topics, change, share) in _DRIFTING.items():
        rng = np.random.default_rng(_SEED)
        inside = {macro: np.flatnonzero(lists // plan.micro == macro) for macro in np.unique(asked // plan.micro)}
        now = rng.choice(list(inside), topics, replace=False).tolist()
        numbers, current = np.zeros(number, np.int64), []
        for at in range(number):
            if at and at % min(change, number // 4) == 0:
                now[int(rng.integers(topics))] = int(rng.choice(list(inside)))
            about = now[int(rng.integers(topics))]
            numbers[at] = rng.choice(inside[about]) if rng.random() < share else rng.integers(len(lists))
            current.append(tuple(now))
        yield name, _Stream(numbers, current)
    for name, (exponent, change) in _SKEWED.items():
        rng = np.random.default_rng(_SEED)
        ranked = rng.permutation(asked)
        shares = np.arange(1, len(ranked) + 1, dtype=np.float64) ** -exponent
        numbers = np.zeros(number, np.int64)
        for at in range(number):
            if at and at % change == 0:
                one, other = rng.integers(min(plan.sizes.hot, len(ranked))), rng.integers(len(ranked))
                ranked[[one, other]] = ranked[[other, one]]
            numbers[at] = rng.choice(members[ranked[rng.choice(len(ranked), p=shares / shares.sum())]])
        yield name, _Stream(numbers, [])
    yield "order of the source", _Stream(np.arange(min(number, len(lists))), [])
    yield "uniform", _Stream(np.random.default_rng(_SEED).integers(0, len(lists), number), [])


def _rates(
    scheduler: Scheduler,
    plan: _Plan,
    stream: _Stream,
    lists: _Ids,
    questions: _Floats,
    parameters: Mapping[str, Parameter],
    *,
    windows: bool,
) -> list[Figure]:
    """Send a stream through the tiers of each policy."""
    total, number = plan.macro * plan.micro, len(stream.numbers)
    used, vectors = lists[stream.numbers][:, None], questions[stream.numbers]
    times: npt.NDArray[np.float64] = 1 + _SECONDS * np.arange(number, dtype=np.float64)
    momentum = Momentum(scheduler, total, questions.shape[1])
    policies: dict[str, Policy] = {
        _MOMENTUM: momentum,
        _RECENT: LeastRecent(total),
        _FREQUENT: LeastFrequent(total),
    }
    figures, hot = [], {}
    for name, policy in policies.items():
        placement, shares = Placement(policy, total, plan.sizes), []
        for first in range(0, number, plan.window):
            part = slice(first, first + plan.window)
            found = replay(placement, used[part], vectors[part], times[part], _SETTLE)
            shares.append((len(used[part]), found.hot, found.cold))
            if windows:
                until: dict[str, Parameter] = {**parameters, "until": first + len(used[part])}
                figures.append(Figure("drift", name, "hot", found.hot, "", until, kind="exact"))
                if policy is momentum:
                    figures += _momenta(momentum, plan, stream, first + len(used[part]), until)
        hot[name], cold = np.average([one[1:] for one in shares], axis=0, weights=[one[0] for one in shares]).tolist()
        target = ">= 0.9" if name == _MOMENTUM and parameters["stream"] == _STEEP and plan.live else ""
        figures += [
            Figure("tiers", name, "hot", hot[name], "", parameters, kind="exact", better="more", target=target),
            Figure("tiers", name, "cold", cold, "", parameters, kind="exact", better="less"),
        ]
    momentum.close()
    for peer in (_RECENT, _FREQUENT):
        figures.append(
            Figure(
                "tiers",
                _MOMENTUM,
                f"hot beside {peer}",
                hot[_MOMENTUM],
                "",
                parameters,
                kind="exact",
                better="more",
                beside=peer,
                ratio=hot[_MOMENTUM] / hot[peer] if hot[peer] else 1.0,
                target=">= 0.99" if plan.live else "",
                task=f"uses of hot lists, {parameters['stream']}",
            )
        )
    return figures


def _momenta(
    momentum: Momentum, plan: _Plan, stream: _Stream, at: int, parameters: Mapping[str, Parameter]
) -> list[Figure]:
    """Return the mean momentum of the lists of the current topics, and of the topics before."""
    values = np.zeros(plan.macro * plan.micro)
    ids, found = momentum.hottest_momentum(256)
    values[ids] = found
    now = set(stream.topics[at - 1])
    before = {topic for topics in stream.topics[:at] for topic in topics} - now
    return [
        Figure("drift", f"{what} topics", "momentum", float(values.reshape(plan.macro, -1)[sorted(topics)].mean()), "",
               parameters, kind="exact")
        for what, topics in (("current", now), ("earlier", before))
        if topics
    ]  # fmt: skip


def _live(scheduler: Scheduler, plan: _Plan, name: str, entries: _Floats, questions: _Floats) -> list[Figure]:
    """Ask the tiers of an index, of which each question goes through all stages."""
    with tempfile.TemporaryDirectory(prefix="ninefold-bench-") as folder:
        source, place = Path(folder) / "rows.npy", Path(folder) / "index"
        np.save(source, entries)
        build(str(source), str(place))
        with closing(Index.open(str(place))) as index, index.tiers(scheduler, sizes=plan.sizes) as opened:
            return _timed(opened, plan, name, len(entries), questions)


def _timed(opened: Tiers, plan: _Plan, name: str, rows: int, questions: _Floats) -> list[Figure]:
    opened.thresholds = Thresholds(None, None, None)
    seconds: dict[str, list[float]] = {stage: [] for stage in STAGES}
    for number, vector in enumerate(questions[: plan.live]):
        route = opened.search(vector, 10, time_s=1 + _SECONDS * number).route
        if route is None:
            raise InputError("the tiers did not answer")
        # The first quarter fills the tiers.
        if number >= plan.live // 4:
            for stage, taken in route.seconds.items():
                # A stage without a list of the question has nothing to do.
                if stage in ("hot", "exact") or stage in route.tiers:
                    seconds[stage].append(taken * 1e3)
    opened.flush()
    record = opened.record
    parameters: dict[str, Parameter] = {"data": name, "rows": rows, "lists a question": record.lists}
    exact = summary(seconds["exact"])[0]
    figures = [Figure.timed("live", "exact", "time", seconds["exact"], "ms", parameters=parameters)]
    for stage in STAGES[:-1]:
        if values := seconds[stage]:
            ratio, spread = summary(values)[0] / exact, summary([one / exact for one in values])[1]
            figures.append(
                Figure.timed("live", stage, "time", values, "ms", parameters=parameters, better="less", beside="exact",
                             ratio=ratio, ratio_spread=spread)
            )  # fmt: skip
    for tier, lookups in record.counts.lookups.items():
        share = lookups / max(1, sum(record.counts.lookups.values()))
        figures.append(Figure("live", tier, "share of uses", share, "", parameters))
    figures.append(Figure("live", "files", "compression", record.ratio, "", parameters, kind="exact", better="more"))
    return figures


#: Suite that measures `ninefold.host.tiers` and `Index.tiers`.
tiers = Benchmark(_measure)
