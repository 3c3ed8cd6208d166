"""Changes of a bounded index for the trials of `crash`: evictions, merged near duplicates, anchors and uses.

The index chooses which entries it evicts, and which of two near duplicates it keeps. The judge knows what every choice
must leave: as many entries as the bound allows, all anchored ones, and a redirect for each entry that was merged.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from ninefold.host.index import Index, bounded
from ninefold.host.scheduler import Scheduler
from ninefold.host.sources import Entry
from tests.host.index.made import made

__all__ = ["Content", "base", "changes", "content_of", "continued", "wrong"]

DIMENSIONS: Final = 12
IDS: Final = 24
MOST: Final = 9
#: Number of changes that a child makes if nothing kills it, and their kinds.
_CHANGES: Final = 12
_KINDS: Final = ("upsert", "twins", "twins", "delete", "anchor", "merge", "merge", "upkeep", "compact")
#: End of a text that gives it the same vector as the text without it.
_TWIN: Final = " again"


@dataclass(frozen=True)
class Content:
    """Content of a bounded index, or what a change gives it to hold.

    Attributes
    ----------
    entries : dict of str to str
        Texts by id; of a change under way, before it evicts or merges any.
    anchored : list of str
    redirects : dict of str to str
        Merged ids, each with the id that was kept.
    merging : bool
        The change merges near duplicates.
    """

    entries: dict[str, str]
    anchored: list[str] = field(default_factory=list)
    redirects: dict[str, str] = field(default_factory=dict)
    merging: bool = False

    def told(self) -> dict[str, Any]:
        """Return the content as JSON holds it."""
        return asdict(self)


def _vector_of(text: str) -> np.ndarray:
    seed = int.from_bytes(text.removesuffix(_TWIN).encode())
    return np.random.default_rng(seed).normal(0, 1, DIMENSIONS).astype(np.float16)


def _upsert(index: Index, texts: dict[str, str]) -> None:
    entries = [Entry(name, "", text) for name, text in texts.items()]
    index.upsert(entries, np.array([_vector_of(text) for text in texts.values()]))


def base(folder: Path) -> Path:
    """Write the index from which trials start."""
    entries = [Entry(f"id {n}", "", f"0.{n}") for n in range(8)]
    made(folder, np.array([_vector_of(entry.text) for entry in entries]), entries=entries).close()
    with Index.open(str(folder), "w") as index:
        index.bound(MOST)
    return folder


def content_of(index: Index, scheduler: Scheduler) -> Content:
    """Read, check and search an index; raise `AssertionError` if these do not agree."""
    index.verify(pages=False)
    with index.snapshot() as snapshot, index._content.reading() as (tables, _):  # type: ignore[union-attr]
        entries = list(snapshot)
        texts = {entry.id: entry.text for entry in entries}
        numbers, rows = tables.bounds.rows()
        assert tables.bounds.most == MOST, "the bound is another one"
        assert np.array_equal(numbers, snapshot.parts.sequence), "uses are not of the entries that are there"
        anchored = [entry.id for entry, row in zip(entries, rows, strict=True) if row["anchored"]]
        vectors = np.array([_vector_of(entry.text) for entry in entries])
        assert np.array_equal(snapshot.vectors, vectors), "a row holds the vector of another entry"
        for found in snapshot.search([*vectors.astype(np.float32)], len(entries), device="cpu", scheduler=scheduler):
            assert sorted(hit.id for hit in found) == sorted(texts), "a search does not find every entry once"
        redirects = dict(snapshot.redirects())
        for name, kept in redirects.items():
            assert snapshot.get(name) == snapshot.get(kept), "a redirect does not answer"
    return Content(texts, anchored, redirects)


def wrong(found: Content, wanted: Content) -> tuple[int, int]:
    """Return the numbers of entries, anchors and redirects that are missing, and that no one made.

    Parameters
    ----------
    found : Content
    wanted : Content
        What a change gives the index to hold; of an acknowledged state, what it holds.
    """
    lost = invented = 0
    gone = {name: text for name, text in wanted.entries.items() if found.entries.get(name) != text}
    invented += sum(wanted.entries.get(name) != text for name, text in found.entries.items())
    redirects = dict(wanted.redirects)
    if wanted.merging:
        moved = {name: found.redirects.get(name) for name in gone}
        for name, kept in moved.items():
            same = kept in found.entries and np.array_equal(_vector_of(found.entries[kept]), _vector_of(gone[name]))
            lost += not same
        redirects = {name: moved.get(kept) or kept for name, kept in redirects.items()}
        redirects |= {name: kept for name, kept in moved.items() if kept}
        vectors = Counter(text.removesuffix(_TWIN) for text in found.entries.values())
        held = Counter(wanted.entries[name].removesuffix(_TWIN) for name in wanted.anchored)
        invented += sum(count > max(1, held[text]) for text, count in vectors.items())
    else:
        beyond = len(gone) - max(0, len(wanted.entries) - MOST)
        lost, invented = lost + max(0, beyond), invented + max(0, -beyond)
        redirects = {name: kept for name, kept in redirects.items() if kept not in gone}
    lost += len(set(wanted.anchored) - set(found.anchored)) + len(set(redirects.items()) - set(found.redirects.items()))
    invented += len(set(found.anchored) - set(wanted.anchored))
    return lost, invented + len(set(found.redirects.items()) - set(redirects.items()))


def changes(index: Index, seed: int, tell: Callable[[Content, bool], None]) -> None:
    """Make random changes; tell each before it is made, and then the content that it left, as acknowledged."""
    random = np.random.default_rng(seed)
    with closing(Scheduler(costs=None)) as scheduler:
        state = content_of(index, scheduler)
        for number in range(1, _CHANGES + 1):
            kind = str(random.choice(_KINDS))
            names = [f"id {n}" for n in random.choice(IDS, int(random.integers(1, 5)), replace=False)]
            make, after = _change(index, scheduler, state, kind, names, number, random)
            tell(after, False)
            make()
            state = content_of(index, scheduler)
            tell(state, True)
            bounded.send(index.folder, random.integers(0, 40, 3).tolist(), np.ones(3, np.float32), np.zeros(3, "f4"))


def _change(
    index: Index,
    scheduler: Scheduler,
    state: Content,
    kind: str,
    names: list[str],
    number: int,
    random: np.random.Generator,
) -> tuple[Callable[[], object], Content]:
    """Return a change, and what it gives the index to hold."""
    entries, anchored = dict(state.entries), [name for name in names if name in state.entries]
    if kind in ("upsert", "twins"):
        originals = [str(text) for text in random.choice([*entries.values()] or ["0.0"], len(names))]
        new = {name: f"{number}.{name}" for name in names}
        if kind == "twins":
            new = {name: text.removesuffix(_TWIN) + _TWIN for name, text in zip(names, originals, strict=True)}
        return lambda: _upsert(index, new), replace(
            _without(state, names), entries=entries | new, anchored=state.anchored
        )
    if kind == "delete":
        return lambda: index.delete(names), _without(state, names)
    if kind == "anchor" and len({*state.anchored, *anchored}) < MOST // 2:
        return lambda: index.anchor(names), replace(state, anchored=sorted({*state.anchored, *anchored}))
    if kind == "anchor":
        left = [name for name in state.anchored if name not in names]
        return lambda: index.anchor(names, anchored=False), replace(state, anchored=left)
    if kind == "merge":
        return lambda: index.merge_duplicates(scheduler=scheduler), replace(state, merging=True)
    return (index.compact if kind == "compact" else index.writer.upkeep), state


def continued(index: Index, found: Content, scheduler: Scheduler) -> None:
    """Write to an index with a content, and compact it; raise `AssertionError` if this leaves another content."""
    new = {f"later {n}": f"later {n}" for n in range(MOST // 2)}
    _upsert(index, new)
    after = content_of(index, scheduler)
    assert wrong(after, replace(found, entries=found.entries | new)) == (0, 0), "the index cannot be continued"
    index.compact()
    assert content_of(index, scheduler) == after, "the index cannot be compacted"


def _without(state: Content, names: list[str]) -> Content:
    """Return a content without some entries, and without the redirects from and to them."""
    redirects = {a: b for a, b in state.redirects.items() if a not in names and b not in names}
    kept = {name: text for name, text in state.entries.items() if name not in names}
    return Content(kept, [name for name in state.anchored if name not in names], redirects)
