"""Grids of points: against a plain sorted list, while readers read, after interrupts, and in files."""

from __future__ import annotations

import bisect
import json
import threading
from array import array
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ninefold.host.structures import PATCH, PatchGrid, patch_grid
from ninefold.numerics.states import save_state
from ninefold.sim.golden.hilbert import run as golden
from ninefold.spec.data import State
from ninefold.spec.errors import DamagedDataError, InputError
from ninefold.spec.operators import OPERATORS

DIMENSIONS, BITS = 2, 3
POINTS = [(x, y) for x in range(1 << BITS) for y in range(1 << BITS)]
_CALL = OPERATORS["hilbert"].bind({"coords": np.array(POINTS, np.int64)}, {"bits": BITS})
#: Index of each point, by the golden model.
INDEX = dict(zip(POINTS, golden(_CALL)["index"].tolist(), strict=True))
PLACES = st.tuples(*[st.integers(0, (1 << BITS) - 1)] * DIMENSIONS)
#: A point to insert, or a batch of them.
STEPS = st.lists(PLACES | st.lists(PLACES, max_size=12), max_size=40)


def random_points(number: int, seed: int = 3) -> npt.NDArray[np.uint64]:
    return np.random.default_rng(seed).integers(0, 1 << 21, (number, 3), np.uint64)


def content(grid: PatchGrid) -> list[tuple[int, int]]:
    now = grid.snapshot()
    return list(zip(now.index.tolist(), now.values.tolist(), strict=True))


