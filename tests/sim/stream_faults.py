"""Designs with a fault planted on purpose: a wrapper around a core that spoils its streams on demand."""

import re
from collections.abc import Mapping
from typing import Any

from ninefold.hdl.catalogue import make_core
from ninefold.hdl.elaborate import verilog

#: Faults of the wrapper by name; `+fault=NUMBER` turns one on.
FAULTS = {
    "offer withdrawn": 1,
    "payload changes while offered": 2,
    "last lost": 3,
    "bit flipped in one word": 4,
    "word lost": 5,
    "word repeated": 6,
    "input stalls": 7,
    "reset ignored": 8,
    "one cycle later": 9,
}

_WRAPPER = """
module top({names});
  {declarations}
  reg [7:0] fault;
  initial if (!$value$plusargs("fault=%d", fault)) fault = 0;
  wire inner_valid, inner_ready;
  wire inner_input_ready;
  wire {range} inner_payload;
  reg [15:0] taken = 0;
  reg [3:0] phase = 0;
  reg stalled = 0, repeated = 0, waited = 0;
  wire special = taken == 20;
  wire closed = fault == 7 && phase == 0;
  wire shown = inner_valid && !(fault == 1 && stalled && phase[0]) && !(fault == 5 && special)
               && !(fault == 9 && !waited);
  assign {output}__valid = shown;
  assign inner_ready = (fault == 5 && special) || ({output}__ready && shown && !(fault == 6 && special && !repeated));
  assign {output}__payload = inner_payload
    ^ ((fault == 2 && stalled) || (fault == 4 && special) ? 1'b1 : 1'b0)
    ^ (fault == 3 ? (inner_payload & ({one} << ({bits} - 1))) : {zero});
  assign {input}__ready = inner_input_ready && !closed;
  always @(posedge clk) begin
    phase <= phase + 1;
    waited <= inner_valid;
    stalled <= {output}__valid && !{output}__ready;
    if ({output}__valid && {output}__ready && special) repeated <= 1;
    if (inner_valid && inner_ready) taken <= taken + 1;
    if (rst) begin taken <= 0; repeated <= 0; end
  end
  device inner({connections});
endmodule
"""


def wrapped(core: str, parameters: Mapping[str, Any], source: str, sink: str) -> str:
    """Return the core as Verilog inside the wrapper, which spoils the input `source` and the output `sink`."""
    text = verilog(make_core(core, **parameters))
    header = re.search(r"^module top\((.*?)\);(.*?)^endmodule", text, re.MULTILINE | re.DOTALL)
    assert header is not None
    ports = dict.fromkeys(name.strip() for name in header[1].split(","))
    declarations = {
        name: re.search(rf"^\s*((?:input|output)\s*(\[\d+:0\])?)\s*{name}\s*;", header[2], re.MULTILINE)
        for name in ports
    }
    lines = [f"{found[1]} {name};" for name, found in declarations.items() if found]
    assert len(lines) == len(ports)
    payload = declarations[f"{sink}__payload"]
    assert payload is not None
    bits = int(payload[2][1:].split(":")[0]) + 1
    inner = dict.fromkeys(ports)
    connections = {name: name for name in inner} | {
        f"{sink}__valid": "inner_valid",
        f"{sink}__ready": "inner_ready",
        f"{sink}__payload": "inner_payload",
        f"{source}__ready": "inner_input_ready",
        f"{source}__valid": f"{source}__valid && !closed",
        "rst": "rst && fault != 8",
    }
    return text.replace("module top(", "module device(") + _WRAPPER.format(
        names=", ".join(ports),
        declarations="\n  ".join(lines),
        range=payload[2],
        output=sink,
        input=source,
        bits=bits,
        one=f"{bits}'d1",
        zero=f"{bits}'d0",
        connections=", ".join(f".{port}({wire})" for port, wire in connections.items()),
    )
