"""Embeddings for an index, with one embedder per process and one journal per source."""

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ninefold.host.embedding import Embedder
from ninefold.host.scheduler import Scheduler
from ninefold.spec.cache import cache_folder, digest_of
from ninefold.spec.data import Result

__all__ = ["embed_query", "embed_source", "embedder", "journal_of"]


@cache
def embedder() -> Embedder:
    """Return the embedder. Its graph is compiled once per process."""
    return Embedder()


def journal_of(source: str, column: str | None) -> Path:
    """Return the path of the journal that keeps a source's embeddings, for continuing and for indexing it again."""
    name = source if source == "stdlib" else str(Path(source).resolve())
    return cache_folder() / "embeddings" / f"{digest_of(name, column)}.journal"


def embed_query(text: str, scheduler: Scheduler) -> Result:
    """Embed a text as a task; its result holds ``vectors`` of shape (1, 384).

    The CPU embeds it, as it embedded the entries, and no other device is probed unless it fails.
    """
    tokens, mask = embedder().arguments([text])
    return scheduler.run("embed", tokens, mask, device="cpu")


def embed_source(
    texts: Sequence[str], source: str, column: str | None, progress: Callable[[int, int], None]
) -> npt.NDArray[np.float32]:
    """Embed the texts of a source, continuing after the last embedding of an interrupted call.

    Parameters
    ----------
    texts : sequence of str
    source : str
    column : str or None
        Identify the journal, together with `source`.
    progress : callable
        ``progress(done, total)``.

    Returns
    -------
    float32 array of shape (len(texts), 384)
        Vectors of unit length.
    """
    return embedder().embed_to(journal_of(source, column), texts, progress)