@settings(deadline=None, max_examples=150)
@given(steps=STEPS, limit=st.integers(2, 5))
def test_it_holds_what_a_sorted_list_holds(steps: list[tuple[int, int] | list[tuple[int, int]]], limit: int) -> None:
    grid, plain, number = PatchGrid(DIMENSIONS, BITS), [], 0
    frozen = []
    with pytest.MonkeyPatch.context() as patch:
        # Small patches, so that few points divide them; equal points fill whole ones.
        patch.setattr(patch_grid, "PATCH", limit)
        patch.setattr(patch_grid, "_FILL", max(1, limit * 2 // 3))
        for step in steps:
            frozen.append((grid.snapshot(), list(plain)))
            batch = step if isinstance(step, list) else [step]
            values = range(number, number + len(batch))
            number += len(batch)
            if isinstance(step, list):
                grid.extend(np.array(step, np.int64).reshape(-1, DIMENSIONS), np.array(values, np.int64))
            else:
                grid.insert(step, values[0])
            for point, value in zip(batch, values, strict=True):
                bisect.insort(plain, (INDEX[point], value))
            assert all(len(index) <= limit for index, _ in grid.snapshot())
    frozen.append((grid.snapshot(), plain))
    for snapshot, expected in frozen:
        assert list(zip(snapshot.index.tolist(), snapshot.values.tolist(), strict=True)) == expected
        assert len(snapshot) == len(expected)
    last = frozen[-1][0]
    assert len(grid) == number
    assert [tuple(point) for point in last.points().tolist()] == [
        next(place for place in POINTS if INDEX[place] == index) for index, _ in plain
    ]
    for point in POINTS:
        assert last.at(point).tolist() == [value for index, value in plain if index == INDEX[point]]
    for first, end in [(0, 63), (5, 5), (10, 41)]:
        index, values = last.between(first, end)
        assert list(zip(index.tolist(), values.tolist(), strict=True)) == [
            pair for pair in plain if first <= pair[0] <= end
        ]


def test_a_full_patch_is_divided() -> None:
    grid = PatchGrid(3, 21)
    points = random_points(PATCH + 1)
    grid.extend(points[:PATCH], np.arange(PATCH))
    assert grid.patches == 1
    grid.insert(points[PATCH].tolist(), PATCH)
    assert [len(index) for index, _ in grid.snapshot()] in (
        [PATCH // 2, PATCH - PATCH // 2 + 1],
        [PATCH // 2 + 1, PATCH - PATCH // 2],
    )
    order = np.lexsort((np.arange(PATCH + 1), indices(points)))
    assert grid.snapshot().values.tolist() == order.tolist()


def indices(points: npt.NDArray[np.uint64], bits: int = 21) -> npt.NDArray[np.uint64]:
    found: npt.NDArray[np.uint64] = golden(OPERATORS["hilbert"].bind({"coords": points}, {"bits": bits}))["index"]
    return found


@pytest.mark.parametrize(("dimensions", "bits"), [(1, 64), (64, 1), (2, 32), (9, 7), (8, 8), (3, 1)])
def test_single_points_and_batches_have_the_index_of_the_golden_model(dimensions: int, bits: int) -> None:
    random = np.random.default_rng(dimensions)
    points = random.integers(0, (1 << bits) - 1, (64, dimensions), np.uint64, endpoint=True)
    points[0], points[1] = 0, (1 << bits) - 1
    together, alone = PatchGrid(dimensions, bits), PatchGrid(dimensions, bits)
    together.extend(points, np.arange(64))
    for value, point in enumerate(points.tolist()):
        alone.insert(point, value)
    assert content(together) == content(alone)
    assert sorted(indices(points, bits).tolist()) == together.snapshot().index.tolist()


def test_readers_see_all_of_a_batch_or_none_while_writers_insert() -> None:
    grid, rounds, problems = PatchGrid(3, 21), 60, []
    begin, ended = random_points(30_000, 8), threading.Event()
    grid.extend(begin, np.full(len(begin), -1))
    seen: set[int] = set()

    def read() -> None:
        while not ended.is_set():
            now = grid.snapshot()
            first, values = now.index, now.values
            if (first[1:] < first[:-1]).any():
                problems.append("unsorted")
            counts = np.bincount(values[values >= 0], minlength=2 * rounds)
            if not set(counts[:rounds].tolist()) <= {0, 500}:
                problems.append("part of a batch")
            singles = counts[rounds:]
            # One writer inserts them in ascending order, so that a gap would be a lost point.
            if singles.sum() != np.count_nonzero(np.cumprod(singles == 1)):
                problems.append("a lost point")
            if not np.array_equal(now.between(0, (1 << 63) - 1)[1], values):
                problems.append("a snapshot that changed")
            seen.add(len(values))

    def batches() -> None:
        for number in range(rounds):
            grid.extend(random_points(500, number), np.full(500, number))

    def singles() -> None:
        for number, point in enumerate(random_points(rounds, 99).tolist()):
            grid.insert(point, rounds + number)

    readers = [threading.Thread(target=read) for _ in range(2)]
    writers = [threading.Thread(target=work) for work in (batches, singles)]
    for thread in [*readers, *writers]:
        thread.start()
    for thread in writers:
        thread.join()
    ended.set()
    for thread in readers:
        thread.join()
    assert problems == []
    assert len(grid) == len(begin) + rounds * 501
    assert seen


class Interrupting(array):  # type: ignore[type-arg]
    """Array whose inserts end with an interrupt, before or after the change."""

    after = False

    def insert(self, where: int, value: int) -> None:
        if self.after:
            super().insert(where, value)
        raise KeyboardInterrupt


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("name", ["index", "values"])
def test_an_interrupted_insert_is_done_or_not(name: str, after: bool) -> None:
    grid = PatchGrid(2, 3)
    for value, point in enumerate(POINTS):
        grid.insert(point, value)
    before = content(grid)
    patch = grid._directory[1][0]
    sound = getattr(patch, name)
    patch.epoch = grid._epoch  # as after an insert that copied it
    broken = Interrupting(sound.typecode, sound)
    broken.after = after
    setattr(patch, name, broken)
    with pytest.raises(KeyboardInterrupt):
        grid.insert((1, 1), 77)
    found = content(grid)
    whole = sorted([*before, (INDEX[1, 1], 77)], key=lambda pair: pair[0])
    assert found == (whole if (name, after) == ("values", True) else before)
    setattr(patch, name, array(sound.typecode, getattr(patch, name)))
    grid.insert((7, 7), 78)
    assert len(grid) == len(found) + 1


def test_patches_are_copied_only_for_snapshots_in_use() -> None:
    grid = PatchGrid(2, 3)
    grid.insert((1, 1), 1)
    patch = grid._directory[1][0]
    assert grid.snapshot().at((1, 1)).tolist() == [1]  # gone again
    grid.insert((1, 1), 2)
    assert grid._directory[1][0] is patch
    kept, later = grid.snapshot(), grid.snapshot()
    del later
    grid.insert((1, 1), 3)
    assert grid._directory[1][0] is not patch
    copied = grid._directory[1][0]
    grid.insert((1, 1), 4)
    assert grid._directory[1][0] is copied
    assert kept.at((1, 1)).tolist() == [1, 2]


@pytest.mark.parametrize("kept", [0, 1])
def test_views_that_outlive_their_snapshot_do_not_change(kept: int) -> None:
    grid = PatchGrid(2, 3)
    for value, point in enumerate(POINTS):
        grid.insert(point, value)
    view = next(iter(grid.snapshot()))[kept]
    before, expected = view.tolist(), content(grid)
    grid.insert((0, 0), 77)
    assert view.tolist() == before
    assert content(grid) == sorted([*expected, (INDEX[0, 0], 77)], key=lambda pair: pair[0])
    rest = iter(grid.snapshot())  # holds the snapshot, which nothing else does
    grid.insert((0, 0), 78)
    assert 78 not in next(rest)[1]


def test_a_saved_grid_is_loaded_exactly(tmp_path: Path) -> None:
    grid = PatchGrid(3, 21)
    grid.extend(random_points(50_000), np.arange(50_000) - 25_000)
    grid.insert((1, 2, 3), -(2**63))
    grid.save(tmp_path / "grid.npz")
    loaded = PatchGrid.load(tmp_path / "grid.npz")
    assert (loaded.dimensions, loaded.bits) == (3, 21)
    assert content(loaded) == content(grid)
    assert loaded.snapshot().at((1, 2, 3)).tolist() == [-(2**63)]
    loaded.insert((1, 2, 3), 5)
    assert loaded.snapshot().at((1, 2, 3)).tolist() == [-(2**63), 5]
    PatchGrid(9, 7).save(str(tmp_path / "grid.npz"))
    assert content(PatchGrid.load(tmp_path / "grid.npz")) == []
    assert [path.name for path in tmp_path.iterdir()] == ["grid.npz"]


def test_every_damaged_byte_is_refused(tmp_path: Path) -> None:
    grid, path = PatchGrid(2, 3), tmp_path / "grid.npz"
    for value, point in enumerate(POINTS[:9]):
        grid.insert(point, value)
    grid.save(path)
    sound, expected = path.read_bytes(), content(grid)
    messages = []
    for place in range(0, len(sound), 3):
        path.write_bytes(sound[:place] + bytes([sound[place] ^ 0x55]) + sound[place + 1 :])
        try:
            found = content(PatchGrid.load(path))
        except DamagedDataError as error:
            messages.append(str(error))
        else:
            # Bytes of the archive that mean nothing, such as times, may change.
            assert found == expected
        path.write_bytes(sound[:place])
        with pytest.raises(DamagedDataError, match="is not a complete file"):
            PatchGrid.load(path)
    assert len(messages) > len(sound) / 3 * 3 / 4
    assert all(message.startswith(str(path)) for message in messages)


@pytest.mark.parametrize(
    ("changes", "attributes", "message"),
    [
        ({"index": np.array([2, 1], np.uint64)}, {}, r"index\[1\] is below the one before"),
        ({"index": np.array([1, 64], np.uint64)}, {}, "64 is no index of 3 bits a coordinate"),
        ({"index": np.array([1, 2], np.int64)}, {}, r"index is not uint64 of shape \(N,\)"),
        ({"values": np.zeros((2, 1), np.int64)}, {}, r"values is not int64 of shape \(N,\)"),
        ({"values": np.zeros(3, np.int64)}, {}, "it has 2 indices and 3 values"),
        ({}, {"bits": 40}, "their product at most 64, not 2 and 40"),
        ({}, {"bits": "many"}, "invalid literal"),
    ],
)
def test_a_file_with_a_sound_digest_is_checked(
    changes: dict[str, npt.NDArray[np.generic]], attributes: dict[str, int | str], message: str, tmp_path: Path
) -> None:
    arrays = {"index": np.array([1, 2], np.uint64), "values": np.array([1, 2]), **changes}
    state = State("PatchGrid", 0, arrays, {"dimensions": 2, "bits": 3, **attributes})
    save_state(state, tmp_path / "grid.npz")
    with pytest.raises(DamagedDataError, match=message):
        PatchGrid.load(tmp_path / "grid.npz")


def test_another_file_is_refused(tmp_path: Path) -> None:
    save_state(State("wave", 0, {"psi": np.zeros(3)}, {}), tmp_path / "wave.npz")
    with pytest.raises(DamagedDataError, match="holds 'wave', not a PatchGrid"):
        PatchGrid.load(tmp_path / "wave.npz")
    (tmp_path / "text").write_text(json.dumps({}))
    with pytest.raises(DamagedDataError, match="is not a complete file"):
        PatchGrid.load(tmp_path / "text")
    with pytest.raises(FileNotFoundError):
        PatchGrid.load(tmp_path / "nothing")


def test_bad_input_is_refused_and_changes_nothing() -> None:
    for dimensions, bits in ((0, 1), (1, 0), (13, 5)):
        with pytest.raises(InputError, match=f"at most 64, not {dimensions} and {bits}"):
            PatchGrid(dimensions, bits)
    for dimensions, bits, name in ((3, 1.5, "bits"), (1.5, 3, "dimensions")):
        with pytest.raises(InputError, match=rf"^{name} must be an integer, not 1\.5$"):
            PatchGrid(dimensions, bits)  # type: ignore[arg-type]
    grid = PatchGrid(2, 3)
    for point, value, message in [
        ((1,), 0, "^a point must have 2 coordinates, not 1$"),
        ((1, 8), 0, "^coordinates must be 0 to 7, as bits is 3, not 8$"),
        ((-1, 0), 0, "not -1$"),
        ((0.5, 0), 0, "^coordinates must be integers, not 0.5$"),
        ((0, 0), 2**63, "^value must be an integer from -9223372036854775808 to 9223372036854775807, not 92"),
        ((0, 0), 0.5, "not 0.5$"),
    ]:
        with pytest.raises(InputError, match=message):
            grid.insert(point, value)  # type: ignore[arg-type]
    for points, values, message in [
        (np.zeros((2, 3), np.int64), np.zeros(2, np.int64), r"points must have shape \(N, 2\), not \(2, 3\)"),
        (np.full((1, 2), 8), np.zeros(1, np.int64), "below 8, as bits is 3, not 8"),
        (np.zeros((2, 2), np.int64), np.zeros(3, np.int64), r"values must be integers of shape \(2,\), not int64"),
        (np.zeros((2, 2), np.int64), np.zeros(2), "not float64"),
        (np.zeros((1, 2), np.int64), np.array([2**63], np.uint64), "at most 9223372036854775807, not 92"),
    ]:
        with pytest.raises(InputError, match=message):
            grid.extend(points, values)
    with pytest.raises(InputError, match="must be 0 to 63 in ascending order, not 5 and 64"):
        grid.snapshot().between(5, 64)
    with pytest.raises(InputError, match=r"^first must be an integer, not 0\.5$"):
        grid.snapshot().between(0.5, 2)  # type: ignore[arg-type]
    assert len(grid) == 0
    assert grid.snapshot().between(0, 63)[0].tolist() == []


def test_what_a_snapshot_returns_cannot_be_written() -> None:
    grid = PatchGrid(2, 3)
    grid.insert((1, 2), 3)
    for index, values in grid.snapshot():
        for view in (index, values):
            with pytest.raises(ValueError, match="read-only"):
                view[0] = 1
