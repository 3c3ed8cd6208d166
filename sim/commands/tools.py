"""``ninefold tools``: the external tools, made ready before they are needed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from functools import partial

import click

from ninefold.spec.errors import UnavailableError
from ninefold.spec.programs import together

__all__ = ["tools"]


@click.group()
def tools() -> None:
    """Make the external tools ready before they are needed."""


@tools.command()
def warm() -> None:
    """Compile what the tools compile once: nextpnr, and Verilator's runtime for models and for testbenches.

    The first command that needs them would do it otherwise. What is there already takes no time, and what is not
    installed is named with how to install it.
    """

    def prepared(name: str) -> None:
        started = time.perf_counter()
        try:
            jobs[name]()
        except UnavailableError as missing:
            click.echo(f"{name}: not there: {missing}")
        else:
            click.echo(f"{name}: ready, {time.perf_counter() - started:.1f} s")

    jobs = _jobs()
    together(prepared, jobs, os.cpu_count() or 1)


def _jobs() -> Mapping[str, Callable[[], object]]:
    """Return the work, the longest first."""
    from ninefold.hdl.bitstream.recipes import nextpnr_programs
    from ninefold.hdl.tools import ready
    from ninefold.sim.simulators import find_simulator
    from ninefold.sim.verilated import prepare

    jobs: dict[str, Callable[[], object]] = {
        "Verilator's runtime for testbenches": lambda: find_simulator("verilator").prepare(),
        "Verilator's runtime for models": prepare,
    }
    return jobs | {name: partial(ready, name, install) for name, install in nextpnr_programs().items()}
