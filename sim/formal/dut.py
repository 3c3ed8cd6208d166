"""A core under proof, elaborated with visible registers and worst-case memories."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import reduce
from operator import or_
from types import FunctionType
from typing import Any

from amaranth.asserts import AnySeq
from amaranth.hdl import Array, Elaboratable, Fragment, Module, Mux, Signal, Value

__all__ = ["Dut", "Inside", "states_of", "with_parts"]

#: Signals inside a core by path: names of submodules and of the signal, joined by dots. Signals of the same name, or of
#: none ("$signal"), get a suffix "#0" and so on, in the order in which they are driven.
Inside = Mapping[str, Any]


class Dut(Elaboratable):
    """Core with access to its internal signals by name, for the invariants of induction.

    Memories become registers, one per word, named ``row_0`` and so on. A word that is read in the cycle of its write,
    through a port that is not transparent for the write, is arbitrary, and ``collides`` is high. So a proof holds for
    any device memory, regardless of the value read then.

    Parameters
    ----------
    core : wiring.Component
        Core, which is elaborated here.

    Attributes
    ----------
    signals : Inside
        Signals that the core drives.
    """

    def __init__(self, core: Any) -> None:
        self._fragment = Fragment.get(core, _Platform())
        found = {id(signal): (name, signal) for name, signal in _signals(self._fragment, "")}.values()
        count = Counter(name for name, _ in found)
        number: Counter[str] = Counter()
        self.signals: dict[str, Any] = {}
        for name, signal in found:
            self.signals[name if count[name] == 1 else f"{name}#{number[name]}"] = signal
            number[name] += 1

    def elaborate(self, _platform: object) -> Fragment:
        """Return the core."""
        return self._fragment


def with_parts(kind: Any, **parts: Any) -> Any:
    """Return a subclass of a core that uses other classes for the parts named in its code or its bases.

    A part with a proof of its own need not be proved again, and can be as small as the proof requires.
    """
    methods = {
        name: FunctionType(sound.__code__, {**sound.__globals__, **parts}, name, sound.__defaults__, sound.__closure__)
        for base in reversed(kind.__mro__)
        if base.__module__ == kind.__module__ or base.__module__.startswith("ninefold.")
        for name, sound in vars(base).items()
        if isinstance(sound, FunctionType)
    }
    return type(kind.__name__, (kind,), methods)


def states_of(signal: Signal) -> Mapping[str, int]:
    """Return the states of a machine (`amaranth.hdl.Module.FSM`) by name, from the signal that holds its state."""
    found = {}
    for value in range(2 ** len(signal)):
        try:
            name = signal.decoder(value)
        except KeyError:
            break
        found[name.rpartition("/")[0]] = value
    return found


class _Platform:
    """Platform that Amaranth asks for memories (`amaranth.lib.memory`, ``platform.get_memory``)."""

    def get_memory(self, memory: Any) -> Module:
        """Return the memory built of registers."""
        m = Module()
        width = len(Value.cast(memory.data[0]))
        collides = Signal()
        rows = Array(Signal(width, name=f"row_{i}", init=_bits(row)) for i, row in enumerate(memory.init))
        for write in memory.write_ports:
            if len(write.en) != 1:
                raise NotImplementedError("a memory whose words are written in parts")
            with m.If(write.en):
                m.d.sync += rows[write.addr].eq(write.data)
        for read in memory.read_ports:
            data = Value.cast(read.data)
            if read.domain == "comb":
                m.d.comb += data.eq(rows[read.addr])
                continue
            with m.If(read.en):
                m.d.sync += data.eq(rows[read.addr] if memory.write_ports else _constant(rows, read.addr))
                for write in memory.write_ports:
                    with m.If(write.en & (write.addr == read.addr)):
                        m.d.comb += collides.eq(write not in read.transparent_for)
                        m.d.sync += data.eq(write.data if write in read.transparent_for else AnySeq(width))
        return m


def _constant(rows: Array, address: Any) -> Value:
    """Return a never-written word without logic that Yosys infers as a memory, which induction cannot constrain."""
    return reduce(or_, (Mux(address == i, row, 0) for i, row in enumerate(rows)))


def _bits(row: Any) -> int:
    return row if isinstance(row, int) else 0


def _signals(fragment: Any, path: str) -> Any:
    for statements in fragment.statements.values():
        for signal in statements._lhs_signals():
            yield path + signal.name, signal
    for part, name, _ in fragment.subfragments:
        yield from _signals(part, f"{path}{name}.")
