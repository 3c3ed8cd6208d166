"""Where the memories of an engine stand that takes up much of its device."""

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ninefold.hdl.cores.relay import NEAR

__all__ = ["REVISION", "Sites", "pin_memories"]

#: Part of the digests of what is built; another result wants another number.
REVISION: Final = 1

#: A block RAM of a group of lanes: the group's first lane, and the bits and words that the block has.
_MEMORY: Final = re.compile(r"(?:.*\.)?vectors_(\d+)\.memory\.(\d+)\.(\d+)")


@dataclass(frozen=True)
class Sites:
    """The grid of an ECP5's block RAM, in tiles as nextpnr counts them.

    Attributes
    ----------
    columns, rows : tuple of int
        Where there are sites, from 0 at the left and at the top.
    """

    columns: tuple[int, ...]
    rows: tuple[int, ...]

    def name(self, column: int, row: int) -> str:
        """Return nextpnr's name of a site, by places in `columns` and `rows`."""
        return f"X{self.columns[column]}/Y{self.rows[row]}/EBR{column % 4}"


def pin_memories(file: Path, sites: Sites) -> int:
    """Give each memory of the vectors of a large engine its site, group beside group.

    nextpnr first solves for the least wire and then spreads what overlaps. But for the pins nothing is fixed, so all
    of an engine falls into one spot, and is torn apart when it is spread over a hundred block RAMs: the wires get half
    as long again. Logic gathers around memories that stand where they are.

    Groups fill columns, up and down by turns, so that those which the adders join first are neighbours. A gap as wide
    as a column in the middle is for the control, so that it is far from no group.

    Parameters
    ----------
    file : Path
        Netlist as Yosys' ``write_json`` writes it, whose one module is ``top``; it is written anew.
    sites : Sites
        The device's.

    Returns
    -------
    int
        How many memories were pinned: none of an engine of few groups, or of one that leaves no room for the gap.
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
    """Yield each block of the groups with its site."""
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
