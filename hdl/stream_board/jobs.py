"""Layout of the jobs that the executor passes to the replies."""

from amaranth.lib import data

from ninefold.hdl.stream_board.parameters import StreamBoardParameters

__all__ = ["ADDRESS_BITS", "job_layout", "slot_bits"]

#: Bits of the address of a register.
ADDRESS_BITS = 7


def slot_bits(parameters: StreamBoardParameters) -> int:
    """Return the width of the slot number of a kept reply, the lowest bits of the sequence number."""
    return parameters.window.bit_length() - 1


def job_layout(parameters: StreamBoardParameters) -> data.StructLayout:
    """Return the layout of a job: the header of a reply, and what its payload consists of.

    ``first`` is the first word of a request, or of a refusal, whose second word is ``second``. The flags, of which at
    most one is set, name the other parts: ``identifies`` for the nonce and the identity, ``reads`` for registers,
    ``counts`` for the statistics, ``pulls`` for payloads of an output, ``refused`` for a refusal.
    """
    flags = dict.fromkeys(("identifies", "reads", "counts", "pulls", "refused"), 1)
    return data.StructLayout(
        {"slot": slot_bits(parameters), "type": 8, "sequence": 8, "priority": 8, "first": 32, "second": 16, **flags}
    )
