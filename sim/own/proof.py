"""Proof of the stream contract of any core: offers hold, and no output is invented or, with a latency, lost."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, Final

from amaranth.hdl import Assert, Cover, Module, Mux, ResetSignal, Signal, Value

from ninefold.hdl.catalogue import find_core
from ninefold.sim.formal.dut import Inside
from ninefold.sim.formal.proof import Method, Proof
from ninefold.sim.formal.streams import drive, follow
from ninefold.sim.own.contract import Contract, contract_of

__all__ = ["of"]

#: Cycles of the proof after the declared latency, and latency to suppose if none is declared.
_DEPTH: Final = 12
_SUPPOSED: Final = 12


def of(name: str) -> SimpleNamespace:
    """Return the part ``proof`` of a core: its ``PROOFS``."""
    parameters = find_core(name).core.mutated
    contract = contract_of(name, parameters)
    one_for_one = contract.one_for_one
    latency = max(contract.latency.values(), default=_SUPPOSED)
    counted = ", no output is offered before its input" if one_for_one else ", no output is offered before any input"
    lost = f", and none is later than its latency of {latency} cycles" if one_for_one and contract.latency else ""

    def specify(m: Module, core: Any, _inside: Inside) -> None:
        _specify(m, core, contract, one_for_one)

    proof = Proof(
        contract.name,
        "contract",
        f"an offered output stays valid and unchanged until it is taken{counted}{lost}",
        specify,
        Method.BOUNDED,
        depth=_DEPTH + latency,
        cover=_DEPTH + 2 * latency,
        parameters=parameters,
        make=lambda **_: contract.make(),
        resets=True,
    )
    return SimpleNamespace(PROOFS=(proof,))


def _specify(m: Module, core: Any, contract: Contract, one_for_one: bool) -> None:
    """Drive the inputs at any time, take the outputs at any time, and count."""
    accepted = [drive(m, getattr(core, channel.name)) for channel in contract.inputs]
    offers: list[Value] = [getattr(core, channel.name).valid for channel in contract.inputs]
    for channel in contract.outputs:
        port = getattr(core, channel.name)
        left = follow(m, port)
        waited = Signal(name=f"{channel.name}_waited")
        m.d.sync += [
            waited.eq(port.valid & ~port.ready),
            Cover(left, f"no output of {channel.name}"),
            Cover(left & waited, f"no output of {channel.name} after a wait"),
        ]
        for taken, offered in zip(accepted, offers, strict=True):
            _count(m, port, left, taken, offered, one_for_one, contract.latency.get(channel.name))


def _count(
    m: Module, port: Any, left: Value, taken: Value, offered: Value, one_for_one: bool, latency: int | None
) -> None:
    if not one_for_one:
        begun = Signal(name="begun")
        m.d.sync += begun.eq(begun | taken)
        m.d.comb += Assert(ResetSignal() | ~port.valid | begun | offered, "an output is offered before any input")
        return
    inside = Signal(8, name="inside")
    m.d.sync += inside.eq(inside + taken - left)
    m.d.comb += Assert(ResetSignal() | ~port.valid | (inside != 0) | offered, "an output is offered without an input")
    if latency is not None:
        waiting = Signal(10, name="waiting")
        m.d.sync += waiting.eq(Mux((inside != 0) & ~port.valid, waiting + 1, 0))
        m.d.comb += Assert(waiting <= latency, "an output is lost, or later than its latency")
