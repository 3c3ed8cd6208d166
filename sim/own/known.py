"""Known answers of a core: random and edge payloads with what its golden function says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ninefold.sim.own.contract import Batch, Channel, Contract, contract_of
from ninefold.sim.own.stimulus import draw

__all__ = ["known_answers"]

Arrays = dict[str, npt.NDArray[Any]]


def known_answers(core: str, parameters: Mapping[str, Any], seed: int, payloads: int) -> tuple[Arrays, Arrays]:
    """Return arrays for a call of `ninefold.host.own.OpenCore`, and what it must return after a reset.

    Parameters
    ----------
    core : str
        Name or path of the core.
    parameters : mapping of str to Any
        Its parameters; those that are missing have their defaults.
    seed : int
        Seed of the payloads.
    payloads : int
        Number of payloads of each input; a few more to end the last packet.

    Raises
    ------
    InputError
        There is no such core, or it has no golden function.
    """
    contract = contract_of(core, parameters)
    drawn = draw(contract, np.random.default_rng(seed), payloads)
    answers = contract.expected(drawn)
    return _arrays(contract, contract.inputs, drawn), _arrays(contract, contract.outputs, answers)


def _arrays(contract: Contract, channels: tuple[Channel, ...], batches: Mapping[str, Batch]) -> Arrays:
    found: Arrays = {}
    for channel in channels:
        batch = batches[channel.name]
        found |= {contract.argument(channel, column): batch.columns[column.name] for column in channel.columns}
        if batch.last is not None:
            found["last"] = batch.last
    return found
