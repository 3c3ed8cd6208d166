"""Streams that a user declares for a Verilog module, and the search for their ports."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from amaranth.hdl import Shape
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Member, Out

from ninefold.hdl.own.modules import Module, Port
from ninefold.spec.errors import InputError

__all__ = ["Found", "StreamIn", "StreamOut", "find_ports"]

#: Names of a stream's ports, in the order of the search: own names, then AXI-Stream's with the prefixes in use.
_OWN: Final = ("{name}_{part}", "{name}__{part}")
_AXI: Final = ("{name}_t{part}", "s_axis_{name}_t{part}", "m_axis_{name}_t{part}", "axis_{name}_t{part}")
#: AXI-Stream's name of a part; other fields share ``tdata``.
_AXI_PARTS: Final = {"payload": "data"}
#: Fields that AXI-Stream gives a port of their own.
_SIDEBAND: Final = ("keep", "strb", "user", "id", "dest")
_PARTS: Final = ("valid", "ready", "last", "payload")


@dataclass(frozen=True)
class _Declared:
    """Stream of a user's module.

    Attributes
    ----------
    name : str
        Name.
    fields : mapping of str to shape-like
        Fields of the payload, the least significant first.
    last : bool
        The stream has packets, and a port for the end of each.
    ready : bool
        The stream has back-pressure, and a port for it.
    latency : int or None
        Output: cycles from the acceptance of an input to its output, without back-pressure.
    ports : mapping of str to str
        Ports given by hand: of ``valid``, ``ready``, ``last``, ``payload`` or a field.
    input : bool
        True for an input of the core.
    """

    fields: Mapping[str, Any]
    last: bool = False
    ready: bool = True
    latency: int | None = None
    ports: Mapping[str, str] = field(default_factory=dict)
    input: bool = True

    @property
    def layout(self) -> data.StructLayout:
        """Layout of the payload, with ``last`` as its last field."""
        return data.StructLayout({**self.fields, **({"last": 1} if self.last else {})})

    @property
    def member(self) -> Member:
        """The stream as a member of the core's signature."""
        return (In if self.input else Out)(stream.Signature(self.layout))


def StreamIn(  # noqa: N802 - it stands for a class in declarations
    *, last: bool = False, ready: bool = True, ports: Mapping[str, str] | None = None, **fields: Any
) -> _Declared:
    """Declare an input stream of a Verilog module.

    Parameters
    ----------
    last : bool
        The stream has packets: a port ``last`` marks the end of each.
    ready : bool
        The module may refuse a payload, by its port ``ready``. False for a module that takes one in any cycle.
    ports : mapping of str to str, optional
        Names of ports that are not found by their names: of ``valid``, ``ready``, ``last``, ``payload`` or a field.
    **fields : shape-like
        Fields of the payload, the least significant first: ``x=signed(8)``, ``x=ArrayLayout(unsigned(4), 16)``.

    Raises
    ------
    InputError
        There is no field, a field has an invalid name or shape, or `ports` names something else.
    """
    return _declared(_Declared(fields, last, ready, None, ports or {}))


def StreamOut(  # noqa: N802 - it stands for a class in declarations
    *,
    last: bool = False,
    ready: bool = True,
    latency: int | None = None,
    ports: Mapping[str, str] | None = None,
    **fields: Any,
) -> _Declared:
    """Declare an output stream of a Verilog module.

    Parameters
    ----------
    last, ports, **fields
        As of `StreamIn`.
    ready : bool
        The module waits while its output is not taken, by its port ``ready``. False for a module that does not wait; a
        queue behind it then holds each output, and an input enters only if the queue has room for the output of it.
        Such a module answers each input by one output.
    latency : int, optional
        Cycles from the acceptance of an input to its output, 0 to 1000, without back-pressure; tests check it. With
        ``ready=False`` the ports ``valid`` may be missing.

    Raises
    ------
    InputError
        As `StreamIn`, or the latency is out of range.
    """
    if latency is not None and not (isinstance(latency, int) and 0 <= latency <= 1000):
        raise InputError(f"latency must be an integer from 0 to 1000, not {latency!r}")
    return _declared(_Declared(fields, last, ready, latency, ports or {}, input=False))


def _declared(one: _Declared) -> _Declared:
    if not one.fields:
        raise InputError("a stream must have at least one field, e.g. StreamIn(x=signed(8))")
    for name, shape in one.fields.items():
        if name in _PARTS or not name.isidentifier():
            raise InputError(f"a field must be an identifier other than {', '.join(_PARTS)}, not {name!r}")
        try:
            Shape.cast(shape)
        except TypeError as error:
            raise InputError(f"field {name} must have an Amaranth shape, e.g. signed(8), not {shape!r}") from error
    for part in one.ports:
        if part not in (*_PARTS, *one.fields):
            known = ", ".join((*_PARTS, *one.fields))
            raise InputError(f"ports must name {known}, not {part!r} (which is given {one.ports[part]!r})")
    return one


