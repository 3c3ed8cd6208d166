"""OpenVINO graphs shared by several backends: their devices, and the exact product with packed nits."""

from .product import BLOCK, Product, search
from .target import Graph, Target, one_line

__all__ = ["BLOCK", "Graph", "Product", "Target", "one_line", "search"]
