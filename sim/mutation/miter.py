"""Miter of a core and its mutant, as Verilog, with one output that is high when they differ."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ninefold.sim.mutation.netlist import Port

__all__ = ["miter"]


def miter(ports: Sequence[Port], legal: Sequence[str], pins: Sequence[Port] = ()) -> str:
    """Return the Verilog of a core and its mutant, ``gold`` and ``gate``, with the same inputs.

    The output ``bad`` is high where a partner of their streams can tell them apart: a ``valid`` differs, a ``ready``
    while there is an offer, a payload that is on offer, or another output; not in a cycle of reset. It is low from the
    first illegal input on: the first cycle must be one of reset, and an offer must stand until it is accepted.

    It is high, too, where registers and memories that were cut out can tell them apart, in cycles of reset as in
    others: by what a register takes, an enable, an address while something is enabled, a bit that is written.

    Parameters
    ----------
    ports : sequence of Port
        Ports of the core.
    legal : sequence of str
        Further assumptions in every cycle: expressions of the inputs.
    pins : sequence of Port
        Pins of the cells cut out; see `cutpoints_of`.
    """
    inputs = [port for port in (*ports, *pins) if port.is_input]
    outputs = [port for port in (*ports, *pins) if not port.is_input]
    lines = [f"  input {_range(port)}{_plain(port)}," for port in inputs]
    lines += ["  output bad);"]
    for module in ("gold", "gate"):
        lines += [f"  wire {_range(port)}{module}_{_plain(port)};" for port in outputs]
        connections = [f".\\{p.name} ({_plain(p)})" for p in inputs]
        connections += [f".\\{p.name} ({module}_{_plain(p)})" for p in outputs]
        lines.append(f"  {module} {module}({', '.join(connections)});")
    offers, rules = _rules(ports)
    names = {port.name for port in ports}
    seen = [_difference(port, names) for port in ports if not port.is_input]
    stored = ["1'b0", *(_difference_in_state(pin) for pin in pins if not pin.is_input)]
    lines += [
        *offers,
        "  reg begun = 0;",
        "  always @(posedge clk) begun <= 1;",
        f"  wire legal = {' & '.join(['(begun | rst)', *legal, *rules])};",
        "  reg broken = 0;",
        "  always @(posedge clk) broken <= broken | ~legal;",
        f"  wire seen = |{{{', '.join(seen)}}};",
        f"  wire stored = |{{{', '.join(stored)}}};",
        "  assign bad = legal & ~broken & (~rst & seen | stored);",
    ]
    return "module miter(\n" + "\n".join(lines) + "\nendmodule\n"


def _rules(ports: Sequence[Port]) -> tuple[list[str], list[str]]:
    """Return declarations and conditions for offers that stay stable until accepted."""
    names = {port.name for port in ports}
    lines, rules = [], []
    for port in ports:
        stream, _, part = port.name.rpartition("__")
        if part != "valid" or not port.is_input:
            continue
        payload = next(p for p in ports if p.name == f"{stream}__payload")
        ready = f"gold_{stream}__ready" if f"{stream}__ready" in names else "1'b1"
        lines += [
            f"  reg {stream}_waits = 0;",
            f"  reg {_range(payload)}{stream}_before = 0;",
            "  always @(posedge clk) begin",
            f"    {stream}_waits <= {port.name} & ~{ready} & ~rst;",
            f"    {stream}_before <= {payload.name};",
            "  end",
        ]
        rules.append(f"(~{stream}_waits | ({port.name} & ({payload.name} == {stream}_before)))")
    return lines, rules


def _difference(port: Port, names: set[str]) -> str:
    differs = f"(gold_{port.name} != gate_{port.name})"
    stream, _, part = port.name.rpartition("__")
    if part == "payload":
        return f"(gold_{stream}__valid & {differs})"
    if part == "ready" and f"{stream}__valid" in names:
        return f"({stream}__valid & {differs})"
    return differs


def _difference_in_state(pin: Port) -> str:
    name = _plain(pin)
    memory, _, part = name.rpartition("__")
    if part == "WR_DATA":
        return f"(|((gold_{name} ^ gate_{name}) & gold_{memory}__WR_EN))"
    differs = f"(gold_{name} != gate_{name})"
    if part.endswith("_ADDR"):
        return f"((|gold_{memory}__{part.replace('ADDR', 'EN')}) & {differs})"
    return differs


def _plain(port: Port) -> str:
    """Return the name of a port without characters that Verilog must escape."""
    return re.sub(r"\W", "_", port.name)


def _range(port: Port) -> str:
    return "" if port.bits == 1 else f"[{port.bits - 1}:0] "
