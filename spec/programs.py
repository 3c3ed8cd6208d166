"""External programs: searching for them and running them."""

from __future__ import annotations

import atexit
import contextlib
import errno
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from . import progress, times
from .errors import InterruptError, ToolError, UnavailableError, tool_failure

__all__ = [
    "Ended",
    "TerminatedError",
    "end_all",
    "ended_by",
    "execute",
    "find",
    "run",
    "stop_if_interrupted",
    "together",
]

_Item = TypeVar("_Item")
_Made = TypeVar("_Made")
_running: set[subprocess.Popen[bytes]] = set()
#: Seconds between two calls of a function that watches a program.
_WATCH_S = 1.0
#: Seconds between two attempts to end the programs of jobs.
_RETRY_S = 0.05
#: Usual causes of the signals that end a program.
_CAUSES = {
    "SIGKILL": ", perhaps because the memory was full",
    "SIGXFSZ": ": a file became larger than the limit (ulimit -f)",
    "SIGXCPU": ": it took more processor time than the limit (ulimit -t)",
    "SIGSEGV": ", perhaps because the memory was limited",
}


@dataclass(frozen=True)
class Ended:
    """Result of a program that ran to completion.

    Attributes
    ----------
    code : int
        Exit code; negative for the signal that ended the program.
    output, complaints : str
        Standard output and standard error.
    """

    code: int
    output: str
    complaints: str


class TerminatedError(SystemExit):
    """SIGTERM to this process, which ends it; no program that it runs has failed."""


def find(program: str | tuple[str, ...], install: str) -> Path:
    """Return the path of a program.

    It is searched for in the folder of the running Python, whose environment need not be activated, and then on PATH.

    Parameters
    ----------
    program : str or tuple of str
        Name of the program, or its alternative names in the order of the search.
    install : str
        Command that installs it, e.g. ``pip install "ninefold[synth]"``.

    Raises
    ------
    UnavailableError
        The program was not found.
    """
    names = (program,) if isinstance(program, str) else program
    python = Path(sys.executable)
    places = os.pathsep.join((str(python.parent), os.environ.get("PATH", os.defpath)))
    for name in names:
        if found := shutil.which(name, path=places):
            return Path(found)
    raise UnavailableError(f"{names[0]} is neither beside {python.name} nor on PATH", install)


def execute(
    command: Sequence[str | Path],
    folder: Path | None = None,
    *,
    work: str = "",
    limit_s: float = float("inf"),
    watch: Callable[[], None] | None = None,
    **environment: str,
) -> Ended:
    """Run a program to completion, without input, and log the time that it took.

    An interrupt, or the failure of another job of `together`, kills it.

    Parameters
    ----------
    command : sequence of str or Path
        Program and arguments.
    folder : Path, optional
        Working folder.
    work : str, optional
        Name for its time in the log (`ninefold.spec.times`); by default the program's name.
    limit_s : float
        Seconds after which it is killed.
    watch : callable, optional
        Called every second while it runs; an exception that it raises kills the program.
    **environment : str
        Environment variables to add or replace.

    Raises
    ------
    ToolError
        The program cannot be started, or ran longer than `limit_s`.
    InterruptError
        An interrupt ended it.
    """
    words = [str(word) for word in command]
    name = work or Path(words[0]).name
    # An active step describes the purpose of the program, which is more useful than its name.
    step = contextlib.nullcontext() if progress.active() else progress.step(f"running {name}")
    began = time.perf_counter()
    # Files, not pipes: `os.wait4` then waits for the program alone and returns its processor time.
    with step, tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as complaints:
        try:
            started = subprocess.Popen(
                words,
                cwd=folder,
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=complaints,
            )
        except (OSError, MemoryError) as error:
            raise _unstarted(words[0], error) from error
        with started as process:
            try:
                _running.add(process)
                cpu_s = _wait(process, words[0], limit_s, watch)
            except BaseException:
                process.kill()
                raise
            finally:
                _running.discard(process)
        times.note(name, time.perf_counter() - began, cpu_s)
        texts = []
        for file in (output, complaints):
            file.seek(0)
            texts.append(file.read().decode(errors="replace"))
    stop_if_interrupted(words[0], process.returncode)
    return Ended(process.returncode, *texts)


