"""Embedding of texts: tokens, batches of similar lengths, and an OpenVINO graph run on several streams at once."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ninefold.spec.errors import DamagedDataError, InputError

from .batches import Batch, batches, infer
from .cache import EmbeddingCache
from .graph import DIMENSIONS, compiled
from .model import Model, find_model
from .weights import needed

__all__ = ["Embedder"]

Progress = Callable[[int, int], None]

#: Number of texts that are tokenised and sorted together; bounds the memory for a very long list.
_BLOCK = 16_384
_SEED = 9


class Embedder:
    """Converter of texts into unit vectors of 384 dimensions with the sentence model.

    The vector of a text depends on its batch and on the processor only through float32 rounding. Two such vectors
    differ by at most 1e-6 in any element.

    Parameters
    ----------
    model : Model or Path, optional
        Model or its folder; by default, the result of `find_model`.
    threads : int, optional
        Number of processors to use, 1 or more; all by default.

    Attributes
    ----------
    model : Model
        Model in use.
    dimensions : int
        Length of the vectors, 384.

    Raises
    ------
    UnavailableError
        If there is no model, or OpenVINO or tokenizers is not installed.
    DamagedDataError
        If the model's files are damaged.
    """

    dimensions = DIMENSIONS

    def __init__(self, model: Model | Path | None = None, threads: int | None = None) -> None:
        if threads is not None and threads < 1:
            raise InputError(f"threads must be at least 1, not {threads}")
        self.model = find_model() if model is None else Model(model) if isinstance(model, Path) else model
        self.model.check()
        self.threads = threads

    def embed(
        self, texts: Sequence[str], progress: Progress | None = None, cache: EmbeddingCache | None = None
    ) -> npt.NDArray[np.float32]:
        """Return the unit vectors of `texts`, float32 (len(texts), 384).

        Equal texts are embedded once. With a cache, only texts that it lacks are embedded, and each finished batch is
        kept in it, so that Ctrl-C, SIGKILL or a full disk loses at most the batches in flight.

        Parameters
        ----------
        texts : sequence of str
            Texts, none of them empty. Each is truncated to 256 tokens.
        progress : callable, optional
            Called as ``progress(done, total)``, in texts, first with the number that the cache holds, then after each
            batch. Batches run in random order of length, so the rate so far is a fair estimate for the rest.
        cache : EmbeddingCache, optional
            Cache to read and to fill.

        Raises
        ------
        InputError
            For a text that is empty or not a string of Unicode characters; names its position.
        UnwritableError
            If the cache cannot be written.
        """
        _check(texts)
        rows_of: dict[str, list[int]] = {}
        for row, text in enumerate(texts):
            rows_of.setdefault(text, []).append(row)
        keys = {text: self.key(text) for text in rows_of} if cache is not None else {}
        known = cache.get(list(keys.values())) if cache is not None else {}
        vectors = np.empty((len(texts), DIMENSIONS), np.float32)
        missing: list[str] = []
        done = 0
        for text, rows in rows_of.items():
            vector = known.get(keys[text]) if known else None
            if vector is None:
                missing.append(text)
            else:
                vectors[rows] = vector
                done += len(rows)
        if progress:
            progress(done, len(texts))
        for batch, values in self._run(missing):
            for at, vector in zip(batch, values, strict=True):
                vectors[rows_of[missing[at]]] = vector
                done += len(rows_of[missing[at]])
            if cache is not None:
                cache.put([keys[missing[at]] for at in batch], values)
            if progress:
                progress(done, len(texts))
        return vectors

    def key(self, text: str) -> bytes:
        """Return the key of a text in an `EmbeddingCache`: digest of the model, then SHA-256 of the text; 64 bytes."""
        return self._model_digest + hashlib.sha256(text.encode()).digest()

    def tokenise(self, texts: Sequence[str]) -> list[npt.NDArray[np.int64]]:
        """Return the token ids of each text, truncated, with the special tokens at both ends."""
        # The fast variant omits the offsets into the text, which are not needed here.
        encodings = self._tokenizer.encode_batch_fast(list(texts))
        return [np.array(encoding.ids, np.int64) for encoding in encodings]

    def arguments(self, texts: Sequence[str]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return the arguments of the operator ``embed`` for texts: padded token ids and mask.

        Raises
        ------
        InputError
            As in `embed`.
        """
        _check(texts)
        return _padded(self.tokenise(texts))

    @cached_property
    def _model_digest(self) -> bytes:
        return bytes.fromhex(self.model.digest)

    @cached_property
    def _tokenizer(self) -> Any:
        loader = needed("tokenizers").Tokenizer
        try:
            tokenizer = loader.from_file(str(self.model.tokenizer))
        except Exception as error:  # the library raises plain Exception
            raise DamagedDataError(f"{self.model.tokenizer} is not a tokeniser: {error}") from error
        tokenizer.no_padding()
        tokenizer.enable_truncation(self.model.max_tokens)
        return tokenizer

    def _run(self, texts: Sequence[str]) -> Iterator[tuple[npt.NDArray[np.intp], npt.NDArray[np.float32]]]:
        """Yield the positions and vectors of each batch as it finishes."""
        if texts:
            yield from infer(compiled(self.model.folder, self.threads), self._batches(texts))

    def _batches(self, texts: Sequence[str]) -> Iterator[Batch]:
        """Yield positions, padded tokens and mask of each batch, in a fixed random order within a block."""
        for start in range(0, len(texts), _BLOCK):
            sequences = self.tokenise(texts[start : start + _BLOCK])
            grouped = batches(np.array([len(sequence) for sequence in sequences]))
            for at in np.random.default_rng(_SEED).permutation(len(grouped)):
                rows = grouped[at]
                yield Batch(rows + start, *_padded([sequences[row] for row in rows]))


def _padded(sequences: Sequence[npt.NDArray[np.int64]]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return token ids, padded at the end, and the mask of those that are not padding."""
    tokens = np.zeros((len(sequences), max(len(sequence) for sequence in sequences)), np.int64)
    mask = np.zeros_like(tokens)
    for row, sequence in enumerate(sequences):
        tokens[row, : len(sequence)] = sequence
        mask[row, : len(sequence)] = 1
    return tokens, mask


def _check(texts: Sequence[str]) -> None:
    if isinstance(texts, str):
        raise InputError("texts must be a sequence of strings, not one string")
    for position, text in enumerate(texts):
        if not isinstance(text, str):
            raise InputError(f"text {position} must be a string, not {type(text).__name__}")
        if not text.strip():
            raise InputError(f"text {position} is empty")
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise InputError(
                f"text {position} holds {text[error.start]!r}, which is not a Unicode character"
            ) from error
