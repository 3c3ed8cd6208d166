"""Records of runs: written and read back, and the key named in a damaged one."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from ninefold.host.bench.records import Run
from ninefold.spec.benchmark import Figure
from ninefold.spec.errors import DamagedDataError, InputError
from tests.host.bench.made_up import run

FIGURE = Figure(
    "search",
    "cpu",
    "time",
    1.5,
    "ms",
    {"rows": 10, "share": 0.5, "data": "real"},
    0.25,
    7,
    "timed",
    "less",
    "peer",
    0.5,
    0.01,
    "<= 0.75",
    "detail",
    "a task",
)


def test_there_and_back() -> None:
    made = run(FIGURE, Figure("topk", "rtl", "cycles", 7, "cycles", kind="exact"))
    text = made.to_json()
    back = Run.from_json(text)
    assert back == made
    assert back.suites["search"][0].key == FIGURE.key
    assert text.endswith("}\n")


def changed(path: str, value: Any) -> str:
    """Return the record with one value changed, or without it."""
    plain = json.loads(run(FIGURE).to_json())
    *way, last = path.split("/")
    at = plain
    for name in way:
        at = at[int(name)] if name.isdigit() else at[name]
    if value is ...:
        del at[last]
    else:
        at[last] = value
    return json.dumps(plain)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("date", ..., "date is missing"),
        ("date", 5, "date must be a string, not 5"),
        ("more", 1, "more is unknown"),
        ("size", "huge", "size must be one of 'tiny', 'small', 'large', not 'huge'"),
        ("machine/processors", "two", "machine.processors must be an integer, not 'two'"),
        ("machine/processors", True, "machine.processors must be an integer, not True"),
        ("notes", "none", "notes must be a list, not 'none'"),
        ("packages", [], "packages must be an object, not []"),
        ("machine", 1, "machine must be an object, not 1"),
        ("suites/search/0/value", None, "suites.search[0].value must be a number, not None"),
        ("suites/search/0/value", 10**400, "suites.search[0].value must be a number, not 1000"),
        ("suites/search/0/ratio", "x", "suites.search[0].ratio must be a number or null, not 'x'"),
        ("suites/search/0/ratio", None, "suites.search[0] is refused: ratio and beside come together, not None beside"),
        ("suites/search/0/kind", "guessed", "suites.search[0].kind must be one of"),
        ("suites/search/0/parameters/rows", [1], "suites.search[0].parameters.rows must be an integer or a number or"),
    ],
)
def test_the_key_at_fault_is_named(path: str, value: Any, message: str) -> None:
    with pytest.raises(DamagedDataError) as caught:
        Run.from_json(changed(path, value), "old.json")
    assert str(caught.value).startswith(f"old.json is not a record of a benchmark run: {message}")


def test_what_is_no_number_is_refused() -> None:
    text = run(FIGURE).to_json().replace("1.5", "NaN")
    with pytest.raises(DamagedDataError, match=r"suites\.search\[0\]\.value must be a number, not nan"):
        Run.from_json(text)
    for damaged in ("{", b"\xff\xfe\xff", "[" * 100_000):
        with pytest.raises(DamagedDataError, match="old is not JSON"):
            Run.from_json(damaged, "old")
    with pytest.raises(DamagedDataError, match="the whole must be an object"):
        Run.from_json("[]")


def test_another_schema_is_refused() -> None:
    with pytest.raises(InputError) as caught:
        Run.from_json(changed("schema", 99), "old.json")
    assert str(caught.value) == "old.json has schema 99; this version of ninefold reads 1 and 2"


def test_schema_1_is_read() -> None:
    plain = json.loads(run(FIGURE).to_json())
    plain["schema"] = 1
    del plain["suites"]["search"][0]["task"]
    back = Run.from_json(json.dumps(plain))
    assert back.suites["search"] == (replace(FIGURE, task=""),)
