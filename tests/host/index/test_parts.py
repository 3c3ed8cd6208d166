"""Search of parts: the same answer as one database of the live rows, however these are cut."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from ninefold.host.backends.cpu import Cpu, signs
from ninefold.host.backends.cpu.device import CpuDevice
from ninefold.host.clustering import cluster
from ninefold.host.index.merging import listed_columns, lists_of, nearest_lists
from ninefold.host.index.parts import Part, Parts
from ninefold.host.scheduler import Scheduler
from ninefold.numerics.nits import pack
from ninefold.numerics.quantise import quantise
from ninefold.sim.golden.mine import run as golden
from ninefold.spec.data import Answer, Database
from ninefold.spec.errors import DeviceError, InputError
from ninefold.spec.operators import OPERATORS
from ninefold.spec.protocols import Found, Missing
from ninefold.spec.registry import backend
from ninefold.spec.signature import Call

DIMENSIONS, SCALE = 9, 1.5
#: Stages of a search, each of which cuts elsewhere.
WAYS: tuple[dict[str, Any], ...] = (
    {},
    {"rerank": 3},
    {"threshold": "adaptive"},
    {"threshold": "adaptive", "rerank": 2},
    {"scan": "signs", "oversample": 1},
    {"scan": "signs", "oversample": 2, "rerank": 2},
    {"scan": "signs", "oversample": 3, "threshold": "adaptive", "rerank": 2},
)


class Elsewhere(Cpu):
    """The processor, as if it were other hardware."""

    name = "elsewhere"

    def probe(self) -> Sequence[Found | Missing]:
        return [Found("elsewhere", "the processor", {}, timeout_s=None)]

    def open(self, instance: str = "") -> CpuDevice:  # noqa: ARG002 - there is one
        device = super().open("numpy")
        device.name = "elsewhere"
        return device


@pytest.fixture(scope="module")
def scheduler() -> Iterator[Scheduler]:
    backends = {"cpu": Cpu("numpy"), "elsewhere": Elsewhere(), "loihi": backend("loihi")}
    with Scheduler(backends=backends, costs=None) as scheduler:
        yield scheduler


#: Devices that search all parts at once, with and without the kernel, and one that searches them one after another.
DEVICES = ("cpu:numpy", "cpu:portable", "elsewhere")


def database(vectors: np.ndarray, lists: np.ndarray | None = None, centroids: Any = None, scale: float = 0) -> Database:
    nits = pack(quantise(vectors.astype(np.float32), SCALE, "linear"))
    arrays: dict[str, Any] = {"nits": nits, "vectors": vectors}
    attributes: dict[str, Any] = {"rows": len(vectors), "dimensions": DIMENSIONS, "scale": SCALE, "mode": "linear"}
    if lists is not None:
        arrays |= {name: next(iter(column.blocks)) for name, column in listed_columns(lists, centroids).items()}
        attributes["centroid_scale"] = scale
    return Database(arrays, attributes)


def cut(random: np.random.Generator, vectors: np.ndarray, alive: np.ndarray, of: Any) -> Parts:
    """Cut rows into parts, of which the last is a tail without dead rows."""
    edges = np.unique(random.integers(0, len(vectors) + 1, random.integers(0, 9)))
    edges = np.unique([0, *edges, len(vectors)])
    parts = []
    for first, last in pairwise(edges):
        rows = slice(first, last)
        here = alive[rows]
        sequence = np.arange(first, last) * 3 + 5
        last_one = last == len(vectors)
        if last_one and random.integers(2):
            parts.append(Part(of(rows)(here), sequence[here], on_host=True))
        else:
            parts.append(Part(of(rows)(np.ones(len(here), bool)), sequence, None if here.all() else here))
    return Parts([part for part in parts if len(part.sequence)])


@pytest.mark.parametrize("seed", range(20))
def test_any_cut_gives_the_answer_of_one_database(scheduler: Scheduler, seed: int) -> None:
    random = np.random.default_rng(seed)
    for _ in range(5):
        # Few values, so that scores tie in every stage and across parts.
        vectors = random.integers(-2, 3, (int(random.integers(1, 120)), DIMENSIONS)).astype(np.float16)
        alive = random.random(len(vectors)) < random.choice([0.3, 0.8, 1.0])
        alive[random.integers(len(vectors))] = True
        q = random.normal(0, 1, (int(random.integers(1, 4)), DIMENSIONS)).astype(np.float32)
        parts = cut(random, vectors, alive, lambda rows, v=vectors: lambda keep: database(v[rows][keep]))
        whole = database(vectors[alive])
        assert np.array_equal(parts.sequence, np.flatnonzero(alive) * 3 + 5)
        assert np.array_equal(parts.database.arrays["nits"], whole.arrays["nits"])
        assert np.array_equal(parts.vectors, vectors[alive])
        allowed = None if random.integers(2) else np.packbits(random.random(len(parts)) < 0.6, bitorder="little")
        for options in WAYS:
            given = {"k": int(random.integers(1, 12)), **options}
            call = OPERATORS["mine"].bind({"q": q, "database": whole, "allowed": allowed}, given)
            wanted = golden(call)
            found = parts.mine(scheduler, q, given, device=DEVICES[seed % 3], strict=True, allowed=allowed)
            for name, values in wanted.items():
                np.testing.assert_array_equal(found.values[name], values, f"{given} {name}")
                assert found.values[name].dtype == values.dtype


@pytest.mark.parametrize("seed", range(6))
def test_clusters_are_chosen_once_for_all_segments(scheduler: Scheduler, seed: int) -> None:
    random = np.random.default_rng(seed)
    vectors = random.normal(0, 1, (200, DIMENSIONS)).astype(np.float16)
    made = cluster(vectors)
    centroids = (made.macro, made.micro)
    lists = lists_of(Database(made.arrays, {}))
    alive = random.random(200) < 0.7

    def of(rows: slice) -> Any:
        return lambda keep: database(vectors[rows][keep], lists[rows][keep], centroids, made.scale)

    q = random.normal(0, 1, (3, DIMENSIONS)).astype(np.float32)
    whole = database(vectors[alive], lists[alive], centroids, made.scale)
    for options in WAYS:
        given = {"k": 4, "macro": 9, "micro": 5, **options}
        wanted = golden(OPERATORS["mine"].bind({"q": q, "database": whole}, given))
        found = cut(random, vectors, alive, of).mine(scheduler, q, given, device=DEVICES[seed % 3], strict=True)
        for name, values in wanted.items():
            np.testing.assert_array_equal(found.values[name], values, f"{given} {name}")


def test_lists_of_segments_that_are_searched_often_are_joined(
    scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(11)
    vectors = random.normal(0, 1, (400, DIMENSIONS)).astype(np.float16)
    made = cluster(vectors[:330])
    centroids = (made.macro, made.micro)
    lists = lists_of(Database(made.arrays, {}))
    edges = (0, 150, 151, 250, 330)
    segments = [database(vectors[a:b], lists[a:b], centroids, made.scale) for a, b in pairwise(edges)]
    alive = random.random(80) < 0.5
    rows = [Part(one, np.arange(a, b)) for one, (a, b) in zip(segments, pairwise(edges), strict=True)]
    rows[-1] = Part(segments[-1], np.arange(250, 330), alive)
    q = random.normal(0, 1, (3, DIMENSIONS)).astype(np.float32)
    joins: list[int] = []
    join = signs._join

    def counted(planes: Sequence[Any]) -> Any:
        joins.append(len(planes))
        return join(planes)

    monkeypatch.setattr(signs, "JOINED_AFTER", 10)
    monkeypatch.setattr(signs, "_join", counted)
    given = {"k": 5, "macro": 7, "micro": 6, "scan": "signs", "oversample": 3}

    def parts() -> Parts:
        """Return the parts after a commit, which changes the tail only."""
        return Parts([*rows, Part(database(vectors[330:]), np.arange(330, 400), on_host=True)], "an index")

    wanted = parts().mine(scheduler, q, given, device="cpu:numpy", strict=True).values
    for time in range(6):
        found = parts().mine(scheduler, q, given, device="cpu:portable", strict=True)
        for name, values in wanted.items():
            np.testing.assert_array_equal(found.values[name], values, f"search {time}: {name}")
        assert joins == ([4] if time >= 3 else [])
    given = {"k": 5, "scan": "signs"}
    ids = [parts().mine(scheduler, q, given, device=f"cpu:{path}").values["ids"] for path in ("numpy", "portable")]
    np.testing.assert_array_equal(*ids)
    assert joins == [4]


@pytest.mark.parametrize("device", DEVICES)
def test_a_tail_is_searched_whichever_clusters_are(scheduler: Scheduler, device: str) -> None:
    random = np.random.default_rng(3)
    vectors = random.normal(0, 1, (90, DIMENSIONS)).astype(np.float16)
    made = cluster(vectors[:60])
    segment = database(vectors[:60], lists_of(Database(made.arrays, {})), (made.macro, made.micro), made.scale)
    tail = Part(database(vectors[60:]), np.arange(60, 90), on_host=True)
    q = vectors[75:76].astype(np.float32)
    parts = Parts([Part(segment, np.arange(60)), tail])
    for scan in ("nits", "signs"):
        given = {"k": 40, "macro": 1, "micro": 1, "scan": scan, "oversample": 2}
        found = parts.mine(scheduler, q, given, device=device, strict=True)
        assert set(range(60, 90)) <= set(found.values["ids"][0].tolist())
        assert found.values["count"][0] < 40


def test_lists_of_new_rows_are_those_of_the_nearest_centroids() -> None:
    random = np.random.default_rng(8)
    vectors = random.normal(0, 1, (700, 32)).astype(np.float16)
    made = cluster(vectors)
    found = nearest_lists(vectors, (made.macro, made.micro))
    # Quantised centroids point nearly where the centroids do.
    assert np.mean(found == lists_of(Database(made.arrays, {}))) > 0.8


def test_a_mask_is_checked_as_by_the_operator(scheduler: Scheduler) -> None:
    parts = Parts([Part(database(np.ones((5, DIMENSIONS), np.float16)), np.arange(5))] * 2)
    q = np.ones((1, DIMENSIONS), np.float32)
    for mask, said in (
        (np.zeros(3, np.uint8), r"allowed must have ceil\(N / 8\) = 2, not 3"),
        (np.full(2, 255, np.uint8), "allowed has a bit set for row 10 or above, and the database has 10 rows"),
    ):
        with pytest.raises(InputError, match=said):
            parts.mine(scheduler, q, {"k": 2}, allowed=mask)


def test_the_tail_is_searched_on_the_host(scheduler: Scheduler) -> None:
    rows = database(np.random.default_rng(1).normal(0, 1, (30, DIMENSIONS)).astype(np.float16))
    parts = Parts([Part(rows, np.arange(30)), Part(rows, np.arange(30, 60), on_host=True)])
    q = np.ones((1, DIMENSIONS), np.float32)
    result = parts.mine(scheduler, q, {"k": 2}, device="loihi")
    assert result.answered_by == "loihi:emulator, cpu"
    assert result.asked_for == "loihi"
    assert result.values["ids"].tolist()[0][1] == result.values["ids"].tolist()[0][0] + 30


class Broken(CpuDevice):
    def run(self, call: Call) -> Answer:
        raise DeviceError(f"no {call.operator.name} today")


class BrokenCpu(Cpu):
    def open(self, instance: str = "") -> CpuDevice:
        made = super().open(instance)
        made.__class__ = Broken
        return made


def two_parts() -> Parts:
    rows = np.random.default_rng(2).normal(0, 1, (60, DIMENSIONS)).astype(np.float16)
    return Parts([Part(database(rows[:30]), np.arange(30)), Part(database(rows[30:]), np.arange(30, 60))])


def test_the_cpu_is_chosen_unless_other_hardware_is_known() -> None:
    parts, q = two_parts(), np.ones((1, DIMENSIONS), np.float32)
    with Scheduler(backends={"cpu": Cpu("numpy"), "elsewhere": Elsewhere()}, costs=None) as scheduler:
        result = parts.mine(scheduler, q, {"k": 3})
        assert (result.asked_for, result.answered_by) == ("auto", "cpu")
        assert result.why == "no other hardware searches; the CPU takes all parts by one call"
        scheduler.devices()
        assert scheduler.beside_host("mine") == ["elsewhere"]
        again = parts.mine(scheduler, q, {"k": 3})
        assert again.why != result.why
        assert again.values["ids"].tolist() == result.values["ids"].tolist()


def test_one_part_is_left_to_the_scheduler_until_it_has_searched_for_devices() -> None:
    one, q = Parts([two_parts().parts[0]]), np.ones((1, DIMENSIONS), np.float32)
    with Scheduler(backends={"cpu": Cpu("numpy")}, costs=None) as scheduler:
        assert scheduler.beside_host("mine") is None
        first = one.mine(scheduler, q, {"k": 3})
        assert "other hardware" not in first.why
        scheduler.devices()
        assert scheduler.beside_host("mine") == []
        again = one.mine(scheduler, q, {"k": 3})
        assert (again.asked_for, again.answered_by) == ("auto", "cpu")
        assert again.why == "no other hardware searches; the CPU takes all parts by one call"
        assert again.values["ids"].tolist() == first.values["ids"].tolist()


def test_a_cpu_that_fails_is_replaced_visibly() -> None:
    parts, q = two_parts(), np.ones((1, DIMENSIONS), np.float32)
    with Scheduler(backends={"cpu": BrokenCpu("numpy"), "elsewhere": Elsewhere()}, costs=None, retries=0) as scheduler:
        result = parts.mine(scheduler, q, {"k": 3})
        assert result.answered_by == "elsewhere"
        assert result.fallbacks[0].startswith("cpu: ")
        assert "no mine today" in result.fallbacks[0]
        with pytest.raises(DeviceError, match="no mine today"):
            parts.mine(scheduler, q, {"k": 3}, device="cpu", strict=True)