def stop_if_interrupted(program: str | Path, code: int) -> None:
    """Raise `InterruptError` if an exit code shows that Ctrl-C ended a program; shells return 130 for this."""
    if code in (-signal.SIGINT, 128 + signal.SIGINT):
        raise InterruptError(f"{Path(program).name} was interrupted")


def ended_by(code: int) -> str:
    """Return a description of a failure: the exit code, or the signal with its usual cause."""
    if code >= 0:
        return f"failed with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"was ended by {name}{_CAUSES.get(name, '')}"


def _unstarted(program: str, error: OSError | MemoryError) -> ToolError:
    reason = (error.strerror if isinstance(error, OSError) else "") or str(error) or type(error).__name__
    scarce = isinstance(error, BlockingIOError | MemoryError) or error.errno == errno.ENOMEM
    hint = ": raise the limit of processes or memory (ulimit -u, ulimit -v)" if scarce else ""
    return ToolError(f"{program} cannot be started ({reason}){hint}")


def _wait(process: subprocess.Popen[bytes], program: str, limit_s: float, watch: Callable[[], None] | None) -> float:
    """Wait for a process, and return its processor time including its children, in seconds."""
    polled = watch is not None or limit_s < float("inf")
    try:
        ended, until, pause_s = 0, time.monotonic() + limit_s, 0.001
        watched = time.monotonic()
        while not ended:
            ended, status, used = os.wait4(process.pid, os.WNOHANG if polled else 0)
            now = time.monotonic()
            if not ended and now > until:
                raise ToolError(f"{program} was killed after its time limit of {limit_s:g} s")
            if not ended and watch is not None and now >= watched + _WATCH_S:
                watch()
                watched = now
            if not ended:
                time.sleep(pause_s)
                pause_s = min(0.05, 2 * pause_s)
    except ChildProcessError:  # another thread has waited for it
        process.wait()
        return 0.0
    process.returncode = os.waitstatus_to_exitcode(status)
    return used.ru_utime + used.ru_stime


def run(
    command: Sequence[str | Path],
    folder: Path | None = None,
    *,
    work: str = "",
    watch: Callable[[], None] | None = None,
    **environment: str,
) -> str:
    """Run a program to completion, as `execute` does, and return its standard output.

    Raises
    ------
    ToolError
        The program cannot be started or failed; the message contains the command and the end of its output.
    InterruptError
        An interrupt ended it.
    """
    ended = execute(command, folder, work=work, limit_s=float("inf"), watch=watch, **environment)
    if ended.code:
        words = [str(word) for word in command]
        message = f"`{shlex.join([Path(words[0]).name, *words[1:]])}` {ended_by(ended.code)}"
        raise tool_failure(message, ended.output + ended.complaints, folder or Path.cwd())
    return ended.output


def together(job: Callable[[_Item], _Made], items: Iterable[_Item], at_once: int) -> list[_Made]:
    """Run a job that starts programs for each item, `at_once` in parallel, and return the results in order of items.

    If a job fails or the user interrupts, all running programs are killed.
    """
    futures: list[Future[_Made]] = []
    with ThreadPoolExecutor(at_once) as pool:
        try:
            for item in items:
                futures.append(pool.submit(job, item))
            # Wait until any job fails, not for the first item.
            for done in wait(futures, return_when=FIRST_EXCEPTION).done:
                done.result()
            return [future.result() for future in futures]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            # A job may be about to start its program.
            while not all(future.done() for future in futures):
                end_all()
                time.sleep(_RETRY_S)
            raise


def end_all() -> None:
    """Kill all running programs, whose results are no longer needed."""
    for process in tuple(_running):
        process.kill()


# Programs of threads that end with the process.
atexit.register(end_all)
