"""Limits of a Loihi chip, and the resources of a network, checked before it is built.

The figures come from nengo-loihi 1.1.0 (``block.py``, ``builder/discretize.py``) and the chip's paper (Davies et al.,
"Loihi: a neuromorphic manycore processor with on-chip learning", IEEE Micro 38(1), 2018).
"""

from dataclasses import dataclass

from ninefold.spec.errors import UnsupportedError

__all__ = ["COARSE", "COARSE_BITS", "FINE", "FINE_BITS", "GLOBAL_AXONS", "LIFT_MAX", "RESET", "Chip", "axon_bits"]

#: Bits of a weight of data and fine axons: the smallest signed format that holds -4 to 4 (it holds -7 to 7).
FINE_BITS = 4
#: Weights of the axons with which the host lifts all membranes together; the ramp uses the first, 1 per time step.
FINE = (1, 2, 4)
#: Larger weights have their own format, 8 bits with an exponent that multiplies by 8; the last weight resets.
COARSE_BITS = 8
COARSE = (8, 16, 32, 64, 128, 256, 512, -1016)
GLOBAL_AXONS = len(FINE) + len(COARSE)
#: Largest lift of one time step, and the fall of one resetting step.
LIFT_MAX, RESET = sum(FINE) + sum(COARSE[:-1]), -COARSE[-1]

#: Synapse memory has words of 64 bits, with at most 64 weights after a header of 4 + 6 bits.
_WORD_BITS, _GROUP, _HEAD_BITS = 64, 64, 10


def axon_bits(weights: int, weight_bits: int) -> int:
    """Return the synapse memory of an input axon with `weights` weights, in bits."""
    groups, rest = divmod(weights, _GROUP)
    sizes = [_GROUP] * groups + [rest] * bool(rest)
    return sum(-(-(size * weight_bits + _HEAD_BITS) // _WORD_BITS) * _WORD_BITS for size in sizes)


@dataclass(frozen=True)
class Chip:
    """Limits of a chip. A core's neurons need no output axons, since probes read their spikes.

    Attributes
    ----------
    cores : int
        Number of cores.
    neurons : int
        Number of neurons (compartments) per core.
    axons : int
        Number of input axons per core.
    synapse_bits : int
        Synapse memory per core.
    threshold : int
        Largest threshold, in units of 64: membranes count in steps of 64, and a threshold has 17 bits times 64.
    """

    cores: int = 128
    neurons: int = 1024
    axons: int = 4096
    synapse_bits: int = 16384 * 64
    threshold: int = 2**17 - 1

    def neurons_a_core(self, dense: int, own: int = 0) -> int:
        """Return the number of neurons that fit on a core.

        Parameters
        ----------
        dense : int
            Number of data axons that reach every neuron of the core.
        own : int
            Number of data axons of each neuron alone.

        Raises
        ------
        UnsupportedError
            Not even one neuron fits.
        """
        if dense + own + GLOBAL_AXONS > self.axons:
            raise UnsupportedError(
                f"a Loihi core has {self.axons} input axons, but this network needs {dense + own} for the data and "
                f"{GLOBAL_AXONS} for the ramp"
            )
        fitting = min(self.neurons, (self.axons - GLOBAL_AXONS - dense) // own if own else self.neurons)
        while fitting and self.memory_bits(fitting, dense, own) > self.synapse_bits:
            fitting -= 1
        if not fitting:
            raise UnsupportedError(
                f"a Loihi core has {self.neurons} neurons and {self.synapse_bits} bits of synapse memory, but one "
                f"neuron needs {self.memory_bits(1, dense, own)} bits"
            )
        return fitting

    def memory_bits(self, neurons: int, dense: int, own: int = 0) -> int:
        """Return the synapse memory of a core in bits; parameters as in `neurons_a_core`."""
        return (
            (dense + len(FINE)) * axon_bits(neurons, FINE_BITS)
            + len(COARSE) * axon_bits(neurons, COARSE_BITS)
            + own * neurons * axon_bits(1, FINE_BITS)
        )

    def check_bound(self, bound: int) -> None:
        """Raise `UnsupportedError` unless a ramp can cover all scores from -bound to bound."""
        if 2 * bound + 1 > self.threshold:
            raise UnsupportedError(
                f"a Loihi threshold is at most {self.threshold}, but scores of -{bound} to {bound} need {2 * bound + 1}"
            )

    @staticmethod
    def check_weights(low: int, high: int) -> None:
        """Raise `UnsupportedError` unless the data's weights fit their format."""
        most = 2 ** (FINE_BITS - 1) - 1
        if low < -most or high > most:
            raise UnsupportedError(f"weights of {FINE_BITS} bits must be -{most} to {most}, not {low} to {high}")
