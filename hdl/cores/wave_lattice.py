"""Wave lattice core: steps of a wave on a periodic lattice of integers, in memory on the fabric."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, NamedTuple

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from ninefold.hdl.checks import check_integer
from ninefold.hdl.core import Core
from ninefold.hdl.parts.wave_cell import WaveCell
from ninefold.hdl.spram import SPRAM
from ninefold.spec.errors import DeviceError, InputError, UnsupportedError
from ninefold.spec.operators.wave_step_fixed import COEFFICIENT_BITS
from ninefold.spec.signature import Call

__all__ = ["CORE", "IMPLEMENTS", "Operation", "WaveLattice", "orders", "parameters", "run"]

#: Operator that a board with this core runs (`ninefold.host.implement`).
IMPLEMENTS = "wave_step_fixed"

_CYCLES_MAX = 32
_EXTENT_MAX = 128
_BITS = 32
#: Steps of one command, during which all streams are idle.
_STEPS_AT_ONCE = 1000
#: Calls in a row that bring no cell before a device is given up.
_SILENT_CALLS = 1000


class Operation(IntEnum):
    """Operations of the stream ``command``; others do nothing."""

    SET_A = 0
    SET_B = 1
    SET_C = 2
    SET_T = 3
    LOAD = 4
    STEP = 5
    READ = 6


@dataclass(frozen=True)
class _Slot:
    """Place in the stream of old cells: row 0 is the lattice's last row, rows 1 to height are its own, and so on.

    Attributes
    ----------
    row, column : Signal
        The place.
    """

    row: Signal
    column: Signal


class _Ports(NamedTuple):
    """Ports of a memory."""

    write: Any
    read: Any


class WaveLattice(wiring.Component):
    """Periodic lattice of cells that computes ``wave_step_fixed`` bit for bit.

    Cells are in row-major order. Commands are executed one after the other:

    - ``SET_A`` to ``SET_T`` set a coefficient to ``value``; all are 0 after a reset.
    - ``LOAD`` takes all cells from ``load``, one a cycle.
    - ``STEP`` advances the lattice by ``value`` steps; none if that is 0 or less.
    - ``READ`` offers all cells on ``cells``, one a cycle.

    **A step** reads the old psi of each cell once, in order, from the last row to the first: two rows more than there
    are. Lines of two rows keep what is still needed, so each cell takes the place of its old content. The first row is
    also kept apart, because the last row needs it when it has been replaced. A cell is done each ``cycles`` cycles,
    and a step takes ``step_cycles``, which is ``(height + 2) * width * cycles`` and a few more.

    The lattice has any content before the first ``LOAD`` and after a reset.

    Parameters
    ----------
    width, height : int
        Extents of the lattice, powers of two from 2 to 128.
    cycles : int
        Cycles a cell, 1 to 32. The multipliers of 18 bits are ``ceil(15 / cycles)``; from 26 on, one adder
        does all sums. With more than one, the memory of the lattice may have a single port.

    Attributes
    ----------
    step_cycles : int
        Cycles of a step.

    Members
    -------
    command : In(stream.Signature({operation: 3, value: signed(18)}))
        Commands.
    load : In(stream.Signature({psi: signed(32), v: signed(32)}))
        Cells of ``LOAD``.
    cells : Out(stream.Signature({psi: signed(32), v: signed(32)}))
        Cells of ``READ``.

    Raises
    ------
    InputError
        A parameter outside what is allowed.
    """

    #: Bits of psi and v. Only proofs need others.
    BITS = _BITS

    def __init__(self, width: int, height: int, cycles: int) -> None:
        self.width = _check_extent("width", width)
        self.height = _check_extent("height", height)
        self.cycles = check_integer("cycles", cycles, 1, _CYCLES_MAX)
        self._column_bits, self._row_bits = width.bit_length() - 1, height.bit_length() - 1
        self._cell = WaveCell(cycles)
        self.step_cycles = (height + 2) * width * cycles + 3 + self._cell.latency
        cell = data.StructLayout({"psi": signed(self.BITS), "v": signed(self.BITS)})
        command = data.StructLayout({"operation": 3, "value": signed(COEFFICIENT_BITS)})
        super().__init__(
            {
                "command": In(stream.Signature(command)),
                "load": In(stream.Signature(cell)),
                "cells": Out(stream.Signature(cell)),
            }
        )

    def elaborate(self, _platform: object) -> Module:
        """Build the memories, the control, and the path from memory through the arithmetic and back."""
        m = Module()
        m.submodules.cell = self._cell
        places = self.width * self.height
        ports: dict[str, _Ports] = {}
        for name, width, depth in (
            ("psi", self.BITS, places),
            ("v", self.BITS, places),
            ("lines", 2 * self.BITS, self.width),
            ("first", self.BITS, self.width),
        ):
            # In a cycle in which a cell is read none is written, if there is another cycle to write it in.
            attrs = SPRAM if self.cycles > 1 and depth == places else {}
            m.submodules[name] = store = memory.Memory(shape=width, depth=depth, init=[], attrs=attrs)
            ports[name] = _Ports(store.write_port(), store.read_port())
        issue = Signal(name="issue")
        slot = _Slot(Signal(range(self.height + 3), name="row"), Signal(self._column_bits, name="column"))
        before = self._window(m, ports, issue, slot)
        self._control(m, ports, (issue, slot, before))
        return m

    def _control(self, m: Module, ports: Mapping[str, _Ports], steps: tuple[Signal, _Slot, _Slot]) -> None:
        """Add the states: command, load, step, read."""
        cell, (issue, slot, before) = self._cell, steps
        (psi_write, psi_read), (v_write, v_read) = ports["psi"], ports["v"]
        place = Signal(self._column_bits + self._row_bits, name="place")
        left = Signal(COEFFICIENT_BITS - 1, name="steps_left")
        factors = [Signal(signed(COEFFICIENT_BITS), name=f"factor_{name}") for name in "abct"]
        beat = Signal(range(self.cycles), name="beat")
        shown = Signal(name="shown")
        last = Signal(name="last")
        m.d.comb += [
            *(getattr(cell, name).eq(factor) for name, factor in zip("abct", factors, strict=True)),
            last.eq(place == self.width * self.height - 1),
            *(write.addr.eq(place) for write in (psi_write, v_write)),
            psi_write.data.eq(Mux(cell.done, cell.new_psi, self.load.payload.psi)),
            v_write.data.eq(Mux(cell.done, cell.new_v, self.load.payload.v)),
            psi_read.addr.eq(place),
            v_read.addr.eq(place),
            self.cells.payload.psi.eq(psi_read.data),
            self.cells.payload.v.eq(v_read.data),
            self.cells.valid.eq(shown),
        ]
        with m.FSM():
            with m.State("COMMAND"):
                self._accept(m, left, factors)
            with m.State("LOAD"):
                m.d.comb += self.load.ready.eq(1)
                with m.If(self.load.valid):
                    m.d.comb += [psi_write.en.eq(1), v_write.en.eq(1)]
                    m.d.sync += place.eq(place + 1)
                    with m.If(last):
                        m.next = "COMMAND"
            with m.State("STEP"):
                ends = (slot.row == self.height + 2) & (slot.column == 1)
                m.d.comb += [
                    issue.eq((beat == 0) & ~ends),
                    psi_read.en.eq(issue),
                    psi_read.addr.eq(Cat(slot.column, (slot.row - 1)[: self._row_bits])),
                    v_read.en.eq(issue),
                    v_read.addr.eq(Cat(before.column, (before.row - 2)[: self._row_bits])),
                    psi_write.en.eq(cell.done),
                    v_write.en.eq(cell.done),
                ]
                m.d.sync += beat.eq(Mux(beat == self.cycles - 1, 0, beat + 1))
                with m.If(issue):
                    m.d.sync += Cat(slot.column, slot.row).eq(Cat(slot.column, slot.row) + 1)
                with m.If(cell.done):
                    m.d.sync += place.eq(place + 1)
                    with m.If(last):
                        m.d.sync += [left.eq(left - 1), slot.row.eq(0), slot.column.eq(0), beat.eq(0)]
                        with m.If(left == 1):
                            m.next = "COMMAND"
            with m.State("READ"):
                moves = Signal(name="moves")
                m.d.comb += [moves.eq(~shown | self.cells.ready), psi_read.en.eq(moves), v_read.en.eq(moves)]
                over = Signal(name="over")
                with m.If(moves):
                    m.d.sync += [shown.eq(~over), place.eq(place + ~over), over.eq(last & ~over)]
                    with m.If(over):
                        m.next = "COMMAND"

    def _accept(self, m: Module, left: Signal, factors: Sequence[Signal]) -> None:
        """Take a command."""
        given = self.command.payload
        m.d.comb += self.command.ready.eq(1)
        with m.If(self.command.valid), m.Switch(given.operation):
            for operation, factor in enumerate(factors):
                with m.Case(operation):
                    m.d.sync += factor.eq(given.value)
            with m.Case(Operation.LOAD):
                m.next = "LOAD"
            with m.Case(Operation.STEP):
                m.d.sync += left.eq(given.value)
                with m.If(given.value > 0):
                    m.next = "STEP"
            with m.Case(Operation.READ):
                m.next = "READ"

    def _window(self, m: Module, ports: Mapping[str, _Ports], issue: Signal, slot: _Slot) -> _Slot:
        """Read lines, pass the old psi of each slot on, and start the cell before it; return the slot before."""
        (lines_write, lines_read), (first_write, first_read) = ports["lines"], ports["first"]
        here, before = (
            _Slot(Signal.like(slot.row, name=f"row_{name}"), Signal.like(slot.column, name=f"column_{name}"))
            for name in ("here", "before")
        )
        arrives = Signal(name="arrives")
        m.d.sync += arrives.eq(issue)
        with m.If(issue):
            m.d.sync += [
                *(here.row.eq(slot.row), here.column.eq(slot.column)),
                *(before.row.eq(here.row), before.column.eq(here.column)),
            ]
        old = Signal(signed(self.BITS), name="old")
        line = data.View(data.ArrayLayout(signed(self.BITS), 2), lines_read.data)
        m.d.comb += [
            *(port.en.eq(issue) for port in (lines_read, first_read)),
            *(port.addr.eq(slot.column) for port in (lines_read, first_read)),
            *(port.addr.eq(here.column) for port in (lines_write, first_write)),
            # The row after the last one is the first, which has been replaced.
            old.eq(Mux(here.row == self.height + 1, first_read.data, ports["psi"].read.data)),
            lines_write.en.eq(arrives),
            lines_write.data.eq(Cat(old, line[0])),
            first_write.en.eq(arrives & (here.row == 1)),
            first_write.data.eq(old),
        ]
        self._start(m, ports, arrives, (old, line[0], line[1]), before)
        return here

    def _start(self, m: Module, ports: Mapping[str, _Ports], arrives: Signal, came: Sequence[Value], at: _Slot) -> None:
        """Keep psi of three rows around the cell before the slot that arrives, and start that cell."""
        cell = self._cell
        # Of the row below, the cell's own row and the row above: psi of the slot that arrived, and of those before it.
        below, own, above = (
            [Signal(signed(self.BITS), name=f"{name}_{i}", reset_less=True) for i in range(count)]
            for name, count in (("below", 3), ("own", 3), ("above", 2))
        )
        v = Signal(signed(self.BITS), name="old_v", reset_less=True)
        leftmost, rightmost = Signal(name="leftmost"), Signal(name="rightmost")
        with m.If(arrives):
            for row, value in zip((below, own, above), came, strict=True):
                m.d.sync += [later.eq(sooner) for later, sooner in zip(row, [value, *row], strict=False)]
            m.d.sync += [
                v.eq(ports["v"].read.data),
                leftmost.eq(at.column == 0),
                rightmost.eq(at.column == self.width - 1),
            ]
        m.d.sync += cell.start.eq(arrives & (at.row >= 2) & (at.row != self.height + 2))
        m.d.comb += [
            *(cell.psi.eq(own[1]), cell.v.eq(v), cell.up.eq(above[1]), cell.down.eq(below[1])),
            # Across the border of the rows: the row below has passed the cell's column, the row above has begun.
            cell.left.eq(Mux(leftmost, below[2], own[2])),
            cell.right.eq(Mux(rightmost, above[0], own[0])),
        ]


def _check_extent(name: str, value: object) -> int:
    extent = check_integer(name, value, 2, _EXTENT_MAX)
    if extent & (extent - 1):
        raise InputError(f"{name} must be a power of two, not {extent}")
    return extent


CORE = Core(
    WaveLattice,
    defaults={"width": 64, "height": 64, "cycles": 1},
    small={"width": 4, "height": 4, "cycles": 16},
    smallest={"width": 4, "height": 2, "cycles": 3},
)


def parameters(call: Call) -> dict[str, int]:
    """Return the parameters of a core that runs a call of ``wave_step_fixed``.

    Raises
    ------
    UnsupportedError
        No core has these extents.
    """
    shape = {"width": call.sizes["W"], "height": call.sizes["H"], "cycles": 1}
    try:
        WaveLattice(**shape)
    except InputError as error:
        raise UnsupportedError(f"the core wave_lattice has extents of 2, 4, 8 and so on to 128: {error}") from error
    return shape


def orders(call: Call) -> dict[str, list[int]]:
    """Return the commands of a call of ``wave_step_fixed`` by field: set coefficients, load, step, read."""
    full, rest = divmod(call.options["steps"], _STEPS_AT_ONCE)
    commands = [
        *((operation, call.options[name]) for operation, name in zip(list(Operation)[:4], "ABCT", strict=True)),
        (Operation.LOAD, 0),
        *[(Operation.STEP, _STEPS_AT_ONCE)] * full,
        *[(Operation.STEP, rest)] * (rest > 0),
        (Operation.READ, 0),
    ]
    return {"operation": [int(one) for one, _ in commands], "value": [value for _, value in commands]}


def run(core: Any, call: Call) -> dict[str, list[int]]:
    """Run a call of ``wave_step_fixed`` on an open core, and return ``psi`` and ``v`` of all cells.

    Raises
    ------
    DeviceError
        The core gives no cells.
    """
    names = ("psi", "v")
    cells = {name: call.state().arrays[name].reshape(-1) for name in names}
    found: dict[str, list[int]] = {name: [] for name in names}
    sent: Mapping[str, Any] = {**orders(call), **cells}
    silent = 0
    # A call ends when the core has been silent for a while, as it is during long steps.
    while len(found["psi"]) < len(cells["psi"]):
        given = core(**sent)
        silent = 0 if len(given["psi"]) else silent + 1
        if silent > _SILENT_CALLS:
            raise DeviceError(f"the core gave {len(found['psi'])} of {len(cells['psi'])} cells")
        for name in names:
            found[name] += given[name].tolist()
        sent = {name: [] for name in sent}
    return found
