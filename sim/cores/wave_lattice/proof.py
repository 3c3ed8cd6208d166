"""Proof of the wave lattice: whole steps, and no read of a stale cell.

The lattice moves numbers and computes none; the arithmetic of a cell has proofs of its own. So numbers are replaced by
tags with a place and a number of steps. The arithmetic is replaced by one that adds a step to a tag. If each cell then
starts with its own and its neighbours' tags, all of the step before, every lattice is advanced by whole steps.
"""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Assert, Assume, Cat, Cover, Module, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ninefold.hdl.cores.wave_lattice import Operation, WaveLattice
from ninefold.sim.formal.dut import Inside, with_parts
from ninefold.sim.formal.proof import Method, Proof
from ninefold.sim.formal.streams import drive, follow

__all__ = ["PROOFS"]

_WIDTH, _HEIGHT = 4, 2
_PLACE_BITS, _STEP_BITS = 3, 3
_BITS = _PLACE_BITS + _STEP_BITS
_NUMBERS = ("psi", "v", "left", "right", "up", "down")


class _TaggedCell(wiring.Component):
    """Replacement for a wave cell: the result is the cell's tag with one more step, at once.

    So the first row has been replaced when the last row needs it, as it has in wide lattices.
    """

    latency = 0

    def __init__(self, _cycles: int) -> None:
        super().__init__(
            {
                "start": In(1),
                **dict.fromkeys(_NUMBERS, In(signed(_BITS))),
                **dict.fromkeys("abct", In(signed(18))),
                "done": Out(1),
                **dict.fromkeys(("new_psi", "new_v"), Out(signed(_BITS))),
            }
        )

    def elaborate(self, _platform: object) -> Module:
        """Add a step to both tags."""
        m = Module()
        m.d.comb += self.done.eq(self.start)
        for old, new in ((self.psi, self.new_psi), (self.v, self.new_v)):
            m.d.comb += new.eq(_tag(old[:_PLACE_BITS], old[_PLACE_BITS:] + 1))
        return m


def _tag(place: Value, step: Value) -> Value:
    return Cat(place[:_PLACE_BITS], step[:_STEP_BITS])


def _steps(m: Module, core: Any, _inside: Inside) -> None:
    """Give commands in any order, tags to each load, and assert the tags of all cells that start and that are read."""
    accepted, left = drive(m, core.command), follow(m, core.cells)
    # A load waits for no cell, which says nothing of steps and would take more cycles.
    came = core.load.valid & core.load.ready
    given, cell = core.command.payload, core._cell
    loaded = Signal(name="loaded")
    asked, done = Signal(_STEP_BITS, name="asked"), Signal(_STEP_BITS, name="done")
    m.d.comb += [
        # Before a load the lattice may hold anything.
        Assume(~core.command.valid | loaded | (given.operation == Operation.LOAD)),
        Assume(given.value <= 2),
    ]
    places = {name: Signal(_PLACE_BITS, name=f"{name}_place") for name in ("loaded", "started", "read")}
    for happens, place in zip((came, cell.start, left), places.values(), strict=True):
        with m.If(happens):
            m.d.sync += place.eq(place + 1)
    tag = Signal(_BITS, name="tag")
    m.d.comb += tag.eq(_tag(places["loaded"], Signal(_STEP_BITS, name="zero")))
    m.d.comb += [core.load.valid.eq(1), *(core.load.payload[name].eq(tag) for name in ("psi", "v"))]
    with m.If(cell.start & (places["started"] == _WIDTH * _HEIGHT - 1)):
        m.d.sync += done.eq(done + 1)
    with m.If(accepted):
        m.d.comb += [
            Assert(done == asked, "a command is accepted before the steps are done"),
            *(Assert(place == 0, "a command is accepted in the midst of another") for place in places.values()),
        ]
        with m.If(given.operation == Operation.LOAD):
            m.d.sync += [loaded.eq(1), asked.eq(0), done.eq(0)]
        with m.Elif((given.operation == Operation.STEP) & (given.value > 0)):
            m.d.sync += asked.eq(asked + given.value[:_STEP_BITS])
    _starts(m, cell, places["started"], done)
    with m.If(core.cells.valid):
        read = _tag(places["read"], asked).as_signed()
        m.d.comb += [Assert(core.cells.payload[name] == read, "another cell is read") for name in ("psi", "v")]
    m.d.sync += Cover(left & (places["read"] == _WIDTH * _HEIGHT - 1) & (asked == 1))


def _starts(m: Module, cell: Any, place: Value, step: Value) -> None:
    """Assert the tags with which a cell starts: its own and its four neighbours', all of the same step."""
    columns = (_WIDTH - 1).bit_length()
    column, row = place[:columns], place[columns:]
    wanted = {
        "psi": place,
        "v": place,
        "left": Cat((column - 1)[:columns], row),
        "right": Cat((column + 1)[:columns], row),
        "up": Cat(column, (row - 1)[: len(row)]),
        "down": Cat(column, (row + 1)[: len(row)]),
    }
    with m.If(cell.start):
        for name, where in wanted.items():
            m.d.comb += Assert(
                getattr(cell, name) == _tag(where, step).as_signed(), f"{name} is another cell, or stale"
            )


def _of_tags(**given: Any) -> Any:
    """Build a core that moves tags."""
    kind = with_parts(WaveLattice, WaveCell=_TaggedCell)
    kind.BITS = _BITS
    return kind(**given)


PROOFS = (
    Proof(
        "wave_lattice",
        "steps",
        "each cell starts once a step, with its own psi and v and the psi of its four neighbours, all of the step "
        "before; a read gives every cell in order, after the steps that were asked for; commands wait for each other. "
        "This holds around any arithmetic, for any commands of at most two steps and any back-pressure",
        _steps,
        Method.BOUNDED,
        depth=54,
        cover=64,
        parameters={"width": _WIDTH, "height": _HEIGHT, "cycles": 1},
        make=_of_tags,
    ),
)
