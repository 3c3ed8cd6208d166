"""Estimate of the cells and memory blocks of a miner.

Memory blocks are counted from the memories and the way Yosys maps them. Cells are a weighted sum of a few terms. The
weights of each device family are fitted to designs that were synthesised and packed; ``estimate_area.json`` contains
both, and ``python -m ninefold.hdl.estimate_fit`` regenerates it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from math import ceil
from types import MappingProxyType
from typing import Any, Final, Literal

from ninefold.hdl.boards.tangnano9k import in_block_ram
from ninefold.hdl.miner.parameters import MinerParameters
from ninefold.hdl.miner.search import registers_stores, selects_by_insertion, selects_by_threshold
from ninefold.hdl.parts.sign_tables import TABLE_DIMENSIONS, WORD_BITS
from ninefold.spec.formats import coarse_bits, score_bits

__all__ = ["AVAILABLE", "FAMILIES", "REPORTED", "TERMS", "Area", "Family", "area", "fitted", "terms"]

Family = Literal["ecp5", "gowin", "ice40"]
FAMILIES: Final[tuple[Family, ...]] = ("ecp5", "gowin", "ice40")
#: Terms of the cell count: parts of constant size, such as link and registers; lanes; bits of the systolic array (score
#: and id in each of k cells); kept replies; bits of a query store too shallow for a memory block, on a device without
#: smaller memories.
TERMS: Final = ("constant", "lanes", "array_bits", "window", "loose_bits")
#: Resources of devices in nextpnr's counts: logic cells, and memory blocks by cell name.
AVAILABLE: Final[Mapping[str, Mapping[str, int]]] = MappingProxyType(
    {
        "iCE40UP5K": {"packed": 5_280, "SB_RAM40_4K": 30, "SB_SPRAM256KA": 4},
        "LFE5U-25F": {"packed": 24_288, "DP16KD": 56},
        "LFE5U-85F": {"packed": 83_640, "DP16KD": 208},
        "GW1NR-LV9": {"packed": 8_640, "BSRAM": 26},
    }
)
#: nextpnr's names of cells, where they differ.
REPORTED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "ICESTORM_LC": "packed",
        "ICESTORM_RAM": "SB_RAM40_4K",
        "ICESTORM_SPRAM": "SB_SPRAM256KA",
        "LUT4": "packed",
        "TRELLIS_COMB": "packed",
    }
)
#: Lanes per group, which share a part of each store.
_GROUP: Final = 32
#: Waiting headers and jobs; bits of a job that are not constant, by design; twice the maximum bytes of a COBS group.
_QUEUED, _HELD = 16, 512
_JOB_BITS: Final = {"miner": 110, "signs": 96}
_HEADER_BITS, _REGISTERS = 64, 64


@dataclass(frozen=True)
class Area:
    """Resources that a miner uses.

    Attributes
    ----------
    lut4 : int or None
        Yosys' LUT cells of up to four inputs; None for a family without fitted weights.
    packed : int or None
        Logic cells after packing by nextpnr.
    blocks : dict of str to int
        Memory blocks by cell name.
    """

    lut4: int | None
    packed: int | None
    blocks: dict[str, int]

    def excess(self, available: Mapping[str, int]) -> str:
        """Return the resources that exceed the device, with both numbers, or an empty result if none is known to."""
        wanted = {"packed": self.packed or 0, **self.blocks}
        return ", ".join(
            f"{wanted[name]:,} {'logic cells' if name == 'packed' else name} of {limit:,}"
            for name, limit in available.items()
            if wanted.get(name, 0) > limit
        )


def terms(p: MinerParameters, family: Family) -> list[float]:
    """Return the value of each term in ``TERMS``."""
    identifier = max(1, (p.depth - 1).bit_length())
    array = 0 if selects_by_insertion(p) else p.k * (score_bits(p.dimensions) + identifier)
    depth = 2 << (p.dimensions // p.lanes - 1).bit_length()
    loose = 4 * p.lanes * depth if family == "ice40" and depth < _BLOCKS[family][2] else 0
    return [1, p.lanes, array, p.window, loose]


@cache
def fitted() -> Mapping[str, Any]:
    """Return the weights, and the measurements to which they are fitted."""
    data: dict[str, Any] = json.loads(files("ninefold.hdl").joinpath("estimate_area.json").read_text())
    return data


def area(p: MinerParameters, family: Family) -> Area:
    """Estimate the cells of a miner behind a UART, and count its memory blocks; cells of other designs are None."""
    # The weights are fitted to miners.
    weights = fitted()["weights"].get(family, {}) if p.design == "miner" else {}

    def cells(kind: str) -> int | None:
        return (
            round(sum(w * t for w, t in zip(weights[kind], terms(p, family), strict=True))) if kind in weights else None
        )

    memories = _memories(p, family) if p.design == "miner" else _sign_memories(p, family)
    return Area(cells("lut4"), cells("packed"), _blocks(memories, family))


#: Depth and width of memories that are always blocks, or that are blocks if they are large enough.
_Memories = tuple[list[tuple[int, int]], list[tuple[int, int]]]


def _link_memories(p: MinerParameters, family: Family) -> _Memories:
    """Return the memories of the link, which all designs have."""
    plain = [(p.buffer_bytes, 8), (p.window * p.reply_bytes, 8)]
    plain.append((_HELD, 8))
    if family != "gowin":
        plain.append((_REGISTERS, 32))
    small = [(_QUEUED, _JOB_BITS[p.design]), (_QUEUED, _HEADER_BITS + p.buffer_bytes.bit_length()), (p.window, 32)]
    return plain, small


def _memories(p: MinerParameters, family: Family) -> _Memories:
    """Return the memories of a miner."""
    beats = p.dimensions // p.lanes
    groups = [min(_GROUP, p.lanes - start) for start in range(0, p.lanes, _GROUP)]
    plain, small = _link_memories(p, family)
    small += [(2 << (beats - 1).bit_length(), 4 * lanes) for lanes in groups]
    # Queue after the engine's pipeline, with room for its registers.
    stages = (p.lanes - 1).bit_length() + (9 if registers_stores(p) else 6)
    entry = score_bits(p.dimensions) + max(1, (p.depth - 1).bit_length())
    small.append((ceil(stages / beats) + 2, entry + 1))
    if selects_by_insertion(p):
        # Memory with two read ports.
        small += 2 * [(2 << max(1, (p.k - 1).bit_length()), entry)]
    else:
        small += -(-(2 * p.k + 6) // 15) * [(_QUEUED, entry + 1)]
    return plain + [(p.depth * beats, 4 * lanes) for lanes in groups], small


def _sign_memories(p: MinerParameters, family: Family) -> _Memories:
    """Return the memories of the design signs: signs, mask, counts, candidates of two tickets, and tables."""
    plain, small = _link_memories(p, family)
    rows, beats = max(1, p.lanes // p.dimensions), max(1, p.dimensions // p.lanes)
    part = max(w for w in range(p.word_nits, _GROUP + 1, p.word_nits) if min(p.lanes, p.dimensions) % w == 0)
    plain += p.lanes // part * [(-(-p.depth // rows) * beats, part)]
    entry = coarse_bits(p.dimensions) + max(1, (p.depth - 1).bit_length())
    kept = (2 << (p.keep - 1).bit_length(), entry)
    if selects_by_threshold(p):
        # The counts of each place, for each row of a word.
        plain += [kept, *rows * [(4 * p.dimensions, (-(-p.depth // rows)).bit_length())]]
    else:
        small.append(kept)
    small.append((ceil(p.depth / rows), rows))
    if beats > 1:
        # A table with the carries of all beats for each four lanes, and the rest of the next query.
        small += p.lanes // TABLE_DIMENSIONS * [(16 << (beats - 1).bit_length(), WORD_BITS + 1)]
        small.append((p.dimensions // p.word_nits - 1, 4 * p.word_nits))
    if selects_by_insertion(p):
        small += 2 * [(2 << max(1, (p.keep - 1).bit_length()), entry)]
    return plain, small


def _blocks(memories: _Memories, family: Family) -> dict[str, int]:
    """Count the blocks of each memory, in the block shape that needs the fewest."""
    plain, small = memories
    name, shapes, least = _BLOCKS[family]
    found = {name: 0}
    if family == "gowin":
        small = [m for m in small if in_block_ram(*m)]
    else:
        small = [m for m in small if m[0] >= least and m[0] * m[1] >= _LEAST_BITS]
    for depth, width in plain + small:
        if family == "ice40" and depth * width > _SPRAM_FROM:
            found["SB_SPRAM256KA"] = found.get("SB_SPRAM256KA", 0) + ceil(width / 16) * ceil(depth / _SPRAM_DEPTH)
        else:
            found[name] += min(ceil(depth / deep) * ceil(width / wide) for deep, wide in shapes)
    return found


#: Block of each family, its shapes, and the minimum depth at which Yosys uses a block. Smaller memories use distributed
#: RAM on ECP5 and Gowin; on Gowin, the board decides.
_BLOCKS: Final[Mapping[Family, tuple[str, tuple[tuple[int, int], ...], float]]] = {
    "ecp5": ("DP16KD", ((512, 36), (1024, 18), (2048, 9), (4096, 4), (8192, 2), (16384, 1)), float("inf")),
    "gowin": ("BSRAM", ((512, 36), (1024, 18), (2048, 9), (4096, 4), (8192, 2), (16384, 1)), 0),
    "ice40": ("SB_RAM40_4K", ((256, 16), (512, 8), (1024, 4), (2048, 2)), 8),
}
_LEAST_BITS = 128
_SPRAM_FROM, _SPRAM_DEPTH = 30 * 4096, 1 << 14
