"""The conformance suite passes right backends of another's operator, and sees each planted fault."""

from __future__ import annotations

from pathlib import Path

import pytest

from ninefold.sim.conformance import cases_of, conform
from ninefold.spec.errors import InputError
from ninefold.spec.operators import OPERATORS, add
from tests.packages import COUNTER, PARITY, added, written


def flaws(package: Path) -> list[str]:
    with added(package) as operator:
        cases_of.cache_clear()
        (verdict,) = [v for v in conform(operator.name, cases_of(operator.name, ""), ["cpu"]) if not v.reason]
    assert verdict.cases > 0
    return list(verdict.flaws.values())


def test_right_backends_pass(tmp_path: Path) -> None:
    assert flaws(written(tmp_path, "right_parity", PARITY)) == []
    assert flaws(written(tmp_path, "right_tally", COUNTER)) == []


def test_backends_without_a_module_say_so(tmp_path: Path) -> None:
    with added(written(tmp_path, "only_cpu", PARITY)) as operator:
        verdicts = {v.device: v for v in conform(operator.name, cases_of(operator.name, ""), ["cpu", "openvino"])}
    assert verdicts["cpu"].reason == ""
    assert len(verdicts["openvino"].reason) > 20


STATE = '{"count": count, "last": last}'
TOTAL = '{"total": count.sum()}'


@pytest.mark.parametrize(
    ("right", "wrong", "flaw"),
    [
        (STATE, '{"rubbish": np.zeros(1)}', "counts may hold count, last, not 'rubbish'"),
        (STATE, '{"count": count}', "counts must hold 'last'; it holds count"),
        (STATE, '{"count": count * 1.0, "last": last}', "counts.count must have dtype"),
        (STATE, '{"count": count[1:], "last": last}', "counts.count must have C = 4, not 3"),
        (STATE, '{"count": -count, "last": last}', "counts.count must be at least 0"),
        (f"{STATE})", f"{STATE}).next(state.arrays)", "step 1: it returned version 2"),
        (f"state.next({STATE})", "None", "step 1: it returned no state"),
        (STATE, '{"count": count[::-1].copy(), "last": last}', "step 1: count of the state[0] is"),
        (STATE, '{"count": count, "last": events.max() if len(events) else last}', "last of the state"),
        # Wrong only where a step has no events.
        ('else state.arrays["last"]', "else np.int64(0)", "step 2: last of the state[] is 0, not"),
        (TOTAL, '{"total": count.sum() - 1}', "step 1: total[] is 2, not 3"),
        (TOTAL, '{"total": -count.sum()}', "step 1: total must be at least 0, not -3"),
        ('"seconds": 0.0', '"cycles": 1', "step 1: the answer has no metric seconds"),
        ("minlength", "most", "TypeError: "),
        (
            'count = state.arrays["count"] +',
            'count = state.arrays["count"]; count +=',
            "it wrote to count",
        ),
        ("state, events = ", 'call.arguments["events"][:] = 0; state, events = ', "it wrote to events"),
    ],
)
def test_each_fault_of_a_step_is_seen(tmp_path: Path, right: str, wrong: str, flaw: str) -> None:
    assert right in COUNTER["cpu"]
    (found,) = flaws(written(tmp_path, "wrong_tally", COUNTER, cpu=COUNTER["cpu"].replace(right, wrong)))
    assert flaw in found


@pytest.mark.parametrize(
    ("wrong", "flaw"),
    [
        ("count[event] += 2", "total[] is 3, not 6"),
        ("count[event + 4] += 1", "step 1: golden model: IndexError: "),
        ("count = count.astype(np.int32)", "step 1: golden model: counts.count must have dtype int64, not int32"),
    ],
)
def test_a_wrong_golden_model_is_named(tmp_path: Path, wrong: str, flaw: str) -> None:
    changed = COUNTER["golden"].replace("count[event] += 1", wrong)
    (found,) = flaws(written(tmp_path, "wrong_model", COUNTER, golden=changed))
    assert flaw in found


def test_cases_that_cannot_be_used(tmp_path: Path) -> None:
    for name, source, message in (
        ("no_function", "x = 1\n", "must define cases"),
        ("no_syntax", "def cases(:\n", "the cases of parity cannot be imported: SyntaxError"),
    ):
        with added(written(tmp_path, name, PARITY, cases=source)), pytest.raises(InputError, match=message):
            cases_of("parity", "")
        cases_of.cache_clear()


def test_packages_that_cannot_be_used(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.mkdir()
    with pytest.raises(InputError, match="must be a package with OPERATOR in its module signature"):
        add(plain)
    empty = written(tmp_path, "no_signature", {})
    with pytest.raises(InputError, match="must be a package with OPERATOR in its module signature"):
        add(empty)
    taken = written(tmp_path, "takes_topk", PARITY, signature=PARITY["signature"].replace('"parity"', '"topk"'))
    with pytest.raises(InputError, match="may not take the name topk, which an operator of Ninefold has"):
        add(taken)
    assert OPERATORS["topk"].argument_names == ("scores", "ids")
    no_cases = written(tmp_path, "no_cases", {name: text for name, text in PARITY.items() if name != "cases"})
    with added(no_cases), pytest.raises(InputError, match=r"^parity has no cases: no_cases.cases must define"):
        cases_of("parity", "")
