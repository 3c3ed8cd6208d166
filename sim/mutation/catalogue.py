"""What is mutated: cores at the smallest parameters of interest, and what their inputs promise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from ninefold.spec.errors import InputError

__all__ = ["SUBJECTS", "Subject", "subject_of"]


@dataclass(frozen=True)
class Subject:
    """A core whose bench is measured.

    Attributes
    ----------
    core : str
        Name of the core, as in ``ninefold.hdl.catalogue.CORES``, and of its bench.
    parameters : mapping of str to Any
        What the core is made with.
    legal : tuple of str
        What proofs of equivalence assume of the inputs in every cycle beside the rules of streams: Verilog expressions
        of the ports.
    promise : str
        The same for a reader; empty for nothing.
    large : bool
        Whether it is too large for proofs of the whole, so that registers and memories are cut out.
    """

    core: str
    parameters: Mapping[str, Any]
    legal: tuple[str, ...] = ()
    promise: str = ""
    large: bool = False


def _nit(stream: str, lane: int) -> str:
    """Return that a lane of a stream, while that offers a word, is one of the nine numbers that nits are."""
    bits = f"{stream}__payload[{4 * lane + 3}:{4 * lane}]"
    return f"(~{stream}__valid | {bits} <= 4 | {bits} >= 12)"


_ALL = (
    Subject("topk", {"k": 3, "score_width": 3, "id_width": 2, "signed": True}),
    Subject("insertion", {"k": 3, "score_width": 3, "id_width": 2}),
    Subject("quantiser", {"mode": "tanh", "lanes": 1}),
    Subject(
        "similarity",
        {"dimensions": 4, "lanes": 2, "depth": 3},
        tuple(_nit(stream, lane) for stream in ("load", "query") for lane in range(2)),
        "what is offered as nits is from -4 to 4.",
    ),
    Subject(
        "pipeline",
        {"mode": "tanh", "dimensions": 4, "lanes": 2, "depth": 3, "k": 2},
        tuple(_nit("load", lane) for lane in range(2)),
        "what is offered as nits of vectors is from -4 to 4.",
    ),
    Subject("queue", {"width": 2, "depth": 4}),
    Subject("cobs_encoder", {}, large=True),
    Subject("cobs_decoder", {}),
    Subject("frame_sender", {}, large=True),
    Subject("frame_receiver", {"capacity": 64, "frames": 2}, large=True),
    # The smallest one that can refuse a query because of its reply. Its counters begin shortly before they wrap around.
    Subject(
        "miner",
        {
            "dimensions": 4,
            "lanes": 2,
            "depth": 3,
            "k": 2,
            "mode": "tanh",
            "window": 2,
            "buffer_bytes": 128,
            "reply_bytes": 256,
            "clock_hz": 100_000_000,
            "count_from": -100,
        },
        large=True,
    ),
    # Odd, so that what is inverted in each cycle of a bit is not as before in the end.
    Subject("uart_transmitter", {"divisor": 5}),
    Subject("uart_receiver", {"divisor": 5}),
)
#: By the names of the command line.
SUBJECTS: Mapping[str, Subject] = MappingProxyType({subject.core: subject for subject in _ALL})


def subject_of(core: str) -> Subject:
    """Return what is mutated under that name.

    Raises
    ------
    InputError
        Nothing is.
    """
    if core not in SUBJECTS:
        raise InputError(f"core must be one of {', '.join(SUBJECTS)}, not {core!r}")
    return SUBJECTS[core]
