"""Catalogue of mutated cores, at the smallest useful parameters, with assumptions on their inputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from ninefold.spec.errors import InputError

__all__ = ["SUBJECTS", "Subject", "subject_of"]


@dataclass(frozen=True)
class Subject:
    """Core whose testbench is measured.

    Attributes
    ----------
    core : str
        Name of the core, as in ``ninefold.hdl.catalogue.CORES``, and of its testbench.
    parameters : mapping of str to Any
        Parameters of the core.
    legal : tuple of str
        Assumptions of equivalence proofs on the inputs in every cycle, besides the rules of streams: Verilog
        expressions of the ports.
    promise : str
        The assumptions in words; empty if there are none.
    large : bool
        Whether the core is too large to prove as a whole, so that registers and memories are cut out.
    """

    core: str
    parameters: Mapping[str, Any]
    legal: tuple[str, ...] = ()
    promise: str = ""
    large: bool = False


def _nit(stream: str, lane: int) -> str:
    """Return the condition that a lane of an offered word is one of the nine nit values."""
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
        "offered nits are from -4 to 4.",
    ),
    Subject(
        "pipeline",
        {"mode": "tanh", "dimensions": 4, "lanes": 2, "depth": 3, "k": 2},
        tuple(_nit("load", lane) for lane in range(2)),
        "offered nits of vectors are from -4 to 4.",
    ),
    Subject("queue", {"width": 2, "depth": 4}),
    Subject("cobs_encoder", {}, large=True),
    Subject("cobs_decoder", {}),
    Subject("frame_sender", {}, large=True),
    Subject("frame_receiver", {"capacity": 64, "frames": 2}, large=True),
    # The smallest miner that can refuse a query because of its reply. Its counters start shortly before they wrap.
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
    # Odd, so that a value inverted in every cycle of a bit differs at the end.
    Subject("uart_transmitter", {"divisor": 5}),
    Subject("uart_receiver", {"divisor": 5}),
)
#: Subjects by their command-line names.
SUBJECTS: Mapping[str, Subject] = MappingProxyType({subject.core: subject for subject in _ALL})


def subject_of(core: str) -> Subject:
    """Return the subject of a name.

    Raises
    ------
    InputError
        The name has no subject.
    """
    if core not in SUBJECTS:
        raise InputError(f"core must be one of {', '.join(SUBJECTS)}, not {core!r}")
    return SUBJECTS[core]
