"""Faults planted in the sources of cores, all in one design: a file says which of them is there while it runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import pytest
from amaranth.hdl import Instance, Module, Mux, Signal, Value
from amaranth.lib import wiring

from ninefold.sim.faults import Edit
from ninefold.sim.verilated import Design, elaborate

#: File in the current folder with the number of the fault that is there: from 1, or 0 for none.
SELECTED = Path("fault")

_SELECTOR = f"""
module fault_selector(output reg [7:0] number);
  integer file, found;
  initial begin
    number = 0;
    file = $fopen("{SELECTED}", "r");
    if (file != 0) begin
      found = $fscanf(file, "%d", number);
      $fclose(file);
    end
  end
endmodule
"""


def planted(faults: Mapping[str, Sequence[Edit]], component: Callable[[], Any]) -> Design:
    """Return the design of a component with faults in its sources, which are numbered from 1 in their order."""
    number = Signal(8)
    texts: dict[str, str] = {}
    selected: dict[str, Value] = {}
    for index, edits in enumerate(faults.values(), 1):
        for module, old, new in edits:
            text = texts.setdefault(module, Path(str(import_module(f"ninefold.{module}").__file__)).read_text())
            assert text.count(old) == 1, f"{module} has {text.count(old)} of {old!r}"
            texts[module] = text.replace(old, new.replace("FAULT", f"FAULT_{index}"))
        selected[f"FAULT_{index}"] = number == index
    with pytest.MonkeyPatch.context() as patch:
        for module, text in texts.items():
            _replace(patch, import_module(f"ninefold.{module}"), text, selected)
        made = elaborate(_Selecting(component(), number))
    return Design(made.verilog + _SELECTOR, made.streams)


def _replace(patch: pytest.MonkeyPatch, original: ModuleType, text: str, selected: Mapping[str, Value]) -> None:
    """Replace the methods of a module's classes by methods of another text."""
    faulty: dict[str, Any] = {"__name__": original.__name__, "Mux": Mux, **selected}
    exec(compile(text, str(original.__file__), "exec"), faulty)  # noqa: S102 - our own sources
    for name, made in faulty.items():
        if not isinstance(made, type) or made.__module__ != original.__name__:
            continue
        for method, function in vars(made).items():
            # A constructor calls super(), which knows its class.
            if isinstance(function, FunctionType) and method != "__init__":
                patch.setattr(getattr(original, name), method, function)


class _Selecting(wiring.Component):
    """A component with the number of the fault that is there."""

    def __init__(self, core: wiring.Component, number: Signal) -> None:
        self._core, self._number = core, number
        super().__init__(core.signature)

    def elaborate(self, _platform: object) -> Module:
        m = Module()
        m.submodules.core = self._core
        m.submodules.selector = Instance("fault_selector", o_number=self._number)
        for name in self._core.signature.members:
            ours, core = wiring.flipped(getattr(self, name)), getattr(self._core, name)
            wiring.connect(m, ours, core)
        return m
