"""Known answers of a core: random and edge payloads with what its golden function says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ninefold.sim.own.contract import Batch, Channel, Contract, contract_of
from ninefold.sim.own.stimulus import draw

__all__ = ["arrays", "known_answers", "yields"]

Arrays = dict[str, npt.NDArray[Any]]
#: Payloads of each input in the trials of `yields`.
_TRIED = (1, 5, 16, 40)
_EACH_MOST = 16


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
    return arrays(contract, contract.inputs, drawn), arrays(contract, contract.outputs, answers)


def yields(core: str, parameters: Mapping[str, Any]) -> Mapping[str, tuple[int, int]] | None:
    """Return the payloads of each output for each input payload, and for each packet.

    They are found from trials of the golden function with random and edge payloads; without a golden function, a core
    whose outputs have a latency answers each payload by one.

    Parameters
    ----------
    core, parameters
        As of `known_answers`.

    Returns
    -------
    mapping of str to (int, int), or None
        None if the numbers depend on the payloads, or are not known.

    Raises
    ------
    InputError
        There is no such core, or its golden function raised an error.
    """
    contract = contract_of(core, parameters)
    if contract.golden is None:
        return {channel.name: (1, 0) for channel in contract.outputs} if contract.one_for_one else None
    if not contract.inputs:
        return None
    random = np.random.default_rng(0)
    trials = [draw(contract, random, count, edges=edges) for count in _TRIED for edges in (False, True)]
    answers = [contract.expected(trial) for trial in trials]
    sizes = [_size(next(iter(trial.values()))) for trial in trials]
    found = {}
    for channel in contract.outputs:
        counts = [len(answer[channel.name]) for answer in answers]
        fitting = [each for each in _each(sizes, counts) if sum(each)]
        if not fitting:
            return None
        found[channel.name] = fitting[0]
    return found


def _size(batch: Batch) -> tuple[int, int]:
    """Return the numbers of payloads and of packets."""
    return len(batch), 0 if batch.last is None else int(batch.last.sum())


def _each(sizes: Sequence[tuple[int, int]], counts: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield the numbers for each payload and for each packet that explain all counts."""
    for each in range(_EACH_MOST + 1):
        (payloads, packets), count = sizes[0], counts[0]
        fixed = (count - each * payloads) // packets if packets else 0
        if fixed >= 0 and all(n == each * p + fixed * q for (p, q), n in zip(sizes, counts, strict=True)):
            yield each, fixed


def arrays(contract: Contract, channels: tuple[Channel, ...], batches: Mapping[str, Batch]) -> Arrays:
    """Return the batches of channels as the arrays that a call of a core takes or returns."""
    found: Arrays = {}
    for channel in channels:
        batch = batches[channel.name]
        found |= {contract.argument(channel, column): batch.columns[column.name] for column in channel.columns}
        if batch.last is not None:
            found["last"] = batch.last
    return found
