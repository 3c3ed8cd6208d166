"""Running the levels one after another, and finding where one leaves the golden model."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any, Literal

import numpy as np

from ninefold.drivers.boards import open_board
from ninefold.sim.levels.case import Beats, Case, Place, Reading
from ninefold.sim.levels.netlist import FAMILIES, netlist
from ninefold.sim.levels.waveform import Differing, differing, registers
from ninefold.sim.verilated import Design, Gaps, Model, Stream, TracedModel, elaborate
from ninefold.sim.waveforms import FORMATS, check_format, convert, declarations
from ninefold.spec.errors import DeviceError, InputError, UnavailableError, UnsupportedError, UnwritableError
from ninefold.spec.progress import step
from ninefold.spec.text import counted

__all__ = ["LEVELS", "Divergence", "Result", "Setup", "compare"]

#: The levels in their order; each is judged by the first.
LEVELS = ("golden", "cpu", "rtl", *FAMILIES, "board")
#: Cycles of the waveforms before and behind the beat that is wrong.
_BEFORE, _BEHIND = 400, 8
#: Cycles for which nothing may follow the last beat.
_SETTLE = 200

Status = Literal["agrees", "differs", "not run"]


@dataclass(frozen=True)
class Divergence:
    """The first place where a level leaves the golden model.

    Attributes
    ----------
    place : Place
        Operator, vector and element.
    value : str
        Name of the value that differs.
    expected, found : int or str or None
        The golden model's value and the level's; None where there is none.
    cycle : int or None
        Clock cycle in which the first wrong beat left the device; the last one with a beat, where one is missing.
    waveforms : tuple of Path
        Files of the cycles around that, of the level and, for a netlist, of the RTL.
    signals : Differing or None
        Where a netlist's registers leave those of the RTL, within these cycles.
    """

    place: Place
    value: str
    expected: int | str | None
    found: int | str | None
    cycle: int | None = None
    waveforms: tuple[Path, ...] = ()
    signals: Differing | None = None


@dataclass(frozen=True)
class Result:
    """What became of a level.

    Attributes
    ----------
    level : str
        One of `LEVELS`.
    status : {'agrees', 'differs', 'not run'}
        Whether all its values are those of the golden model.
    detail : str
        What ran, or why it did not.
    elements : int
        How many places were compared.
    seconds : float
        Wall time, builds included.
    divergence : Divergence or None
        Where it differs first.
    """

    level: str
    status: Status
    detail: str
    elements: int
    seconds: float
    divergence: Divergence | None = None


@dataclass(frozen=True)
class Setup:
    """How levels are run.

    Attributes
    ----------
    folder : Path
        Where waveforms of a divergence are written.
    name : str
        What their names begin with.
    seed : int
        Of the back-pressure on the streams of RTL and netlists.
    board : str
        URL of the board; empty for none, with the reason in `no_board`.
    no_board : str
        Why there is no board.
    transform : callable
        ``transform(level, verilog) -> verilog``, applied to the text of RTL and netlists: tests plant faults with it.
    suffix : str
        Format of the waveforms, one of ``ninefold.sim.waveforms.FORMATS``.
    """

    folder: Path
    name: str
    seed: int
    board: str = ""
    no_board: str = "no board is named"
    transform: Callable[[str, str], str] = field(default=lambda _, verilog: verilog)
    suffix: str = FORMATS[0]


def compare(case: Case, setup: Setup, levels: Sequence[str] = LEVELS) -> Iterator[Result]:
    """Run levels and compare each with the golden model; gives one result a level.

    Parameters
    ----------
    case : Case
        The vectors.
    setup : Setup
        How they are run.
    levels : sequence of str
        Of `LEVELS`. The golden model is always computed, since it is the judge.

    Raises
    ------
    InputError
        There is no such level.
    ToolError
        Verilator, the compiler or Yosys failed.
    """
    for level in levels:
        if level not in LEVELS:
            raise InputError(f"level must be one of {', '.join(LEVELS)}, not {level!r}")
    golden = case.read(case.expected())
    for level in (level for level in LEVELS if level in levels):
        started = perf_counter()
        try:
            with step(f"level {level} of {setup.name.removeprefix('compare-')}"):
                found, detail = _Levels(case, setup, golden).run(level)
        except UnwritableError:  # of the machine at hand, not of a level
            raise
        except (UnsupportedError, UnavailableError) as reason:
            yield Result(level, "not run", str(reason), 0, perf_counter() - started)
            continue
        compared, divergence = found
        status: Status = "differs" if divergence else "agrees"
        yield Result(level, status, detail, compared, perf_counter() - started, divergence)


@dataclass(frozen=True)
class _Levels:
    case: Case
    setup: Setup
    golden: Reading

    def run(self, level: str) -> tuple[tuple[int, Divergence | None], str]:
        """Return how many places were compared, the divergence if there is one, and what ran."""
        if level == "golden":
            return (len(self.golden), None), f"{counted(self.case.vectors, 'vector')}"
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
        board = open_board(self.setup.board)
        try:
            return _judge(self.golden, ask(board), partial=True)
        except DeviceError as error:
            return 0, Divergence(next(iter(self.golden)), "answer", None, str(error))
        finally:
            board.close()

    def _design(self, level: str) -> Design:
        component = self.case.component()
        made = elaborate(component) if level == "rtl" else netlist(component, level)
        return Design(self.setup.transform(level, made.verilog), made.streams)

    def _streams(self, level: str, design: Design) -> tuple[int, Divergence | None]:
        model = Model(design, quick=True)
        # Now, lest a difference be found that cannot be shown.
        check_format(self.setup.suffix)
        beats, extra = self._send(model)
        last = model.cycles
        model.close()
        compared, divergence = _judge(self.golden, self.case.read(beats), partial=False)
        wrong = list(self._wrong(beats))
        if divergence is None and wrong:
            # Nothing that is read from the beats differs, but they do.
            name, beat = wrong[0]
            expected, found = (bytes(side[name][beat]).hex() for side in (self.case.expected(), beats))
            divergence = Divergence(Place("stream", name, beat), "beat", expected, found)
        if divergence is None and extra:
            divergence = Divergence(Place("stream", extra, len(beats[extra])), "beat", None, "one more")
            wrong = [(extra, len(beats[extra]))]
        if divergence is None:
            return compared, None
        return compared, self._located(level, design, divergence, wrong, last)

    def _send(self, model: Model) -> tuple[dict[str, Beats], str]:
        """Return the beats of each output, and the name of one that gives more than is due."""
        gaps = Gaps(0.25, self.setup.seed)
        found: dict[str, list[Beats]] = {name: [] for name in self.case.expected()}
        for part in self.case.steps:
            wanted = {name: len(due) for name, due in part.outputs.items()}
            run, _ = model.exchange(part.inputs, wanted, self.case.patience, gaps)
            for name, came in run.outputs.items():
                found[name].append(came)
            if any(len(run.outputs[name]) < count for name, count in wanted.items()):
                return {name: _joined(parts, model.streams[name]) for name, parts in found.items()}, ""
        beats = {name: _joined(parts, model.streams[name]) for name, parts in found.items()}
        more, _ = model.exchange({}, dict.fromkeys(found, 1), _SETTLE)
        return beats, next((name for name in found if len(more.outputs[name])), "")

    def _wrong(self, found: Mapping[str, Beats]) -> Iterator[tuple[str, int]]:
        """Give for each output the first beat that is not as it must be."""
        for name, expected in self.case.expected().items():
            count = min(len(expected), len(found[name]))
            differ = np.flatnonzero((expected[:count] != found[name][:count]).any(axis=1))
            if len(differ):
                yield name, int(differ[0])
            elif len(found[name]) < len(expected):
                yield name, count

    def _located(
        self, level: str, design: Design, divergence: Divergence, wrong: list[tuple[str, int]], last: int
    ) -> Divergence:
        """Record the cycles around the first wrong beat, and compare a netlist's signals with those of the RTL."""
        cycles = [self._traced(design, watch=beat) for beat in wrong]
        # Where a beat is missing, the device moved last before it was waited for.
        moved = max(0, last - self.case.patience)
        cycle = min(moved if cycle is None else cycle for cycle in cycles)
        window = (max(0, cycle - _BEFORE), cycle + _BEHIND)
        designs = {level: design}
        if level != "rtl":
            designs["rtl"] = elaborate(self.case.component())
        files, signals = self._recorded(designs, window)
        return Divergence(
            divergence.place, divergence.value, divergence.expected, divergence.found, cycle, files, signals
        )

    def _recorded(
        self, designs: Mapping[str, Design], window: tuple[int, int]
    ) -> tuple[tuple[Path, ...], Differing | None]:
        """Record these cycles of the designs, and return the files, and where the registers of the first two differ."""
        level = next(iter(designs))
        # A netlist has the names of the RTL, without their enumerations and signs.
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
        self._send(model)
        cycle = model.watched
        model.close()
        return cycle


def _asked(way: Callable[..., Reading] | str) -> Callable[..., Reading]:
    if isinstance(way, str):
        raise UnsupportedError(way)
    return way


def _judge(golden: Reading, found: Reading, *, partial: bool) -> tuple[int, Divergence | None]:
    """Return how many places were compared and where the first difference is.

    A partial reading may leave some out, not all.
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


def _joined(parts: list[Beats], stream: Stream) -> Beats:
    return np.concatenate([np.zeros((0, stream.beat_bytes), np.uint8), *parts])
