"""Residents of a device: their forms, versions, and what is refused."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ninefold.spec import operators
from ninefold.spec.data import Database, State
from ninefold.spec.errors import DeviceError, InputError, UnsupportedError
from ninefold.spec.residents import LoadedResidents, load_and_run, state_after
from ninefold.spec.runners import Runners
from ninefold.spec.signature import Call

_COUNTER = """
from ninefold.spec.signature import Layout, Operator, Resident, Tensor

LAYOUT = Layout("tally", (Tensor("total", (), ("int64",)),))
OPERATOR = Operator(
    "tally",
    "Add numbers to a total.",
    (Tensor("x", ("N",), ("int64",)), Resident("state", "state", LAYOUT)),
    (Tensor("total", (), ("int64",)),),
    stateful=True,
)
"""
_DOUBLE = """
from ninefold.spec.signature import Operator, Resident, Tensor
from tally.signature import LAYOUT

OPERATOR = Operator(
    "doubled", "Double a total.", (Resident("state", "state", LAYOUT),), (Tensor("double", (), ("int64",)),)
)
"""
_TOY = """
import numpy as np
from ninefold.spec.data import Answer, Kept

def load(device, state):
    return [int(state.arrays["total"])]

def fetch(device, form):
    return {"total": np.int64(form[0])}

def step(device, call):
    form = device.residents.form(call.state(), load)
    total = np.int64(form[0] + call.arguments["x"].sum())
    if device.keeps:
        form[0] = int(total)
        if device.fails is not None:
            raise device.fails
        return Answer({"total": total}, state=Kept(call.state().id, call.state().version + 1))
    following = np.float64(total) if device.wrong else total
    return Answer({"total": total}, state=call.state().next({"total": following}))
"""
_DOUBLED = """
from ninefold.spec.data import Answer

def load(device, state):
    return [2 * int(state.arrays["total"])]

def run(device, call):
    return Answer({"double": device.residents.form(call.state(), load)[0]})
"""
_TOY_MINE = """
from ninefold.spec.data import Answer

def run(device, call):
    return Answer({"form": device.residents.form(call.database())})
