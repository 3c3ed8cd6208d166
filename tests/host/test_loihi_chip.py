"""The limits of a Loihi chip, and how nengo-loihi is imported, counted with and made to run under NumPy 2."""

import importlib
import json
import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ninefold.host.backends.loihi import Loihi
from ninefold.host.backends.loihi.chip import (
    COARSE,
    FINE,
    FINE_BITS,
    GLOBAL_AXONS,
    LIFT_MAX,
    Chip,
    axon_bits,
)
from ninefold.host.backends.loihi.library import NumpyView, failures, library
from ninefold.host.backends.loihi.network import Activity, Core, Network
from ninefold.host.backends.loihi.rows import Rows
from ninefold.host.backends.loihi.sorter import Sorter
from ninefold.numerics.nits import pack
from ninefold.spec.data import Database
from ninefold.spec.errors import DeviceError, UnsupportedError
from ninefold.spec.operators import OPERATORS


def test_limits_name_the_numbers() -> None:
    def error(action: Any) -> str:
        with pytest.raises(UnsupportedError) as caught:
            action()
        return str(caught.value)

    assert error(lambda: Chip().neurons_a_core(2 * 2043)) == (
        "a Loihi core has 4096 input axons, but this network needs 4086 for the data and 11 for the ramp"
    )
    assert error(lambda: replace(Chip(), synapse_bits=1900).neurons_a_core(20)) == (
        "a Loihi core has 1024 neurons and 1900 bits of synapse memory, but one neuron needs 1984 bits"
    )
    assert error(lambda: Chip().check_bound(65536)) == (
        "a Loihi threshold is at most 131071, but scores of -65536 to 65536 need 131073"
    )
    Chip().check_bound(65535)
    assert error(lambda: Chip.check_weights(-4, 8)) == "weights of 4 bits must be -7 to 7, not -4 to 8"
    assert error(lambda: Network([Core(np.full((1, 2), 9))], 9, Chip(), Activity())).endswith("not 9 to 9")
    assert error(lambda: Network([Core(np.ones((1, 2)))], 9, Chip(threshold=18), Activity())).endswith("need 19")


def test_limits_are_checked_before_anything_runs() -> None:
    device = Loihi().open()
    q = np.zeros((1, 4096), np.int8)
    attributes: dict[str, Any] = {"rows": 1, "dimensions": 4096, "scale": 1.0, "mode": "tanh"}
    with pytest.raises(UnsupportedError, match="has 4096 input axons, but this network needs 8192 for the data"):
        device.run(OPERATORS["similarity"].bind({"q": q, "c": q}))
    with pytest.raises(UnsupportedError, match="has 4096 input axons"):
        device.load(Database({"nits": pack(q)}, attributes))


def test_memory_is_counted_as_nengo_loihi_counts_it() -> None:
    for rows, dimensions in ((1, 1), (13, 5), (64, 7), (65, 7), (300, 16)):
        (network,) = Rows(np.ones((rows, dimensions), np.int8), Chip(), Activity()).networks
        (block,) = network._emulator.block_info.blocks
        used, most = block.utilization()["synapses"]
        assert used == Chip().memory_bits(rows, 2 * dimensions)
        assert most == Chip().synapse_bits
    (block,) = Sorter(1, Chip(), Activity())._network._emulator.block_info.blocks
    assert block.utilization()["synapses"][0] == Chip().memory_bits(1021, 0, 4)
    assert block.utilization()["in-axons"] == (4 * 1021 + GLOBAL_AXONS, 4096)


def test_the_smallest_weight_format_is_taken() -> None:
    """In 4 bits 1,024 rows of 64 nits fit one core; in 8 bits, as 129 axons of 1,024 weights, they need two."""
    assert 129 * axon_bits(1024, 8) == 1_188_864 > Chip().synapse_bits
    assert Chip().neurons_a_core(128) == 1024
    assert Chip().neurons_a_core(768) == 256
    assert 2 ** (FINE_BITS - 1) - 1 >= 4 > 2 ** (FINE_BITS - 2) - 1
    assert sorted(FINE + COARSE[:-1]) == [1 << bit for bit in range(10)]
    assert LIFT_MAX == 1023


def test_what_the_emulator_raises_is_a_device_error_of_one_line() -> None:
    from nengo.exceptions import SimulationError

    with pytest.raises(DeviceError, match=r"^the Loihi emulator failed: Overflow in q0$"), failures():
        raise SimulationError("Overflow in q0\nmore of it")
    # The emulator is strict: an accumulator that overflows raises, where it would only warn otherwise.
    network = Network([Core(np.full((4000, 1), 7))], 30_000, Chip(), Activity())
    with pytest.raises(DeviceError, match="Overflow in q0"):
        list(network.race([[list(range(4000)) * 2]], 30_000, []))


def test_the_view_of_numpy_is_nengo_loihis_alone() -> None:
    library()
    block, neurons = importlib.import_module("nengo_loihi.block"), importlib.import_module("nengo_loihi.neurons")
    here = np.arange(3)
    for module in (block, neurons):
        assert isinstance(module.np, NumpyView)
        assert np.shares_memory(module.np.array(here, copy=False), here)
        assert module.np.array(here, copy=False, dtype=np.float32).dtype == np.float32
        assert not np.shares_memory(module.np.array(here), here)
        assert module.np.arange is np.arange
    assert not isinstance(importlib.import_module("nengo_loihi.probe").np, NumpyView)
    with pytest.raises(ValueError, match="copy"):  # NumPy's own still refuses
        np.array(here, copy=False, dtype=np.float32)


def test_it_is_quiet_and_imported_late() -> None:
    code = """
import json, sys, warnings
warnings.simplefilter("error")
from ninefold.host.backends.loihi import Loihi
Loihi().probe(), Loihi().operators()
before = "nengo" in sys.modules or "nengo_loihi" in sys.modules
device = Loihi().open()
import numpy as np
from ninefold.spec.operators import OPERATORS
c = np.ones((3, 2), np.int8)
scores = device.run(OPERATORS["similarity"].bind({"q": c[:1], "c": c})).values["scores"]
print(json.dumps([before, scores.tolist()]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [False, [[2, 2, 2]]]
    assert done.stderr == ""
