"""``ninefold tools``: prepare the external tools before they are needed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from functools import partial

import click

from ninefold.spec.errors import UnavailableError
from ninefold.spec.programs import together
from ninefold.spec.progress import step

__all__ = ["tools"]


@click.group()
def tools() -> None:
    """Prepare the external tools before they are needed."""


@tools.command()
def warm() -> None:
    """Compile the parts of the tools that are compiled once.

    These are nextpnr and Verilator's runtime. Without this, the first command that needs a tool compiles it. Parts that
    are compiled already are skipped. A tool that is missing is reported with the command that installs it.
    """

    def prepared(name: str) -> None:
        started = time.perf_counter()
        try:
            jobs[name]()
        except UnavailableError as missing:
            reasons.append(missing)
            click.echo(f"{name}: not available: {missing}")
        else:
            click.echo(f"{name}: ready, {time.perf_counter() - started:.1f} s")

    reasons = list[UnavailableError]()
    with step("making the tools ready") as making:
        jobs = _jobs()
        making.at(0, len(jobs))

        def one(name: str) -> None:
            prepared(name)
            making.advance()

        together(one, jobs, os.cpu_count() or 1)
    if len(reasons) == len(jobs):
        raise UnavailableError("no tool could be made ready", "see the reasons above")


def _jobs() -> Mapping[str, Callable[[], object]]:
    """Return the jobs by name, the longest first."""
    from ninefold.hdl.bitstream.recipes import nextpnr_programs
    from ninefold.hdl.tools import ready, version_of
    from ninefold.sim.simulators import find_simulator
    from ninefold.sim.verilated import prepare

    jobs: dict[str, Callable[[], object]] = {
        "Verilator's runtime for testbenches": lambda: find_simulator("verilator").prepare(),
        "Verilator's runtime for models": prepare,
    }

    def compiled(name: str, install: str) -> object:
        # As a build does, look for the package first; it has the name of its program.
        version_of(name, install)
        return ready(name, install)

    return jobs | {name: partial(compiled, name, install) for name, install in nextpnr_programs().items()}
