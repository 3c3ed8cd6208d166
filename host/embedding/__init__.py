"""Embedding of sentences as vectors."""

from .cache import EmbeddingCache
from .embedder import Embedder
from .model import Model, fetch_model, find_model

__all__ = ["Embedder", "EmbeddingCache", "Model", "fetch_model", "find_model"]
