"""Layouts of the jobs that the executor passes to the replies."""

from amaranth.hdl import signed
from amaranth.lib import data

from ninefold.hdl.miner.parameters import MinerParameters
from ninefold.spec.formats import K_MAX, score_bits

__all__ = ["address_bits", "job_layout", "result_layout", "slot_bits"]

#: Bits of the address of a register.
_REGISTER_BITS = 6


def slot_bits(parameters: MinerParameters) -> int:
    """Return the width of the slot number of a kept reply, the lowest bits of the sequence number."""
    return parameters.window.bit_length() - 1


def address_bits(parameters: MinerParameters) -> int:
    """Return the width of the address of a word of a reply.

    In the design signs the top bit is set for a candidate, the next one selects its ticket, and the others are its
    number; otherwise it is the address of a register.
    """
    if parameters.design == "miner":
        return _REGISTER_BITS
    return 1 + max(_REGISTER_BITS, 1 + (parameters.keep - 1).bit_length())


def result_layout(parameters: MinerParameters) -> data.StructLayout:
    """Return the layout of a result of a query."""
    identifier = max(1, (parameters.depth - 1).bit_length())
    return data.StructLayout({"score": signed(score_bits(parameters.dimensions)), "id": identifier, "last": 1})


def job_layout(parameters: MinerParameters) -> data.StructLayout:
    """Return the layout of a job: the header of a reply and the parts of its payload, in this order.

    ``literals`` words of ``first`` and ``second``; ``words`` registers or candidates from ``address`` on; in a miner,
    ``results`` results of each of ``queries`` queries.
    """
    p = parameters
    miner = p.design == "miner"
    return data.StructLayout(
        {
            "slot": slot_bits(parameters),
            "type": 8,
            "sequence": 8,
            "priority": 8,
            "literals": 2,
            "first": 32,
            "second": 32,
            "address": address_bits(p),
            "words": _REGISTER_BITS if miner else (p.reply_limit // 4).bit_length(),
            "queries": 8 if miner else 0,
            "results": K_MAX.bit_length() if miner else 0,
        }
    )
