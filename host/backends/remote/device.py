"""Devices of other machines: each call is one request, and each database is uploaded once."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from ninefold.spec.data import Answer, Database, RaggedArray, State
from ninefold.spec.errors import (
    DeviceError,
    InputError,
    LostDeviceError,
    NinefoldError,
    UnavailableError,
    UnsupportedError,
    installs,
)
from ninefold.spec.operators import OPERATORS
from ninefold.spec.protocols import KINDS, Found, Missing
from ninefold.spec.signature import Call, Declared, Ragged, Record
from ninefold.spec.terminal import printable

from .servers import FILE, VARIABLE, RemoteServer, servers

if TYPE_CHECKING:
    from ninefold.host.server.client import Client

__all__ = ["Remote", "RemoteDevice"]

#: Time for a server to list its devices, and for a call, in seconds.
_PROBE_S: Final = 3.0
_CALL_S: Final = 30.0
_STATE: Final = "its state would live on another machine, where no step of this one orders the reads"


class Remote:
    """Backend for the devices of other machines."""

    name = "remote"

    def probe(self) -> Sequence[Found | Missing]:
        """List the devices of all servers, asking all of them at once."""
        try:
            named = servers()
        except NinefoldError as error:
            return [Missing(self.name, str(error))]
        if not named:
            how = f"name one with --remote URL, in {VARIABLE}, or in {FILE} of the data folder"
            return [Missing(self.name, "no server of devices is named", how)]
        with ThreadPoolExecutor(len(named), "ninefold remote probe") as pool:
            return [entry for entries in pool.map(_devices, named) for entry in entries]

    def operators(self) -> Mapping[str, str | None]:
        """Return None for every operator without a state; each device may refuse some, in its own words."""
        return {name: _STATE if operator.state_name else None for name, operator in OPERATORS.items()}

    def open(self, instance: str = "") -> RemoteDevice:
        """Open ``HOST:PORT/DEVICE``, or ``HOST:PORT``, whose own scheduler chooses; by default of the first server."""
        named = servers()
        if not named:
            raise UnavailableError("no server of devices is named", f"name one with --remote URL or in {VARIABLE}")
        address, _, device = instance.partition("/")
        for server in named:
            if not instance or server.address == address:
                return RemoteDevice(server, device, instance or server.address)
        known = ", ".join(server.address for server in named)
        raise UnavailableError(f"no server of devices is named {address}, only {known}", "name it with --remote URL")


class RemoteDevice:
    """One device of another machine, or all of them, among which its server chooses.

    Parameters
    ----------
    server : RemoteServer
    device : str
        Its name there; empty lets the server choose.
    instance : str
        Its name here, without the backend.
    """

    capacity_bytes = None

    def __init__(self, server: RemoteServer, device: str, instance: str) -> None:
        self.name = f"{Remote.name}:{instance}"
        self._device = device
        self._client = _client(server, _CALL_S)
        #: Digests of databases here, and the digests by which the server has them.
        self._loaded: dict[str, str] = {}

    def load(self, resident: Database | State) -> None:
        """Upload a database, unless it is there."""
        if isinstance(resident, State):
            raise UnsupportedError(f"{self.name} holds no state: {_STATE}")
        if resident.digest not in self._loaded:
            self._loaded[resident.digest] = self._asked(lambda: self._client.upload(resident))

    def unload(self, key: str) -> None:
        """Forget a database; the server keeps it for the next time."""
        self._loaded.pop(key, None)

    def run(self, call: Call) -> Answer:
        """Run a call by one request."""
        operator = call.operator
        if (reason := Remote().operators().get(operator.name, "the operator is not of this installation")) is not None:
            raise UnsupportedError(f"{self.name} does not run {operator.name}: {reason}")
        arguments = {name: value for name, value in call.arguments.items() if value is not None}
        database = None
        for name in operator.residents:
            digest = arguments.pop(name).digest
            database = self._loaded.get(digest)
            if database is None:
                raise DeviceError(f"{self.name} has not loaded {digest}")
        where: dict[str, Any] = {"device": self._device, "strict": True} if self._device else {}
        start = time.perf_counter()
        found = self._asked(
            lambda: self._client.infer(operator.name, arguments, database=database, **call.options, **where)
        )
        values = {result.name: _result(result, found.values) for result in operator.results}
        return Answer(values, f"{found.answered_by} there", {"seconds": time.perf_counter() - start})

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _asked(self, ask: Any) -> Any:
        """Return an answer; a server that does not answer is a lost device."""
        try:
            return ask()
        except (InputError, UnsupportedError, DeviceError):
            raise
        except UnavailableError as error:
            self._loaded.clear()
            raise LostDeviceError(f"{self.name}: {error}") from error
        except NinefoldError as error:
            raise DeviceError(f"{self.name}: {error}") from error


def _result(declared: Declared, values: Mapping[str, Any], prefix: str = "") -> Any:
    """Return a result from its tensors."""
    name = f"{prefix}{declared.name}"
    if isinstance(declared, Record):
        columns = [(field.name, field) for field in declared.fields]
        return {key: _result(field, values, f"{name}.") for key, field in columns if _held(values, f"{name}.{key}")}
    if isinstance(declared, Ragged):
        return RaggedArray(values[f"{name}.values"], values[f"{name}.offsets"])
    return values[name]


def _held(values: Mapping[str, Any], name: str) -> bool:
    return name in values or f"{name}.values" in values


def _client(server: RemoteServer, timeout_s: float) -> Client:
    from ninefold.host import Client
    from ninefold.host.server.client import Retries

    # The scheduler knows better than a loop of attempts where to go instead.
    return Client(server.url, server.key, timeout_s=timeout_s, retries=Retries(times=0))


def _devices(server: RemoteServer) -> list[Found | Missing]:
    """Return the devices of one server."""
    try:
        with _client(server, _PROBE_S) as client:
            there = client.version()
            if there != (here := version("ninefold")):
                reason = f"{server.url} has Ninefold {printable(there)}, and this machine {here}"
                return [Missing(f"{Remote.name}:{server.address}", reason, "install the same version on both")]
            listed = client.devices()
    except UnavailableError as error:
        how = installs("serve") if "not installed" in error.what else f"start `ninefold serve` at {server.url}"
        return [Missing(f"{Remote.name}:{server.address}", error.what, how)]
    except NinefoldError as error:
        return [Missing(f"{Remote.name}:{server.address}", str(error), "give the key of that server")]
    found = [_found(server, record) for record in listed if record.get("state") != "missing"]
    return [*found] or [Missing(f"{Remote.name}:{server.address}", "the server has no devices")]


def _found(server: RemoteServer, record: Mapping[str, Any]) -> Found:
    """Return a device of a server as one of this machine; it is rated lower by one for the way to it."""
    ratings = {
        str(name): max(1, int(rating) - 1)
        for name, rating in record.get("ratings", {}).items()
        if name in OPERATORS and not OPERATORS[name].state_name
    }
    kind = str(record.get("kind"))
    return Found(
        f"{Remote.name}:{server.address}/{record['device']}",
        f"{record.get('description', '')}, at {urlsplit(server.url).hostname}",
        ratings,
        bool(record.get("named_only")),
        kind if kind in KINDS else "cpu",
        f"{server.address}/{record.get('unit', record['device'])}",
        _CALL_S,
    )
