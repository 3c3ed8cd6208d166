"""Floorplan of the memories of an engine that fills much of its device."""

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ninefold.hdl.parts.relay import NEAR

__all__ = ["REVISION", "Sites", "pin_memories"]

#: Revision, part of build digests; increase it when the result changes.
REVISION: Final = 1

#: Block RAM of a group of lanes: the group's first lane, and the bits and words of the block.
_MEMORY: Final = re.compile(r"(?:.*\.)?vectors_(\d+)\.memory\.(\d+)\.(\d+)")


@dataclass(frozen=True)
class Sites:
    """Grid of an ECP5's block RAM sites, in nextpnr's tile coordinates.

    Attributes
    ----------
    columns, rows : tuple of int
        Coordinates of the sites, from 0 at the left and at the top.
    """

    columns: tuple[int, ...]
    rows: tuple[int, ...]

    def name(self, column: int, row: int) -> str:
        """Return nextpnr's name of a site, given indices into `columns` and `rows`."""
        return f"X{self.columns[column]}/Y{self.rows[row]}/EBR{column % 4}"


def pin_memories(file: Path, sites: Sites) -> int:
    """Assign each vector memory of a large engine to a site, with adjacent groups side by side.

    nextpnr first minimises wire length and then spreads overlapping cells. Only the pins are fixed, so the whole engine
    collapses into one spot and is torn apart when it is spread over a hundred block RAMs, which makes wires half as
    long again. With fixed memories, the logic is placed around them.

    Groups fill columns, alternately up and down, so that groups whose sums are added first are neighbours. A gap of one
    column in the middle leaves room for the control, close to all groups.

    Parameters
    ----------
    file : Path
        Netlist from Yosys' ``write_json`` with the single module ``top``; it is rewritten.
    sites : Sites
        Block RAM sites of the device.

    Returns
    -------
    int
        Number of pinned memories; 0 for an engine of few groups, or one that leaves no room for the gap.
    """
    netlist = json.loads(file.read_text())
    cells: dict[str, Any] = netlist["modules"]["top"]["cells"]
    groups: defaultdict[int, list[tuple[int, int, str]]] = defaultdict(list)
    for name, cell in cells.items():
        if cell["type"] == "DP16KD" and (found := _MEMORY.fullmatch(name)):
            lane, *block = map(int, found.groups())
            groups[lane].append((block[0], block[1], name))
    if len(groups) <= NEAR:
        return 0
    pinned = dict(_places([[name for *_, name in sorted(groups[lane])] for lane in sorted(groups)], sites))
    for name, site in pinned.items():
        cells[name]["attributes"]["BEL"] = site
    if pinned:
        file.write_text(json.dumps(netlist))
    return len(pinned)


def _places(groups: list[list[str]], sites: Sites) -> Iterator[tuple[str, str]]:
    """Yield each block with its site."""
    rows, width = len(sites.rows), max(map(len, groups))
    columns = -(-len(groups) // rows)
    free = len(sites.columns) - (columns + 1) * width
    if free < 0:
        return
    for i, group in enumerate(groups):
        column, row = divmod(i, rows)
        first = free // 2 + width * (column + (column >= columns // 2))
        for j, name in enumerate(group):
            yield name, sites.name(first + j, rows - 1 - row if column % 2 else row)