@dataclass(frozen=True)
class Found:
    """Ports of a stream.

    Attributes
    ----------
    valid, ready, last : Port or None
        Ports of the handshake; None without one.
    parts : tuple of (Port, int)
        Ports that carry the payload, the least significant first, each with the number of bits in use.
    ones : tuple of Port
        Inputs held at 1: ``tkeep`` and ``tstrb`` that no field uses.
    """

    valid: Port | None
    ready: Port | None
    last: Port | None
    parts: tuple[tuple[Port, int], ...]
    ones: tuple[Port, ...] = ()

    @property
    def ports(self) -> Iterator[Port]:
        """All ports."""
        yield from (port for port in (self.valid, self.ready, self.last) if port is not None)
        yield from (port for port, _ in self.parts)
        yield from self.ones


def find_ports(module: Module, name: str, declared: _Declared, *, free: bool) -> Found:
    """Find the ports of a stream.

    Parameters
    ----------
    module : Module
        The module.
    name : str
        Name of the stream.
    declared : _Declared
        The stream.
    free : bool
        The module runs freely with a fixed latency, so ``valid`` may be missing.

    Raises
    ------
    InputError
        A port is missing, or has another direction or width; the message lists the ports that there are.
    """
    return _Search(module, name, declared, free).found()


@dataclass(frozen=True)
class _Search:
    module: Module
    name: str
    declared: _Declared
    free: bool

    def found(self) -> Found:
        to_core = self.declared.input
        valid = self._one("valid", 1, to_core, needed=not self.free)
        ready = self._one("ready", 1, not to_core, needed=self.declared.ready)
        if ready is not None and not self.declared.ready:
            raise self._wrong(f"declares ready=False, but has the port {ready}: leave ready=False out")
        last = self._one("last", 1, to_core, needed=self.declared.last)
        if last is not None and not self.declared.last:
            raise self._wrong(f"has the port {last}: declare it with last=True")
        taken = {field: port for field in self.declared.fields if (port := self._port(field)) is not None}
        parts = self._separate(taken) if len(taken) == len(self.declared.fields) else self._shared(taken)
        used = {port.name for port, _ in parts}
        ones = [
            port
            for part in ("keep", "strb")
            if to_core and part not in self.declared.fields and (port := self._port(part)) is not None
        ]
        return Found(valid, ready, last, parts, tuple(port for port in ones if port.name not in used))

    def _separate(self, taken: Mapping[str, Port]) -> tuple[tuple[Port, int], ...]:
        widths = {field: Shape.cast(shape).width for field, shape in self.declared.fields.items()}
        return tuple(
            (self._checked(taken[field], widths[field], field, self.declared.input), widths[field]) for field in widths
        )

    def _shared(self, taken: Mapping[str, Port]) -> tuple[tuple[Port, int], ...]:
        """Return the port of the payload, then AXI-Stream's ports of single fields."""
        port = self._port("payload")
        alone = {field: one for field, one in taken.items() if field in _SIDEBAND}
        widths = {field: Shape.cast(shape).width for field, shape in self.declared.fields.items()}
        within = [field for field in widths if field not in alone]
        if port is None:
            missing = [field for field in within if field not in taken]
            looked = [*self._names("payload"), *(name for field in missing for name in self._names(field)[:2])]
            raise self._wrong(
                f"has no port for its payload, nor for {', '.join(missing)}: looked for {', '.join(looked)}"
            )
        if within != list(widths)[: len(within)]:
            raise self._wrong(f"must declare {', '.join(alone)}, which have ports of their own, after its other fields")
        bits = sum(widths[field] for field in within)
        # AXI-Stream pads the data to whole bytes.
        padded = -(-bits // 8) * 8 if port.name.endswith("tdata") else bits
        self._checked(
            port, padded if port.bits == padded else bits, f"payload ({', '.join(within)})", self.declared.input
        )
        return (
            (port, bits),
            *((self._checked(one, widths[f], f, self.declared.input), widths[f]) for f, one in alone.items()),
        )

    def _one(self, part: str, bits: int, to_core: bool, *, needed: bool) -> Port | None:
        port = self._port(part)
        if port is None:
            if needed:
                hint = "; a stream without back-pressure says ready=False" if part == "ready" else ""
                raise self._wrong(f"has no port for {part}: looked for {', '.join(self._names(part))}{hint}")
            return None
        return self._checked(port, bits, part, to_core)

    def _port(self, part: str) -> Port | None:
        given = self.declared.ports.get(part)
        if given is not None:
            if given not in self.module.ports:
                raise self._wrong(f"has no port {given!r}, which ports gives for {part}")
            return self.module.ports[given]
        return next((self.module.ports[name] for name in self._names(part) if name in self.module.ports), None)

    def _names(self, part: str) -> list[str]:
        axi = _AXI_PARTS.get(part, part)
        known = part in (*_PARTS, *_SIDEBAND)
        forms = [(form, part) for form in _OWN] + [(form, axi) for form in _AXI if known]
        return [form.format(name=self.name, part=part) for form, part in forms]

    def _checked(self, port: Port, bits: int, part: str, to_core: bool) -> Port:
        if port.input != to_core:
            kind = "an input" if to_core else "an output"
            raise self._wrong(f"needs {kind} for {part}, not `{port}`")
        if port.bits != bits:
            raise self._wrong(f"declares {bits} bits for {part}, but the port is `{port}`, {port.bits} bits")
        return port

    def _wrong(self, what: str) -> InputError:
        return InputError(f"stream {self.name} of {self.module.name} {what}; {self.module}")
