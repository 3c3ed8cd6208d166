"""Estimate of the cells and memory blocks of a miner.

Memory blocks are counted from the memories and the way Yosys maps them. Cells are a weighted sum of a few terms. The
weights of each design and device family are fitted to miners that were synthesised and packed; ``estimate_area.json``
contains both, and ``python -m ninefold.hdl.estimate_fit`` regenerates it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from math import ceil
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple

from ninefold.hdl.boards.tangnano9k import in_block_ram
from ninefold.hdl.miner.jobs import job_layout, slot_bits
from ninefold.hdl.miner.parameters import MinerParameters
from ninefold.hdl.miner.search import registers_stores, selects_by_insertion, selects_by_threshold
from ninefold.hdl.parts.sign_tables import TABLE_DIMENSIONS, WORD_BITS
from ninefold.spec.formats import coarse_bits, score_bits
from ninefold.spec.link import Design

__all__ = ["AVAILABLE", "FAMILIES", "REPORTED", "TERMS", "Area", "Family", "area", "fitted", "terms"]

Family = Literal["ecp5", "gowin", "ice40"]
FAMILIES: Final[tuple[Family, ...]] = ("ecp5", "gowin", "ice40")
#: Terms of the cell count by design: parts of constant size, such as link and registers; lanes; bits of the systolic
#: array (score and id in each cell); kept replies; bits of a query store or of tables that are too shallow for a memory
#: block, on a device without smaller memories; of signs, the selection by a threshold.
TERMS: Final[Mapping[Design, tuple[str, ...]]] = MappingProxyType(
    {
        "miner": ("constant", "lanes", "array_bits", "window", "loose_bits"),
        "signs": ("constant", "lanes", "array_bits", "window", "loose_bits", "threshold"),
    }
)
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
#: Waiting headers and jobs; constant bits of a job; twice the maximum bytes of a COBS group.
_QUEUED, _CONSTANT, _HELD = 16, 8, 512
#: Bits of a table with one sum of each sign.
_TABLE_BITS: Final = 16 * WORD_BITS
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
    beats, identifier = max(1, p.dimensions // p.lanes), max(1, (p.depth - 1).bit_length())
    if p.design == "signs":
        by_threshold = selects_by_threshold(p)
        array = 0 if by_threshold or selects_by_insertion(p) else p.keep * (coarse_bits(p.dimensions) + identifier)
        loose = p.lanes // TABLE_DIMENSIONS * _TABLE_BITS if family == "ice40" and beats == 1 else 0
        return [1, p.lanes, array, p.window, loose, by_threshold]
    array = 0 if selects_by_insertion(p) else p.k * (score_bits(p.dimensions) + identifier)
    depth = 2 << (beats - 1).bit_length()
    loose = 4 * p.lanes * depth if family == "ice40" and 16 * depth <= _LOOSE_BITS else 0
    return [1, p.lanes, array, p.window, loose]


@cache
def fitted() -> Mapping[str, Any]:
    """Return the weights, and the measurements to which they are fitted."""
    data: dict[str, Any] = json.loads(files("ninefold.hdl").joinpath("estimate_area.json").read_text())
    return data


def area(p: MinerParameters, family: Family) -> Area:
    """Estimate the cells of a miner behind a UART, and count its memory blocks."""
    weights = fitted()["weights"][p.design].get(family, {})

    def cells(kind: str) -> int | None:
        return (
            round(sum(w * t for w, t in zip(weights[kind], terms(p, family), strict=True))) if kind in weights else None
        )

    memories = _memories(p) if p.design == "miner" else _sign_memories(p)
    return Area(cells("lut4"), cells("packed"), _blocks(_link_memories(p, family) + memories, family))


class _Memory(NamedTuple):
    depth: int
    width: int
    ports: int = 1
    """Read ports, each of which has a copy."""
    always: bool = False
    """Whether it is in blocks whatever its size."""


def _link_memories(p: MinerParameters, family: Family) -> list[_Memory]:
    """Return the memories of the link, which all designs have."""
    found = [
        _Memory(p.buffer_bytes, 8, always=True),
        _Memory(p.window * p.reply_bytes, 8, always=True),
        _Memory(_HELD, 8, always=True),
        # Yosys drops the slot, which is part of the sequence number, and bits that are constant.
        _Memory(_QUEUED, job_layout(p).size - slot_bits(p) - _CONSTANT),
        _Memory(_QUEUED, _HEADER_BITS + p.buffer_bytes.bit_length()),
        _Memory(p.window, 32),
    ]
    return found if family == "gowin" else [*found, _Memory(_REGISTERS, 32, always=True)]


def _memories(p: MinerParameters) -> list[_Memory]:
    """Return the memories of a miner."""
    beats = p.dimensions // p.lanes
    groups = [min(_GROUP, p.lanes - start) for start in range(0, p.lanes, _GROUP)]
    found = [_Memory(p.depth * beats, 4 * lanes, always=True) for lanes in groups]
    found += [_Memory(2 << (beats - 1).bit_length(), 4 * lanes) for lanes in groups]
    # Queue after the engine's pipeline, with room for its registers.
    stages = (p.lanes - 1).bit_length() + (9 if registers_stores(p) else 6)
    entry = score_bits(p.dimensions) + max(1, (p.depth - 1).bit_length())
    found.append(_Memory(ceil(stages / beats) + 2, entry + 1))
    if selects_by_insertion(p):
        return [*found, _Memory(2 << max(1, (p.k - 1).bit_length()), entry, 2)]
    return found + _array_queues(p.k, entry)


def _array_queues(k: int, entry: int) -> list[_Memory]:
    """Return the queues behind a systolic array of k cells."""
    return -(-(2 * k + 6) // 15) * [_Memory(_QUEUED, entry + 1)]


def _sign_memories(p: MinerParameters) -> list[_Memory]:
    """Return the memories of the design signs: signs, mask, counts, candidates of two tickets, and tables."""
    rows, beats = max(1, p.lanes // p.dimensions), max(1, p.dimensions // p.lanes)
    words = ceil(p.depth / rows)
    part = max(w for w in range(p.word_nits, _GROUP + 1, p.word_nits) if min(p.lanes, p.dimensions) % w == 0)
    identifier = max(1, (p.depth - 1).bit_length())
    entry = coarse_bits(p.dimensions) + identifier
    found = p.lanes // part * [_Memory(words * beats, part, always=True)]
    found += [_Memory(2 << (p.keep - 1).bit_length(), entry), _Memory(2 * words, rows)]
    if selects_by_threshold(p):
        # The counts of each place, for each row of a word.
        found += rows * [_Memory(4 * p.dimensions, words.bit_length())]
    elif selects_by_insertion(p):
        found.append(_Memory(2 << max(1, (p.keep - 1).bit_length()), entry, 2))
    else:
        found += _array_queues(p.keep, entry)
    # Queue after the engine's pipeline: words of scores, each with a bit for its row.
    stages = (min(p.lanes, p.dimensions) // TABLE_DIMENSIONS - 1).bit_length() + (5 if registers_stores(p) else 3)
    found.append(_Memory(ceil((stages + 2) / beats) + 1, rows * (coarse_bits(p.dimensions) + 1) + identifier + 1))
    if beats > 1:
        # A table with the carries of all beats for each four lanes, and the rest of the next query.
        found += p.lanes // TABLE_DIMENSIONS * [_Memory(16 << (beats - 1).bit_length(), WORD_BITS + 1)]
        found.append(_Memory(p.dimensions // p.word_nits - 1, 4 * p.word_nits))
    return found


def _blocks(memories: Sequence[_Memory], family: Family) -> dict[str, int]:
    """Count the blocks of each memory, in the block shape that needs the fewest."""
    name, shapes = _BLOCKS[family]
    found = {name: 0}
    for depth, width, ports, always in memories:
        blocks = ports * min(ceil(depth / deep) * ceil(width / wide) for deep, wide in shapes)
        # Yosys takes what it values less; on Gowin the board decides.
        worth = {
            "ecp5": ports * ceil(depth / 16) * ceil(width / 4) >= _LUT_RAMS * blocks,
            "gowin": in_block_ram(depth, width),
            "ice40": depth * width > _LOOSE_BITS * blocks,
        }
        if family == "ice40" and depth * width > _SPRAM_FROM:
            found["SB_SPRAM256KA"] = found.get("SB_SPRAM256KA", 0) + ceil(width / 16) * ceil(depth / _SPRAM_DEPTH)
        elif always or worth[family]:
            found[name] += blocks
    return found


#: Block of each family, and its shapes.
_BLOCKS: Final[Mapping[Family, tuple[str, tuple[tuple[int, int], ...]]]] = {
    "ecp5": ("DP16KD", ((512, 36), (1024, 18), (2048, 9), (4096, 4), (8192, 2), (16384, 1))),
    "gowin": ("BSRAM", ((512, 36), (1024, 18), (2048, 9), (4096, 4), (8192, 2), (16384, 1))),
    "ice40": ("SB_RAM40_4K", ((256, 16), (512, 8), (1024, 4), (2048, 2), (4096, 1))),
}
#: What Yosys values as much as one block: distributed RAMs of 16 x 4 on ECP5, bits in flip-flops on iCE40.
_LUT_RAMS, _LOOSE_BITS = 32, 64
_SPRAM_FROM, _SPRAM_DEPTH = 30 * 4096, 1 << 14
