"""Properties that hold for any input, on every backend that is quick enough to be asked hundreds of times."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ninefold.host.backends.cpu import Cpu
from ninefold.host.backends.opencl import OpenCl
from ninefold.host.backends.openvino import OpenVino
from ninefold.spec.protocols import Device

from .judge import assert_golden

#: Both families of OpenCL's kernels; the CPU with its own code and without.
DEVICES: Final[dict[str, Callable[[], Device]]] = {
    "cpu": lambda: Cpu(path="numpy", threads=2).open(),
    "cpu-kernel": lambda: Cpu(path="portable", threads=2).open(),
    "opencl-vector": lambda: OpenCl("vector").open(),
    "opencl-group": lambda: OpenCl("group").open(),
    "openvino": lambda: OpenVino().open("CPU"),
    "pocl-vector": lambda: OpenCl("vector").open("pocl"),
    "pocl-group": lambda: OpenCl("group").open("pocl"),
}


@pytest.fixture(
    scope="module",
    params=[pytest.param(name, marks=[pytest.mark.pocl] if name.startswith("pocl") else []) for name in DEVICES],
)
def device(request: pytest.FixtureRequest) -> Iterator[Device]:
    opened = DEVICES[request.param]()
    yield opened
    opened.close()


@pytest.mark.parametrize("mode", ["tanh", "linear"])
def test_quantise_every_grid_value_and_every_tie(device: Device, mode: str) -> None:
    x = (np.arange(-(2**16) - 600, 2**16 + 600, dtype=np.float32) / 8192).reshape(-1, 2)
    assert_golden(device, "quantise", {"x": x}, scale=1.0, mode=mode)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_quantise_any_numbers(device: Device, dtype: str, data: st.DataObject) -> None:
    width = {"float16": 16, "float32": 32, "float64": 64}[dtype]
    numbers = st.floats(allow_nan=False, width=width)  # type: ignore[arg-type]
    x = data.draw(hnp.arrays(dtype, st.tuples(st.integers(0, 3), st.integers(1, 9)), elements=numbers))
    scale = data.draw(st.floats(1e-30, 1e30))
    assert_golden(device, "quantise", {"x": x}, scale=scale, mode=data.draw(st.sampled_from(["tanh", "linear"])))


def test_quantise_keeps_subnormal_numbers(device: Device) -> None:
    x = np.array([[1.17e-38, -1.17e-38, 3e-39, 1e-45]], np.float32)
    answer = assert_golden(device, "quantise", {"x": x}, scale=3e38, mode="linear")
    assert answer.values["nits"].tolist() == [[4, -4, 1, 0]]


@pytest.mark.parametrize("normalised", [False, True])
@pytest.mark.parametrize(
    "shape", [(3, 40, 1), (2, 30, 384), (1, 9, 4096), (0, 5, 7), (5, 0, 7), (300, 20, 3), (70, 20_000, 5)]
)
def test_similarity(device: Device, shape: tuple[int, int, int], normalised: bool) -> None:
    rng = np.random.default_rng(2)
    q = rng.integers(-4, 5, (shape[0], shape[2]), dtype=np.int8)
    c = rng.integers(-4, 5, (shape[1], shape[2]), dtype=np.int8)
    c[: len(c) // 3] = 0
    c[len(c) // 3 : len(c) // 2] = 4
    assert_golden(device, "similarity", {"q": q, "c": c}, normalised=normalised)


def test_similarity_normalises_every_sum_of_squares_alike(device: Device) -> None:
    # Rows of 1 to 4,096 ones, or fours.
    c = np.tri(4096, dtype=np.int8)[::7] * np.int8(4)
    c[1::2] //= 4
    q = np.stack([np.full(4096, 4), np.full(4096, -4), np.random.default_rng(3).integers(-4, 5, 4096)])
    assert_golden(device, "similarity", {"q": q.astype(np.int8), "c": c}, normalised=True)


_SHAPE: Final = st.tuples(st.integers(0, 4), st.integers(0, 40))


@settings(max_examples=60, deadline=None)
@given(
    scores=hnp.arrays(np.int32, _SHAPE, elements=st.integers(-(2**31), 2**31 - 1))
    | hnp.arrays(np.int32, _SHAPE, elements=st.integers(-1, 1))
    | hnp.arrays(np.float32, _SHAPE, elements=st.floats(allow_nan=False, width=32)),
    k=st.sampled_from([1, 2, 7, 40, 256]),
)
def test_topk(device: Device, scores: npt.NDArray[Any], k: int) -> None:
    assert_golden(device, "topk", {"scores": scores}, k=k)
