"""``eviction_score``: order in which entries of a bounded memory are given up."""

from ..signature import Bound, Operator, Tensor

__all__ = ["ANCHORED", "OPERATOR"]

#: Score of an anchored entry, lower than every other score.
ANCHORED = -1.0


#: age / ((resonance uses)^0.6 + 1e-6) (1 - stability) exp(0.5 density): the largest score is evicted first. An entry
#: that was never used, or resonates with nothing, has age / 1e-6 in place of the quotient.
OPERATOR = Operator(
    name="eviction_score",
    summary="Score entries of a bounded memory for eviction, the largest first.",
    arguments=(
        Tensor("age", ("N",), ("float64",), 0, 10**15, doc="seconds since the last use"),
        Tensor("resonance", ("N",), ("float32",), 0, 1, doc="resonance with what was asked for"),
        Tensor("uses", ("N",), ("int64",), 0, 2**53, doc="number of uses"),
        Tensor("stability", ("N",), ("float32",), 0, 1, doc="stability; an entry with 1 is not evicted for its age"),
        Tensor("density", ("N",), ("float32",), 0, 100, doc="crowding of its neighbourhood, which favours eviction"),
        Tensor("anchored", ("N",), ("bool", "uint8"), 0, 1, doc="1 for an entry that must stay"),
    ),
    results=(
        Tensor(
            "score",
            ("N",),
            ("float64",),
            ANCHORED,
            tolerance=Bound("relative", 1e-6, "backends compute powers and exponentials with different last bits"),
            doc="score, at least 0; -1 for an anchored entry",
        ),
    ),
    rows="N",
    family="wave",
)
