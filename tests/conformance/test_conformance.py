"""Every backend answers every case as the golden model does: the same bits, or within the operator's bound."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np
import pytest

from ninefold.host.backends.board import BoardDevice
from ninefold.host.server.service import Service
from ninefold.numerics.stages import is_plain
from ninefold.sim.conformance import Case, difference, judged
from ninefold.spec.errors import UnsupportedError
from ninefold.spec.operators import OPERATORS
from ninefold.spec.protocols import Device, Found
from ninefold.spec.registry import backend, backend_names
from ninefold.spec.residents import load_and_run
from ninefold.spec.signature import Call

from ..host.server.conftest import serving
from .cases import calls_of, cases_of
from .judge import expected

#: Ways of the CPU backend that run anywhere; AVX-512 VNNI runs where the processor has it, its tile code everywhere.
CPU_PATHS = ("avx2", "portable", "emulated", "openvino", "numpy")


def targets() -> list[object]:
    cpu = [pytest.param(("cpu", path), id=f"cpu-{path}") for path in CPU_PATHS]
    vnni = pytest.param(("cpu", "avx512"), id="cpu-avx512", marks=pytest.mark.avx512)
    # A second, independent OpenCL runtime.
    pocl = pytest.param(("opencl", "pocl"), id="opencl-pocl", marks=pytest.mark.pocl)
    others = [name for name in backend_names() if name != "cpu" and computes(name)]
    signs = pytest.param(("board", "virtual/demo_signs"), id="board-signs")
    return [*cpu, vnni, pocl, *(pytest.param((name, ""), id=name) for name in others), signs]


def computes(name: str) -> bool:
    """Return True if a backend's answers are more than zeros of the right shape."""
    found = [entry for entry in backend(name).probe() if isinstance(entry, Found)]
    return not found or any(entry.computes for entry in found)


@pytest.fixture(params=targets(), scope="module")
def device(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Device]:
    name, path = request.param
    with pytest.MonkeyPatch.context() as patch, contextlib.ExitStack() as stack:
        if name == "cpu":
            patch.setenv("NINEFOLD_CPU_PATH", path)
        if name == "remote":
            service = stack.enter_context(Service([], tmp_path_factory.mktemp("server")))
            url = stack.enter_context(serving(service))
            patch.setenv("NINEFOLD_REMOTES", url)
            path = f"{url.removeprefix('http://')}/cpu"
        opened = backend(name).open("" if name == "cpu" else path)
        yield opened
        opened.close()


def declines(device: Device, call: Call) -> bool:
    """Return True if a device must refuse a call in words, for its options, although it runs the operator."""
    name, plain = device.name.partition(":")[0], call.operator.name == "mine" and is_plain(call)
    if name == "rtl" and call.operator.name == "wave_step_fixed":
        return any(extent not in (2, 4, 8, 16, 32, 64, 128) for extent in call.sizes.values())
    if name == "rtl":
        by_nits = call.operator.name == "mine" and call.options["scan"] == "nits"
        return call.options.get("macro") is not None or (by_nits and not plain)
    if not isinstance(device, BoardDevice):
        return False
    identity = device.connect().identity
    if identity.design == "miner":
        return call.options.get("scan") != "nits" or call.options["macro"] is not None
    by_nits, clustered = call.options.get("scan") == "nits", call.options["macro"] is not None
    return by_nits or clustered or call.sizes["D"] > identity.dimensions


def first_call(case: Case) -> Call:
    """Return a case that is a call, or the first step of a sequence."""
    return case if isinstance(case, Call) else case.call(case.state, case.steps[0])


def claims(name: str, operator: str) -> bool:
    return backend(name).operators()[operator] is None


@pytest.mark.parametrize("operator", sorted(OPERATORS))
def test_every_case(device: Device, operator: str) -> None:
    """One test an operator and device, so that a device opens, and a model is built, once."""
    name = device.name.partition(":")[0]
    if not claims(name, operator):
        call = first_call(next(iter(cases_of(operator).values())))
        with pytest.raises(UnsupportedError, match=f"^{device.name} does not run {operator}: .{{20,}}"):
            device.run(call)
        return
    wrong = {}
    for case_name, case in cases_of(operator).items():
        if declines(device, first_call(case)):
            with pytest.raises(UnsupportedError, match=r".{20,}"):
                load_and_run(device, first_call(case))
            continue
        wanted = expected(operator, case_name) if isinstance(case, Call) else None
        if text := judged(device, case, wanted):
            wrong[case_name] = text
    assert wrong == {}


@pytest.mark.parametrize("operator", sorted(OPERATORS))
def test_there_are_cases_for_every_operator(operator: str) -> None:
    assert cases_of(operator)


@pytest.mark.parametrize("name", backend_names())
def test_each_pair_that_is_not_run_carries_a_reason(name: str) -> None:
    for operator, reason in backend(name).operators().items():
        assert reason is None or (len(reason) > 20 and "has no module for it yet" not in reason), operator


def test_the_comparison_sees_one_wrong_element() -> None:
    call, wanted = calls_of("topk")["ties, k = 10"], expected("topk", "ties, k = 10")
    assert difference(call, wanted, wanted) == ""
    values = {name: array.copy() for name, array in wanted.items()}
    values["ids"][2, 3] += 1
    assert (
        difference(call, values, wanted)
        == f"ids[2, 3] is {wanted['ids'][2, 3] + 1}, not {wanted['ids'][2, 3]} (1 differ)"
    )
    short = {**wanted, "ids": wanted["ids"][:, :9]}
    assert difference(call, short, wanted) == "ids must have k = 10, not 9 (shape (4, 9))"
    embed, vectors = calls_of("embed")["full"], expected("embed", "full")["vectors"]
    assert difference(embed, {"vectors": vectors}, {"vectors": vectors}) == ""
    turned = np.roll(vectors, 1, axis=1)
    assert " has cosine " in difference(embed, {"vectors": turned}, {"vectors": vectors})


@pytest.mark.parametrize("operator", sorted(OPERATORS))
def test_what_computes_nothing_answers_in_the_right_shape(operator: str) -> None:
    idle = backend("null").open()
    for case, call in calls_of(operator).items():
        values = idle.run(call).values
        for result in OPERATORS[operator].results:
            wanted = np.asarray(expected(operator, case)[result.name])
            assert values[result.name].shape == wanted.shape, case
            assert values[result.name].dtype.name in result.dtypes
            assert not values[result.name].any()
