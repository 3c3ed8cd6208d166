"""Embeddings for an index: one embedder a process, and a journal a source."""

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ninefold.host.embedding import Embedder
from ninefold.spec.cache import cache_folder, digest_of

__all__ = ["embed_source", "embedder", "journal_of"]


@cache
def embedder() -> Embedder:
    """Return the embedder, whose graph is compiled once a process."""
    return Embedder()


def journal_of(source: str, column: str | None) -> Path:
    """Return where the embeddings of a source are kept while they are made, and for when it is indexed again."""
    name = source if source == "stdlib" else str(Path(source).resolve())
    return cache_folder() / "embeddings" / f"{digest_of(name, column)}.journal"


def embed_source(
    texts: Sequence[str], source: str, column: str | None, progress: Callable[[int, int], None]
) -> npt.NDArray[np.float32]:
    """Embed the texts of a source, going on from where an interrupted call stopped.

    Parameters
    ----------
    texts : sequence of str
    source : str
    column : str or None
        Name the journal.
    progress : callable
        ``progress(done, total)``.

    Returns
    -------
    float32 array of shape (len(texts), 384)
        Unit length.
    """
    return embedder().embed_to(journal_of(source, column), texts, progress)
