"""Backend ``rtl`` and its one device: verilated cores and the databases in their stores."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ninefold.sim.rtl.implemented import CoreRunners, Implementation
from ninefold.sim.rtl.words import DEPTH, LANES, fitting
from ninefold.sim.verilated import Design, Gaps, Model, Run, Tools, design, elaborate, tools_or_reason
from ninefold.spec.data import Answer, Database, State
from ninefold.spec.errors import DeviceError, InputError, UnavailableError
from ninefold.spec.protocols import HOST, Found, Missing
from ninefold.spec.residents import LoadedResidents
from ninefold.spec.signature import Call

if TYPE_CHECKING:
    from ninefold.sim.own.device import RtlCore

__all__ = ["KS", "Rtl", "RtlDevice", "Store"]

#: Sizes of top-k that are built; another k takes the first results of the next larger size.
KS = (16, 64, 256)
#: Time limit of a call, in seconds: a first call may compile three pipelines.
TIMEOUT_S = 900.0


@lru_cache
def _runners() -> CoreRunners:
    return CoreRunners("ninefold.sim.rtl")


@dataclass
class Store:
    """Pipeline with its own store.

    Attributes
    ----------
    model : Model
        The pipeline.
    k : int
        Number of results per query.
    holds : int or None
        Page of the database in the store; None before the first load and after a failure.
    """

    model: Model
    k: int
    holds: int | None = None


class RtlDevice:
    """Verilated cores, built on first use.

    Parameters
    ----------
    transform : callable or None
        As `Rtl` takes it.
    gaps : Gaps or None
        As `Rtl` takes it.

    Attributes
    ----------
    name : str
        ``rtl``.
    path : str
        Implementation: Verilator and its version, or models from the cache.
    """

    name = "rtl"

    def __init__(self, transform: Callable[[str], str] | None = None, gaps: Gaps | None = None) -> None:
        tools = tools_or_reason()
        self.path = f"verilator {tools.verilator_version}" if isinstance(tools, Tools) else "verilator, from the cache"
        self._transform = transform
        self._gaps = gaps
        self._models: dict[str, Model] = {}
        self._stores: dict[tuple[str, int], Store] = {}
        self._cores: dict[str, RtlCore] = {}
        self._residents = LoadedResidents(self, _runners())
        self._build_seconds = 0.0
        self._closed = False

    @property
    def capacity_bytes(self) -> int | None:
        """None: a database larger than a core's store is paged through it from host memory."""
        return None

    def load(self, resident: Database | State) -> None:
        """Register a resident. The first query loads a database into a pipeline's store, where it stays if it fits."""
        self._check_open()
        self._residents.load(resident)

    def unload(self, key: str) -> None:
        """Drop a resident and the pipelines that hold it."""
        self._residents.unload(key)
        for digest, size in [name for name in self._stores if name[0] == key]:
            self._stores.pop((digest, size)).model.close()

    def run(self, call: Call) -> Answer:
        """Run one call to completion; the time of builds is in ``build_seconds`` and not in ``seconds``."""
        self._check_open()
        self._build_seconds = 0.0
        answer = self._residents.run(call)
        metrics = dict(answer.metrics)
        metrics["seconds"] -= self._build_seconds
        metrics["build_seconds"] = self._build_seconds
        return replace(answer, metrics=metrics)

    def close(self) -> None:
        """Free every model."""
        self._residents.clear()
        for model in [*self._models.values(), *(store.model for store in self._stores.values())]:
            model.close()
        for core in self._cores.values():
            core.close()
        self._cores.clear()
        self._stores.clear()
        self._models.clear()
        self._closed = True

    def model(self, core: str, **parameters: int | str) -> Model:
        """Return the device's model of a core, for cores without state between calls."""
        key = f"{core} {parameters}"
        if key not in self._models:
            self._models[key] = self._make(core, parameters)
        return self._models[key]

    def core(self, name: str, parameters: Mapping[str, int | str]) -> RtlCore:
        """Return a core that implements an operator, by its name or path; it keeps its state from call to call."""
        from ninefold.sim.own.contract import contract_of
        from ninefold.sim.own.device import RtlCore

        contract = contract_of(name, parameters)
        key = f"{name} {contract.parameters}"
        if key not in self._cores:
            self._cores[key] = RtlCore(contract, self._build(lambda: elaborate(contract.make())), self._gaps)
        return self._cores[key]

    def store(self, database: Database, k: int) -> Store:
        """Return the pipeline of a database that returns at least `k` results."""
        key = (database.digest, fitting(k, KS))
        if key not in self._stores:
            dimensions = fitting(int(database.attributes["dimensions"]))
            mode = str(database.attributes["mode"])
            parameters: dict[str, int | str] = {
                "mode": mode,
                "dimensions": dimensions,
                "lanes": LANES,
                "depth": DEPTH,
                "k": key[1],
            }
            self._stores[key] = Store(self._make("pipeline", parameters), key[1])
        return self._stores[key]

    def simulate(
        self, model: Model, inputs: Mapping[str, npt.NDArray[np.uint8]], outputs: Mapping[str, int], patience: int
    ) -> Run:
        """Run a model with this device's back-pressure; `patience` is as in `Model.run`."""
        return model.run(inputs, outputs, patience, self._gaps)

    def _make(self, core: str, parameters: Mapping[str, int | str]) -> Model:
        return self._build(lambda: design(core, parameters))

    def _build(self, make: Callable[[], Design]) -> Model:
        started = perf_counter()
        made = make()
        if self._transform is not None:
            made = Design(self._transform(made.verilog), made.streams)
        model = Model(made)
        self._build_seconds += perf_counter() - started
        return model

    def _check_open(self) -> None:
        if self._closed:
            raise DeviceError("the device rtl is closed")


class Rtl:
    """Backend ``rtl``.

    Parameters
    ----------
    transform : callable or None
        ``transform(verilog) -> verilog``, applied to the text of each core before compilation. Conformance tests plant
        faults with it and must detect them. A changed text has its own cache entry.
    gaps : Gaps or None
        Random back-pressure on every stream; results must not depend on it.

    Attributes
    ----------
    name : str
        ``rtl``.
    """

    name = "rtl"

    def __init__(self, transform: Callable[[str], str] | None = None, gaps: Gaps | None = None) -> None:
        self._transform = transform
        self._gaps = gaps

    def probe(self) -> Sequence[Found | Missing]:
        """Look for Verilator and a C++ compiler; if one is missing, for models in the cache."""
        try:
            tools = tools_or_reason()
        except UnavailableError as error:
            return [Missing("rtl", error.what, error.install)]
        description = f"only cores in the cache: {tools}"
        if isinstance(tools, Tools):
            description = f"cores compiled by Verilator {tools.verilator_version} with {tools.compiler_version}"
        kind = "simulation"
        ratings = _runners().ratings(kind)
        return [Found("rtl", description, ratings, named_only=True, kind=kind, unit=HOST, timeout_s=TIMEOUT_S)]

    def operators(self) -> Mapping[str, str | None]:
        """Return, for every operator, None or the reason why it is not run."""
        return _runners().operators()

    def implement(self, core: str) -> Implementation:
        """Have a core run the operator that it implements, from now on, in this process.

        Raises
        ------
        InputError
            There is no such core or operator, the core does not implement one, or another core does already.
        """
        return _runners().use(core)

    def open(self, instance: str = "") -> RtlDevice:
        """Open the device; models are compiled on first use."""
        if instance:
            raise InputError(f"rtl has one device, named rtl, not {instance!r}")
        return RtlDevice(self._transform, self._gaps)
