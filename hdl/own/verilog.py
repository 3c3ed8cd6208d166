"""Verilog module of a user as a core: description, checks, and the component that wraps it."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from amaranth.hdl import ClockSignal, Instance, ResetSignal, Signal, Value
from amaranth.hdl import Module as Fabric
from amaranth.lib import wiring

from ninefold.hdl import foreign
from ninefold.hdl.core import Core
from ninefold.hdl.own.modules import Module, Port, elaborated, module_of
from ninefold.hdl.own.registers import _Register, port_of
from ninefold.hdl.own.sources import read
from ninefold.hdl.own.streams import Found, _Declared, find_ports
from ninefold.hdl.parts.credit import CreditQueue
from ninefold.spec.errors import InputError

__all__ = ["Verilog", "VerilogCore"]

#: Names of clock and reset, in the order of the search.
_CLOCKS: Final = ("clk", "clock", "aclk", "clk_i", "i_clk")
_RESETS: Final = (
    *("rst", "reset", "areset", "rst_i", "i_rst"),
    *("rst_n", "rstn", "nrst", "resetn", "nreset", "aresetn", "reset_n", "rst_ni"),
)
_LOW: Final = ("_n", "resetn", "rstn", "nrst", "nreset", "_ni")
#: Elements in the queue behind an output without back-pressure, if its latency is not declared.
_QUEUED: Final = 16
#: Cycles of the queue beyond the latency.
_QUEUE_CYCLES: Final = 4
#: Latency of the queue.
_QUEUE_LATENCY: Final = 2
Streams = Mapping[str, _Declared]
Registers = Mapping[str, _Register]


class Verilog(Core):
    """Verilog module of a user, described as a core.

    Parameters
    ----------
    module : str
        Name of the module; empty for the only one that no other of the files instantiates.
    files : sequence of str or Path
        The Verilog files, relative to the file that declares the core.
    streams : mapping of str to StreamIn or StreamOut, or callable
        Streams of the module by name. A function receives the parameters by name, for streams whose shapes depend on
        them.
    parameters : mapping of str to int or str, optional
        Parameters of the module and their defaults; they become options of commands.
    clock, reset : str, optional
        Names of the ports. By default they are found by the usual names; a reset of an empty name means none.
    reset_low : bool, optional
        The reset is active low. By default it is if its name ends in ``_n``, ``_ni``, ``resetn``, ``rstn``, ``nrst`` or
        ``nreset``.
    registers : mapping of str to ControlRegister or StatusRegister, or callable, optional
        Other ports that a host writes or reads, by the name of the register.
    ties : mapping of str to int, optional
        Constants of inputs that no stream drives.
    include : sequence of str or Path
        Folders of included files, relative to the file that declares the core.
    small, smallest : mapping, optional
        Parameters in comparisons of levels, and of mutants and proofs; see `Core`.

    Raises
    ------
    InputError
        A parameter of this description is not allowed. Files are read when the core is made.
    """

    def __init__(
        self,
        module: str,
        files: Sequence[str | Path],
        *,
        streams: Streams | Callable[..., Streams],
        parameters: Mapping[str, int | str] | None = None,
        clock: str | None = None,
        reset: str | None = None,
        reset_low: bool | None = None,
        registers: Registers | Callable[..., Registers] | None = None,
        ties: Mapping[str, int] | None = None,
        include: Sequence[str | Path] = (),
        small: Mapping[str, Any] | None = None,
        smallest: Mapping[str, Any] | None = None,
    ) -> None:
        if isinstance(files, str | Path):
            raise InputError(f"files must be a sequence of files, e.g. [{str(files)!r}], not {files!r}")
        # Relative files belong to the file with the declaration.
        beside = sys._getframe(1).f_globals.get("__file__")
        wrapped = _Wrapped(
            module,
            tuple(files),
            Path(beside).resolve().parent if beside else Path.cwd(),
            streams,
            dict(parameters or {}),
            (clock, reset, reset_low),
            dict(ties or {}),
            tuple(include),
            registers or {},
        )
        super().__init__(
            wrapped,
            defaults=dict(parameters or {}),
            small=dict(small or {}),
            smallest=None if smallest is None else {**(parameters or {}), **smallest},
            help={name: f"Parameter {name} of the module." for name in parameters or {}},
        )

    def text(self) -> str:
        """Return the text of the files, of which digests are made."""
        return self.make.text()  # type: ignore[attr-defined, no-any-return]


@dataclass(frozen=True)
class _Wrapped:
    """Constructor of the component, with the parameters of the module as its own."""

    module: str
    files: tuple[str | Path, ...]
    folder: Path
    streams: Streams | Callable[..., Streams]
    parameters: Mapping[str, int | str]
    special: tuple[str | None, str | None, bool | None]
    ties: Mapping[str, int]
    include: tuple[str | Path, ...]
    registers: Registers | Callable[..., Registers]

    @property
    def __signature__(self) -> inspect.Signature:
        kind = inspect.Parameter.KEYWORD_ONLY
        return inspect.Signature(
            [
                inspect.Parameter(name, kind, default=value, annotation=type(value))
                for name, value in self.parameters.items()
            ]
        )

    def __call__(self, **given: int | str) -> VerilogCore:
        parameters = {**self.parameters, **given}
        text = self.text()
        module = module_of(text, self.module)
        if module.name == "top":
            raise InputError("the module top must have another name, because Ninefold's own top has it")
        return VerilogCore(text, elaborated(text, module, parameters), parameters, *self._declared(parameters), self)

    def text(self) -> str:
        return read(self.files, self.folder, self.include)

    def _declared(self, parameters: Mapping[str, int | str]) -> tuple[Streams, Registers]:
        streams = self.streams(**parameters) if callable(self.streams) else self.streams
        for name, one in streams.items():
            if not isinstance(one, _Declared):
                raise InputError(f"stream {name} must be a StreamIn or a StreamOut, not {one!r}")
            if not name.isidentifier():
                raise InputError(f"the name of a stream must be an identifier, not {name!r}")
        registers = self.registers(**parameters) if callable(self.registers) else self.registers
        for name, register in registers.items():
            if not isinstance(register, _Register):
                raise InputError(f"register {name} must be a ControlRegister or a StatusRegister, not {register!r}")
            if not name.isidentifier() or name in streams:
                raise InputError(f"the name of a register must be an identifier of no stream, not {name!r}")
        if not any(not one.input for one in streams.values()):
            raise InputError(f"streams must contain a StreamOut, not only {', '.join(streams) or 'nothing'}")
        return streams, registers


class VerilogCore(wiring.Component):
    """Verilog module of a user behind Ninefold's streams.

    The module sets latency and throughput. An output without back-pressure goes through a queue, which adds two
    cycles.

    Parameters
    ----------
    text : str
        The Verilog.
    module : Module
        The module at the given parameters.
    parameters : mapping of str to int or str
        Its parameters.
    streams : mapping of str to StreamIn or StreamOut
        Its streams.
    registers : mapping of str to ControlRegister or StatusRegister
        Its registers.
    given : _Wrapped
        Names given for clock, reset and ties.

    Members
    -------
    The streams and registers, with the name of each.

    Raises
    ------
    InputError
        Ports and declaration disagree; the message lists the ports.
    """

    def __init__(
        self,
        text: str,
        module: Module,
        parameters: Mapping[str, int | str],
        streams: Streams,
        registers: Registers,
        given: _Wrapped,
    ) -> None:
        self.module, self.streams, self._ties = module, streams, given.ties
        self._text, self._parameters = text, parameters
        clock, reset, low = given.special
        self.clock = self._special("clock", clock, _CLOCKS)
        self.reset = self._special("reset", reset, _RESETS)
        if self.clock is None:
            raise InputError(f"{module.name} needs a clock: looked for {', '.join(_CLOCKS)}; {module}")
        self.reset_low = low if low is not None else self.reset is not None and self.reset.name.endswith(_LOW)
        free = all(one.input or (not one.ready and one.latency is not None) for one in streams.values())
        self.found = {name: find_ports(module, name, one, free=free) for name, one in streams.items()}
        self.registers = {name: one.described(name) for name, one in registers.items()}
        self._of_register = {name: port_of(module, name, one) for name, one in registers.items()}
        self._check_inputs()
        declared: dict[str, _Declared | _Register] = {**streams, **registers}
        super().__init__({name: one.member for name, one in declared.items()})

    @property
    def latency(self) -> Mapping[str, int]:
        """Declared latency of each output that has one, with its queue."""
        return {
            name: one.latency + (0 if one.ready else _QUEUE_LATENCY)
            for name, one in self.streams.items()
            if one.latency is not None
        }

    @property
    def unused(self) -> tuple[Port, ...]:
        """Outputs of the module that no stream uses."""
        used = {port.name for found in self.found.values() for port in found.ports}
        used |= {port.name for port in self._of_register.values()}
        return tuple(port for port in self.module.ports.values() if not port.input and port.name not in used)

    def elaborate(self, _platform: object) -> Fabric:
        """Instantiate the module, and add queues to outputs without back-pressure."""
        m = Fabric()
        ports: dict[str, Any] = {"i_clk": ClockSignal(), "i_rst": ResetSignal(allow_reset_less=True)}
        for name, port in self._of_register.items():
            ports[f"{'i' if port.input else 'o'}_{name}"] = getattr(self, name)
        queued: dict[str, dict[str, Signal]] = {}
        for name, one in self.streams.items():
            outer = getattr(self, name)
            inner = {part: Signal(bits, name=f"{name}_{part}") for part, bits in _parts(self.found[name])}
            ports |= {
                f"{'i' if one.input == (part != 'ready') else 'o'}_{name}__{part}": s for part, s in inner.items()
            }
            payload = Value.cast(outer.payload)
            if one.input:
                m.d.comb += [inner["payload"].eq(payload), outer.ready.eq(inner.get("ready", 1))]
                if "valid" in inner:
                    m.d.comb += inner["valid"].eq(outer.valid)
            elif one.ready:
                m.d.comb += [
                    payload.eq(inner["payload"]),
                    outer.valid.eq(inner["valid"]),
                    inner["ready"].eq(outer.ready),
                ]
            else:
                queued[name] = inner
        for name, inner in queued.items():
            self._queue(m, name, inner, ports)
        m.submodules.core = Instance(foreign.add(self._shim()), **ports)
        return m

    def _queue(self, m: Fabric, name: str, inner: Mapping[str, Signal], ports: Mapping[str, Any]) -> None:
        """Add a queue behind an output, and let an input in only with room for the output of it."""
        source = next(other for other, one in self.streams.items() if one.input)
        outer, latency = getattr(self, source), self.streams[name].latency
        depth = max(_QUEUED, (latency or 0) + _QUEUE_CYCLES)
        queue = CreditQueue(len(inner["payload"]), depth)
        m.submodules[f"{name}_queue"] = queue
        ready = ports.get(f"o_{source}__ready", 1)
        valid = ports.get(f"i_{source}__valid")
        accepted = outer.valid & outer.ready
        if valid is not None:
            m.d.comb += valid.eq(outer.valid & queue.credit)
        m.d.comb += [
            outer.ready.eq(queue.credit & ready),
            queue.take.eq(accepted),
            queue.element.eq(inner["payload"]),
            queue.push.eq(inner["valid"] if "valid" in inner else _delayed(m, accepted, latency or 0)),
            Value.cast(getattr(self, name).payload).eq(queue.output.payload),
            getattr(self, name).valid.eq(queue.output.valid),
            queue.output.ready.eq(getattr(self, name).ready),
        ]

    def _special(self, kind: str, given: str | None, known: Sequence[str]) -> Port | None:
        names = [given] if given else [] if given == "" else known
        port = next((self.module.ports[name] for name in names if name in self.module.ports), None)
        if given and port is None:
            raise InputError(f"{self.module.name} has no port {given!r}, which is given as {kind}; {self.module}")
        if port is not None and (not port.input or port.bits != 1):
            raise InputError(f"the {kind} of {self.module.name} must be an input of one bit, not `{port}`")
        return port

    def _check_inputs(self) -> None:
        name = self.module.name
        queued = [stream for stream, one in self.streams.items() if not one.input and not one.ready]
        inputs = [stream for stream, one in self.streams.items() if one.input]
        if queued and (len(inputs) != 1 or len(queued) != 1):
            raise InputError(
                f"{name} has outputs with ready=False ({', '.join(queued)}), so it must have one of them and one "
                f"input, not {', '.join(inputs) or 'none'}"
            )
        driven = {port.name for found in self.found.values() for port in found.ports}
        driven |= {port.name for port in self._of_register.values()}
        driven |= {port.name for port in (self.clock, self.reset) if port is not None} | set(self._ties)
        for tied in self._ties:
            if tied not in self.module.ports or not self.module.ports[tied].input:
                raise InputError(f"{name} has no input {tied!r}, which ties names; {self.module}")
        if loose := [str(port) for port in self.module.ports.values() if port.input and port.name not in driven]:
            port = loose[0].split()[-1]
            reset = f"name the reset with reset={port!r}, " if self.reset is None else ""
            raise InputError(
                f"nothing drives {', '.join(loose)} of {name}: declare a stream or a ControlRegister for it, {reset}"
                f"or give it a constant with ties={{{port!r}: 0}}; {self.module}"
            )

    def _shim(self) -> str:
        """Return the Verilog with a module around it, whose ports are Ninefold's streams."""
        ports, lines = ["input clk", "input rst"], [f".{self.clock.name}(clk)"] if self.clock else []
        if self.reset is not None:
            lines.append(f".{self.reset.name}({'~' if self.reset_low else ''}rst)")
        lines += [f".{name}({self.module.ports[name].bits}'d{value})" for name, value in self._ties.items()]
        for name, register in self._of_register.items():
            ports.append(f"{'input' if register.input else 'output'} [{register.bits - 1}:0] {name}")
            lines.append(f".{register.name}({name})")
        for name, one in self.streams.items():
            found = self.found[name]
            for part, bits in _parts(found):
                kind = "input" if one.input == (part != "ready") else "output"
                ports.append(f"{kind} [{bits - 1}:0] {name}__{part}")
            for part, port in (("valid", found.valid), ("ready", found.ready)):
                lines += [f".{port.name}({name}__{part})"] if port is not None else []
            lines += [f".{port.name}({{{port.bits}{{1'b1}}}})" for port in found.ones]
            low = 0
            last = () if found.last is None else ((found.last, 1),)
            for port, bits in (*found.parts, *last):
                lines.append(f".{port.name}({_piece(port, bits, f'{name}__payload', low)})")
                low += bits
        values = ", ".join(
            f'.{name}("{value}")' if isinstance(value, str) else f".{name}({value})"
            for name, value in self._parameters.items()
        )
        own = f"{self.module.name}{f' #({values})' if values else ''} core ({', '.join(lines)});"
        return f"module UNIT({', '.join(ports)});\n  {own}\nendmodule\n{self._text}"


def _parts(found: Found) -> list[tuple[str, int]]:
    """Return the parts of a stream that the module has, with their widths."""
    payload = sum(bits for _, bits in found.parts) + (found.last is not None)
    return [
        *([("valid", 1)] if found.valid is not None else []),
        *([("ready", 1)] if found.ready is not None else []),
        ("payload", payload),
    ]


def _piece(port: Port, bits: int, payload: str, low: int) -> str:
    """Return the expression for a port: its bits of the payload, with zeros above them on an input."""
    piece = f"{payload}[{low + bits - 1}:{low}]"
    return f"{{{port.bits - bits}'d0, {piece}}}" if port.input and port.bits > bits else piece


def _delayed(m: Fabric, pulse: Value, cycles: int) -> Value:
    """Return a pulse some cycles later."""
    if not cycles:
        return pulse
    moves = Signal(cycles, name="moves")
    m.d.sync += moves.eq((moves << 1) | pulse)
    return moves[-1]
