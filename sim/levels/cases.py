"""Cases of all cores and configurations, by their command-line names."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ninefold.hdl.catalogue import DEFAULTS, make_core
from ninefold.hdl.configurations import CONFIGURATIONS, configuration, is_configuration
from ninefold.hdl.miner import MinerParameters
from ninefold.sim.levels.case import Case
from ninefold.sim.levels.engine import Pipeline, Similarity
from ninefold.sim.levels.framing import CORES, framing_case
from ninefold.sim.levels.miner import miner_case
from ninefold.sim.levels.quantiser import Quantiser
from ninefold.sim.levels.search import SearchCore
from ninefold.sim.levels.topk import TopK
from ninefold.spec.errors import InputError

__all__ = ["SMALL", "SMALLEST_MINER", "case_of"]

#: Configuration that represents all miners.
SMALLEST_MINER = "virtual/tiny"
_CHANGED: Mapping[str, Mapping[str, Any]] = {
    "quantiser": {"lanes": 2},
    "similarity": {"dimensions": 8, "lanes": 4, "depth": 8},
    "topk": {"k": 3, "score_width": 8, "id_width": 6},
    "pipeline": {"dimensions": 8, "lanes": 4, "depth": 8, "k": 2},
    "insertion": {"k": 3, "score_width": 8, "id_width": 6},
    "frame_receiver": {"capacity": 512, "frames": 4},
    "miner": {"dimensions": 8, "lanes": 4, "depth": 16, "k": 2, "window": 2, "buffer_bytes": 128, "reply_bytes": 256},
}
#: Parameters small enough to synthesise and compare all cores in minutes.
SMALL: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {core: {**parameters, **_CHANGED.get(core, {})} for core, parameters in DEFAULTS.items()}
)

_SEARCH: Mapping[str, type[SearchCore]] = {
    "quantiser": Quantiser,
    "similarity": Similarity,
    "topk": TopK,
    "insertion": TopK,
    "pipeline": Pipeline,
}


def case_of(name: str, parameters: Mapping[str, Any], vectors: int, seed: int, steps: int = 0) -> Case:
    """Return the case of a core, or of a configuration's miner: plain vectors and a sequence.

    Parameters
    ----------
    name : str
        Name of the core, ``BOARD/CONFIG``, or the path of a file with a configuration.
    parameters : mapping
        Parameters of the core, by default from `SMALL`; a configuration has none.
    vectors : int
        Number of vectors, queries, batches or frames, 1 or more.
    seed : int
        Seed of vectors and sequence.
    steps : int
        Number of operations in the sequence, 0 or more. A shorter sequence of the same seed is a prefix of a longer
        one.

    Raises
    ------
    InputError
        The core, configuration or parameter does not exist, or a value is out of range.
    """
    if vectors < 1:
        raise InputError(f"vectors must be 1 or more, not {vectors}")
    if steps < 0:
        raise InputError(f"steps must be 0 or more, not {steps}")
    if is_configuration(name):
        if parameters:
            raise InputError(f"{name} does not take {', '.join(parameters)}: a configuration has no parameters")
        return miner_case(configuration(name).miner, vectors, seed, steps)
    if name not in SMALL:
        raise InputError(
            f"the core or configuration must be one of {', '.join([*SMALL, *CONFIGURATIONS])}, not {name!r}"
        )
    complete = {**SMALL[name], **parameters}
    make_core(name, **complete)  # It refuses unknown parameters.
    if name == "miner":
        count_from = complete.pop("count_from")
        return miner_case(MinerParameters(**complete), vectors, seed, steps, count_from)
    if name in CORES:
        return framing_case(name, complete, vectors, seed, steps)
    return _SEARCH[name](name, complete, seed).case(vectors, steps)
