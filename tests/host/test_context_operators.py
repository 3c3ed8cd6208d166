"""Similarities of context vectors in several launches, blocks and threads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ninefold.host import hooks
from ninefold.host.backends.cpu import Cpu, similarity6d
from ninefold.host.backends.opencl import OpenCl
from ninefold.host.backends.opencl import batch_similarity as opencl_batch
from ninefold.host.backends.opencl import similarity6d as opencl_similarity
from ninefold.host.hooks.search6d import check
from ninefold.numerics.rows import take
from ninefold.numerics.search6d import record_database
from ninefold.sim.conformance import difference
from ninefold.sim.golden import answer
from ninefold.spec.data import Answer, Database, joined
from ninefold.spec.errors import InputError
from ninefold.spec.operators import OPERATORS
from ninefold.spec.residents import load_and_run
from ninefold.spec.signature import Call

from ..conformance.cases.similarity6d import drawn


def records(queries: int, rows: int) -> Call:
    rng = np.random.default_rng(5)
    return OPERATORS["similarity6d"].bind({"a": drawn(rng, queries), "b": drawn(rng, rows)})


def vectors(queries: int, rows: int, dimensions: int) -> Call:
    rng = np.random.default_rng(6)
    a, b = (rng.normal(0, 1 / dimensions**0.5, (n, dimensions)).astype(np.float32) for n in (queries, rows))
    times = {"a_time": rng.uniform(0, 900, queries), "b_time": rng.uniform(0, 900, rows)}
    return OPERATORS["batch_similarity"].bind({"a": a, "b": b, **times})


def test_several_blocks_and_threads_of_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    one, three = Cpu(threads=1).open(), Cpu(threads=3).open()
    for call in (records(131, 150), vectors(131, 200, 300)):
        (name,) = (result.name for result in call.operator.results)
        wanted = one.run(call).values[name]
        assert three.run(call).values[name].tobytes() == wanted.tobytes()
        monkeypatch.setattr(similarity6d, "_PAIRS", 1000)
        assert one.run(call).values[name].tobytes() == wanted.tobytes()
    assert not difference(call, one.run(call).values, answer(call))


def test_records_of_each_query() -> None:
    call = records(3, 3 * 41)
    a, b = call.arguments["a"], call.arguments["b"]
    for path in ("numpy", ""):
        device = Cpu(threads=2).open(path)
        whole = similarity6d.compared(device.engine, a, b)
        own = similarity6d.compared(device.engine, a, b, own=41)
        for q in range(3):
            # The kernel and NumPy add each pair alike wherever it stands.
            assert np.abs(own[q] - whole[q, 41 * q : 41 * (q + 1)]).max() < 1e-7


def test_several_launches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opencl_batch, "_BLOCK", 4096)
    monkeypatch.setattr(opencl_similarity, "_QUERIES", 2)
    monkeypatch.setattr(opencl_similarity, "_ROWS", 7)
    device = OpenCl().open("")
    for call in (records(5, 22), vectors(9, 30, 300)):
        assert not difference(call, device.run(call).values, answer(call))
    device.close()


def test_a_check_finds_a_candidate_that_is_missing() -> None:
    rng = np.random.default_rng(3)
    records = drawn(rng, 40)
    call = OPERATORS["search6d"].bind(
        {"q": take(records, slice(7, 8)), "database": record_database(records, 36.0, "linear")}, {"k": 3}
    )
    values = load_and_run(Cpu().open(), call.with_options(k=4)).values
    assert values["ids"][0, 0] == 7
    answer = {"ids": values["ids"][:, 1:], "scores": values["scores"][:, 1:], "count": np.array([3])}
    found = {check(call, Answer(answer), np.random.default_rng(seed)) for seed in range(9)}
    assert "query 0 omits record 7, which is more similar than its last result" in found


def test_a_joined_database() -> None:
    rng = np.random.default_rng(4)
    records, queries, device = drawn(rng, 90), drawn(rng, 4), Cpu().open()
    parts = [record_database(take(records, slice(a, b)), 36.0, "linear") for a, b in ((0, 31), (31, 90))]
    answers = []
    for database in (record_database(records, 36.0, "linear"), joined(parts)):
        call = OPERATORS["search6d"].bind({"q": queries, "database": database}, {"k": 5})
        answers.append(load_and_run(device, call).values)
        assert hooks.check(call, Answer(answers[-1]), rng) == ""
    assert all((answers[0][name] == answers[1][name]).all() for name in answers[0])


@pytest.mark.parametrize(
    ("change", "options", "said"),
    [
        ({}, {"k": 65}, "k must be an integer from 1 to 64, not 65"),
        ({}, {"k": 0}, "k must be an integer from 1 to 64, not 0"),
        ({"horizon": np.full(9, np.inf, np.float16)}, {}, r"records\.horizon must be finite, not inf"),
        ({"intent": np.full((9, 256), np.nan, np.float16)}, {}, r"records\.intent must be finite, not nan"),
        ({"links": np.full(9, 9, np.uint8)}, {}, r"records\.links must be at most 8, not 9"),
        ({"links": np.zeros(8, np.uint8)}, {}, "N = 9, not 8"),
    ],
)
def test_bad_databases(change: dict[str, Any], options: dict[str, Any], said: str) -> None:
    records = drawn(np.random.default_rng(1), 9)
    database = record_database(records, 36.0, "linear")
    database = Database({**database.arrays, **change}, database.attributes)
    with pytest.raises(InputError, match=said):
        load_and_run(Cpu().open(), OPERATORS["search6d"].bind({"q": records, "database": database}, options))
