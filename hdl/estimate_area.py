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

from ninefold.hdl.cores.miner import registers_stores, selects_by_insertion
from ninefold.hdl.miner.parameters import MinerParameters
from ninefold.spec.formats import score_bits

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
        "GW1NR-LV9": {"packed": 8_640, "DPX9B": 26},
    }
)
#: nextpnr's names of cells, where they differ.
REPORTED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "ICESTORM_LC": "packed",
        "ICESTORM_RAM": "SB_RAM40_4K",
        "ICESTORM_SPRAM": "SB_SPRAM256KA",
        "TRELLIS_COMB": "packed",
    }
)
#: Lanes per group, which share a part of each store.
_GROUP: Final = 32
#: Waiting headers and jobs, and their constant bits; twice the maximum bytes of a COBS group.
_QUEUED, _JOB_BITS, _HELD = 16, 110, 512
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
    """Estimate the cells of a miner behind a UART, and count its memory blocks."""
    weights = fitted()["weights"].get(family, {})

    def cells(kind: str) -> int | None:
        return (
            round(sum(w * t for w, t in zip(weights[kind], terms(p, family), strict=True))) if kind in weights else None
        )

    return Area(cells("lut4"), cells("packed"), _blocks(p, family))


def _blocks(p: MinerParameters, family: Family) -> dict[str, int]:
    """Count the blocks of each memory, in the block shape that needs the fewest."""
    beats = p.dimensions // p.lanes
    groups = [min(_GROUP, p.lanes - start) for start in range(0, p.lanes, _GROUP)]
    # Depth and width of each memory.
    plain = [(p.buffer_bytes, 8), (p.window * p.reply_bytes, 8)]
    if family != "gowin":
        plain += [(_HELD, 8), (_REGISTERS, 32)]
    small = [(_QUEUED, _JOB_BITS), (_QUEUED, _HEADER_BITS + p.buffer_bytes.bit_length()), (p.window, 32)]
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
    stores = [(p.depth * beats, 4 * lanes) for lanes in groups]
    name, shapes, least = _BLOCKS[family]
    found = {name: 0}
    for depth, width in plain + [m for m in small if m[0] >= least and m[0] * m[1] >= _LEAST_BITS] + stores:
        if family == "ice40" and depth * width > _SPRAM_FROM and depth <= _SPRAM_DEPTH:
            found["SB_SPRAM256KA"] = found.get("SB_SPRAM256KA", 0) + ceil(width / 16)
        else:
            found[name] += min(ceil(depth / deep) * ceil(width / wide) for deep, wide in shapes)
    return found


#: Block of each family, its shapes, and the minimum depth at which Yosys uses a block. Smaller memories use distributed
#: RAM on ECP5 and Gowin; on Gowin, all memories that do not need blocks do.
_BLOCKS: Final[Mapping[Family, tuple[str, tuple[tuple[int, int], ...], float]]] = {
    "ecp5": ("DP16KD", ((512, 36), (1024, 18), (2048, 9), (4096, 4), (8192, 2), (16384, 1)), float("inf")),
    "gowin": ("DPX9B", ((512, 36), (1024, 18), (2048, 9), (4096, 4), (8192, 2), (16384, 1)), float("inf")),
    "ice40": ("SB_RAM40_4K", ((256, 16), (512, 8), (1024, 4), (2048, 2)), 8),
}
_LEAST_BITS = 128
_SPRAM_FROM, _SPRAM_DEPTH = 30 * 4096, 1 << 14
