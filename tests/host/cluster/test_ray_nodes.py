"""Nodes of a Ray cluster, apart from Ray, which the default installation lacks."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import pytest

from ninefold.host.cluster.holder import versions
from ninefold.host.cluster.nodes import About
from ninefold.host.cluster.ray_nodes import RESOURCE, RayNodes


class FakeRay:
    """Ray with nodes whose actors tell given versions."""

    def __init__(self, told: dict[str, dict[str, str]]) -> None:
        self.told, self.killed = told, list[str]()
        self.exceptions = SimpleNamespace(RayError=RuntimeError)

    def remote(self, kind: type) -> type:
        return kind

    def nodes(self) -> list[dict[str, Any]]:
        return [
            {"NodeID": one, "NodeManagerAddress": "10.0.0.2", "Alive": True, "Resources": {RESOURCE: 1}}
            for one in self.told
        ]

    def wait(self, some: list[Any], timeout: float) -> tuple[list[Any], list[Any]]:  # noqa: ARG002
        return some, []

    def get(self, answer: str) -> About:
        return About(self.told[answer], ())

    def kill(self, actor: Any) -> None:
        self.killed.append(actor.name)


def test_a_node_of_other_versions_is_refused_and_both_are_named(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("ninefold.host.cluster.ray_nodes.versions", lambda *_: here)
    here = {**versions(), "ray": "2.50.0"}
    ray = FakeRay({"same": here, "other": {**here, "numpy": "1.0.0", "ray": "2.49.0"}})
    nodes = RayNodes(ray)

    def started(identity: str) -> Any:
        return SimpleNamespace(name=identity, about=SimpleNamespace(remote=lambda _: identity))

    monkeypatch.setattr(nodes, "_started", started)
    with caplog.at_level(logging.ERROR):
        for _ in range(2):  # refused for good, and said once
            assert list(nodes.found()) == ["10.0.0.2/same"]
    (record,) = caplog.records
    assert record.getMessage() == (
        "the node 10.0.0.2/other is not used: it has numpy 1.0.0, ray 2.49.0, "
        f"and the coordinator numpy {here['numpy']}, ray 2.50.0"
    )
    assert ray.killed == ["other"]
