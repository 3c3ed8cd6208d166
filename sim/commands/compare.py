"""``ninefold compare``: run the same vectors through all levels."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ninefold.hdl.commands.parameters import DesignCommand
from ninefold.spec.progress import step
from ninefold.spec.terminal import printable
from ninefold.spec.text import counted

if TYPE_CHECKING:
    from ninefold.sim.levels import Divergence, Result

__all__ = ["compare"]

_SEEDS = 2**32
_ALL = "all"
#: Names of `ninefold.sim.levels.LEVELS`, repeated here because importing that would import Amaranth.
_LEVELS = ("golden", "cpu", "rtl", "ice40", "ecp5", "board")
_AT_ONCE = 2
#: Number of operations of a miner, which has the most: by default, a sequence contains each operation once.
_STEPS = 16
_DIFFERS, _NOT_RUN = 1, 3


class _CompareCommand(DesignCommand):
    """Command for a core (with small default parameters), a configuration, or ``all``."""

    def names(self) -> Sequence[str]:
        return [*super().names(), _ALL]

    def defaults(self, core: str) -> Mapping[str, Any]:
        from ninefold.hdl.catalogue import find_core

        return find_core(core).core.compared


@click.command(cls=_CompareCommand)
@click.option("--seed", type=click.IntRange(0, _SEEDS - 1), help="Seed of all vectors. Default: random.")
@click.option(
    "--vectors", type=click.IntRange(1), default=12, show_default=True, help="Number of vectors, queries or frames."
)
@click.option(
    "--steps",
    type=click.IntRange(0),
    default=_STEPS,
    show_default=True,
    help="Number of operations in the sequence; 0 for none.",
)
@click.option(
    "--level",
    "levels",
    multiple=True,
    type=click.Choice(_LEVELS),
    help="Run this level; may be repeated. Default: all.",
)
@click.option("--board", "url", help="Board: a URL, or the name of one to simulate. Default: virtual.")
@click.option("--vcd", is_flag=True, help="Write waveforms as VCD. Default: FST.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON Lines, one object per level.")
@click.pass_context
def compare(
    ctx: click.Context,
    core: str,
    parameters: dict[str, Any],
    seed: int | None,
    vectors: int,
    steps: int,
    levels: tuple[str, ...],
    url: str | None,
    vcd: bool,
    as_json: bool,
) -> None:
    """Run the same vectors through golden model, processor, RTL, netlists and board, and compare the results.

    After the vectors, each level runs the same sequence of operations: loads, queries, stalls, resets, damaged and
    repeated frames.

    CORE is a core, a configuration (BOARD/CONFIG or a file), or all: every core, and the smallest configuration as the
    miner. Parameters of a core default to small values. The reason is printed for a level that cannot run. The golden
    model is the reference even if it is not among the levels. The exit code is 1 if a level differs from it; waveforms
    around the first difference are then written to the current folder. The exit code is 3 if a level or board given as
    an option did not run; with all, if it ran on no core.
    """
    with step("loading the levels"):
        from ninefold.hdl.catalogue import own_names
        from ninefold.hdl.tools import together
        from ninefold.sim.levels.cases import SMALLEST_MINER

    chosen = secrets.randbelow(_SEEDS) if seed is None else seed
    # The miner takes longest, so it comes first.
    names = [SMALLEST_MINER, *(name for name in own_names() if name != "miner")] if core == _ALL else [core]
    if not as_json:
        click.echo(f"seed {chosen}")

    wanted = {*levels, *(["board"] if url is not None else [])}
    ran: set[str] = set()

    suffix = ".vcd" if vcd else ".fst"

    def one(name: str) -> bool:
        agrees = True
        for result in _run(name, parameters, (vectors, chosen, steps), levels or _LEVELS, url, suffix):
            agrees &= result.status != "differs"
            if result.status != "not run":
                ran.add(result.level)
            line = _line(name, chosen, result)
            click.echo(_json(name, chosen, result) if as_json else printable(line, lines=True))
        return agrees

    with step(f"comparing the levels of {core}"):
        agree = all(together(one, names, _AT_ONCE))
    if not agree:
        ctx.exit(_DIFFERS)
    # With all, some cores have no counterpart on a level, so a level counts if it ran on any core.
    if wanted - ran:
        ctx.exit(_NOT_RUN)


def _run(
    name: str,
    parameters: Mapping[str, Any],
    drawn: tuple[int, int, int],
    levels: tuple[str, ...],
    url: str | None,
    suffix: str,
) -> Iterator[Result]:
    from ninefold.hdl.configurations import is_configuration
    from ninefold.hdl.stream_board.configurations import VIRTUAL
    from ninefold.sim.levels import Setup
    from ninefold.sim.levels import compare as run
    from ninefold.sim.levels.cases import case_of

    vectors, seed, steps = drawn
    case = case_of(name, parameters, vectors, seed, steps)
    virtual = f"sim://{name}" if is_configuration(name) else VIRTUAL if case.answers_all else ""
    why = "a miner that is not a configuration has no virtual board; give a board with --board"
    setup = Setup(Path.cwd(), f"compare-{_stem(name)}", virtual if url is None else url, why, suffix=suffix)
    yield from run(case, setup, levels)


def _stem(name: str) -> str:
    """Return a name, or the path of a core, as part of a file name."""
    return name.removesuffix(".py").strip("./").replace("/", "-")


def _line(name: str, seed: int, result: Result) -> str:
    verdict = {"agrees": "agrees", "differs": "DIFFERS", "not run": "not run"}[result.status]
    how = (
        f"{counted(result.elements, 'element')}, {result.seconds:.1f} s"
        if result.status != "not run"
        else result.detail
    )
    lines = [f"{name:18} {result.level:7} {verdict:8} {how}"]
    if result.divergence is not None:
        lines += [f"  {line}" for line in _divergence(result.divergence, seed)]
    return "\n".join(lines)


def _divergence(found: Divergence, seed: int) -> list[str]:
    from ninefold.sim.waveforms import opening

    place = found.place
    lines = [f"{place.operator}, {place.vector}, element {place.element}: {found.value} is {_shown(found.found)}"]
    lines[0] += f" where {_shown(found.expected)} is right"
    if place.step:
        lines.append(f"in step {place.step}, {found.operation}; --seed {seed} --steps {place.step} repeats it")
    if found.cycle is not None:
        lines.append(f"first wrong beat in cycle {found.cycle:,}, at {10 * found.cycle:,} ns of the waveforms")
    if found.signals is not None:
        shown = ", ".join(found.signals.signals[:8])
        more = f" and {len(found.signals.signals) - 8} more" if len(found.signals.signals) > 8 else ""
        lines.append(f"leaves the RTL in cycle {found.signals.cycle:,}: {shown}{more}")
    for path in found.waveforms:
        lines += [f"waveform: {path}", *(f"open with: {command}" for command in opening(path))]
    return lines


def _shown(value: int | str | None) -> str:
    return "nothing" if value is None else str(value)


def _json(name: str, seed: int, result: Result) -> str:
    found = result.divergence
    divergence = found and {
        **found.place._asdict(),
        "operation": found.operation,
        "value": found.value,
        "expected": found.expected,
        "found": found.found,
        "cycle": found.cycle,
        "waveforms": [str(path) for path in found.waveforms],
        "signals": found.signals and {"cycle": found.signals.cycle, "names": found.signals.signals},
    }
    return json.dumps(
        {
            "name": name,
            "seed": seed,
            "level": result.level,
            "status": result.status,
            "detail": result.detail,
            "elements": result.elements,
            "seconds": round(result.seconds, 1),
            "divergence": divergence,
        }
    )
