"""Waveforms: recordings of simulators as FST or VCD with fields and names, and save files for viewers."""

from ninefold.sim.waveforms.changes import prepare
from ninefold.sim.waveforms.convert import convert, converting
from ninefold.sim.waveforms.declarations import declarations, only_shown
from ninefold.sim.waveforms.views import opening, save_files
from ninefold.sim.waveforms.writers import FORMATS, check_format

__all__ = [
    "FORMATS",
    "check_format",
    "convert",
    "converting",
    "declarations",
    "only_shown",
    "opening",
    "prepare",
    "save_files",
]
