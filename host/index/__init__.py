"""Index of packed nits, entries, and vectors for reranking, which changes while it is searched."""

from .index import Index
from .manifest import Manifest, locate
from .read import Hit, Hits, Query, Snapshot
from .tables import Generation, Written
from .write import Built, build

__all__ = ["Built", "Generation", "Hit", "Hits", "Index", "Manifest", "Query", "Snapshot", "Written", "build", "locate"]
