"""Leaky membranes: a neuron for each cluster, whose membrane decays with each update and adds a cosine.

All membranes of the chip decay at every time step, but a cluster's momentum only with its own updates. Therefore the
host holds the voltages between batches. It writes a voltage to the neuron's state register right before the first
update of the cluster, and all clusters have their last update in the last time step. Until then the membrane is 0,
which has no decay.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ninefold.numerics.membranes import Rounds
from ninefold.spec.errors import DeviceError
from ninefold.spec.membranes import LEAK, VOLTAGE_ONE

from .chip import COARSE_BITS, Chip
from .library import failures, library
from .network import Activity, configure, connect, emulated

__all__ = ["AXONS", "Membranes"]

#: Weights of a neuron's axons, one for each bit of an input from -8192 to 8191 in two's complement: mantissas and, with
#: the exponent 7, 128 times their value.
_LOW, _HIGH, _HIGH_EXPONENT = (1, 2, 4, 8, 16, 32, 64), (1, 2, 4, 8, 16, 32, -64), 7
_HALF = len(_LOW)
AXONS = len(_LOW) + len(_HIGH)


class Membranes:
    """Neurons with leaky membranes that never fire, and 14 axons each.

    Parameters
    ----------
    cores : int
        Number of cores, as returned by `network.cores_for`.
    chip : Chip
        Limits of the chip.
    activity : Activity
        Counters of the network's activity.

    Attributes
    ----------
    axons : int
        Axons of each neuron.
    size : int
        Number of neurons.
    """

    axons = AXONS

    def __init__(self, cores: int, chip: Chip, activity: Activity) -> None:
        self._each = chip.neurons_a_core(0, AXONS)
        self._activity = activity
        self.cores = cores
        self.size = cores * self._each
        with failures(), np.errstate(invalid="ignore"):  # the emulator casts NaN to integers before replacing them
            self._build()

    def integrate(
        self, voltages: npt.NDArray[np.int32], neurons: npt.NDArray[np.int64], inputs: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.int32]:
        """Return the voltages of neurons after their inputs.

        Parameters
        ----------
        voltages : int32 array (N,)
            Voltages before, of N neurons up to `size`, each with an input.
        neurons : int64 array (B,)
            Neuron of each input, in order of time.
        inputs : int64 array (B,)
            Weights to add, -8192 to 8191.

        Raises
        ------
        DeviceError
            A neuron fired: its voltage is above `VOLTAGE_ONE`.
        """
        rounds, registers = Rounds(neurons), self._emulator.compartment.voltage
        for source in (*self._low, *self._high):  # an interrupted step leaves spikes in flight
            source.spikes.clear()
        registers[:] = 0
        for at in range(rounds.count):
            joining = rounds.joining(at)
            registers[joining] = voltages[joining]
            updates, places = rounds.updates(at)
            self._step(places, inputs[updates])
        return np.array(registers[: len(voltages)], np.int32)

    def _step(self, neurons: npt.NDArray[np.int64], inputs: npt.NDArray[np.int64]) -> None:
        """Send a spike for each bit of the inputs, and run a time step."""
        emulator, activity = self._emulator, self._activity
        bits = inputs[:, None] >> np.arange(AXONS) & 1 != 0
        axons = _HALF * (neurons % self._each)[:, None] + np.arange(_HALF)
        for core in np.unique(neurons // self._each).tolist():
            here = (neurons // self._each == core)[:, None]
            for source, part in ((self._low[core], bits[:, :_HALF]), (self._high[core], bits[:, _HALF:])):
                if len(sent := axons[part & here]):
                    source.add_spikes(emulator.t, sent.tolist())
        with failures():
            emulator.step()
        activity.time_steps += 1
        activity.input_spikes += int(bits.sum())
        activity.synaptic_operations += int(bits.sum())
        if fired := int(np.count_nonzero(emulator.compartment.spiked)):
            raise DeviceError(f"{fired} membranes of the Loihi network were above {VOLTAGE_ONE} and fired")

    def _build(self) -> None:
        parts = library()
        model = parts.Model()
        self._low, self._high = ([parts.SpikeInput(_HALF * self._each) for _ in range(self.cores)] for _ in range(2))
        for source in (*self._low, *self._high):
            model.add_input(source)
        for low, high in zip(self._low, self._high, strict=True):
            block = parts.LoihiBlock(self._each)
            configure(block.compartment, VOLTAGE_ONE, decay=LEAK)
            connect(low, block, self._own(_LOW), COARSE_BITS, 0)
            connect(high, block, self._own(_HIGH), COARSE_BITS, _HIGH_EXPONENT)
            model.add_block(block)
        self._emulator = emulated(model)

    def _own(self, weights: tuple[int, ...]) -> Any:
        """Return the sparse matrix in which each neuron has axons of its own with these weights."""
        size = _HALF * self._each
        columns = np.repeat(np.arange(self._each), _HALF)
        return library().csr_matrix((np.tile(weights, self._each), (np.arange(size), columns)), (size, self._each))
