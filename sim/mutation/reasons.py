"""Reasons why no judge can fail on a fault at a comparison: the core with it does the same."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ninefold.sim.mutation.comparisons import Comparison, Fault, Planted

__all__ = ["REASONS"]

_ALL: tuple[tuple[str, tuple[Fault, ...], str], ...] = (
    (
        "hdl/cores/wave_lattice.py WaveLattice._control: slot.column == 1",
        (Fault.MORE,),
        "one slot more is read, and no cell starts before a slot of that row",
    ),
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
        "hdl/cores/quantiser.py Quantiser.elaborate: grid < 0 #2",
        (Fault.MORE,),
        "the grid value 0 is negated, which is 0 again",
    ),
    (
        "hdl/parts/row_mask.py RowMask._enter: held != 2 #2",
        (Fault.MORE, Fault.ALWAYS),
        "while two masks are held no bit of a third is taken, so the bit at which a byte is accepted does not come",
    ),
    (
        "hdl/parts/sign_tables.py SignTables.elaborate: step == 0",
        (Fault.MORE,),
        "the entry of step 0 has the sum 0, so it sets no flag, and the flag is cleared one step later",
    ),
    (
        "hdl/cores/threshold_select.py ThresholdSelect._control: state.scan != 0",
        (Fault.ALWAYS,),
        "the place that is cleared once more holds no count yet",
    ),
    (
        "hdl/cores/threshold_select.py ThresholdSelect._search: after_better < 0",
        (Fault.LESS,),
        "if all rows down to this group are selected, the threshold may be the next place, of which none is",
    ),
    (
        "hdl/cores/threshold_select.py ThresholdSelect._search: after_worse < 0",
        (Fault.LESS,),
        "if all rows down to this group are selected, the threshold may be any lower place, of which none is",
    ),
    (
        "hdl/cores/threshold_select.py ThresholdSelect._search: threshold < 2 * group",
        (Fault.MORE,),
        "the threshold is one less than a multiple of twice the group",
    ),
    (
        "hdl/cores/threshold_select.py ThresholdSelect._choose: queue.level <= _QUEUE - _UNSEEN",
        (Fault.LESS,),
        "words of the second scan wait one word earlier, which changes no result",
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
    (
        "hdl/cores/superpose.py Superpose._measured: zeros < exponent",
        (Fault.MORE,),
        "the smaller of two equal numbers is either",
    ),
    (
        "hdl/cores/superpose.py Superpose._ordered: a[:-1] < b[:-1]",
        (Fault.MORE,),
        "of two equal magnitudes either may be the larger: if their signs differ, the sum is 0 or not a number",
    ),
)
#: By fault.
REASONS: Mapping[Planted, str] = MappingProxyType(
    {Planted(Comparison.read(at), fault): reason for at, faults, reason in _ALL for fault in faults}
)
