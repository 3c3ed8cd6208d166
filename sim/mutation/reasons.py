"""Reasons why no judge can fail on a fault at a comparison: the core with it does the same."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ninefold.sim.mutation.comparisons import Comparison, Fault, Planted

__all__ = ["REASONS"]

_ALL: tuple[tuple[str, tuple[Fault, ...], str], ...] = (
    (
        "hdl/miner/queries.py Queries._query: answer <= p.reply_limit",
        (Fault.MORE,),
        "the size of a reply and its limit are even",
    ),
    (
        "hdl/miner/queries.py Queries._query: results < self._rows",
        (Fault.MORE,),
        "the smaller of two equal numbers is either",
    ),
    (
        "hdl/miner/replies.py ReplyStore._build: words == 0",
        (Fault.ALWAYS,),
        "a job with queries has no registers",
    ),
    (
        "hdl/cores/quantiser.py Quantiser.elaborate: grid < 0 #2",
        (Fault.MORE,),
        "the grid value 0 is negated, which is 0 again",
    ),
    (
        "hdl/cores/similarity.py Similarity.elaborate: queued != 2 #2",
        (Fault.MORE, Fault.ALWAYS),
        "a partly accepted query is at most the second one, so two queries are never queued then",
    ),
    (
        "hdl/cores/similarity.py Similarity.elaborate: queued != 2 #2",
        (Fault.LESS,),
        "a partly accepted query waits until the previous one is scored, which delays a load and changes no score",
    ),
)
#: By fault.
REASONS: Mapping[Planted, str] = MappingProxyType(
    {Planted(Comparison.read(at), fault): reason for at, faults, reason in _ALL for fault in faults}
)
