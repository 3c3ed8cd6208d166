"""A sample of the losses of power of `power`, and faults that they must find."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest

from tests.host.index.power import losses, recording
from tests.host.index.replay import HOWS, Operation, States
from tests.sampling import sample

Recording = tuple[Path, list[Operation]]


@pytest.fixture(scope="module", autouse=True)
def numpy_only() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NINEFOLD_CPU_PATH", "numpy")
        yield


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    return recording(tmp_path_factory.mktemp("power"), sample())


def test_a_session_is_recorded(recorded: Recording) -> None:
    _, operations = recorded
    kinds = {(operation.kind, Path(operation.path).suffix) for operation in operations}
    # Commits: pages, a sync, and the durable write that makes them the last version.
    assert {("W", ".mdb"), ("S", ".mdb"), ("D", ".mdb")} <= kinds
    # Segments: written, synced, renamed, their folder synced, and removed.
    assert {("C", ".partial"), ("W", ".partial"), ("S", ".partial"), ("R", ".partial"), ("U", ".segment")} <= kinds
    assert any(operation.kind == "S" and operation.path == "index/segments" for operation in operations)


def test_a_loss_of_power_loses_nothing_that_was_acknowledged(recorded: Recording, tmp_path: Path) -> None:
    start, operations = recorded
    random = np.random.default_rng(sample())
    every = [(number, how) for number in range(len(operations) + 1) for how in HOWS]
    chosen = {every[at] for at in random.choice(len(every), 60, replace=False)}
    found = list(losses(start, operations, tmp_path, sample(), lambda *which: which in chosen))
    assert [one for one in found if not one[2].good] == []
    assert len(found) == 60


def without(operations: list[Operation], kind: str, path: str) -> list[Operation]:
    """Return the operations of a writer that leaves some out, or that makes no write durable."""
    if kind == "D":
        return [replace(one, kind="W") if one.kind == "D" else one for one in operations]
    return [one for one in operations if not (one.kind == kind and one.path.endswith(path))]


@pytest.mark.parametrize(
    ("kind", "path"),
    [("S", ".partial"), ("S", "index/segments"), ("S", ".mdb"), ("D", "")],
    ids=["segments", "names of segments", "pages", "versions"],
)
def test_what_is_not_synced_is_found_out(recorded: Recording, tmp_path: Path, kind: str, path: str) -> None:
    start, operations = recorded
    with closing(losses(start, without(operations, kind, path), tmp_path, sample())) as outcomes:
        assert any(not outcome.good for _, _, outcome in outcomes)


def test_fates_of_what_is_not_synced(tmp_path: Path) -> None:
    (tmp_path / "start").mkdir()
    (tmp_path / "start" / "old").write_bytes(b"a" * 1024)
    states = States(tmp_path / "start")
    random = np.random.default_rng(sample())
    for operation in (
        Operation("W", "old", "", 0, b"b" * 1536),
        Operation("D", "old", "", 600, b"c" * 8),
        Operation("C", "new", "", 0, b""),
        Operation("W", "new", "", 0, b"d" * 700),
        Operation("S", "new", "", 0, b""),
        Operation("R", "new", "newer", 0, b""),
    ):
        states.apply(operation)

    def left(how: str, under_way: Operation | None = None) -> dict[str, bytes]:
        with TemporaryDirectory(dir=tmp_path) as folder:
            states.left(Path(folder), how, random, under_way)
            return {path.name: path.read_bytes() for path in Path(folder).iterdir()}

    durable = b"a" * 600 + b"c" * 8 + b"a" * 416
    assert left("dropped") == {"old": durable}
    assert left("whole") == {"old": b"b" * 600 + b"c" * 8 + b"b" * 928, "newer": b"d" * 700}
    torn = [left("torn") for _ in range(60)]
    assert {tuple(sorted(one)) for one in torn} == {("old",), ("new", "old"), ("newer", "old")}
    assert all(one.get("new", one.get("newer", b"d" * 700)) == b"d" * 700 for one in torn)
    assert len({len(one["old"]) for one in torn}) > 10
    for one in torn:
        content = one["old"]
        assert content[600:608] == b"c" * 8
        for first in (0, 512, 1024):
            sector = content[first : first + 512].replace(b"c" * 8, b"")
            assert set(sector) in ({ord("a")}, {ord("b")}, {0}, set()) or (
                first == 1024 and set(sector) == {ord("b"), 0}
            )
    # A durable write that has not returned may be lost.
    last = Operation("D", "old", "", 0, b"e" * 10)
    assert {left("torn differently", last)["old"][:1] for _ in range(30)} == {b"a", b"b", b"e"}
    states.apply(Operation("S", "", "", 0, b""))
    assert left("dropped")["newer"] == b"d" * 700
