"""Root of the command line: finds commands by entry points and turns errors into one line and an exit code."""

from __future__ import annotations

import contextlib
import errno
import io
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from types import FrameType
from typing import Any

import click

from ninefold.spec.cache import cache_folder, data_folder
from ninefold.spec.errors import InputError, NinefoldError
from ninefold.spec.progress import Lines, Listener, listening
from ninefold.spec.registry import COMMANDS, entries
from ninefold.spec.terminal import printable

__all__ = ["Frame", "cli", "main"]

#: Headings of the list of commands, by the part of Ninefold that provides them; and the heading of all others.
_PARTS = {"host": "Search and devices", "hdl": "Hardware", "sim": "Verification", "drivers": "Boards"}
_ELSEWHERE = "Other packages"
#: More characters than any first sentence has.
_WHOLE = 1000
#: Exit code that a shell reports for a process ended by SIGINT.
INTERRUPTED = 130
#: Exit code for invalid input, unreadable files and full disks.
BAD_INPUT = 2
#: Exit code when the system grants no more memory, processes or threads.
SCARCE = 3
#: Functions during which a program runs that no one would end, and the seconds after which they have usually returned.
_STARTING = (subprocess.Popen.__init__.__code__, subprocess.Popen.__enter__.__code__)
_STARTED_S = 0.05


class Frame(click.Group):
    """Group whose commands are the entry points of ``ninefold.commands``, each imported on first access.

    A command that cannot be imported is listed with the reason, and running it fails with that reason. The other
    commands work.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Return the names of all installed commands."""
        return list(entries(COMMANDS))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import the command of that name, or return a placeholder that reports the failure."""
        entry = entries(COMMANDS).get(cmd_name)
        if entry is None:
            return None
        try:
            command = entry.load()
        except MemoryError:
            raise
        except Exception as error:  # a third party may raise anything
            return _broken(cmd_name, f"cannot load {entry.value}: {type(error).__name__}: {error}")
        if not isinstance(command, click.Command):
            return _broken(cmd_name, f"{entry.value} is a {type(command).__name__}, not a click.Command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands under the part that provides them, each with its whole first sentence."""
        sections: dict[str, list[tuple[str, str]]] = {title: [] for title in (*_PARTS.values(), _ELSEWHERE)}
        for name in self.list_commands(ctx):
            command = self.get_command(ctx, name)
            if command is not None and not command.hidden:
                package, part, *_ = [*entries(COMMANDS)[name].module.split("."), ""]
                title = _PARTS.get(part, _ELSEWHERE) if package == "ninefold" else _ELSEWHERE
                sections[title].append((name, command.get_short_help_str(_WHOLE)))
        for title, rows in sections.items():
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)

    def main(self, args: Sequence[str] | None = None, *rest: Any, **extra: Any) -> Any:
        """Run the command line and exit with its code."""
        extra["standalone_mode"] = False
        try:
            code = super().main(args, *rest, **extra)
            _flush()
        except click.Abort:
            # Every command writes a temporary file and renames it, or commits to a database.
            _say("interrupted: no file is half-written; finished embeddings and builds are kept for the next run")
            sys.exit(INTERRUPTED)
        except click.exceptions.NoArgsIsHelpError as error:
            error.show()
            sys.exit(error.exit_code)
        except click.ClickException as error:
            context = error.ctx if isinstance(error, click.UsageError) else None
            hint = f"; see `{context.command_path} --help`" if context else ""
            _say(f"error: {' '.join(error.format_message().split()).removesuffix('.')}{hint}")
            sys.exit(error.exit_code)
        except NinefoldError as error:
            _say(f"error: {error}")
            sys.exit(error.exit_code)
        except OSError as error:
            _say(f"error: {_explained(error)}")
            _drop_unwritten()
            sys.exit(SCARCE if error.errno in (errno.EAGAIN, errno.ENOMEM) else BAD_INPUT)
        except (MemoryError, RuntimeError) as error:
            if (reason := _scarce(error)) is None:
                raise
            _say(f"error: {reason}")
            sys.exit(SCARCE)
        except BaseException as error:
            # Libraries written in Rust raise this when they panic, mostly because memory ran out.
            if type(error).__name__ != "PanicException":
                raise
            _say(f"error: a library failed ({error}), possibly because memory is limited (ulimit -v)")
            sys.exit(SCARCE)
        sys.exit(code if isinstance(code, int) else 0)


def _say(text: str) -> None:
    """Print an error. It may quote input, file names or devices, and may end with lines of a tool's output."""
    with contextlib.suppress(OSError):  # no one reads it
        click.echo(printable(text, lines=True), err=True)


def _flush() -> None:
    """Flush standard output, unless it is closed, while an error can still be reported."""
    if sys.stdout is not None:
        sys.stdout.flush()


def _drop_unwritten() -> None:
    """Drop what standard output cannot write, or the interpreter would try again at its end and report it."""
    try:
        _flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _scarce(error: MemoryError | RuntimeError) -> str | None:
    """Return a message that names the exhausted resource, or None for any other error."""
    if isinstance(error, MemoryError):
        about = f" ({error})" if str(error) else ""
        return f"not enough memory{about}: use less data, or raise the limit (ulimit -v)"
    if "can't start new thread" in str(error):
        return "no thread can be started: raise the limit of processes or memory (ulimit -u, ulimit -v)"
    return None


#: Errors that choosing another folder may avoid.
_MOVED = frozenset({errno.EACCES, errno.EDQUOT, errno.ENOSPC, errno.ENOTDIR, errno.EPERM, errno.EROFS})


