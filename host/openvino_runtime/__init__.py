"""OpenVINO for several backends and the sentence model: devices, compiled graphs, exact product with packed nits."""

from .product import BLOCK, Product, all_scores, search
from .runtime import KINDS, kind_of, new_core, start, visible
from .target import Graph, Target, one_line

__all__ = [
    "BLOCK",
    "KINDS",
    "Graph",
    "Product",
    "Target",
    "all_scores",
    "kind_of",
    "new_core",
    "one_line",
    "search",
    "start",
    "visible",
]
