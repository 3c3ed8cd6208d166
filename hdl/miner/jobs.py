"""Layouts of the jobs that the executor passes to the replies."""

from amaranth.lib import data

from ninefold.hdl.miner.parameters import MinerParameters
from ninefold.spec.formats import K_MAX

__all__ = ["job_layout", "slot_bits"]


def slot_bits(parameters: MinerParameters) -> int:
    """Return the width of the slot number of a kept reply, the lowest bits of the sequence number."""
    return parameters.window.bit_length() - 1


def job_layout(parameters: MinerParameters) -> data.StructLayout:
    """Return the layout of a job: the header of a reply and the parts of its payload, in this order.

    ``literals`` words of ``first`` and ``second``; ``words`` registers from ``address`` on; ``results`` results of each
    of ``queries`` queries.
    """
    return data.StructLayout(
        {
            "slot": slot_bits(parameters),
            "type": 8,
            "sequence": 8,
            "priority": 8,
            "literals": 2,
            "first": 32,
            "second": 32,
            "address": 6,
            "words": 6,
            "queries": 8,
            "results": K_MAX.bit_length(),
        }
    )
