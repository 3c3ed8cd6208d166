"""What one Loihi chip holds, and how much of it a network takes; checked before anything is built.

The figures are those of nengo-loihi 1.1.0 (``block.py``, ``builder/discretize.py``) and of the chip (Davies et al.,
"Loihi: a neuromorphic manycore processor with on-chip learning", IEEE Micro 38(1), 2018).
"""

from dataclasses import dataclass

from ninefold.spec.errors import UnsupportedError

__all__ = ["COARSE", "COARSE_BITS", "FINE", "FINE_BITS", "GLOBAL_AXONS", "LIFT_MAX", "RESET", "Chip", "axon_bits"]

#: Bits of a weight of the data and of the fine axons: with a sign in it the smallest that holds -4 to 4 (-7 to 7).
FINE_BITS = 4
#: Weights of the axons by which the host lifts all membranes together; the ramp takes the first, 1 a time step.
FINE = (1, 2, 4)
#: Larger ones have a format of their own, 8 bits with an exponent that multiplies by 8; the last one resets.
COARSE_BITS = 8
COARSE = (8, 16, 32, 64, 128, 256, 512, -1016)
GLOBAL_AXONS = len(FINE) + len(COARSE)
#: What one time step lifts at most, and what it lowers when resetting.
LIFT_MAX, RESET = sum(FINE) + sum(COARSE[:-1]), -COARSE[-1]

#: A synapse's memory comes in words of 64 bits, at most 64 weights after a head of 4 + 6 bits.
_WORD_BITS, _GROUP, _HEAD_BITS = 64, 64, 10


def axon_bits(weights: int, weight_bits: int) -> int:
    """Return the synapse memory that an input axon with so many weights takes, in bits."""
    groups, rest = divmod(weights, _GROUP)
    sizes = [_GROUP] * groups + [rest] * bool(rest)
    return sum(-(-(size * weight_bits + _HEAD_BITS) // _WORD_BITS) * _WORD_BITS for size in sizes)


@dataclass(frozen=True)
class Chip:
    """Limits of a chip; a core's neurons send no axons, since their spikes are read by probes.

    Attributes
    ----------
    cores : int
        Cores of a chip.
    neurons : int
        Neurons (compartments) of a core.
    axons : int
        Input axons of a core.
    synapse_bits : int
        Synapse memory of a core.
    threshold : int
        Largest threshold, in units of 64: membranes count in steps of 64, and a threshold is 17 bits times 64.
    """

    cores: int = 128
    neurons: int = 1024
    axons: int = 4096
    synapse_bits: int = 16384 * 64
    threshold: int = 2**17 - 1

    def neurons_a_core(self, dense: int, own: int = 0) -> int:
        """Return how many neurons fit on a core.

        Parameters
        ----------
        dense : int
            Data axons that reach every neuron of the core.
        own : int
            Data axons that each neuron has for itself.

        Raises
        ------
        UnsupportedError
            When not even one fits.
        """
        if dense + own + GLOBAL_AXONS > self.axons:
            raise UnsupportedError(
                f"a Loihi core has {self.axons} input axons, and this network needs {dense + own} for the data and "
                f"{GLOBAL_AXONS} for the ramp"
            )
        fitting = min(self.neurons, (self.axons - GLOBAL_AXONS - dense) // own if own else self.neurons)
        while fitting and self.memory_bits(fitting, dense, own) > self.synapse_bits:
            fitting -= 1
        if not fitting:
            raise UnsupportedError(
                f"a Loihi core has {self.neurons} neurons and {self.synapse_bits} bits of synapse memory, and one "
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
        """Raise `UnsupportedError` unless a membrane holds every score from -bound to bound on a ramp."""
        if 2 * bound + 1 > self.threshold:
            raise UnsupportedError(
                f"a Loihi threshold is at most {self.threshold}, and scores of -{bound} to {bound} need {2 * bound + 1}"
            )

    @staticmethod
    def check_weights(low: int, high: int) -> None:
        """Raise `UnsupportedError` unless the data's weights fit their format."""
        most = 2 ** (FINE_BITS - 1) - 1
        if low < -most or high > most:
            raise UnsupportedError(f"weights of {FINE_BITS} bits are -{most} to {most}, not {low} to {high}")
