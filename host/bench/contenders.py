"""Contenders of a search: fixed ones, ones tuned to a recall, and the comparison with the best peer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ninefold.spec.benchmark import Figure, Parameter
from ninefold.spec.errors import UnsupportedError
from ninefold.spec.text import counted

from .data import Dataset, K, recall
from .peers import Search
from .timing import Times

__all__ = ["LEVELS", "TUNED", "Contender", "beside_best", "tuned"]

#: Recalls at which contenders are compared, by label. Rounding of float32 may swap equal neighbours, so that a search
#: without loss has a recall just below 1.
LEVELS: Final[Mapping[str, float]] = {"0.9": 0.9, "0.95": 0.95, "0.99": 0.99, "0.998": 0.998, "1.000": 0.9995}
#: Level from which a comparison enters the table beside the best peers; the others are points of the curves of recall.
_COMPARED: Final = 0.99
#: Infix of the name of a contender that was tuned to a recall; the label follows it.
TUNED: Final = " at recall "

#: Most of a peer's time, by recall and number of queries. Targets of HNSW are for real data of at least `_MANY` rows.
_FLAT, _GRAPH, _MANY = "faiss flat", "faiss HNSW", 100_000
_TARGETS: Final[Mapping[tuple[str, int], tuple[str, str]]] = {
    **{("1.000", queries): (_FLAT, "<= 0.5") for queries in (1, 64, 1024)},
    ("0.998", 1): (_GRAPH, "<= 1"),
    ("0.998", 64): (_GRAPH, "<= 0.5"),
    ("0.99", 1): (_GRAPH, "<= 1"),
    ("0.99", 64): (_GRAPH, "<= 1"),
}


@dataclass(frozen=True)
class Contender:
    """Search that takes part in a comparison.

    Attributes
    ----------
    name : str
        Name in the record.
    search : callable
        Function of queries and k.
    recall : float
        Recall of all queries.
    setting : str
        Setting of its search parameter, e.g. ``"efSearch 96"``; empty for a fixed contender.
    device : str
        Device of ours; empty for a peer.
    timed_as : str
        Name under which it is timed: contenders that are tuned to the same setting are timed once.
    """

    name: str
    search: Search
    recall: float
    setting: str = ""
    device: str = ""
    timed_as: str = ""

    @property
    def key(self) -> str:
        """Name under which the contender is timed."""
        return self.timed_as or self.name

    @property
    def family(self) -> str:
        """Name without the recall that the contender was tuned to."""
        return self.name.partition(TUNED)[0]


def tuned(
    name: str,
    settings: Mapping[str, Search],
    data: Dataset,
    levels: Sequence[str],
    note: Callable[[str], None],
    device: str = "",
) -> Iterator[Contender]:
    """Find for each recall the first setting that reaches it.

    Parameters
    ----------
    name : str
        The contender.
    settings : mapping of str to callable
        Searches by the words for their settings, in order of growing recall.
    data : Dataset
        Queries and exact answers.
    levels : sequence of str
        Keys of ``LEVELS``, in growing order.
    note : callable
        Function called with a sentence for a recall that no setting reaches.
    device : str
        Device, for a contender of ours.
    """
    wanted, found = list(levels), 0.0
    for text, search in settings.items():
        if not wanted:
            return
        try:
            found = recall(search(data.queries, K), data.truth)
        except UnsupportedError:  # a device with a small k reranks fewer rows
            break
        while wanted and found >= LEVELS[wanted[0]]:
            label = wanted.pop(0)
            yield Contender(f"{name}{TUNED}{label}", search, found, text, device, f"{name}, {text}")
    if wanted:
        rows = f"{len(data.vectors):,} rows"
        note(f"search: {name} does not reach a recall of {wanted[0]} on {rows}; its last recall was {found:.3f}")


def beside_best(
    contenders: Sequence[Contender],
    device: str,
    data: Dataset,
    times: Times,
    parameters: Mapping[str, Parameter],
    *,
    judged: bool,
) -> Iterator[Figure]:
    """Yield for each recall the time of our fastest contender beside the fastest peer that reaches the same recall.

    A further figure is beside the peer that a target names, where another peer is faster.

    Parameters
    ----------
    contenders : sequence of Contender
        All contenders.
    device : str
        Device of ours.
    data : Dataset
        Database that was searched.
    times : Times
        Times by `Contender.key`.
    parameters : mapping
        Parameters of the figures, with ``queries``.
    judged : bool
        Whether targets apply to databases of this size.
    """
    queries = int(parameters["queries"])
    for label, level in LEVELS.items():
        if level < _COMPARED:
            continue
        reached = sorted((one for one in contenders if one.recall >= level), key=lambda one: times.median(one.key))
        ours = [one for one in reached if one.device == device]
        peers = [one for one in reached if not one.device]
        if not ours or not peers:
            continue
        named, target = _TARGETS.get((label, queries), ("", ""))
        if not judged or (named == _GRAPH and not (data.real and len(data.vectors) >= _MANY)):
            target = ""
        held = next((one for one in peers if one.family == named), None) if target else None
        for peer in dict.fromkeys((peers[0], held or peers[0])):
            best, mine = peer is peers[0], ours[0]
            pair = Times({device: times.seconds[mine.key], peer.family: times.seconds[peer.key]})
            detail = "; ".join(
                f"{' '.join(filter(None, (one.family, one.setting)))}: recall {one.recall:.4f}" for one in (mine, peer)
            )
            yield pair.figure(
                f"search at recall >= {label}",
                device,
                parameters,
                quantity="time" if best else f"time beside {peer.family}",
                beside=peer.family,
                target=target if peer is held else "",
                detail=detail,
                task=f"search, {len(data.vectors):,} rows, {counted(queries, 'query', 'queries')}, recall >= {label}",
            )
