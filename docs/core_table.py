"""Table of cores and commands: run every command on each core with an empty cache, and print seconds and results.

Run ``python docs/core_table.py CORE... > table.md`` in a folder that may be written to. A core is the path of its file,
with ``#NAME=VALUE`` for a parameter on boards. It takes minutes a core. The exit code is 1 if a command failed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import click

_NINEFOLD = str(Path(sys.executable).with_name("ninefold"))
_ENDS_S = 60
_BUILD = "build"
#: Commands in order, with the words before and after the core. The first 12 mutants are judged.
_COMMANDS = {
    "core info": ((), ()),
    "elaborate": ((), ("-o", "core.v")),
    "sim": ((), ("--seed", "1")),
    "prove": ((), ()),
    "compare": ((), ("--seed", "1")),
    "mutate": ((), [word for number in range(1, 13) for word in ("--mutant", str(number))]),
    "synth": ((), ("--family", "ice40")),
    "estimate": ((), ()),
    "core check": ((), ("--seed", "1")),
    _BUILD: (("icebreaker", "--core"), ()),
}


def _say(text: str) -> None:
    click.echo(text, err=True)


def _run(words: Sequence[str], environment: dict[str, str]) -> tuple[float, str]:
    began = time.perf_counter()
    done = subprocess.run([_NINEFOLD, *words], capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        _say(f"{' '.join(words)}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return time.perf_counter() - began, "passed" if done.returncode == 0 else f"exit code {done.returncode}"


def _serve(words: Sequence[str], environment: dict[str, str]) -> tuple[float, str]:
    """Serve the virtual board of a core over TCP, and compare it with the golden function."""
    began = time.perf_counter()
    serve = [_NINEFOLD, "board", "serve", "virtual", "--core", *words, "--tcp", "0"]
    with subprocess.Popen(
        serve, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as served:
        url = served.stdout.readline().split()[0] if served.stdout else ""
        _, result = _run(["board", "selftest", url, "--core", *words], environment)
        served.terminate()
        served.wait(_ENDS_S)
    return time.perf_counter() - began, result


def main(cores: Sequence[str]) -> int:
    """Run all commands on all cores."""
    columns: dict[str, dict[str, tuple[float, str]]] = {}
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "NINEFOLD_CACHE": cache, "NINEFOLD_QUIET": "1"}
        for given in cores:
            core, _, chosen = given.partition("#")
            named = [core, *(["-p", chosen] if chosen else [])]
            rows = columns[Path(core).stem] = {}
            for command, (before, after) in _COMMANDS.items():
                words = named if command == _BUILD else [core]
                rows[command] = _run([*command.split(), *before, *words, *after], environment)
                _say(f"{core}, {command}: {rows[command]}")
            rows["board serve"] = _serve(named, environment)
            _say(f"{core}, board serve: {rows['board serve']}")
    click.echo(f"| command | {' | '.join(columns)} |\n| --- |{' --- |' * len(columns)}")
    for command in next(iter(columns.values())):
        shown = [f"{seconds:.1f} s, {result}" for seconds, result in (rows[command] for rows in columns.values())]
        click.echo(f"| `{command}` | {' | '.join(shown)} |")
    return int(any(result != "passed" for rows in columns.values() for _, result in rows.values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
