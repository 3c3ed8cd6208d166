"""Proof of the CRC-32: each byte is eight steps of the polynomial, and a match means a correct CRC."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from amaranth.asserts import AnySeq
from amaranth.hdl import Assert, Const, Cover, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.crc import catalog
from amaranth.lib.wiring import In, Out

from ninefold.sim.faults import Edit
from ninefold.sim.formal.dut import Inside
from ninefold.sim.formal.proof import Method, Proof

__all__ = ["PROOFS", "PROOF_FAULTS", "CheckModel", "Unit"]

_POLYNOMIAL = 0xEDB88320
_ONES = 0xFFFFFFFF
_BYTES = 4


class Unit(wiring.Component):
    """The CRC-32 of the link and of rows, from Amaranth's library.

    Members
    -------
    data, valid : In
        A byte, and whether there is one.
    start : In(1)
        Restart before this byte.
    crc : Out(32)
        CRC of the bytes so far.
    match_detected : Out(1)
        The last four bytes are the CRC of the preceding bytes.
    """

    def __init__(self) -> None:
        super().__init__(
            {"data": In(8), "valid": In(1), "start": In(1), "crc": Out(32), "match_detected": Out(1)},
        )

    def elaborate(self, _platform: object) -> Module:
        """Connect the unit."""
        m = Module()
        m.submodules.unit = unit = catalog.CRC32_ISO_HDLC(data_width=8).create()
        m.d.comb += [
            unit.data.eq(self.data),
            unit.valid.eq(self.valid),
            unit.start.eq(self.start),
            self.crc.eq(unit.crc),
            self.match_detected.eq(unit.match_detected),
        ]
        return m


class CheckModel:
    """CRC-32 by its definition, a bit at a time, lowest first.

    Parameters
    ----------
    m : Module
        Gets the register.
    name : str
        Name of the register.

    Attributes
    ----------
    state : Signal
        The register, inverted.
    value : Value
        CRC of the bytes so far.
    next : Signal
        The register in the next cycle.
    """

    def __init__(self, m: Module, name: str = "crc_model") -> None:
        self._m = m
        self.state = Signal(32, init=_ONES, name=name)
        self.value = ~self.state
        self.next = Signal(32, name=f"{name}_next")

    def take(self, byte: Value, valid: Value, start: Value) -> None:
        """Take a byte if `valid`, and restart before it if `start`."""
        steps = [Signal(32, name=f"{self.state.name}_{i}") for i in range(9)]
        self._m.d.comb += steps[0].eq(Mux(start, _ONES, self.state))
        for place, (before, after) in enumerate(pairwise(steps)):
            self._m.d.comb += after.eq((before >> 1) ^ Mux(before[0] ^ byte[place], Const(_POLYNOMIAL, 32), 0))
        self._m.d.comb += self.next.eq(Mux(valid, steps[-1], steps[0]))
        self._m.d.sync += self.state.eq(self.next)


def _behind(state: int, byte: int) -> int:
    """Return the state after a byte, as integers."""
    state ^= byte
    for _ in range(8):
        state = (state >> 1) ^ (_POLYNOMIAL if state & 1 else 0)
    return state


def _steps(m: Module, core: Any, _inside: Inside) -> None:
    """Drive any byte at any time."""
    m.d.comb += [core.data.eq(AnySeq(8)), core.valid.eq(AnySeq(1)), core.start.eq(AnySeq(1))]
    model = CheckModel(m)
    model.take(core.data, core.valid, core.start)
    m.d.comb += Assert(core.crc == model.value, "another CRC")

    # From any moment on, four bytes are compared with the CRC of the bytes before. While they agree, the state is the
    # earlier one, shifted, with a constant; from the first difference on, its highest bytes differ from the constant's.
    claimed, count, same = Signal(32), Signal(range(_BYTES + 1)), Signal()
    compares = Signal()
    with m.If(AnySeq(1)):
        m.d.sync += [compares.eq(1), claimed.eq(~model.next), count.eq(0), same.eq(1)]
    with m.Elif(core.valid & ~core.start & compares & (count != _BYTES)):
        m.d.sync += [count.eq(count + 1), same.eq(same & (core.data == claimed.word_select(count[:2], 8)))]
    with m.Elif(core.valid | core.start):
        m.d.sync += compares.eq(0)
    m.d.comb += Assert(count <= _BYTES)
    constant = 0
    for place in range(_BYTES + 1):
        high = 32 - 8 * place
        with m.If(compares & (count == place)):
            m.d.comb += [
                Assert(~same | (model.state == (~claimed >> 8 * place) ^ constant)),
                Assert(same | (model.state[high:] != constant >> high)),
            ]
        constant = _behind(constant, 0xFF)
    with m.If(compares & (count == _BYTES)):
        m.d.comb += Assert(core.match_detected == same, "a match is another than equality")
    m.d.sync += [
        Cover(compares & (count == _BYTES) & same),
        Cover(compares & (count == _BYTES) & ~same),
    ]


PROOFS = (
    Proof(
        "crc",
        "steps",
        "each byte moves the CRC-32 by eight steps of the polynomial; `match_detected` is high after "
        "four bytes or more exactly if the last four are the CRC-32 of the preceding bytes, lowest byte first",
        _steps,
        Method.INDUCTION,
        depth=1,
        cover=7,
        parameters={},
        make=Unit,
    ),
)

#: Faults that a proof must find, by the name of the proof.
PROOF_FAULTS: Mapping[str, Sequence[Edit]] = {
    "steps": [
        ("sim.parts.crc", "catalog.CRC32_ISO_HDLC", "catalog.CRC32_ISCSI"),
        ("sim.parts.crc", "unit.start.eq(self.start)", "unit.start.eq(0)"),
    ],
}
