"""Runs of the levels in turn, and the first difference of each from the golden model."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter
from typing import Any, Literal

import numpy as np

from ninefold.drivers.transports import open_transport
from ninefold.sim.levels.case import Beats, Case, Place, Reading
from ninefold.sim.levels.netlist import FAMILIES, netlist
from ninefold.sim.levels.play import played
from ninefold.sim.levels.waveform import Differing, differing, registers
from ninefold.sim.verilated import Design, Model, TracedModel, elaborate
from ninefold.sim.waveforms import FORMATS, check_format, convert, declarations
from ninefold.spec.errors import DeviceError, InputError, UnavailableError, UnsupportedError, UnwritableError
from ninefold.spec.progress import step
from ninefold.spec.text import counted

__all__ = ["LEVELS", "Divergence", "Result", "Setup", "compare"]

#: Levels in order of execution; each is compared with the first.
LEVELS = ("golden", "cpu", "rtl", *FAMILIES, "board")
#: Cycles recorded before and after the wrong beat.
_BEFORE, _BEHIND = 400, 8

Status = Literal["agrees", "differs", "not run"]


@dataclass(frozen=True)
class Divergence:
    """First difference of a level from the golden model.

    Attributes
    ----------
    place : Place
        Operator, vector and element, with the number of the operation in the sequence.
    value : str
        Name of the value that differs.
    expected, found : int or str or None
        Values of the golden model and of the level; None if missing.
    cycle : int or None
        Clock cycle in which the first wrong beat left the device; if a beat is missing, the last cycle with a beat.
    waveforms : tuple of Path
        Waveform files around that cycle, of the level and, for a netlist, of the RTL.
    signals : Differing or None
        First difference between the registers of a netlist and its RTL within the recorded cycles.
    operation : str
        Description of the operation.
    """

    place: Place
    value: str
    expected: int | str | None
    found: int | str | None
    cycle: int | None = None
    waveforms: tuple[Path, ...] = ()
    signals: Differing | None = None
    operation: str = ""


@dataclass(frozen=True)
class Result:
    """Result of a level.

    Attributes
    ----------
    level : str
        One of `LEVELS`.
    status : {'agrees', 'differs', 'not run'}
        ``agrees`` if all values are equal to the golden model's.
    detail : str
        Description of the run, or the reason for not running.
    elements : int
        Number of places compared.
    seconds : float
        Wall time, builds included.
    divergence : Divergence or None
        First difference.
    """

    level: str
    status: Status
    detail: str
    elements: int
    seconds: float
    divergence: Divergence | None = None


@dataclass(frozen=True)
class Setup:
    """Settings of a comparison.

    Attributes
    ----------
    folder : Path
        Folder for the waveforms of a divergence.
    name : str
        Prefix of the waveform file names.
    board : str
        URL of the board, or the name of one to simulate; empty if there is none.
    no_board : str
        Reason for having no board.
    transform : callable
        ``transform(level, verilog) -> verilog``, applied to the text of RTL and netlists; tests use it to plant faults.
    suffix : str
        Format of the waveforms, one of ``ninefold.sim.waveforms.FORMATS``.
    waveforms : bool
        Find the cycle of a divergence in RTL and netlists, and record waveforms around it.
    """

    folder: Path
    name: str
    board: str = ""
    no_board: str = "no board is named"
    transform: Callable[[str, str], str] = field(default=lambda _, verilog: verilog)
    suffix: str = FORMATS[0]
    waveforms: bool = True


def compare(case: Case, setup: Setup, levels: Sequence[str] = LEVELS) -> Iterator[Result]:
    """Run levels and compare each with the golden model; yield one result per level.

    Parameters
    ----------
    case : Case
        Case to run.
    setup : Setup
        Settings of the comparison.
    levels : sequence of str
        Levels of `LEVELS` to run. The golden model is always computed, since it is the reference.

    Raises
    ------
    InputError
        A level does not exist.
    ToolError
        Verilator, the compiler or Yosys failed.
    """
    for level in levels:
        if level not in LEVELS:
            raise InputError(f"level must be one of {', '.join(LEVELS)}, not {level!r}")
    # In the order of the sequence, so that the first difference is found first.
    golden = dict(sorted(case.read(case.expected()).items(), key=lambda item: item[0].step))
    for level in (level for level in LEVELS if level in levels):
        started = perf_counter()
        try:
            with step(f"level {level} of {setup.name.removeprefix('compare-')}"):
                found, detail = _Levels(case, setup, golden).run(level)
        except UnwritableError:  # A fault of this machine, not of a level.
            raise
        except (UnsupportedError, UnavailableError) as reason:
            yield Result(level, "not run", str(reason), 0, perf_counter() - started)
            continue
        compared, divergence = found
        if divergence:
            divergence = replace(divergence, operation=case.operations[divergence.place.step])
        status: Status = "differs" if divergence else "agrees"
        yield Result(level, status, detail, compared, perf_counter() - started, divergence)


@dataclass(frozen=True)
class _Levels:
    case: Case
    setup: Setup
    golden: Reading

    def run(self, level: str) -> tuple[tuple[int, Divergence | None], str]:
        """Return the number of places compared, the divergence if any, and a description of the run."""
        if level == "golden":
            sizes = (counted(self.case.vectors, "vector"), counted(len(self.case.operations) - 1, "step"))
            return (len(self.golden), None), ", ".join(sizes)
        if level == "cpu":
            found = _judge(self.golden, _asked(self.case.processor)(), partial=True)
            return found, "the backend cpu, or the host's codec"
        if level == "board":
            return self._board(), self.setup.board
        if level in self.case.refused:
            raise UnsupportedError(self.case.refused[level])
        design = self._design(level)
        return self._streams(level, design), "Verilator" if level == "rtl" else f"{FAMILIES[level]}, Verilator"

    def _board(self) -> tuple[int, Divergence | None]:
        ask = _asked(self.case.board)
        if not self.setup.board:
            raise UnsupportedError(self.setup.no_board)
        board = self.case.opens(self.setup.board)
        try:
            found = dict(ask(board))
        except DeviceError as error:
            return 0, Divergence(next(iter(self.golden)), "answer", None, str(error))
        finally:
            board.close()
        if self.case.answers_all:
            plain = {place: values for place, values in self.golden.items() if not place.step}
            return _judge(plain, found, partial=False)
        if self.case.transport is None or len(self.case.operations) == 1:
            return _judge(self.golden, found, partial=True)
        transport = open_transport(self.setup.board)
        try:
            found |= self.case.transport(transport)
        except DeviceError as error:
            first = next(place for place in self.golden if place.step)
            return len(found), Divergence(first, "answer", None, str(error))
        finally:
            transport.close()
        # For the plain vectors, the driver reports results only.
        due = {place: values for place, values in self.golden.items() if place.step or place.operator == "mine"}
        return _judge(due, found, partial=False)

    def _design(self, level: str) -> Design:
        component = self.case.component()
        made = elaborate(component) if level == "rtl" else netlist(component, level)
        return Design(self.setup.transform(level, made.verilog), made.streams)

    def _streams(self, level: str, design: Design) -> tuple[int, Divergence | None]:
        model = Model(design, quick=True)
        # Checked before the run, so that any difference found can be recorded.
        check_format(self.setup.suffix)
        came = played(self.case, model)
        last = model.cycles
        model.close()
        compared, divergence = _judge(self.golden, self.case.read(came.beats), partial=False)
        wrong = self._wrong(came.beats, loose=False)
        if divergence is None and wrong:
            # The beats differ in bits that no value is read from.
            (name, beat), *_ = wrong
            expected, found = (bytes(side[name][beat]).hex() for side in (self.case.expected(), came.beats))
            divergence = Divergence(Place("stream", name, beat, self.case.step_of(name, beat)), "beat", expected, found)
        end = came.end
        if end is not None and (divergence is None or end.step < divergence.place.step):
            place = Place("stream", end.stream, end.beat, end.step)
            return compared, self._located(level, design, Divergence(place, "beat", None, end.reason), end.cycle)
        if divergence is None:
            return compared, None
        # Differences of loose beats, which hold counters, are the last resort.
        number = divergence.place.step
        others = [at for at in self._wrong(came.beats, loose=True) if self.case.step_of(*at) == number]
        return compared, self._located(level, design, divergence, last, wrong or others[:1])

    def _wrong(self, found: Mapping[str, Beats], *, loose: bool) -> list[tuple[str, int]]:
        """Return for each output the first wrong beat, or with `loose` all differing loose beats."""
        places: list[tuple[str, int]] = []
        for name, expected in self.case.expected().items():
            count = min(len(expected), len(found[name]))
            unequal = (expected[:count] != found[name][:count]).any(axis=1) & (self.case.loose(name)[:count] == loose)
            places += [(name, int(beat)) for beat in np.flatnonzero(unequal)[: None if loose else 1]]
            if not loose and not unequal.any() and len(found[name]) < len(expected):
                places.append((name, count))
        return places

    def _located(
        self, level: str, design: Design, divergence: Divergence, last: int, wrong: Sequence[tuple[str, int]] = ()
    ) -> Divergence:
        """Record the cycles around the first wrong beat, and compare the registers of a netlist with its RTL.

        `last` is the cycle to use if no beat is wrong: the last cycle of the run if a beat is missing.
        """
        if not self.setup.waveforms:
            return divergence
        cycles = [self._traced(design, watch=beat) for beat in wrong]
        # If a beat is missing, the last activity was before the wait for it.
        moved = max(0, last - self.case.patience)
        cycle = min((moved if cycle is None else cycle for cycle in cycles), default=last)
        window = (max(0, cycle - _BEFORE), cycle + _BEHIND)
        designs = {level: design}
        if level != "rtl":
            designs["rtl"] = elaborate(self.case.component())
        files, signals = self._recorded(designs, window)
        return replace(divergence, cycle=cycle, waveforms=files, signals=signals)

    def _recorded(
        self, designs: Mapping[str, Design], window: tuple[int, int]
    ) -> tuple[tuple[Path, ...], Differing | None]:
        """Record these cycles of the designs; return the files and the first difference of their registers."""
        level = next(iter(designs))
        # A netlist has the RTL's names, without enumerations and signs.
        declared = {name: one for design in designs.values() for name, one in declarations(design.verilog).items()}
        files, raw = [], []
        with tempfile.TemporaryDirectory(prefix="ninefold-compare-") as folder:
            for name, design in designs.items():
                raw.append(Path(folder) / f"{name}.vcd")
                self._traced(design, record=(raw[-1], *window))
                stem = f"{self.setup.name}-{level}{'' if name == level else '-' + name}"
                files.append(self.setup.folder / f"{stem}{self.setup.suffix}")
                convert(raw[-1], files[-1], declared)
            signals = differing(raw[0], raw[1], registers(designs[level].verilog)) if len(raw) == 2 else None
        return tuple(files), signals

    def _traced(
        self, design: Design, watch: tuple[str, int] | None = None, record: tuple[Path, int, int] | None = None
    ) -> int | None:
        model = TracedModel(design)
        if watch is not None:
            model.watch(*watch)
        if record is not None:
            model.record(*record)
        played(self.case, model)
        cycle = model.watched
        model.close()
        return cycle


def _asked(way: Callable[..., Reading] | str | None) -> Callable[..., Reading]:
    if way is None or isinstance(way, str):
        raise UnsupportedError(way or "no board holds it")
    return way


def _judge(golden: Reading, found: Reading, *, partial: bool) -> tuple[int, Divergence | None]:
    """Return the number of places compared and the first difference.

    A partial reading may omit some places, but not all.
    """
    compared = 0
    for place, values in golden.items():
        answer: Mapping[str, Any] | None = found.get(place)
        if answer is None:
            if partial:
                continue
            name, expected = next(iter(values.items()))
            return compared, Divergence(place, name, expected, None)
        for name in answer:
            if answer[name] != values.get(name):
                return compared, Divergence(place, name, values.get(name), answer[name])
        compared += 1
    if not compared:
        place, values = next(iter(golden.items()))
        name, expected = next(iter(values.items()))
        return 0, Divergence(place, name, expected, None)
    return compared, None
