"""The conformance suite is worth what it catches: with a fault planted in the RTL, it fails."""

import pytest

from ninefold.sim.conformance import difference
from ninefold.sim.rtl import Rtl
from ninefold.spec.errors import DeviceError
from ninefold.spec.residents import load_and_run
from tests.sim.test_rtl import FAULTS, planted

from .cases import calls_of
from .judge import expected

#: Cases that one small model of the faulty core answers.
CASES = {
    "quantise": ["edges, tanh", "every grid value in rows, tanh"],
    "similarity": ["random", "odd dimensions"],
    "topk": ["ties, k = 10", "rising, k = 10"],
    "candidates": ["ties, keep = 7", "63 rows of 7"],
    "mine": ["ties, k = 10", "fewer rows than k"],
}


@pytest.mark.parametrize(("operator", "name", "pattern", "replacement"), FAULTS, ids=[f[1] for f in FAULTS])
def test_a_fault_in_the_rtl_fails_the_suite(operator: str, name: str, pattern: str, replacement: str) -> None:
    faulty = Rtl(transform=planted(operator, pattern, replacement)).open()
    found = []
    for case in CASES[operator]:
        call = calls_of(operator)[case]
        try:
            values = load_and_run(faulty, call).values
        except DeviceError as error:  # the core hung, or closed a batch where none ends
            found.append(str(error))
            break
        found.append(difference(call, values, expected(operator, case)))
    faulty.close()
    assert any(found), f"{name} went unseen"
