"""Proof of the CRC-32: each byte is eight steps of the polynomial, and a match means a correct CRC."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from amaranth.asserts import AnySeq
from amaranth.hdl import Assert, Cover, Module, Signal

from ninefold.sim.faults import Edit
from ninefold.sim.formal.crc_model import POLYNOMIAL, CheckModel, Unit
from ninefold.sim.formal.dut import Inside
from ninefold.sim.formal.proof import Method, Proof

__all__ = ["PROOFS", "PROOF_FAULTS"]

_BYTES = 4


def _behind(state: int, byte: int) -> int:
    """Return the state after a byte, as integers."""
    state ^= byte
    for _ in range(8):
        state = (state >> 1) ^ (POLYNOMIAL if state & 1 else 0)
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
        ("sim.formal.crc_model", "catalog.CRC32_ISO_HDLC", "catalog.CRC32_ISCSI"),
        ("sim.formal.crc_model", "unit.start.eq(self.start)", "unit.start.eq(0)"),
    ],
}
