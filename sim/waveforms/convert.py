"""From the VCD that a simulator wrote to a waveform for people: fields, names, and nothing that a tool made up."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ninefold.sim.waveforms.declarations import Declared
from ninefold.sim.waveforms.hierarchy import header_of, read_header
from ninefold.sim.waveforms.views import write_save_files
from ninefold.sim.waveforms.writers import check_format, make_writer
from ninefold.spec.files import written_aside

__all__ = ["convert"]


def convert(raw: Path, waveform: Path, declared: Mapping[str, Declared]) -> None:
    """Write a waveform with its save files from a simulator's VCD.

    Each field of a payload is a signal of its own, enumerations are shown by name, and temporaries are left out. A VCD
    whose end is missing, because the simulator died, is converted as far as it goes.

    Parameters
    ----------
    raw : Path
        The VCD of Verilator or Icarus Verilog.
    waveform : Path
        The file to write; its suffix, ``.fst`` or ``.vcd``, is the format. It appears when it is complete.
    declared : mapping of str to Declared
        The design's signals, as `ninefold.sim.waveforms.declarations` returns them.

    Raises
    ------
    InputError
        There is no such format.
    UnavailableError
        It is FST, and pylibfst is not usable.
    ToolError
        The VCD cannot be read, or the waveform not written.
    """
    check_format(waveform.suffix)
    with raw.open("rb") as lines:
        text, offset = read_header(lines)
    header = header_of(text, declared)
    with written_aside(waveform) as aside:
        make_writer(aside, header, waveform.suffix).copy(raw, offset)
    write_save_files(waveform, header)
