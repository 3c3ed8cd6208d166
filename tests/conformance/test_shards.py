"""A database that is divided between devices is searched as one: the parts of every case join to the golden answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest

from ninefold.host.backends.cpu import Cpu
from ninefold.host.backends.opencl import OpenCl
from ninefold.numerics import shards
from ninefold.sim.conformance import difference
from ninefold.spec.operators import OPERATORS
from ninefold.spec.protocols import Device
from ninefold.spec.residents import load_and_run
from ninefold.spec.signature import Call

from .cases import calls_of
from .judge import expected

DIVIDED = sorted(name for name, operator in OPERATORS.items() if operator.shards)


@pytest.fixture(scope="module")
def devices() -> Iterator[list[Device]]:
    opened: list[Device] = [Cpu(path="portable", threads=2).open(), OpenCl().open()]
    yield opened
    for device in opened:
        device.close()


def bounds_of(call: Call) -> list[int]:
    """Three parts where there are rows for them, whose bounds lie within bytes of a mask."""
    rows = call.sizes["N"]
    return [bound for bound in (rows // 3, rows // 3 + rows // 4 + 1) if 0 < bound < rows]


def joined(devices: Sequence[Device], call: Call) -> Mapping[str, Any]:
    """Search the parts on the devices in turn."""
    bounds = bounds_of(call)
    parts = shards.shard(call, bounds)
    answers = [load_and_run(devices[i % len(devices)], part).values for i, part in enumerate(parts)]
    return shards.merge(call, bounds, answers)


def wrong(devices: Sequence[Device], operator: str) -> dict[str, str]:
    found = {
        name: difference(c, joined(devices, c), expected(operator, name)) for name, c in calls_of(operator).items()
    }
    return {name: text for name, text in found.items() if text}


def test_operators_over_databases_may_be_divided() -> None:
    assert DIVIDED == ["candidates", "mine"]


@pytest.mark.parametrize("operator", DIVIDED)
def test_every_case_in_parts(devices: list[Device], operator: str) -> None:
    assert wrong(devices, operator) == {}


def test_merging_finished_results_of_a_scan_of_signs_is_noticed(
    devices: list[Device], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each part's own second stage would let rows survive that the first stage of the whole database drops."""
    monkeypatch.setattr(shards, "MERGES", {**shards.MERGES, "staged": shards.MERGES["ranked"]})
    found = wrong(devices, "mine")
    assert "signs" in found
    assert all(name.startswith("signs") for name in found)
