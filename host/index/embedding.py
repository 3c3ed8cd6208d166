"""Embeddings for an index, with one embedder per process and one cache for all indexes."""

import logging
from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
import numpy.typing as npt

from ninefold.host.embedding import Embedder, EmbeddingCache
from ninefold.host.scheduler import Scheduler
from ninefold.host.sources import Entry
from ninefold.spec.data import Result
from ninefold.spec.errors import InputError, UnwritableError

__all__ = ["check_model", "embed_entries", "embed_query", "embed_source", "embedder"]

_LOG = logging.getLogger("ninefold.embedding")


@cache
def embedder() -> Embedder:
    """Return the embedder. Its graph is compiled once per process."""
    return Embedder()


def embed_query(text: str, scheduler: Scheduler) -> Result:
    """Return the embedding of a text from the cache, or embed it as a task; the result holds ``vectors`` (1, 384).

    The CPU embeds it, as it embedded the entries, and no other device is probed unless it fails. A cache that cannot be
    used costs a search only time, and is reported in the log.
    """
    key = embedder().key(text)
    try:
        with EmbeddingCache() as kept:
            if (vector := kept.get([key]).get(key)) is not None:
                return Result({"vectors": vector[np.newaxis]}, answered_by="the cache", why="embedded before")
    except UnwritableError as error:
        _LOG.warning("a cache of embeddings was not read", extra={"reason": str(error)})
    tokens, mask = embedder().arguments([text])
    result = scheduler.run("embed", tokens, mask, device="cpu")
    try:
        with EmbeddingCache() as kept:
            kept.put([key], np.asarray(result.values["vectors"], np.float32))
    except UnwritableError as error:
        _LOG.warning("an embedding was not cached", extra={"reason": str(error)})
    return result


def embed_source(texts: Sequence[str], progress: Callable[[int, int], None]) -> npt.NDArray[np.float32]:
    """Embed the texts of a source that the cache lacks, and keep them in it as each batch is finished.

    Parameters
    ----------
    texts : sequence of str
    progress : callable
        ``progress(done, total)``.

    Returns
    -------
    float32 array of shape (len(texts), 384)
        Vectors of unit length.

    Raises
    ------
    UnwritableError
        If the cache cannot be written.
    """
    with EmbeddingCache() as kept:
        return embedder().embed(texts, progress, kept)


def embed_entries(entries: Sequence[Entry], model: str, called: str) -> npt.NDArray[np.float32]:
    """Embed entries for an index of texts.

    Parameters
    ----------
    entries : sequence of Entry
    model : str
        Model of the index.
    called : str
        Name of the index, for errors.

    Returns
    -------
    float32 array of shape (len(entries), 384)
        Vectors of unit length.

    Raises
    ------
    InputError
        Another model is in use.
    """
    check_model(model, called)
    return embed_source([entry.sentence for entry in entries], lambda *_: None)


def check_model(model: str, called: str) -> None:
    """Raise `InputError` unless the model in use made an index."""
    here = embedder().model.digest
    if model != here:
        raise InputError(
            f"{called} was embedded by the model {model[:12]}, but {here[:12]} is in use, whose vectors are "
            "not comparable; rebuild the index"
        )
