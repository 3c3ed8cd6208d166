"""Index of signatures: against plain loops over quadrants, while writers add, after interrupts, and in files."""

from __future__ import annotations

import cmath
import itertools
import math
import threading
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ninefold.host.structures import BUCKET, PhaseIndex, phase_index
from ninefold.numerics.states import save_state
from ninefold.sim.golden.phase_hash import run as golden
from ninefold.spec.data import State
from ninefold.spec.errors import DamagedDataError, InputError
from ninefold.spec.operators import OPERATORS

Psi = npt.NDArray[np.complex64]
#: Few values, so that buckets, ties, zeros and borders of quadrants occur often.
PARTS = st.sampled_from([-1.0, -0.3, -0.0, 0.0, 0.2, 1.0, 1.5])
SIGNATURES = st.integers(0, 30).flatmap(lambda number: arrays(np.float32, (number, 9, 2), elements=PARTS))


def drawn(number: int, seed: int = 5, spread: float = 1.0) -> Psi:
    """Return signatures near three others."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(3, 9, 2))
    parts = centres[random.integers(0, 3, number)] + spread * random.normal(size=(number, 9, 2))
    return np.ascontiguousarray(parts, np.float32).view(np.complex64)[..., 0]


def hashes(psi: Psi) -> list[int]:
    found: list[int] = golden(OPERATORS["phase_hash"].bind({"psi": psi}))["hash"].tolist()
    return found


def resonance(a: Psi, b: Psi) -> float:
    """Return the resonance by the definition, in Python's numbers."""
    x, y = [complex(one) for one in a], [complex(one) for one in b]
    norms = math.sqrt(sum(abs(one) ** 2 for one in x)) * math.sqrt(sum(abs(one) ** 2 for one in y))
    return abs(sum(p * q.conjugate() for p, q in zip(x, y, strict=True))) / norms if norms else 0.0


def probed(query: Psi, delta: float) -> set[int]:
    """Return the hashes of all combinations of sides, by angles; numbers of zero are across the imaginary axis."""
    sides = []
    for one, quadrant in zip(query, quadrants(hashes(query[np.newaxis])[0]), strict=True):
        here = {quadrant}
        if not delta:
            sides.append(here)
            continue
        angle = cmath.phase(complex(one)) % (math.pi / 2)
        upper = (quadrant + 1) % 4
        lower = (quadrant - 1) % 4
        if one == 0:
            here.add(1)
        elif min(angle, math.pi / 2 - angle) <= delta:
            here.add(lower if angle < math.pi / 4 else upper)
        sides.append(here)
    return {sum(q << 2 * d for d, q in enumerate(chosen)) for chosen in itertools.product(*sides)}


def quadrants(value: int) -> list[int]:
    return [value >> 2 * d & 3 for d in range(9)]


@settings(deadline=None, max_examples=80)
@given(
    parts=SIGNATURES, cut=st.integers(0, 30), delta=st.sampled_from([0.0, 0.25, 0.5]), least=st.sampled_from([0.0, 0.8])
)
def test_it_finds_what_a_loop_over_the_probed_buckets_finds(
    parts: npt.NDArray[np.float32], cut: int, delta: float, least: float
) -> None:
    psi = np.ascontiguousarray(parts).view(np.complex64)[..., 0]
    limit = 3
    keys, room, expected = hashes(psi), {}, []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(phase_index, "BUCKET", limit)
        index = PhaseIndex()
        stored = [*index.add(psi[:cut], np.arange(cut)[: len(psi)]), *index.add(psi[cut:], np.arange(len(psi))[cut:])]
        for key in keys:
            room[key] = room.get(key, 0) + 1
            expected.append(room[key] <= limit)
        assert stored == expected
    assert (len(index), index.refused) == (sum(expected), len(psi) - sum(expected))
    for query in [*psi[:3], np.array([1, -1j] * 4 + [1 + 1j], np.complex64)]:
        found = index.search(query, 4, least=least, delta=delta)
        rows = [row for row in range(len(psi)) if stored[row] and keys[row] in probed(query, delta)]
        assert found.candidates[0] == len(rows)
        scored = {row: resonance(query, psi[row]) for row in rows}
        # Equal resonances may differ in their last bit, so ranks are compared by value.
        best = sorted((value for value in scored.values() if value > least + 1e-9), reverse=True)[:4]
        count = int(found.count[0])
        ids = found.ids[0].tolist()
        assert found.resonance[0, : len(best)].tolist() == pytest.approx(best, abs=1e-6)
        assert all(scored[row] > least - 1e-9 for row in ids[:count])
        assert [scored[row] for row in ids[:count]] == pytest.approx(found.resonance[0, :count].tolist(), abs=1e-6)
        assert len(set(ids[:count])) == count
        assert ids[count:] == [-1] * (4 - count)
        assert found.resonance[0, count:].tolist() == [0] * (4 - count)


def test_equal_signatures_rank_in_the_order_of_adding() -> None:
    index, psi = PhaseIndex(), np.repeat(drawn(1), 5, axis=0)
    index.add(psi, np.array([9, 3, 7, 1, 5]))
    assert index.search(psi[0], 3).ids.tolist() == [[9, 3, 7]]