def _explained(error: OSError) -> str:
    given = [name for name in (error.filename, error.filename2) if isinstance(name, str | bytes | os.PathLike)]
    names = [printable(os.fsdecode(name)) for name in given]
    reason = error.strerror or str(error) or type(error).__name__
    for variable, option, where in (
        ("NINEFOLD_CACHE", "--cache-dir", cache_folder),
        ("NINEFOLD_DATA", "--data-dir", data_folder),
    ):
        with contextlib.suppress(NinefoldError):
            folder = where()
            places = [Path(os.fsdecode(name)) for name in names]
            inside = any(place.is_relative_to(folder) or place in folder.parents for place in places)
            if inside and error.errno in _MOVED:
                reason += f"; set {variable} or {option} to a writable folder"
                break
    return f"{' -> '.join(names)}: {reason}" if names else reason


def _broken(name: str, reason: str) -> click.Command:
    def fail(**_: Any) -> None:
        raise NinefoldError(f"the command {name} is broken: {reason}")

    reason = printable(reason)
    settings = {"ignore_unknown_options": True, "allow_extra_args": True}
    return click.Command(name, callback=fail, context_settings=settings, short_help=f"(broken: {reason})", help=reason)


@click.command(cls=Frame, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("ninefold"), prog_name="ninefold", message="%(prog)s %(version)s")
@click.option(
    "--cache-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep files that can be rebuilt in this folder [NINEFOLD_CACHE; default: the user's cache folder].",
)
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep named indexes and the model in this folder [NINEFOLD_DATA; default: the user's data folder].",
)
@click.option(
    "--embeddings-gib",
    metavar="GIB",
    help="Cache at most GIB of embeddings, the oldest out first; 0 caches none [NINEFOLD_EMBEDDINGS_GIB; default: 4].",
)
@click.option(
    "--remote",
    "remotes",
    multiple=True,
    metavar="URL",
    help="Use the devices of this server too, with the key in NINEFOLD_KEY [NINEFOLD_REMOTES].",
)
@click.option(
    "--log",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Append log records to FILE, one JSON object per line [NINEFOLD_LOG].",
    envvar="NINEFOLD_LOG",
)
@click.option(
    "-q",
    "--quiet",
    is_flag=True,
    help="Hide the progress of slow steps on standard error [NINEFOLD_QUIET].",
    envvar="NINEFOLD_QUIET",
)
@click.pass_context
def cli(
    ctx: click.Context,
    cache_dir: Path | None,
    data_dir: Path | None,
    embeddings_gib: str | None,
    remotes: tuple[str, ...],
    log: Path | None,
    quiet: bool,
) -> None:
    """Design, verify and run search accelerators, with bit-identical results on the CPU, in RTL and on boards."""
    # Set in the environment, so that processes started by a command use the same folders.
    for variable, option, folder in (
        ("NINEFOLD_CACHE", "--cache-dir", cache_dir),
        ("NINEFOLD_DATA", "--data-dir", data_dir),
    ):
        if folder is None:
            continue
        try:
            os.environ[variable] = str(folder.expanduser().absolute())
        except RuntimeError as error:  # of an unknown user
            raise InputError(f"{option} must be a folder, not {folder} ({error})") from error
    if remotes:
        os.environ["NINEFOLD_REMOTES"] = ",".join(remotes)
        if ctx.invoked_subcommand not in ("devices", "doctor"):  # which list what is missing
            _say_missing_remotes()
    if embeddings_gib is not None:
        os.environ["NINEFOLD_EMBEDDINGS_GIB"] = embeddings_gib
    if log is not None:
        ctx.with_resource(_logging_to(log))
    if not quiet:
        ctx.with_resource(listening(_listener()))


def _say_missing_remotes() -> None:
    """Report on stderr the servers of --remote that do not answer; a search without them would not mention it."""
    from ninefold.host.backends.remote import Remote
    from ninefold.spec.protocols import Missing

    for entry in Remote().probe():
        if isinstance(entry, Missing):
            how = f"; {entry.install}" if entry.install else ""
            click.echo(printable(f"warning: {entry.device}: {entry.reason}{how}"), err=True)


def _listener() -> Listener:
    if sys.stderr.isatty():
        from rich.console import Console

        from ninefold.host.status_line import StatusLine

        console = Console(stderr=True)
        if not console.is_dumb_terminal:
            return StatusLine(console)
    return Lines(_say)


@contextlib.contextmanager
def _logging_to(path: Path) -> Iterator[None]:
    from pythonjsonlogger.json import JsonFormatter

    handler = logging.FileHandler(path)
    handler.setFormatter(JsonFormatter("{levelname}{name}{message}", style="{", timestamp=True))
    logger = logging.getLogger("ninefold")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        # A process may run several commands, and only this one asked for a log.
        logger.setLevel(level)
        logger.removeHandler(handler)
        handler.close()


def _terminated(number: int, frame: FrameType | None) -> None:
    from ninefold.spec.programs import TerminatedError

    while frame is not None:
        if frame.f_code in _STARTING:
            threading.Timer(_STARTED_S, os.kill, (os.getpid(), number)).start()
            return
        frame = frame.f_back
    raise TerminatedError(128 + number)


def main() -> None:
    """Entry point of ``ninefold``."""
    for stream in (sys.stdout, sys.stderr):
        # A locale that lacks a character must not end a command.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    # SIGTERM ends running tools as an interrupt does, and leaves nothing half-written.
    signal.signal(signal.SIGTERM, _terminated)
    # Characters that the encoding lacks are written as escapes, as on standard error.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    cli.main(prog_name="ninefold")
