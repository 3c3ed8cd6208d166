"""Cases of all cores and configurations, by their command-line names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ninefold.hdl.catalogue import find_core, make_core
from ninefold.hdl.configurations import configuration, is_configuration
from ninefold.sim.cores import part_of
from ninefold.sim.levels.case import Case
from ninefold.sim.levels.stream_board import on_stream_board
from ninefold.spec.errors import InputError

__all__ = ["SMALLEST_MINER", "case_of"]

#: Configuration that represents all miners.
SMALLEST_MINER = "virtual/tiny"


def case_of(name: str, parameters: Mapping[str, Any], vectors: int, seed: int, steps: int = 0) -> Case:
    """Return the case of a core, or of a configuration's miner: plain vectors and a sequence.

    Parameters
    ----------
    name : str
        Name or path of the core, ``BOARD/CONFIG``, or the path of a file with a configuration.
    parameters : mapping
        Parameters of the core, by default its small ones; a configuration has none.
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
        The core, configuration or parameter does not exist, the core has no vectors, or a value is out of range.
    """
    if vectors < 1:
        raise InputError(f"vectors must be 1 or more, not {vectors}")
    if steps < 0:
        raise InputError(f"steps must be 0 or more, not {steps}")
    if is_configuration(name):
        if parameters:
            raise InputError(f"{name} does not take {', '.join(parameters)}: a configuration has no parameters")
        miner_case = part_of("miner", "vectors").miner_case
        return miner_case(configuration(name).miner, vectors, seed, steps)  # type: ignore[no-any-return]
    complete = {**find_core(name).core.compared, **parameters}
    make_core(name, **complete)  # It refuses unknown parameters.
    case: Case = part_of(name, "vectors").case(complete, vectors, seed, steps)
    return on_stream_board(case, name, complete) if case.board is None else case
