"""Index of packed nits, texts, and vectors for reranking, in one folder."""

from .format import Manifest, locate
from .read import Hit, Hits, Index, Query
from .write import Built, build

__all__ = ["Built", "Hit", "Hits", "Index", "Manifest", "Query", "build", "locate"]
