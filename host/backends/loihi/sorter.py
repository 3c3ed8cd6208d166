"""Radix selection by races of neurons, with three bits of the scores per race, the most significant first."""

from itertools import pairwise

import numpy as np
import numpy.typing as npt

from ninefold.spec.errors import UnsupportedError

from .chip import Chip
from .library import library
from .network import Activity, Core, Network

__all__ = ["AXONS", "DIGIT_BITS", "Sorter"]

#: Bits of the scores per race.
DIGIT_BITS = 3
#: Axons of a neuron: the bits of a digit, and one that marks participation.
AXONS = DIGIT_BITS + 1
_KEY_BITS = 32


class Sorter:
    """Neurons with four axons each, which race by one digit of their scores at a time.

    Parameters
    ----------
    cores : int
        Number of cores, as returned by `network.cores_for`. More scores are processed in parts, and only the best k of
        each meet the next part.
    chip : Chip
        Limits of the chip.
    activity : Activity
        Counters of the network's activity.

    Attributes
    ----------
    axons : int
        Axons of each neuron.
    """

    axons = AXONS

    def __init__(self, cores: int, chip: Chip, activity: Activity) -> None:
        self._each = chip.neurons_a_core(0, AXONS)
        self.cores = cores
        self.size = cores * self._each
        n = np.arange(self._each)
        axons = AXONS * n[:, None] + np.arange(AXONS)
        weights = np.tile([1, 2, 4, 1], self._each)
        shape = (AXONS * self._each, self._each)
        matrix = library().csr_matrix((weights, (axons.ravel(), np.repeat(n, AXONS))), shape)
        # A sum is 1 to 8, or 0 for a neuron that does not participate.
        self._network = Network([Core(matrix, source) for source in range(self.cores)], 1 << DIGIT_BITS, chip, activity)

    def best(self, keys: npt.NDArray[np.uint32], k: int) -> npt.NDArray[np.int64]:
        """Return the positions of the k largest of `keys` (N,), largest first, ties by position.

        Raises
        ------
        UnsupportedError
            The scores are processed in parts and k is not below the size of a part.
        """
        if self.size <= k < len(keys):
            raise UnsupportedError(f"k must be below {self.size}, the number of scores that race together, not {k}")
        kept = np.arange(min(len(keys), self.size))
        taken = len(kept)
        kept = kept[self._select(keys[kept], k)]
        while taken < len(keys):
            part = np.arange(taken, min(len(keys), taken + self.size - len(kept)))
            taken += len(part)
            kept = np.concatenate([kept, part])
            kept = kept[self._select(keys[kept], k)]
        return kept

    def _select(self, keys: npt.NDArray[np.uint32], k: int) -> npt.NDArray[np.int64]:
        """Return the positions of the k largest keys.

        `groups` lists positions, the larger keys first; the keys of a group are equal in all digits so far. A race
        splits each group by the firing times of its neurons, and groups after the first k positions are dropped.
        """
        groups = [np.arange(len(keys))]
        for shift in range(DIGIT_BITS * ((_KEY_BITS - 1) // DIGIT_BITS), -1, -DIGIT_BITS):
            tied = [group for group in groups if len(group) > 1]
            if not tied:
                break
            order = self._race(np.concatenate(tied), keys >> np.uint32(shift) & np.uint32((1 << DIGIT_BITS) - 1))
            split = []
            ahead = 0
            for group in groups:
                parts = [group[fired[group]] for fired in order] if len(group) > 1 else [group]
                for part in parts:
                    if len(part) and ahead < k:
                        split.append(part)
                        ahead += len(part)
            groups = split
        return np.concatenate(groups)[:k]

    def _race(self, racing: npt.NDArray[np.int64], digits: npt.NDArray[np.uint32]) -> list[npt.NDArray[np.bool_]]:
        """Race some neurons by their digits; return the neurons that fired at each step, until all have fired."""
        bits = np.stack([digits[racing] >> np.uint32(bit) & np.uint32(1) for bit in range(DIGIT_BITS)], axis=1)
        spiking = np.concatenate([bits != 0, np.ones((len(racing), 1), np.bool_)], axis=1)
        axons = np.sort((AXONS * racing[:, None] + np.arange(AXONS))[spiking])
        width = AXONS * self._each
        edges = np.searchsorted(axons, width * np.arange(self.cores + 1))
        step = [(axons[a:b] - width * core).tolist() for core, (a, b) in enumerate(pairwise(edges.tolist()))]
        order = []
        most = 1 << DIGIT_BITS
        waiting = len(racing)
        for _, fired in self._network.race([step], most, range(most, 0, -1)):
            order.append(fired)
            waiting -= int(np.count_nonzero(fired))
            if not waiting:
                break
        return order
