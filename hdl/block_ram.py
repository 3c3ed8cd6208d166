"""Registers behind block RAM, moved into it: what Yosys leaves undone for the ECP5."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

__all__ = ["REVISION", "absorb_registers"]

#: Part of the digests of what is built; another result wants another number.
REVISION: Final = 2

Cell = dict[str, Any]

_RAM: Final = "DP16KD"
_REGISTER: Final = "TRELLIS_FF"
_WIDTH: Final = 18


def absorb_registers(file: Path, within: str = "") -> int:
    """Let the ports of block RAM use the registers within them instead of flip-flops behind them.

    A word leaves a DP16KD 5.8 ns after the edge of the clock at speed grade 6, and is at a flip-flop beside it after
    6.6 ns; from the register in the block it is there after 1.7 ns. Yosys does not use that register.

    A port is changed where each of its outputs that is used feeds one TRELLIS_FF and nothing else, and these have the
    port's clock, one enable and no reset, and begin with 0, as the register does; not where words of 36 bits leave by
    both ports. By Lattice's simulation model the register is loaded when its own enable is high, whether or not the
    port is read.

    Parameters
    ----------
    file : Path
        Netlist as Yosys' ``write_json`` writes it, whose one module is ``top``; it is written anew.
    within : str
        What the names of the flip-flops begin with.

    Returns
    -------
    int
        How many flip-flops there were.
    """
    netlist = json.loads(file.read_text())
    module = netlist["modules"]["top"]
    cells: dict[str, Cell] = module["cells"]
    readers, registers = _readers(module, within)
    absorbed = [name for cell in cells.values() if cell["type"] == _RAM for name in _absorb(cell, readers, registers)]
    for name in absorbed:
        del cells[name]
    if absorbed:
        file.write_text(json.dumps(netlist))
    return len(absorbed)


def _readers(module: Cell, within: str) -> tuple[Counter[int], dict[int, tuple[str, Cell]]]:
    """Return how often each bit is read, and by which flip-flop as its input."""
    readers: Counter[int] = Counter()
    registers: dict[int, tuple[str, Cell]] = {}
    for port in module["ports"].values():
        if port["direction"] != "input":
            readers.update(port["bits"])
    for name, cell in module["cells"].items():
        for pin, bits in cell["connections"].items():
            if cell["port_directions"][pin] != "output":
                readers.update(bits)
        if cell["type"] == _REGISTER and name.startswith(within):
            registers[cell["connections"]["DI"][0]] = name, cell
    return readers, registers


def _absorb(ram: Cell, readers: Counter[int], registers: dict[int, tuple[str, Cell]]) -> Iterator[str]:
    """Change the ports of one RAM where that can be done; yields the names of the flip-flops that it replaces."""
    pins = ram["connections"]
    if int(ram["parameters"]["DATA_WIDTH_B"], 2) > _WIDTH:
        return
    for port in "AB":
        outputs = [pin for pin in (f"DO{port}{i}" for i in range(_WIDTH)) if pin in pins and readers[pins[pin][0]]]
        behind = [registers.get(pins[pin][0]) for pin in outputs]
        found = [register for register in behind if register is not None]
        alone = all(readers[pins[pin][0]] == 1 for pin in outputs)
        enables = {_enable(cell, pins[f"CLK{port}"][0], ram["parameters"][f"CLK{port}MUX"]) for _, cell in found}
        if not found or len(found) < len(outputs) or not alone or len(enables) > 1 or None in enables:
            continue
        ram["parameters"][f"REGMODE_{port}"] = "OUTREG"
        pins[f"OCE{port}"] = [*enables]
        for pin, (_, cell) in zip(outputs, found, strict=True):
            pins[pin] = cell["connections"]["Q"]
        yield from (name for name, _ in found)


def _enable(register: Cell, clock: int, edge: str) -> int | str | None:
    """Return what enables a flip-flop; None if it is not as the register of a port with that clock is."""
    parameters, pins = register["parameters"], register["connections"]
    same = pins["CLK"][0] == clock and (parameters["CLKMUX"] == "INV") == (edge == "INV")
    if not same or pins["LSR"][0] != "0" or parameters["REGSET"] != "RESET":
        return None
    enables: dict[str, int | str] = {"1": "1", "CE": pins.get("CE", ["1"])[0]}
    return enables.get(parameters["CEMUX"].strip())
