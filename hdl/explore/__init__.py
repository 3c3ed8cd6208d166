"""Design-space exploration of the miner: which configurations of a board are worth building."""

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
