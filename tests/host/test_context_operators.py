"""Similarities of context vectors in several launches, blocks and threads."""

from __future__ import annotations

import numpy as np
import pytest

from ninefold.host.backends.cpu import Cpu, similarity6d
from ninefold.host.backends.opencl import OpenCl
from ninefold.host.backends.opencl import batch_similarity as opencl_batch
from ninefold.host.backends.opencl import similarity6d as opencl_similarity
from ninefold.sim.conformance import difference
from ninefold.sim.golden import answer
from ninefold.spec.operators import OPERATORS
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
