"""Index whose segments are searched by several machines, with the same answer as on one.

    from ninefold.host.cluster import ShardedIndex, connect

    with connect("10.0.0.1:6379") as nodes, ShardedIndex.open("notes", nodes=nodes) as index:
        hits = index.search("where bees live", k=5)

The machines are nodes of a Ray cluster, which the extra ``cluster`` brings.
"""

from .nodes import LostNodeError, Node, Nodes
from .ray_nodes import connect
from .sharded import ShardedIndex

__all__ = ["LostNodeError", "Node", "Nodes", "ShardedIndex", "connect"]
