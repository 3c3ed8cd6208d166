"""Embedding of sentences as vectors."""

from .embedder import Embedder
from .journal import Journal
from .model import Model, fetch_model, find_model

__all__ = ["Embedder", "Journal", "Model", "fetch_model", "find_model"]
