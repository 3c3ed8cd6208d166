"""Conversion of a simulator's VCD to a readable waveform: with fields and names, without signals made by tools."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ninefold.sim.waveforms.changes import load
from ninefold.sim.waveforms.declarations import Declared
from ninefold.sim.waveforms.hierarchy import header_of, read_header
from ninefold.sim.waveforms.views import write_save_files
from ninefold.sim.waveforms.writers import check_format, make_writer
from ninefold.spec.errors import ToolError
from ninefold.spec.files import written_aside

__all__ = ["convert", "converting"]

#: Time between two looks for the definitions.
_POLL_S = 0.1


def convert(raw: Path, waveform: Path, declared: Mapping[str, Declared], ended: threading.Event | None = None) -> None:
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
    ended : threading.Event, optional
        Set when the simulator has ended. Default: the VCD is complete.

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
    if ended is None:
        ended = threading.Event()
        ended.set()
    text, offset = _read_header(raw, ended)
    header = header_of(text, declared)
    with written_aside(waveform) as aside:
        make_writer(aside, header, waveform.suffix).copy(raw, offset, ended)
    write_save_files(waveform, header)


@contextlib.contextmanager
def converting(raw: Path, waveform: Path, declared: Mapping[str, Declared]) -> Iterator[None]:
    """Convert a VCD, as `convert` does, while the block runs the simulator that writes it.

    If the block fails, the waveform up to the failure is written, and the error is raised.
    """
    check_format(waveform.suffix)
    load()
    ended = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(convert, raw, waveform, declared, ended)
        try:
            yield
        except BaseException:
            ended.set()
            with contextlib.suppress(ToolError, OSError):
                done.result()
            raise
        finally:
            ended.set()
        done.result()


def _read_header(raw: Path, ended: threading.Event) -> tuple[str, int]:
    """Wait for the definitions of a VCD; return them and their number of bytes."""
    while True:
        last = ended.is_set()
        try:
            with raw.open("rb") as lines:
                return read_header(lines)
        except FileNotFoundError as error:
            if last:
                raise ToolError("the simulator recorded no VCD") from error
        except ToolError:
            if last:
                raise
        ended.wait(_POLL_S)
