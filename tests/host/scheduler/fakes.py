"""Backends whose behaviour a test chooses, and operators with states."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ninefold.host.backends.cpu import Cpu
from ninefold.numerics.nits import pack
from ninefold.spec.data import Answer, Database, Kept, State
from ninefold.spec.errors import UnavailableError
from ninefold.spec.operators import OPERATORS
from ninefold.spec.protocols import Device, Found, Missing
from ninefold.spec.signature import Call, Layout, Operator, Resident, Tensor

#: What a device does with a call instead of, or before, computing it: return an answer, raise, wait, or return None.
Behaviour = Callable[["FakeDevice", Call], Answer | None]

#: The total that lives on a device.
TOTAL = Layout("total", (Tensor("total", (), ("int64",), low=0, doc="sum of all numbers"),))
#: Adds numbers to it.
RUNNING_SUM = Operator(
    name="running_sum",
    summary="Add numbers to a total.",
    arguments=(Tensor("x", ("N",), ("int64",)), Resident("so_far", "state", TOTAL)),
    results=(Tensor("total", (), ("int64",), low=0),),
    stateful=True,
)
#: Reads it.
RUNNING_TOTAL = Operator(
    name="running_total",
    summary="Read the total.",
    arguments=(Resident("read", "state", TOTAL),),
    results=(Tensor("total", (), ("int64",)), Tensor("version", (), ("int64",))),
)
#: Halves a trace and adds to it.
TRACE = Layout("trace", (Tensor("trace", ("D",), ("float32",), low=0, high=100, doc="sum of decaying values"),))
DECAY = Operator(
    name="decay",
    summary="Halve a trace and add to it.",
    arguments=(Tensor("x", ("D",), ("float32",)), Resident("memory", "state", TRACE)),
    results=(Tensor("peak", (), ("float32",)),),
    stateful=True,
)
ALL = {**OPERATORS, "running_sum": RUNNING_SUM, "running_total": RUNNING_TOTAL, "decay": DECAY}


class FakeDevice:
    """Computes with NumPy, states included, unless its behaviour does something else."""

    def __init__(self, name: str, behaviour: Behaviour | None, capacity: int | None) -> None:
        self.name = name
        self.behaviour = behaviour
        self.capacity_bytes = capacity
        self.inner: Device = Cpu().open("numpy")
        self.calls: list[Call] = []
        self.held: dict[str, Database | State] = {}
        self.loads: list[str] = []
        self.unloads: list[str] = []
        self.fetched: list[str] = []
        self.threads: set[int] = set()
        self.busy = threading.Lock()
        self.closed = False

    #: Called by `load` and by `close`, with the name of the method.
    hook: Callable[[str], None] | None = None

    def load(self, resident: Database | State) -> None:
        if self.hook is not None:
            self.hook("load")
        self.threads.add(threading.get_ident())
        key = resident.digest if isinstance(resident, Database) else resident.id
        self.loads.append(key if isinstance(resident, Database) else f"{key}@{resident.version}")
        self.held[key] = resident
        if isinstance(resident, Database):
            self.inner.load(resident)

    def unload(self, key: str) -> None:
        self.inner.unload(key)
        self.unloads.append(key)
        self.held.pop(key, None)

    def run(self, call: Call) -> Answer:
        self.threads.add(threading.get_ident())
        self.calls.append(call)
        assert self.busy.acquire(blocking=False), "two calls at a time"
        try:
            if self.behaviour is not None and (answer := self.behaviour(self, call)) is not None:
                return answer
            return self.compute(call)
        finally:
            self.busy.release()

    def compute(self, call: Call) -> Answer:
        if not call.operator.state_name:
            return self.inner.run(call)
        # The device's own copy counts, as on a device that keeps its state: it must be the version that was asked for.
        state = self.held[call.state().id]
        assert isinstance(state, State)
        assert state.version == call.state().version
        if not call.operator.stateful:
            return Answer({"total": state.arrays["total"], "version": np.int64(state.version)}, "fake")
        if call.operator is DECAY:
            trace = state.arrays["trace"] / np.float32(2) + call.arguments["x"]
            values, following = {"peak": trace.max()}, state.next({"trace": trace})
        else:
            total = np.int64(state.arrays["total"] + call.arguments["x"].sum())
            values, following = {"total": total}, state.next({"total": total})
        self.held[state.id] = following
        return Answer(values, "fake", {"seconds": 0.0}, self.given(following))

    def given(self, following: State) -> State | Kept:
        """Return what an answer says about the next version."""
        return following

    def close(self) -> None:
        if self.hook is not None:
            self.hook("close")
        self.closed = True


class KeepingDevice(FakeDevice):
    """Device that keeps the states of its steps."""

    def fetch(self, key: str) -> State:
        state = self.held[key]
        assert isinstance(state, State)
        self.fetched.append(f"{key}@{state.version}")
        return state

    def given(self, following: State) -> State | Kept:
        return Kept(following.id, following.version)


@dataclass
class Fake:
    """A backend with one device, or none."""

    name: str
    behaviour: Behaviour | None = None
    rating: int = 5
    unit: str = ""
    kind: str = "gpu"
    timeout_s: float | None = 4.0
    named_only: bool = False
    capacity: int | None = None
    keeps: bool = False
    reasons: Mapping[str, str] = field(default_factory=dict)
    missing: str = ""
    opened: list[FakeDevice] = field(default_factory=list)
    probes: int = 0
    hook: Callable[[str], None] | None = None

    def probe(self) -> Sequence[Found | Missing]:
        self.probes += 1
        if self.missing:
            return [Missing(self.name, self.missing, f"plug {self.name} in")]
        ratings = dict.fromkeys(ALL, self.rating)
        settings: dict[str, Any] = {"kind": self.kind, "unit": self.unit or self.name, "timeout_s": self.timeout_s}
        return [Found(self.name, f"fake {self.name}", ratings, self.named_only, **settings)]

    def operators(self) -> Mapping[str, str | None]:
        return {name: self.reasons.get(name) for name in ALL}

    def open(self, instance: str = "") -> FakeDevice:  # noqa: ARG002 - it has one
        if self.missing:
            raise UnavailableError(self.missing)
        make = KeepingDevice if self.keeps else FakeDevice
        device = make(self.name, self.behaviour, self.capacity)
        device.hook = self.hook
        self.opened.append(device)
        return device

    @property
    def device(self) -> FakeDevice:
        """The device that was opened last."""
        return self.opened[-1]

    @property
    def calls(self) -> int:
        """Calls on all devices that were opened."""
        return sum(len(device.calls) for device in self.opened)


def backends(*fakes: Fake) -> dict[str, Any]:
    """Return backends by name."""
    return {fake.name: fake for fake in fakes}


def cpu(**settings: Any) -> Fake:
    """Return a dependable device of the name that is the last resort."""
    return Fake("cpu", kind="cpu", timeout_s=None, rating=3, **settings)


def database(rows: int = 40, dimensions: int = 16, seed: int = 3) -> Database:
    nits = np.random.default_rng(seed).integers(-4, 5, (rows, dimensions)).astype(np.int8)
    return Database({"nits": pack(nits)}, {"rows": rows, "dimensions": dimensions, "scale": 1.0, "mode": "linear"})


def queries(count: int = 1, dimensions: int = 16, seed: int = 5) -> Any:
    return np.random.default_rng(seed).normal(0, 2, (count, dimensions)).astype(np.float32)


def total(value: int = 0, name: str = "sum") -> State:
    return TOTAL.state(name, {"total": np.int64(value)})


def trace(size: int = 3, name: str = "trace") -> State:
    return TRACE.state(name, {"trace": np.zeros(size, np.float32)})