def test_a_snapshot_does_not_find_what_is_added_later() -> None:
    index, one, others = PhaseIndex(), drawn(1), drawn(300, 8)
    for number in range(4):
        index.add(one, np.array([number]))
    now = index.snapshot()
    index.add(one, np.array([4]))  # into the same arrays
    assert index.search(one, 9).count.tolist() == [5]
    assert (now.search(one, 9).count.tolist(), now.ids.tolist()) == ([4], [0, 1, 2, 3])
    index.add(others, np.arange(300))  # into longer ones
    assert now.search(others, 9, least=0).candidates.max() <= 4
    assert now.search(one, 9).ids[0, :5].tolist() == [0, 1, 2, 3, -1]


def test_a_signature_of_zeros_is_never_a_match() -> None:
    index = PhaseIndex()
    index.add(np.zeros((1, 9), np.complex64), np.array([1]))
    found = index.search(np.zeros(9, np.complex64), least=0)
    assert (found.candidates.tolist(), found.count.tolist()) == ([1], [0])


def test_a_full_bucket_refuses_and_says_so() -> None:
    index, psi = PhaseIndex(), np.repeat(drawn(1), 40, axis=0)
    assert index.add(psi[:10], np.arange(10)).all()
    stored = index.add(psi[10:], np.arange(10, 40))
    assert stored.tolist() == [True] * (BUCKET - 10) + [False] * (40 - BUCKET)
    assert (len(index), index.refused) == (BUCKET, 40 - BUCKET)
    assert index.search(psi[0], 40).ids[0, :BUCKET].tolist() == list(range(BUCKET))
    assert index.add(-psi[:1], np.array([-1])).tolist() == [True]  # the opposite quadrants


def test_turned_probes_find_what_a_common_phase_hides() -> None:
    index, psi = PhaseIndex(), drawn(200, spread=0.5)
    index.add(psi, np.arange(200))
    turned = (psi * np.exp(1j * np.linspace(0.3, 6, 200))[:, np.newaxis]).astype(np.complex64)
    found = index.search(turned, turns=True)
    assert found.ids[:, 0].tolist() == np.arange(200).tolist()
    assert found.resonance[:, 0] == pytest.approx(1, abs=1e-6)
    assert (found.probes == 36).all()
    assert (index.search(turned).ids[:, 0] == np.arange(200)).mean() < 0.2


def test_numbers_near_a_border_are_probed_on_both_sides() -> None:
    index = PhaseIndex()
    stored = np.full((1, 9), 1 + 0.01j, np.complex64)
    index.add(stored, np.array([4]))
    query = stored[0].conj()
    assert index.search(query, delta=0).count.tolist() == [0]
    found = index.search(query, delta=0.02)
    assert (found.count.tolist(), found.probes.tolist()) == ([1], [512])
    assert found.resonance[0, 0] == pytest.approx(1, abs=1e-6)


