"""Searches whose answers are recorded with a backup, and repeated when it is restored."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ninefold.numerics.nits import unpack
from ninefold.spec.errors import DamagedDataError
from ninefold.spec.progress import step

from .read import Snapshot

__all__ = ["Questions"]

#: Number of questions, hits of each, and seed of the rows whose vectors they are.
_COUNT: Final = 64
_K: Final = 10
_SEED: Final = 9


@dataclass(frozen=True, eq=False)
class Questions:
    """Vectors that were searched for, and the ids and scores of their hits.

    Attributes
    ----------
    vectors : float32 array of shape (Q, D)
        Vectors of rows of the index, at most 64.
    answers : tuple of tuple of (str, int)
        Id and dot product of nits of each hit, best first. They are the same on every device.
    """

    vectors: npt.NDArray[np.float32]
    answers: tuple[tuple[tuple[str, int], ...], ...]

    @classmethod
    def asked(cls, snapshot: Snapshot) -> Questions:
        """Choose rows of a snapshot, and search it for their vectors."""
        count = min(_COUNT, len(snapshot))
        rows = np.sort(np.random.default_rng(_SEED).choice(len(snapshot), count, replace=False))
        if not count:
            return cls(np.zeros((0, snapshot.manifest.dimensions), np.float32), ())
        if snapshot.manifest.vectors:
            vectors = snapshot.parts.rows("vectors", rows).astype(np.float32)
        else:
            nits = unpack(snapshot.parts.rows("nits", rows), snapshot.manifest.dimensions)
            vectors = (nits / np.float32(snapshot.generation.scale)).astype(np.float32)
        return cls(vectors, _answers(snapshot, vectors))

    def compare(self, snapshot: Snapshot) -> None:
        """Search a snapshot again; raise `DamagedDataError` unless the answers are the same."""
        if not len(self.vectors):
            return
        for number, (found, wanted) in enumerate(zip(_answers(snapshot, self.vectors), self.answers, strict=True)):
            if found != wanted:
                raise DamagedDataError(
                    f"question {number + 1} of {len(self.answers)} finds {_shown(found)}, and found {_shown(wanted)} "
                    "when the backup was taken"
                )

    def to_json(self) -> dict[str, Any]:
        """Return the questions as JSON values."""
        content = base64.b64encode(self.vectors.astype("<f4").tobytes()).decode()
        return {
            "shape": list(self.vectors.shape),
            "vectors": content,
            "answers": [list(map(list, a)) for a in self.answers],
        }

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Questions:
        """Return the questions from JSON values; raise `ValueError`, `KeyError` or `TypeError` for other values."""
        vectors = np.frombuffer(base64.b64decode(content["vectors"]), "<f4").reshape(content["shape"])
        return cls(vectors.astype(np.float32), tuple(tuple((i, s) for i, s in answer) for answer in content["answers"]))


def _answers(snapshot: Snapshot, vectors: npt.NDArray[np.float32]) -> tuple[tuple[tuple[str, int], ...], ...]:
    with step("searching for recorded questions"):
        result = snapshot.mine(vectors, k=_K, device="cpu", strict=True)
        hits = [snapshot.hits(result, number) for number in range(len(vectors))]
    return tuple(tuple((hit.id, int(hit.score)) for hit in found) for found in hits)


def _shown(answer: tuple[tuple[str, int], ...]) -> str:
    return f"{answer[0][0]!r} with a score of {answer[0][1]}" if answer else "nothing"
