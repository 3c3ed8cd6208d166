"""Design-space exploration of the miner: the Pareto-optimal configurations of a board."""

from ninefold.hdl.explore.front import by_compromise, nondominated
from ninefold.hdl.explore.objectives import OBJECTIVES, Objective, Point, objectives
from ninefold.hdl.explore.space import Space, space
from ninefold.hdl.explore.study import Exploration

__all__ = [
    "OBJECTIVES",
    "Exploration",
    "Objective",
    "Point",
    "Space",
    "by_compromise",
    "nondominated",
    "objectives",
    "space",
]