def test_searches_see_all_of_an_addition_or_none() -> None:
    index, problems, ended = PhaseIndex(), [], threading.Event()
    base = drawn(12, 1)

    def search() -> None:
        while not ended.is_set():
            now = index.snapshot()
            size = len(now)
            if size % len(base):
                problems.append(f"{size} signatures")
            matches = now.search(base, BUCKET, least=0.999)
            if (matches.count != size // len(base)).any():
                problems.append(f"{matches.count.tolist()} of {size // len(base)}")
            if len(now) != size or len(now.ids) != size:
                problems.append("a snapshot that changed")

    readers = [threading.Thread(target=search) for _ in range(2)]
    for thread in readers:
        thread.start()
    for number in range(BUCKET):
        assert index.add(base, np.arange(len(base)) + 100 * number).all()
        index.add(drawn(60, number + 10)[:0], np.zeros(0, int))
    ended.set()
    for thread in readers:
        thread.join()
    assert problems == []
    assert len(index) == BUCKET * len(base)


@pytest.mark.parametrize("call", range(3))
def test_an_interrupted_addition_leaves_nothing(call: int, monkeypatch: pytest.MonkeyPatch) -> None:
    index, plain = PhaseIndex(), PhaseIndex()
    first, third = drawn(30, 1), drawn(30, 3)
    second = np.concatenate([2 * first[:15], drawn(15, 2)])  # the first half in buckets that there are
    for one in (index, plain):
        one.add(first, np.arange(30))
    made = np.arange
    left = [call]

    def interrupted(*arguments: int, **more: object) -> object:
        # The arrays of new buckets and of rows are made just before they are written.
        if more.get("dtype") is np.int32:
            left[0] -= 1
            if left[0] < 0:
                raise KeyboardInterrupt
        return made(*arguments, **more)  # type: ignore[call-overload]

    monkeypatch.setattr(np, "arange", interrupted)
    if call < 2:
        with pytest.raises(KeyboardInterrupt):
            index.add(second, np.full(30, 77))
    monkeypatch.undo()
    if call == 2:
        # After everything was written, and before it was published.
        index.add(second, np.full(30, 77))
        index._used, index._unfinished = plain._used, True
    assert len(index) == 30
    for one in (index, plain):
        one.add(third, np.arange(30, 60))
    for query in (*first, *second, *third):
        mine, its = (one.search(query, 16, least=0, delta=0.3) for one in (index, plain))
        assert (mine.ids.tolist(), mine.candidates.tolist()) == (its.ids.tolist(), its.candidates.tolist())


def test_a_saved_index_is_loaded_exactly(tmp_path: Path) -> None:
    index, path = PhaseIndex(), tmp_path / "phases.npz"
    psi = np.concatenate([np.repeat(drawn(1), 20, axis=0), drawn(500)])
    index.add(psi, np.arange(520) * -3)
    index.save(path)
    loaded = PhaseIndex.load(path)
    assert (len(loaded), loaded.refused) == (len(index), index.refused)
    assert loaded.snapshot().psi.tobytes() == index.snapshot().psi.tobytes()
    queries = drawn(20, 6)
    mine, its = index.search(queries, 5, delta=0.4), loaded.search(queries, 5, delta=0.4)
    assert (mine.ids.tolist(), mine.resonance.tolist()) == (its.ids.tolist(), its.resonance.tolist())
    sound = path.read_bytes()
    for end in range(0, len(sound), 97):
        path.write_bytes(sound[:end])
        with pytest.raises(DamagedDataError, match="is not a complete file"):
            PhaseIndex.load(path)
    for place in range(0, len(sound), 211):
        path.write_bytes(sound[:place] + bytes([sound[place] ^ 1]) + sound[place + 1 :])
        try:
            found = PhaseIndex.load(path)
        except DamagedDataError:
            continue
        assert found.snapshot().psi.tobytes() == index.snapshot().psi.tobytes()  # bytes without meaning
        assert found.snapshot().ids.tolist() == index.snapshot().ids.tolist()


@pytest.mark.parametrize(
    ("changes", "attributes", "name", "message"),
    [
        ({}, {}, "wave", "holds 'wave', not a PhaseIndex"),
        ({}, {"refused": -1}, "PhaseIndex", "refused is -1, not a count"),
        ({"psi": np.zeros((2, 9), np.complex128)}, {}, "PhaseIndex", "not complex128"),
        ({"ids": np.zeros(3, int)}, {}, "PhaseIndex", r"ids must be integers of shape \(2,\)"),
        (
            {"psi": np.zeros((17, 9), np.complex64), "ids": np.zeros(17, int)},
            {},
            "PhaseIndex",
            "more than 16 signatures",
        ),
    ],
)
def test_a_file_with_a_sound_digest_is_checked(
    changes: dict[str, npt.NDArray[np.generic]], attributes: dict[str, int], name: str, message: str, tmp_path: Path
) -> None:
    held = {"psi": np.zeros((2, 9), np.complex64), "ids": np.zeros(2, int), **changes}
    save_state(State(name, 0, held, {"refused": 0, **attributes}), tmp_path / "phases.npz")
    with pytest.raises(DamagedDataError, match=message):
        PhaseIndex.load(tmp_path / "phases.npz")
    save_state(State("PhaseIndex", 0, {"psi": held["psi"]}, {"refused": 0}), tmp_path / "phases.npz")
    with pytest.raises(DamagedDataError, match="it has no array 'ids'"):
        PhaseIndex.load(tmp_path / "phases.npz")


def test_bad_input_is_refused_and_stores_nothing() -> None:
    index, sound = PhaseIndex(), drawn(2)
    broken = sound.copy()
    broken[1, 3] = complex(1, np.inf)
    for psi, ids, message in [
        (sound[:, :8], np.arange(2), r"^psi must be complex64 of shape \(N, 9\), not complex64 of shape \(2, 8\)$"),
        (sound.astype(np.complex128), np.arange(2), "not complex128"),
        (broken, np.arange(2), r"^psi must be finite: number 3 of row 1 is \(1\+infj\)$"),
        (sound, np.arange(3), r"ids must be integers of shape \(2,\)"),
        (sound, np.zeros(2), "not float64"),
        (sound, np.array([1, 2**63], np.uint64), r"below 2\*\*63"),
    ]:
        with pytest.raises(InputError, match=message):
            index.add(psi, ids)
    assert len(index) == 0
    for options, message in [
        ({"k": 0}, "^k must be at least 1, not 0$"),
        ({"delta": 0.8}, "^delta must be 0 to pi/4 = 0.7854 radians, not 0.8$"),
        ({"delta": float("nan")}, "not nan$"),
        ({"least": 1.1}, "^least must be 0 to 1, not 1.1$"),
    ]:
        with pytest.raises(InputError, match=message):
            index.search(sound, **options)  # type: ignore[arg-type]
    assert index.search(sound, 2).ids.tolist() == [[-1, -1], [-1, -1]]
    assert index.search(np.zeros(9, np.complex64), turns=True).count.tolist() == [0]
