"""The suites at their smallest: what they measure and hold against a judge; never how long it took."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from ninefold.host.bench import peak
from ninefold.host.bench.bounded import bounded
from ninefold.host.bench.contenders import LEVELS
from ninefold.host.bench.devices import ready
from ninefold.host.bench.embed import embed
from ninefold.host.bench.families import FAMILIES
from ninefold.host.bench.momentum import momentum
from ninefold.host.bench.peers import PEERS, SAME_NITS
from ninefold.host.bench.quantise import quantise
from ninefold.host.bench.records6d import records
from ninefold.host.bench.scheduler import scheduler
from ninefold.host.bench.search import PLANS, search
from ninefold.host.bench.server import server
from ninefold.host.bench.tiers import tiers
from ninefold.host.bench.topk import topk
from ninefold.host.bench.waves import waves
from ninefold.spec.benchmark import Benchmark, Figure, Request
from ninefold.spec.errors import DeviceError, InputError, UnavailableError

DEVICE = "cpu:numpy"


def tiny(suite: Benchmark, *devices: str) -> tuple[list[Figure], list[str]]:
    """Return the figures of a suite on one thread, which waits for no other on a busy machine, and its notes."""
    notes: list[str] = []
    figures = suite(Request("tiny", devices, threads=1, note=notes.append))
    assert max(Counter(figure.key for figure in figures).values()) == 1, "two figures with one key"
    assert all(figure.value >= 0 for figure in figures)
    return figures, notes


def test_search() -> None:
    figures, notes = tiny(search, DEVICE)
    there = [name for name, peer in PEERS.items() if not peer.missing]
    missing = {note.split(" is skipped")[0] for note in notes if "is not installed" in note}
    assert missing == {f"search: {name}" for name in PEERS if name not in there}
    families = {f"{DEVICE}{family.suffix} at recall {label}" for family in FAMILIES for label in LEVELS}
    ours = {DEVICE, f"{DEVICE}, reranked from 40"} | families
    fixed = {name for name in there if not PEERS[name].settings}
    tuned = {f"{name} at recall {label}" for name in there if PEERS[name].settings for label in LEVELS}
    plan = PLANS["tiny"]
    for rows in plan.rows:
        recalls = {f.subject: f for f in figures if f.quantity == "recall@10" and f.parameters["rows"] == rows}
        # A contender may not reach a recall on data without structure; a note tells so.
        unreached = {name for name in families if name.endswith("1.000") or "clusters" in name}
        assert ours | fixed <= set(recalls) | unreached
        assert set(recalls) <= ours | fixed | tuned
        for name, figure in recalls.items():
            if " at recall " in name:
                assert figure.value >= LEVELS[name.rpartition(" ")[2]]
                assert figure.detail
        assert recalls["numpy float32"].value == 1
        # Ours and the peer on the same nits are both exact, up to ties.
        assert recalls[DEVICE].value == pytest.approx(recalls[SAME_NITS].value, abs=0.02)
        assert recalls[f"{DEVICE}, reranked from 40"].value >= recalls[DEVICE].value
        for queries in plan.queries:
            times = [f for f in figures if (f.quantity, f.parameters.get("queries")) == ("time", queries)]
            times = [f for f in times if f.parameters["rows"] == rows]
            times = [f for f in times if f.case == "search"]
            assert {f.subject for f in times} == set(recalls)
            assert all((f.beside == SAME_NITS) != (f.subject == SAME_NITS) for f in times)
            assert {f.subject for f in times if f.better} == ours & set(recalls)
    best = [f for f in figures if f.case.startswith("search at recall")]
    assert {f.parameters["rows"] for f in best} <= set(plan.rows)
    assert all(f.task and f.beside and f.subject == DEVICE for f in best)
    # 16 queries through 1,000 rows of 384 nits, two operations a nit, half a byte each, and 16 queries of 384 bytes.
    sizes = {"rows": 1000, "queries": 16}
    counted = {f.quantity: f.value for f in figures if sizes.items() <= f.parameters.items() and f.subject == DEVICE}
    assert counted["operations"] == 2 * 1000 * 384 * 16
    assert counted["bytes read"] == 1000 * 192 + 16 * 384


def test_a_wrong_answer_is_no_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(np, "argsort", lambda scores, **_: np.zeros(scores.shape, np.int64))
    with pytest.raises(DeviceError, match="cpu:numpy differs from a stable sort of 500 scores for k = 8"):
        tiny(topk, DEVICE)


def test_too_little_memory_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ninefold.host.bench.search.available_bytes", lambda: 4_000_000)
    figures, notes = tiny(search, DEVICE)
    assert {f.parameters["rows"] for f in figures if "rows" in f.parameters} == {200}
    assert [note for note in notes if "memory" in note] == [
        "search of 1,000 rows is skipped: it takes about 19 MB of memory, and 4 MB are free"
    ]


def test_the_roof() -> None:
    request = Request("tiny", threads=1)
    assert all(figure.value > 0 for figure in peak.measure(request).figures)


def test_which_devices_are_measured() -> None:
    names = ready("mine")
    assert "cpu" in names
    assert not {"null", "rtl", "cpu:numpy"} & set(names)
    with pytest.raises((InputError, UnavailableError)):
        tiny(search, "cpu:abacus")


@pytest.mark.parametrize(
    ("suite", "peers"),
    [(quantise, {"numpy tanh", "faiss SQ4 encoder", "numpy copy"}), (topk, {"numpy partition", "numpy stable sort"})],
    ids=["quantise", "topk"],
)
def test_operators(suite: Benchmark, peers: set[str]) -> None:
    figures, notes = tiny(suite, DEVICE)
    assert notes == []
    assert {f.subject for f in figures} == {DEVICE, *peers}
    assert {f.subject for f in figures if f.better} == {f.subject for f in figures if f.beside} == {DEVICE}


def test_waves() -> None:
    figures, notes = tiny(waves, DEVICE)
    steps = [f for f in figures if f.case == "waves"]
    peers = {"numpy rolled", "scipy ndimage", "numba", "numpy copy"}
    skipped = {name for name in peers if f"waves: {name.split()[0]} is skipped: it is not installed" in str(notes)}
    assert {f.subject for f in steps} == {DEVICE, *(peers - skipped)}
    # A step reads psi, v and the squared speed of a cell, and writes psi and v.
    assert {f.detail for f in steps if f.unit == "GB/s"} == {"36 bytes a cell"}
    assert {f.parameters["extents"] for f in steps} == {"9 x 8", "3 x 3 x 3 x 3"}
    inserts = [f for f in figures if f.case == "insert into a grid"]
    beside = {"sorted array", "sorted array with room", "sortedcontainers"}
    assert {f.subject for f in inserts} == {"PatchGrid", *beside}
    assert {f.beside for f in inserts if f.ratio is not None} == beside
    # 3 rounds of 20 points, of which 2 are not timed; an array takes one point a round.
    assert {f.subject: f.repetitions for f in inserts if f.unit == "µs"} == {
        "PatchGrid": 60,  # while a thread reads
        "sortedcontainers": 54,
        "sorted array": 3,
        "sorted array with room": 3,
    }
    searches = [f for f in figures if f.case == "search by phases"]
    settings = {f.subject for f in searches if f.ratio is not None}
    assert len(settings) == 6
    recalls = {f.subject: f.value for f in searches if f.quantity == "recall of resonance > 0.8"}
    assert recalls.keys() == settings
    # Each wider probe covers the narrower one.
    order = ["one bucket", "delta 0.2", "delta 0.4", "delta pi/4", "delta pi/4, turns"]
    values = [recalls[f"PhaseIndex, {name}"] for name in order]
    assert values == sorted(values)
    assert any("buckets of 16 are full" in note for note in notes)


def test_momentum() -> None:
    figures, notes = tiny(momentum, DEVICE)
    assert notes == []
    assert {f.subject for f in figures} == {DEVICE, "numpy loop", "numpy copy"}
    assert {f.beside for f in figures if f.better} == {"numpy loop", "numpy copy"}


def test_tiers() -> None:
    figures, notes = tiny(tiers)
    assert all("random numbers" in note for note in notes)
    rates = {(f.parameters["stream"], f.subject): f.value for f in figures if (f.case, f.quantity) == ("tiers", "hot")}
    assert {subject for _, subject in rates} == {"momentum", "least recent", "least frequent"}
    assert {f.subject for f in figures if f.quantity == "momentum"} == {"current topics", "earlier topics"}
    for stream in {stream for stream, _ in rates}:
        hot, *others = (rates[stream, name] for name in ("momentum", "least recent", "least frequent"))
        # 200 questions are few for seeing which order is best.
        assert hot >= max(others) - 0.1
    assert rates["Zipf 1.6", "momentum"] > 2 * rates["uniform", "momentum"]


FLAT = "faiss flat, numpy rescoring"


def test_records() -> None:
    figures, notes = tiny(records)
    assert notes == []
    assert [(f.subject, f.quantity, f.beside) for f in figures] == [
        ("columns", "encode", "numpy copy"),
        ("columns", "decode", "numpy copy"),
        ("numpy copy", "numpy copy", ""),
        *[("cpu", "time", FLAT), (FLAT, "time", "")] * 2,
        ("cpu", "recall@4", ""),
        (FLAT, "recall@4", ""),
    ]
    # Of 100 records of a topic the 16 nearest are scored, by nits and by floats.
    assert all(0.15 < f.value < 0.5 for f in figures[-2:])
    # 300 records of 0 to 8 links.
    assert 300 * 1565 < figures[0].parameters["bytes"] < 300 * 1597


def test_scheduler() -> None:
    figures, _ = tiny(scheduler)
    targets = {(f.subject, f.quantity): f.target for f in figures if f.target}
    assert targets == {("scheduler", "time added"): "<= 0.6", ("scheduler", "rate"): ">= 0.6"}
    # Times added are ratios to a pool that does the same, so they may lack one only where it added nothing.
    assert {f.beside for f in figures if f.better} <= {"thread pool", "thread pool of its own", ""}


def test_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NINEFOLD_CPU_PATH", "numpy")
    figures, _ = tiny(server)
    targets = {(f.case, f.subject): f.target for f in figures if f.target}
    assert targets == {
        ("one query", "time added by the server"): "<= 2",
        ("64 queries", "server"): ">= 0.8",
        ("half of full load", "server"): "<= 4",
    }


def test_embed() -> None:
    figures, _ = tiny(embed)
    assert {f.quantity for f in figures} == {"time", "texts a second", "least cosine, alone to together"}
    assert figures[-1].met


def test_bounded() -> None:
    figures, _ = tiny(bounded)
    recalls = {figure.subject: figure.value for figure in figures}
    assert set(recalls) == {"cpu", "least recently used", "first in, first out"}
    assert 1 >= recalls["cpu"] > recalls["least recently used"] > recalls["first in, first out"] > 0
