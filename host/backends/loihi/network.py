"""Races of neurons: the sum in a membrane is read from the time at which its neuron fires.

This is nearest-neighbour search as on Loihi (Frady et al., "Neuromorphic nearest neighbor search using Intel's Pohoiki
Springs", 2020). A membrane without decay adds one weight for each input spike. Then a ramp common to all neurons makes
them fire in the order of their sums, the largest first.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ninefold.spec.errors import DeviceError

from .chip import COARSE, COARSE_BITS, FINE, FINE_BITS, LIFT_MAX, RESET, Chip
from .library import failures, library

__all__ = ["Activity", "Core", "Network", "configure", "connect", "cores_for", "emulated"]

#: The chip shifts every weight left by 6: a weight of 1 moves a membrane by 64.
_UNIT_BITS = 6
#: nengo-loihi's codes for numbers of weight bits.
_WEIGHT_CODES = {4: 4, 8: 7}
#: Largest voltage: 23 bits.
_VOLTAGE_MAX = 2**23 - 1
#: Decay with which a neuron's current lasts one time step.
_CURRENT_DECAY = 4095
#: Limit of cores in a network that processes its input in parts. The emulator is faster this way than with one network
#: for all of it.
_CORES = 8


@dataclass
class Activity:
    """Activity counters of networks, for a result's metrics.

    Attributes
    ----------
    time_steps : int
        Number of time steps of the chip.
    input_spikes : int
        Number of spikes sent by the host; a spike that reaches several cores counts once.
    fired_spikes : int
        Number of spikes of the neurons.
    synaptic_operations : int
        Number of weights added to membranes.
    """

    time_steps: int = 0
    input_spikes: int = 0
    fired_spikes: int = 0
    synaptic_operations: int = 0


@dataclass(frozen=True)
class Core:
    """Synapses of one core that hold data.

    Attributes
    ----------
    weights : array or sparse matrix of shape (axons, neurons)
        Weights from -7 to 7. Weights missing in a sparse matrix take no memory.
    source : int
        Index of the network's source that drives its axons. All cores of a source have the same number of axons.
    """

    weights: Any
    source: int = 0


class Network:
    """Network on one chip, built once; each `race` starts from the same state.

    The network has no time constants: a neuron's current lasts one step (decay_u = 4095), and its membrane does not
    decay (decay_v = 0). Membranes are reset by driving them to their lower limit, a known voltage, which the chip can
    do itself.

    Parameters
    ----------
    cores : sequence of Core
        Cores; neurons are numbered in this order.
    bound : int
        Largest magnitude of a sum, for any input and at any of its time steps.
    chip : Chip
        Limits of the chip.
    activity : Activity
        Counters of this network's activity.

    Raises
    ------
    UnsupportedError
        The weights or the bound exceed the chip's limits.
    DeviceError
        nengo-loihi refuses the network.
    """

    def __init__(self, cores: Sequence[Core], bound: int, chip: Chip, activity: Activity) -> None:
        chip.check_bound(bound)
        self.bound = bound
        self.cores = len(cores)
        self._activity = activity
        # A neuron that fired restarts at 0, and must not fire twice while a ramp passes all scores.
        self._threshold = 2 * bound + 1
        # The lower limit is -(2**n) + 1, so a membrane lifted from there by this power of two is at 1. With a sum of s
        # it is then at 64 * s + 1: above a threshold of 64 * t as soon as s reaches t.
        self._floor = 1 << bound.bit_length()
        with failures(), np.errstate(invalid="ignore"):  # the emulator casts NaN to integers before replacing them
            self._build(cores, chip)

    @property
    def voltages(self) -> npt.NDArray[np.int32]:
        """Current membrane voltages, int32 of shape (neurons,), in the chip's units: a weight of 1 is 64."""
        return np.array(self._emulator.compartment.voltage)

    def race(
        self, spikes: Sequence[Sequence[Sequence[int]]], top: int, stops: Iterable[int]
    ) -> Iterator[tuple[int, npt.NDArray[np.bool_]]]:
        """Sum an input, then lift all membranes from stop to stop, so that the neurons fire.

        Parameters
        ----------
        spikes : sequence of sequence of sequence of int
            Axons that get a spike, for each time step and each source; at most one spike per axon.
        top : int
            Upper limit of every sum, also after only some of the steps.
        stops : iterable of int
            Falling levels, the first at most `top`, the last at most ``2 * bound + 1`` below it, so no neuron fires
            twice.

        Yields
        ------
        stop : int
            Next level of `stops`.
        fired : bool array of shape (neurons,)
            Neurons that fired on the way to it: their sums are at least `stop` and below the previous stop.
        """
        early = 0
        # An interrupted step leaves spikes in flight, and membranes at most one lift above the threshold.
        for source in self._fan_out:
            source.spikes.clear()
        for _ in range(-(-(self._threshold + LIFT_MAX + self._floor) // RESET)):
            self._step(coarse=[len(COARSE) - 1])
        for fine, coarse in _lifts(self._floor + self._threshold - 1 - top):
            early += int(np.count_nonzero(self._step(fine=fine, coarse=coarse)))
        for step in spikes:
            early += int(np.count_nonzero(self._step(step)))
        if early:
            raise DeviceError(f"{early} neurons of the Loihi network fired before the ramp began")
        before = top + 1
        for stop in stops:
            fired = np.zeros(len(self._emulator.compartment.spiked), np.bool_)
            for fine, coarse in _lifts(before - stop):
                fired |= self._step(fine=fine, coarse=coarse)
            yield stop, fired
            before = stop

    def _step(
        self, data: Sequence[Sequence[int]] = (), fine: Sequence[int] = (), coarse: Sequence[int] = ()
    ) -> npt.NDArray[np.bool_]:
        """Send spikes, run one time step, and return the fired neurons in an array that the next step overwrites."""
        emulator, activity = self._emulator, self._activity
        for source, axons in ((self._fine, fine), (self._coarse, coarse), *zip(self._data, data, strict=False)):
            if axons:
                # A spike sent in one step arrives in the next.
                source.add_spikes(emulator.t, axons)
                activity.input_spikes += len(axons)
                activity.synaptic_operations += int(self._fan_out[source][axons].sum())
        with failures():
            emulator.step()
        fired: npt.NDArray[np.bool_] = emulator.compartment.spiked
        activity.time_steps += 1
        activity.fired_spikes += int(np.count_nonzero(fired))
        return fired

    def _build(self, cores: Sequence[Core], chip: Chip) -> None:
        parts = library()
        model = parts.Model()
        axons = {core.source: core.weights.shape[0] for core in cores}
        self._data = [parts.SpikeInput(axons[source]) for source in sorted(axons)]
        self._fine, self._coarse = parts.SpikeInput(len(FINE)), parts.SpikeInput(len(COARSE))
        sources = [*self._data, self._fine, self._coarse]
        self._fan_out = {source: np.zeros(source.n_neurons, np.int64) for source in sources}
        for source in sources:
            model.add_input(source)
        for core in cores:
            chip.check_weights(int(core.weights.min()), int(core.weights.max()))
            block = parts.LoihiBlock(core.weights.shape[1])
            threshold, lowest = self._threshold << _UNIT_BITS, -(self._floor << _UNIT_BITS) + 1
            configure(block.compartment, threshold, lowest)
            for source, weights, bits, exponent in (
                (self._data[core.source], core.weights, FINE_BITS, 0),
                (self._fine, np.tile(FINE, (block.n_neurons, 1)).T, FINE_BITS, 0),
                (self._coarse, np.tile(COARSE, (block.n_neurons, 1)).T // 8, COARSE_BITS, 3),
            ):
                self._fan_out[source] += connect(source, block, weights, bits, exponent)
            model.add_block(block)
        self._emulator = emulated(model)


def _lifts(level: int) -> Iterator[tuple[list[int], list[int]]]:
    """Yield for each time step the fine and coarse axons that together lift the membranes by `level`."""
    while level:
        lift = min(level, LIFT_MAX)
        level -= lift
        bits = [bit for bit in range(lift.bit_length()) if lift >> bit & 1]
        yield [b for b in bits if b < len(FINE)], [b - len(FINE) for b in bits if b >= len(FINE)]


def cores_for(neurons: int, axons: int, chip: Chip) -> int:
    """Return the number of cores for neurons that each have `axons` of their own; at most 8, which run in parts."""
    return max(1, min(-(-neurons // chip.neurons_a_core(0, axons)), chip.cores, _CORES))


def configure(compartment: Any, threshold: int, lowest: int = -_VOLTAGE_MAX, decay: int = 0) -> None:
    """Set the chip's integers directly, which nengo-loihi would otherwise scale and round.

    Parameters
    ----------
    compartment : Compartment
        Neurons of a core.
    threshold : int
        Voltage above which a neuron fires.
    lowest : int
        Voltage below which no membrane falls.
    decay : int
        Share of the voltage that a time step takes, in 1 / 4096.
    """
    n = compartment.n_compartments
    compartment.decay_u = np.full(n, _CURRENT_DECAY, np.int32)
    compartment.decay_v = np.full(n, decay, np.int32)
    compartment.scale_u = compartment.scale_v = False
    compartment.refract_delay = np.ones(n, np.int32)  # the minimum: no refractory period
    compartment.vth = np.full(n, threshold, np.int32)
    compartment.bias = np.zeros(n, np.int32)
    compartment.vmin, compartment.vmax = lowest, _VOLTAGE_MAX


def emulated(model: Any) -> Any:
    """Return an emulator of a model, after the first step, which receives no spikes."""
    parts = library()
    parts.validate_model(model)
    emulator = parts.Emulator(model, seed=0)  # without noise the seed has no effect
    emulator.step()
    return emulator


def connect(source: Any, block: Any, weights: Any, bits: int, exponent: int) -> list[int]:
    """Connect a source to all neurons of a core, and return the number of weights of each axon.

    Parameters
    ----------
    source : SpikeInput
        The source.
    block : LoihiBlock
        The core.
    weights : array or sparse matrix of shape (axons, neurons)
        Integers that fit the format.
    bits : int
        Bits of a weight, 4 or 8.
    exponent : int
        The weights are multiplied by 2**exponent; 0 to 7.
    """
    parts = library()
    synapse = parts.Synapse(weights.shape[0])
    dense = isinstance(weights, np.ndarray)
    synapse.set_weights(weights.astype(np.float32))
    synapse.format(weight_bits=_WEIGHT_CODES[bits])
    shift = synapse.synapse_cfg.shift_bits  # a weight with fewer bits uses the top of its 8
    synapse.format(weight_exp=exponent - shift)
    synapse.weights = [parts.discretize_weights(synapse.synapse_cfg, w * 2**shift) for w in synapse.weights]
    if dense:
        synapse.indices = synapse.indices[:1] * len(synapse.indices)  # equal for all axons, so stored once
    block.add_synapse(synapse)
    axon = parts.Axon(synapse.n_axons)
    axon.target = synapse
    source.add_axon(axon)
    return [w.size for w in synapse.weights]
