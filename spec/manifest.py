"""Manifests of bitstreams: inputs, tools and results of a build.

The manifests of the catalogue are data of the package ``ninefold.bitstreams``, in files ``BOARD/CONFIG.json``. The
identity registers of a board contain the digest of its manifest, by which a driver recognises the board.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

from .errors import DamagedDataError, InputError
from .streams import CoreRegister, PayloadField, StreamLayout

__all__ = ["Clock", "Manifest", "Step", "Usage", "manifest", "manifests"]

_PACKAGE = "ninefold.bitstreams"


@dataclass(frozen=True)
class Clock:
    """Clock of a bitstream.

    Attributes
    ----------
    constraint_mhz : float
        Frequency on the board, in MHz.
    fmax_mhz : float
        Maximum frequency after routing, from nextpnr, in MHz.
    """

    constraint_mhz: float
    fmax_mhz: float

    @property
    def met(self) -> bool:
        """True if the clock reaches its constraint."""
        return self.fmax_mhz >= self.constraint_mhz


@dataclass(frozen=True)
class Usage:
    """Use of one kind of resource by a bitstream.

    Attributes
    ----------
    used : int
        Number used.
    available : int or None
        Number in the device; None for a count without a limit of its own, such as Yosys' LUT4 cells before packing.
    """

    used: int
    available: int | None


@dataclass(frozen=True)
class Step:
    """Step of a timing path: through logic to a signal, and along its wire.

    Attributes
    ----------
    signal : str
        Name in the design; ``near X`` is an unnamed wire in the logic around signal X.
    logic_ns, routing_ns : float
        Delay of the logic before the wire, and of the wire, in ns. The last step ends in a register and includes its
        setup time.
    """

    signal: str
    logic_ns: float
    routing_ns: float


@dataclass(frozen=True)
class Manifest:
    """Description of a bitstream.

    Attributes
    ----------
    name : str
        ``BOARD/CONFIG``.
    digest : str
        SHA-256 of the inputs, 64 hexadecimal digits: RTLIL (without ``src`` attributes, with zeros for the identity),
        constraints, options and versions of the tools, but not the seed. The board's registers contain it.
    device : str
        Device, with package and speed grade.
    seed : int
        Seed of placer and router.
    timing_met : bool
        True if every clock reaches its constraint. Other bitstreams are loaded only with ``--force``.
    clocks : mapping of str to Clock
        Clocks by net name.
    resources : mapping of str to Usage
        ``lut4`` counts Yosys' LUT4 cells; the others count the device's cells after packing by nextpnr.
    tools : mapping of str to str
        Version of each package used.
    bitstream : str
        SHA-256 of the bitstream, 64 hexadecimal digits.
    critical_path : tuple of Step
        Path that limits the clock with the smallest margin.
    seconds : float
        Duration of the build, which comparisons ignore.
    streams : tuple of StreamLayout
        Streams of a user's core; empty for a miner, whose manifest does not mention them.
    registers : tuple of CoreRegister
        Registers of a user's core.
    """

    name: str
    digest: str
    device: str
    seed: int
    timing_met: bool
    clocks: Mapping[str, Clock]
    resources: Mapping[str, Usage]
    tools: Mapping[str, str]
    bitstream: str
    critical_path: tuple[Step, ...]
    seconds: float = field(compare=False)
    streams: tuple[StreamLayout, ...] = ()
    registers: tuple[CoreRegister, ...] = ()

    @property
    def identity(self) -> bytes:
        """The digest as 32 bytes, as stored in the board."""
        return bytes.fromhex(self.digest)

    @property
    def missed(self) -> str:
        """Clocks that miss their constraint, with both frequencies; empty if none does."""
        return ", ".join(
            f"{name} reaches {clock.fmax_mhz:.2f} of {clock.constraint_mhz:g} MHz"
            for name, clock in self.clocks.items()
            if not clock.met
        )

    def to_json(self) -> str:
        """Return the manifest as a JSON text that ends in a newline."""
        plain = {f.name: getattr(self, f.name) for f in fields(self)}
        for name in ("clocks", "resources"):
            plain[name] = {key: asdict(value) for key, value in plain[name].items()}
        plain["tools"] = dict(self.tools)
        for name in ("critical_path", "streams", "registers"):
            plain[name] = [asdict(one) for one in plain[name]]
        if not self.streams:
            del plain["streams"], plain["registers"]
        return json.dumps(plain, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes, source: str = "the manifest") -> Manifest:
        """Parse the output of `to_json`.

        Parameters
        ----------
        text : str or bytes
            The JSON text.
        source : str
            Name used in errors, e.g. the path of the file.

        Raises
        ------
        DamagedDataError
            The text is no manifest; the message names the source and the key.
        """
        try:
            plain = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise DamagedDataError(f"{source} is damaged: it is not JSON ({error})") from error
        try:
            of_core = isinstance(plain, dict) and "streams" in plain
            values = _record(plain, "", {**_FIELDS, **(_OF_CORE if of_core else {})})
            if values["timing_met"] != all(clock.met for clock in values["clocks"].values()):
                raise _BadKeyError("timing_met", "contradicts clocks")
        except _BadKeyError as error:
            raise DamagedDataError(f"{source} is damaged: {error}") from error
        return cls(**values)


@cache
def manifests() -> Mapping[str, Manifest]:
    """Return the manifests of the catalogue by name, sorted by name.

    Raises
    ------
    DamagedDataError
        One of the files is damaged, or holds another's manifest.
    """
    found = {}
    for board in files(_PACKAGE).iterdir():
        for file in board.iterdir() if board.is_dir() else ():
            if file.name.endswith(".json"):
                name = f"{board.name}/{file.name.removesuffix('.json')}"
                found[name] = Manifest.from_json(file.read_bytes(), str(file))
                if found[name].name != name:
                    raise DamagedDataError(f"{file} is damaged: name is {found[name].name!r}, not {name!r}")
    return MappingProxyType(dict(sorted(found.items())))


def manifest(name: str) -> Manifest:
    """Return the manifest of the catalogue of that name.

    Raises
    ------
    InputError
        The catalogue has none of that name.
    """
    found = manifests()
    if name not in found:
        raise InputError(f"the manifest must be one of {', '.join(found) or 'none'}, not {name!r}")
    return found[name]


class _BadKeyError(ValueError):
    """A key of a manifest is at fault."""

    def __init__(self, key: str, why: str) -> None:
        super().__init__(f"{key or 'the whole'} {why}")


#: Checks a value, named by its key, and returns what stands for it.
_Reader = Callable[[Any, str], Any]


def _record(value: Any, key: str, readers: Mapping[str, _Reader]) -> dict[str, Any]:
    """Read an object that has exactly these keys."""
    if not isinstance(value, dict):
        raise _BadKeyError(key, "must be an object")
    prefix = f"{key}." if key else ""
    for name in value:
        if name not in readers:
            raise _BadKeyError(f"{prefix}{name}", "is not known")
    for name in readers:
        if name not in value:
            raise _BadKeyError(f"{prefix}{name}", "is missing")
    return {name: read(value[name], f"{prefix}{name}") for name, read in readers.items()}


def _mapping(read: _Reader) -> _Reader:
    def reader(value: Any, key: str) -> Any:
        if not isinstance(value, dict) or not value:
            raise _BadKeyError(key, "must be an object with at least one key")
        return MappingProxyType({name: read(item, f"{key}.{name}") for name, item in value.items()})

    return reader


def _text(pattern: str, what: str) -> _Reader:
    def reader(value: Any, key: str) -> str:
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            raise _BadKeyError(key, f"must be {what}, not {value!r}")
        return value

    return reader


def _number(value: Any, key: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= sys.float_info.max:
        raise _BadKeyError(key, f"must be a number from 0, not {value!r}")
    return float(value)


def _positive(value: Any, key: str) -> float:
    if not (number := _number(value, key)):
        raise _BadKeyError(key, f"must be above 0, not {value!r}")
    return number


def _integer(value: Any, key: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise _BadKeyError(key, f"must be an integer from 0, not {value!r}")
    return value


def _flag(value: Any, key: str) -> bool:
    if not isinstance(value, bool):
        raise _BadKeyError(key, f"must be true or false, not {value!r}")
    return value


def _clock(value: Any, key: str) -> Clock:
    return Clock(**_record(value, key, {"constraint_mhz": _positive, "fmax_mhz": _positive}))


def _usage(value: Any, key: str) -> Usage:
    def limit(value: Any, key: str) -> int | None:
        return None if value is None else _integer(value, key)

    return Usage(**_record(value, key, {"used": _integer, "available": limit}))


def _path(value: Any, key: str) -> tuple[Step, ...]:
    if not isinstance(value, list):
        raise _BadKeyError(key, "must be a list")
    readers = {"signal": _WORDS, "logic_ns": _number, "routing_ns": _number}
    return tuple(Step(**_record(step, f"{key}[{i}]", readers)) for i, step in enumerate(value))


def _streams(value: Any, key: str) -> tuple[StreamLayout, ...]:
    return tuple(
        StreamLayout(**one)
        for one in _records(value, key, {"name": _NAME, "input": _flag, "fields": _payload, "last": _flag})
    )


def _payload(value: Any, key: str) -> tuple[PayloadField, ...]:
    readers = {"name": _NAME, "bits": _integer, "signed": _flag, "shape": _sizes, "offset": _integer}
    return tuple(PayloadField(**one) for one in _records(value, key, readers))


def _sizes(value: Any, key: str) -> tuple[int, ...]:
    if not isinstance(value, list):
        raise _BadKeyError(key, "must be a list")
    return tuple(_integer(one, f"{key}[{i}]") for i, one in enumerate(value))


def _core_registers(value: Any, key: str) -> tuple[CoreRegister, ...]:
    readers = {
        "name": _NAME,
        "bits": _integer,
        "access": _text("rw?", "r or rw"),
        "reset": _integer,
        "doc": _text(r"(?s).*", "a text"),
    }
    return tuple(CoreRegister(**one) for one in _records(value, key, readers))


def _records(value: Any, key: str, readers: Mapping[str, _Reader]) -> list[dict[str, Any]]:
    if not isinstance(value, list):
        raise _BadKeyError(key, "must be a list")
    return [_record(one, f"{key}[{i}]", readers) for i, one in enumerate(value)]


_NAME = _text(r"[A-Za-z_]\w*", "an identifier")
_WORDS = _text(r"\S.*", "a text")
_DIGEST = _text("[0-9a-f]{64}", "64 hexadecimal digits")
_FIELDS: Mapping[str, _Reader] = {
    "name": _text("[a-z0-9_]+/[a-z0-9_]+", "BOARD/CONFIG"),
    "digest": _DIGEST,
    "device": _WORDS,
    "seed": _integer,
    "timing_met": _flag,
    "clocks": _mapping(_clock),
    "resources": _mapping(_usage),
    "tools": _mapping(_WORDS),
    "bitstream": _DIGEST,
    "critical_path": _path,
    "seconds": _number,
}
#: Keys of the manifest of a user's core.
_OF_CORE: Mapping[str, _Reader] = {"streams": _streams, "registers": _core_registers}