"""


class Toy:
    """A device of a backend that runs `tally`, which has a form of its own, and `mine`, which has not."""

    name = "toy"
    capacity_bytes = None

    def __init__(self, keeps: bool = False, wrong: bool = False) -> None:
        self.keeps, self.wrong = keeps, wrong
        self.fails: BaseException | None = None
        self.freed: list[Any] = []
        self.residents = LoadedResidents(self, Runners("toy"), lambda r: sorted(r.arrays), self.freed.append)
        self.load, self.unload, self.run = self.residents.load, self.residents.unload, self.residents.run
        self.fetch = self.residents.fetch

    def close(self) -> None:
        self.residents.clear()


@pytest.fixture(scope="module", autouse=True)
def packages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder = tmp_path_factory.mktemp("packages")
    for name, files in {
        "toy": {"__init__.py": 'REASON = "it is a toy with few parts"', "mine.py": _TOY_MINE},
        "tally": {"__init__.py": "", "signature.py": _COUNTER, "toy.py": _TOY},
        "doubled": {"__init__.py": "", "signature.py": _DOUBLE, "toy.py": _DOUBLED},
        "forgetful": {
            "__init__.py": "",
            "signature.py": _COUNTER.replace('"tally",\n    "Add', '"forgetful",\n    "Add'),
            "toy.py": _TOY.replace("def fetch", "def fetched"),
        },
    }.items():
        (folder / name).mkdir()
        for file, text in files.items():
            (folder / name / file).write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        names = ("tally", "doubled")
        for name in names:
            operators.add(Path(folder / name))
        yield
        for name in names:
            operators.remove(name)
        # A worker may set this module up again in another folder.
        for name in [
            name for name in sys.modules if name.partition(".")[0] in ("toy", "tally", "doubled", "forgetful")
        ]:
            del sys.modules[name]


def state(version: int = 0, total: int = 5) -> State:
    return State("s", version, {"total": np.int64(total)})


def step(before: State, *numbers: int) -> Call:
    return operators.OPERATORS["tally"].bind({"x": np.array(numbers, np.int64), "state": before})


def database(rows: int = 2) -> Database:
    attributes = {"rows": rows, "dimensions": 4, "scale": 1.0, "mode": "tanh"}
    return Database({"nits": np.full((rows, 2), 0x11 * (rows % 4), np.uint8)}, attributes)


def search(data: Database) -> Call:
    return operators.OPERATORS["mine"].bind({"q": np.zeros((1, 4), np.float32), "database": data})


def test_a_call_needs_its_residents() -> None:
    device, data = Toy(), database()
    with pytest.raises(DeviceError, match=f"^database {data.digest[:12]} is not loaded on toy$"):
        device.run(search(data))
    with pytest.raises(DeviceError, match=r"^version 0 of state s is not loaded on toy$"):
        device.run(step(state(), 1))
    assert load_and_run(device, search(data)).values == {"form": ["nits"]}
    device.unload(data.digest)
    device.unload("never loaded")
    assert device.freed == [["nits"]]
    with pytest.raises(DeviceError, match="is not loaded on toy"):
        device.run(search(data))


def test_a_wrong_state_of_a_step_is_the_fault_of_the_device() -> None:
    device = Toy(wrong=True)
    device.load(state())
    message = r"^toy returned a wrong state: tally.total must have dtype int64, not float64$"
    with pytest.raises(DeviceError, match=message):
        device.run(step(state(), 1))


def test_a_resident_is_loaded_once() -> None:
    device, data = Toy(), database()
    device.load(data)
    form = device.residents.form(data)
    device.load(database())  # of the same content
    assert device.residents.form(data) is form
    device.close()
    assert device.freed == [form]


@pytest.mark.parametrize("keeps", [False, True])
def test_steps_go_on_from_the_version_that_the_step_before_made(keeps: bool) -> None:
    device = Toy(keeps)
    first = state()
    assert load_and_run(device, step(first, 1, 2)).values["total"] == 8
    second = state(1, 8)
    with pytest.raises(DeviceError, match=r"^version 0 of state s is not loaded on toy$"):
        device.run(step(first, 1))
    assert device.run(step(second, 10)).values["total"] == 18
    assert [form for form in device.freed if form[0] in {5, 8, 18}] == ([] if keeps else [[5], [8]])


def test_a_kept_state_is_fetched_with_its_attributes() -> None:
    device = Toy(keeps=True)
    before = state()
    with pytest.raises(DeviceError, match=r"^toy keeps no state s$"):
        device.residents.fetch("s")
    load_and_run(device, step(before, 1))
    found = device.residents.fetch("s")
    assert (found.id, found.version, dict(found.arrays), found.attributes) == ("s", 1, {"total": 6}, {})
    device.unload("s")
    with pytest.raises(DeviceError, match=r"^toy keeps no state s$"):
        device.residents.fetch("s")


@pytest.mark.parametrize("error", [KeyboardInterrupt(), MemoryError(), DeviceError("no answer")])
def test_a_step_that_fails_in_the_middle_leaves_no_form(error: BaseException) -> None:
    device = Toy(keeps=True)
    load_and_run(device, step(state(), 1))
    device.fails = error
    with pytest.raises(type(error)):
        device.run(step(state(1), 1))
    device.fails = None
    with pytest.raises(DeviceError, match=r"^version 1 of state s is not loaded on toy$"):
        device.run(step(state(1), 1))
    assert load_and_run(device, step(state(1, 6), 1)).values["total"] == 7


@pytest.mark.parametrize("error", [InputError("x must not be 3"), UnsupportedError("too long")])
def test_a_step_that_is_refused_leaves_the_state_as_it_was(error: Exception) -> None:
    device = Toy(keeps=True)
    device.load(state())
    device.fails = error
    with pytest.raises(type(error)):
        device.run(step(state(), 1))
    device.fails = None
    # A device refuses before it changes anything; this one did not, which shows that the same form is used.
    assert device.run(step(state(), 1)).values["total"] == 7


def test_the_state_after_a_step_comes_from_the_device_or_the_answer() -> None:
    for keeps in (False, True):
        found = state_after(Toy(keeps), step(state(), 4))
        assert (found.version, found.arrays["total"]) == (1, 9)
    with pytest.raises(DeviceError, match=r"^toy returned no state after mine$"):
        state_after(Toy(), search(database()))


def test_a_step_in_place_leaves_no_other_form_of_the_version_before() -> None:
    device = Toy(keeps=True)
    before = state()
    doubled = operators.OPERATORS["doubled"]
    assert load_and_run(device, doubled.bind({"state": before})).values["double"] == 10
    device.run(step(before, 2))
    assert device.freed == [[10]]
    empty = State("s", 1, {})
    empty.checked.update(before.checked)
    assert device.run(doubled.bind({"state": empty})).values["double"] == 14


def test_a_module_that_keeps_states_must_fetch_them() -> None:
    device = Toy(keeps=True)
    operators.add("forgetful")
    try:
        call = operators.OPERATORS["forgetful"].bind({"x": np.array([1]), "state": state()})
        with pytest.raises(DeviceError, match=r"^forgetful keeps its state on toy and must have fetch$"):
            load_and_run(device, call)
    finally:
        operators.remove("forgetful")


def test_an_earlier_version_may_be_loaded_again() -> None:
    device = Toy()
    load_and_run(device, step(state(), 1))
    assert load_and_run(device, step(state(), 2)).values["total"] == 7


def test_what_fits_no_operator_is_refused() -> None:
    device = Toy()
    with pytest.raises(InputError, match=r"^database must have the attribute rows$"):
        device.load(Database({}, {}))
    with pytest.raises(InputError, match=r"^tally"):
        device.load(State("s", 0, {"total": np.zeros(2, np.int64)}))
    names = ("tally", "doubled")
    for name in names:
        operators.remove(name)
    try:
        with pytest.raises(UnsupportedError, match=r"^toy runs no operator that takes a state$"):
            device.load(state())
    finally:
        for name in names:
            operators.add(name)


def test_an_operator_that_is_not_run_says_why_before_residents_matter() -> None:
    device = Toy()
    call = operators.OPERATORS["topk"].bind({"scores": np.zeros((1, 1), np.int32)}, {"k": 1})
    with pytest.raises(UnsupportedError, match=r"^toy does not run topk: it is a toy with few parts$"):
        device.run(call)
