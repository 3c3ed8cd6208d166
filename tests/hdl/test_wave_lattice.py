"""The wave cores behind a virtual board, and the wave lattice with its state in SPRAM."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from ninefold.hdl import yosys
from ninefold.hdl.cores.wave_lattice import Operation, WaveLattice
from ninefold.hdl.elaborate import verilog
from ninefold.hdl.spram import SpramMemories
from ninefold.host import open_core
from ninefold.sim.golden.wave_step_fixed import advance
from ninefold.sim.verilated import Design, Gaps, Model, elaborate
from ninefold.spec.errors import InputError

COEFFICIENTS = (300, -5000, 2**14, 2**16)
PARTS = tuple((i, part) for i in range(2) for part in ("re", "im"))
#: Parameters of each wave core for a small board, and inputs of one row.
CORES: dict[str, tuple[dict[str, int], dict[str, Any]]] = {
    "hilbert_decoder": ({"dimensions": 2, "bits": 3}, {"index": np.arange(64)}),
    "hilbert_encoder": ({"dimensions": 2, "bits": 3}, {"coords": np.arange(128).reshape(64, 2) % 8}),
    "phase_hash": (
        {"dimensions": 2, "width": 6, "floating": False},
        {f"psi_{i}_{part}": np.arange(64) * step % 64 for (i, part), step in zip(PARTS, (1, 3, 5, 7), strict=True)},
    ),
    "superpose": ({"exponent": 5, "fraction": 10}, {"a": np.arange(64) * 480, "b": np.arange(64) * 777 % 31_000}),
}


def commands(steps: int) -> dict[str, Any]:
    """Return commands that load a lattice, advance it and read it."""
    operations = [Operation.SET_A, Operation.SET_B, Operation.SET_C, Operation.SET_T]
    operations += [Operation.LOAD, Operation.STEP, Operation.READ]
    return {"operation": np.array(operations), "value": np.array([*COEFFICIENTS, 0, steps, 0])}


def lattice(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    psi, v = np.random.default_rng(7).integers(-(2**26), 2**26, (2, height, width), np.int32)
    return psi, v


def advanced(psi: np.ndarray, v: np.ndarray, steps: int) -> dict[str, np.ndarray]:
    rows = psi.tolist(), v.tolist()
    for _ in range(steps):
        rows = advance(*rows, COEFFICIENTS)
    return dict(zip(("psi", "v"), (np.array(one, np.int32).reshape(-1) for one in rows), strict=True))


def test_the_lattice_on_a_virtual_board_is_the_golden_model() -> None:
    psi, v = lattice(8, 4)
    with open_core("wave_lattice", "board:virtual", width=4, height=8, cycles=1) as core:
        found = core(**commands(3), psi=psi.reshape(-1), v=v.reshape(-1))
    for name, due in advanced(psi, v, 3).items():
        np.testing.assert_array_equal(found[name], due)


@pytest.mark.parametrize("name", CORES)
def test_a_core_on_a_virtual_board_gives_what_its_rtl_gives(name: str) -> None:
    parameters, inputs = CORES[name]
    found = []
    for device in ("rtl", "board:virtual"):
        with open_core(name, device, **parameters) as core:
            found.append(core(**inputs))
    assert found[0].keys() == found[1].keys()
    for output, values in found[0].items():
        assert len(values) == 64
        np.testing.assert_array_equal(found[1][output], values)


def test_the_state_is_in_spram_where_there_is_any() -> None:
    core = {"width": 4, "height": 4, "cycles": 26}
    text = verilog(WaveLattice(**core), platform=SpramMemories())
    assert len(re.findall(r"\bSB_SPRAM256KA\b", text)) == 4
    cells = (yosys.share() / "ice40" / "cells_sim.v").read_text()
    cell = re.search(r"^module SB_SPRAM256KA \(.*?^endmodule", cells, re.MULTILINE | re.DOTALL)
    assert cell is not None
    model = Model(Design(text + "\n" + cell[0], elaborate(WaveLattice(**core)).streams), quick=True)
    psi, v = lattice(4, 4)
    cells_in = {"psi": psi.reshape(-1), "v": v.reshape(-1)}
    inputs = {
        "command": model.streams["command"].pack(7, commands(4)),
        "load": model.streams["load"].pack(16, cells_in),
    }
    run = model.run(inputs, {"cells": 16}, 10_000, Gaps(0.3, 2))
    found = model.streams["cells"].unpack(run.outputs["cells"])
    for name, due in advanced(psi, v, 4).items():
        np.testing.assert_array_equal(found[name], due)
    model.close()


def test_with_one_cycle_a_cell_memory_needs_two_ports() -> None:
    assert "SPRAM" not in verilog(WaveLattice(4, 4, 1), platform=SpramMemories())


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ((1, 4, 1), "width must be an integer from 2 to 128, not 1"),
        ((4, 48, 1), "height must be a power of two, not 48"),
        ((256, 4, 1), "width must be an integer from 2 to 128, not 256"),
        ((4, 4, 33), "cycles must be an integer from 1 to 32, not 33"),
        ((4, 4, 0), "cycles must be an integer from 1 to 32, not 0"),
    ],
)
def test_refused_parameters(parameters: tuple[int, int, int], said: str) -> None:
    with pytest.raises(InputError, match=f"^{said}$"):
        WaveLattice(*parameters)
