"""A core on the device ``rtl``: its verilated model, with whole arrays in and out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ninefold.numerics.payloads import check_columns
from ninefold.sim.own.contract import Batch, Contract, contract_of
from ninefold.sim.verilated import Gaps, Model, elaborate
from ninefold.spec.errors import DeviceError, InputError, UnsupportedError
from ninefold.spec.progress import step

__all__ = ["RtlCore", "open_rtl"]

#: Cycles without a payload after which no further one is expected.
_IDLE: Final = 4_000
#: Outputs to take at once beside one for each input, if their number is unknown.
_MORE: Final = 1_024
_LAST: Final = "last"


def open_rtl(core: str, device: str, parameters: Mapping[str, Any]) -> RtlCore:
    """Open a core on ``rtl``, after compiling its model on first use; raises as `ninefold.host.open_core`."""
    if device != "rtl":
        raise InputError(f"device must be rtl, which has no instances, not {device!r}")
    contract = contract_of(core, parameters)
    with step(f"opening {contract.name}"):
        return RtlCore(contract, Model(elaborate(contract.make())))


class RtlCore:
    """Core as a verilated model, a `ninefold.host.own.DeviceCore`.

    Parameters
    ----------
    contract : Contract
        The core.
    model : Model
        Its model.
    gaps : Gaps or None
        Random back-pressure on every stream; answers must not depend on it.

    Attributes
    ----------
    contract : Contract
        The core.
    """

    def __init__(self, contract: Contract, model: Model, gaps: Gaps | None = None) -> None:
        self.contract = contract
        self._model, self._gaps = model, gaps

    @property
    def inputs(self) -> Mapping[str, str]:
        """Name of each argument of a call, with type and shape of its array."""
        found = self._described(inputs=True)
        return found | ({_LAST: "last: bool (n,)"} if self.contract.packets else {})

    @property
    def outputs(self) -> Mapping[str, str]:
        """Name of each array of the answer, with its type and shape."""
        packets = any(channel.packets for channel in self.contract.outputs)
        return self._described(inputs=False) | ({_LAST: "last: bool (n,)"} if packets else {})

    @property
    def cycles(self) -> int:
        """Clock cycles simulated so far."""
        return self._model.cycles

    def __call__(self, **arrays: npt.ArrayLike) -> dict[str, npt.NDArray[Any]]:
        """Send payloads and return the outputs that they cause."""
        contract = self.contract
        last = arrays.pop(_LAST, None) if contract.packets else None
        batches = self._batches(arrays, last)
        beats = {channel.name: channel.beats(batches[channel.name]) for channel in contract.inputs}
        counts = {len(batch) for batch in batches.values()}
        exact = counts.pop() if contract.one_for_one and len(counts) == 1 else None
        found = self._all(beats) if exact is None else self._exactly(beats, exact)
        answer: dict[str, npt.NDArray[Any]] = {}
        for channel in contract.outputs:
            batch = channel.batch(found[channel.name])
            answer |= {contract.argument(channel, column): batch.columns[column.name] for column in channel.columns}
            if batch.last is not None:
                answer[_LAST] = batch.last
        return answer

    def read(self, register: str) -> int:
        """Raise `UnsupportedError`: the model has streams only."""
        raise self._without(register)

    def write(self, register: str, value: int) -> None:  # noqa: ARG002 - as a board takes it
        """Raise `UnsupportedError`: the model has streams only."""
        raise self._without(register)

    def reset(self) -> None:
        """Reset the core."""
        self._model.reset()

    def close(self) -> None:
        """Free the model."""
        self._model.close()

    def _without(self, register: str) -> UnsupportedError:
        return UnsupportedError(
            f"the device rtl has no register {register}: open {self.contract.name} on a board, as board:virtual"
        )

    def _batches(self, arrays: Mapping[str, npt.ArrayLike], last: npt.ArrayLike | None) -> dict[str, Batch]:
        contract = self.contract
        names = [contract.argument(channel, column) for channel in contract.inputs for column in channel.columns]
        if set(arrays) != set(names):
            raise InputError(f"{contract.name} takes {', '.join(names)}, not {', '.join(arrays) or 'nothing'}")
        found = {}
        for channel in contract.inputs:
            given = {column.name: arrays[contract.argument(channel, column)] for column in channel.columns}
            columns = check_columns(f"the input {channel.name}", channel.columns, given)
            count = len(next(iter(columns.values())))
            ends = np.arange(count) == count - 1 if last is None else np.asarray(last, bool)
            if channel.packets and ends.shape != (count,):
                raise InputError(f"last must have shape {(count,)}, not {ends.shape}")
            found[channel.name] = Batch(columns, ends if channel.packets else None)
        return found

    def _exactly(self, beats: Mapping[str, npt.NDArray[np.uint8]], count: int) -> Mapping[str, npt.NDArray[np.uint8]]:
        counts = {channel.name: count for channel in self.contract.outputs}
        return self._model.run(beats, counts, gaps=self._gaps).outputs

    def _all(self, beats: Mapping[str, npt.NDArray[np.uint8]]) -> Mapping[str, npt.NDArray[np.uint8]]:
        """Send all beats and take outputs until none has come for some time."""
        found: dict[str, list[npt.NDArray[np.uint8]]] = {channel.name: [] for channel in self.contract.outputs}
        waiting = dict(beats)
        while True:
            room = max(map(len, waiting.values()), default=0) + _MORE
            run, taken = self._model.exchange(waiting, dict.fromkeys(found, room), _IDLE, self._gaps)
            waiting = {name: rest[taken[name] :] for name, rest in waiting.items()}
            for name, came in run.outputs.items():
                found[name].append(came)
            if all(len(came) < room for came in run.outputs.values()):
                break
        if left := {name: len(rest) for name, rest in waiting.items() if len(rest)}:
            self.reset()
            counts = ", ".join(f"{count} of {len(beats[name])} payloads of {name}" for name, count in left.items())
            raise DeviceError(f"{self.contract.name} did not take {counts} for {_IDLE} cycles")
        return {name: np.concatenate(parts) for name, parts in found.items()}

    def _described(self, *, inputs: bool) -> dict[str, str]:
        side = self.contract.inputs if inputs else self.contract.outputs
        return {self.contract.argument(channel, column): str(column) for channel in side for column in channel.columns}
