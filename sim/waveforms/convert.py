"""Conversion of a simulator's VCD to a readable waveform: with fields and names, without signals made by tools."""

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
    """Convert a simulator's VCD to a waveform, and write its save files.

    Each field of a payload becomes a signal, values of enumerations become names, and temporaries are omitted. If the
    end of the VCD is missing because the simulator crashed, the part that exists is converted.

    Parameters
    ----------
    raw : Path
        The VCD of Verilator or Icarus Verilog.
    waveform : Path
        File to write; the suffix, ``.fst`` or ``.vcd``, selects the format. The file appears when it is complete.
    declared : mapping of str to Declared
        The design's signals, as `ninefold.sim.waveforms.declarations` returns them.

    Raises
    ------
    InputError
        The format is unknown.
    UnavailableError
        The format is FST and pylibfst is not usable, or no C++ compiler is installed.
    ToolError
        The VCD cannot be read, or the waveform cannot be written.
    """
    check_format(waveform.suffix)
    with raw.open("rb") as lines:
        text, offset = read_header(lines)
    header = header_of(text, declared)
    with written_aside(waveform) as aside:
        make_writer(aside, header, waveform.suffix).copy(raw, offset)
    write_save_files(waveform, header)
