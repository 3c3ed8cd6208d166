"""Progress of slow steps: the work being done, its duration so far, and its expected duration.

Code of all layers wraps its slow parts in `step`. Steps are silent by default. A command line shows them with a
listener, for example `Lines`, which reports steps of more than five seconds on standard error.

``python -m spec.progress TEXT COMMAND ...`` runs a command as a step. The Makefile uses it for commands that run before
anything is installed.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from .cache import cache_folder, digest_of
from .files import written_aside
from .terminal import printable

__all__ = ["EVERY_S", "FIRST_S", "Lines", "Listener", "Step", "active", "listening", "look", "main", "step"]

#: Duration in seconds after which a step is first reported.
FIRST_S: Final = 5.0
#: Seconds between two reports.
EVERY_S: Final = 10.0
#: Seconds between two calls of `Listener.look`.
_LOOK_S: Final = 0.25
#: Number of finished items from which their rate is used to estimate the remaining time.
_ITEMS: Final = 10

_now: Callable[[], float] = time.monotonic


class Step:
    """Running step, created by `step`.

    Attributes
    ----------
    doing : str
        The work and its object, as ``"placing and routing ulx3s/full"``.
    began_s : float
        Start time by the monotonic clock.
    """

    def __init__(
        self,
        doing: str,
        total: int | None,
        count: Callable[[], tuple[int, int]] | None,
        expected_s: float | None,
        outer: Step | None,
    ) -> None:
        self.doing = printable(doing)  # it may name a file
        self.began_s = _now()
        self._total, self._count, self._expected_s = total, count, expected_s
        self._done = self._first = 0
        self._first_s = self.began_s
        self._parent = outer
        self._children: list[Step] = []
        self._whole = True
        self._looked_up = expected_s is not None

    def at(self, done: int, total: int) -> None:
        """Set the number of finished items and the total; the first call sets the number finished before the step."""
        with _process.lock:
            if self._total is None or self._done == self._first == 0:
                self._first, self._first_s = done, _now()
            self._done, self._total = done, total

    def advance(self, line: str = "") -> None:
        """Count one more finished item, and pass a line about it to the listener."""
        with _process.lock:
            self._done += 1
            if line and _process.listener is not None:
                _process.listener.say(printable(line))

    def line(self, now_s: float) -> str:
        """Return a line about this step and the steps within it."""
        parts = [part for part in (self._items(), self._times(now_s)) if part]
        text = f"{self.doing}: {', '.join(parts)}" if parts else self.doing
        inner = " and ".join(child.line(now_s) for child in self._children)
        return f"{text}, now {inner}" if inner else text

    def _items(self) -> str:
        if self._count is not None:
            with contextlib.suppress(OSError):
                done, self._total = self._count()
                self._done = max(self._done, done)
        if not self._total:
            return ""
        return f"{min(self._done, self._total):,} of {self._total:,}"

    def _times(self, now_s: float) -> str:
        took_s = now_s - self.began_s
        if took_s < 1:
            return ""
        expected_s = self._expected(now_s)
        if expected_s is None:
            return _duration(took_s)
        if took_s <= expected_s:
            return f"{_duration(took_s)} of about {_duration(expected_s)}"
        return f"{_duration(took_s)}, expected {_duration(expected_s)}"

    def _expected(self, now_s: float) -> float | None:
        done = self._done - self._first
        if self._total and done >= _ITEMS:
            rest = self._total - self._first
            return self._first_s - self.began_s + (now_s - self._first_s) * max(1.0, rest / done)
        if not self._looked_up:
            self._looked_up = True
            self._expected_s = _remembered(self.doing)
        return self._expected_s

    def _begin(self) -> None:
        if self._parent is not None:
            self._parent._children.append(self)
            self._parent._whole = False

    def _end(self, done: bool) -> None:
        if self._parent is not None:
            self._parent._children.remove(self)
        took_s = _now() - self.began_s
        # The duration of a step with items or inner steps depends on the amount of work, so it is not stored.
        known = self._whole and self._total is None
        if done and known and took_s >= FIRST_S and _process.listener is not None:
            _remember(self.doing, took_s)


class Listener(Protocol):
    """Receiver of the progress of a process. Calls are serialised but come from several threads."""

    def look(self, step: Step, now_s: float) -> None:
        """Show the outermost running step; called several times a second."""

    def say(self, line: str) -> None:
        """Show a line about a finished item."""

    def ended(self, step: Step, now_s: float, done: bool) -> None:
        """Show that the outermost step has ended; `done` is false if it failed."""


class Lines:
    """Listener that writes lines about steps that take more than `FIRST_S`, at most one every `EVERY_S`.

    For the first step, the time since construction of the listener counts. The end of a step is reported if the step
    was.

    Parameters
    ----------
    write : callable
        ``write(line)``; the line does not end in a newline.
    """

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        # Imports may take long before the first step.
        self._silent_s: float | None = _now()
        self._last_s: float | None = None
        self._mentioned = False

    def look(self, step: Step, now_s: float) -> None:
        """Write a line if one is due."""
        began_s = step.began_s if self._silent_s is None else self._silent_s
        if now_s - began_s >= FIRST_S and (self._last_s is None or now_s - self._last_s >= EVERY_S):
            self._put(step.line(now_s), now_s)
            self._mentioned = True

    def say(self, line: str) -> None:
        """Write the line."""
        self._put(line, _now())

    def ended(self, step: Step, now_s: float, done: bool) -> None:
        """Write the duration of the step, if it was reported and is done."""
        if self._mentioned and done:
            self._put(f"{step.doing}: done in {_duration(now_s - step.began_s)}", now_s)
        self._silent_s, self._last_s, self._mentioned = None, None, False

    def _put(self, line: str, now_s: float) -> None:
        self._last_s = now_s
        # A closed output must not stop the work.
        with contextlib.suppress(OSError, ValueError):
            self._write(line)


@dataclass
class _Process:
    """Outermost step and listener of this process, and the stack of steps of each thread."""

    root: Step | None = None
    listener: Listener | None = None
    lock: threading.RLock = field(default_factory=threading.RLock)
    _threads: threading.local = field(default_factory=threading.local)

    @property
    def stack(self) -> list[Step]:
        stack: list[Step] | None = getattr(self._threads, "stack", None)
        if stack is None:
            stack = self._threads.stack = []
        return stack


_process: Final = _Process()


@contextlib.contextmanager
def step(
    doing: str,
    total: int | None = None,
    *,
    count: Callable[[], tuple[int, int]] | None = None,
    expected_s: float | None = None,
) -> Iterator[Step]:
    """Run the block as a step.

    The parent of a step is the current step of its thread, or else the outermost step of the process. If there is a
    listener, the duration of a step without items and inner steps is stored in the cache under its text. It is the
    expected duration of the next step with that text.

    Parameters
    ----------
    doing : str
        The work and its object, as ``"placing and routing ulx3s/full"``.
    total : int, optional
        Number of items; `Step.advance` and `Step.at` report finished items.
    count : callable, optional
        Returns the number of finished items and the total, 0 if it is not known yet; called for each line.
    expected_s : float, optional
        Expected duration in seconds.
    """
    stack = _process.stack
    with _process.lock:
        one = Step(doing, total, count, expected_s, stack[-1] if stack else _process.root)
        stack.append(one)
        one._begin()
        outermost = _process.root is None
        if outermost:
            _process.root = one
    done = False
    try:
        yield one
        done = True
    finally:
        with _process.lock:
            stack.remove(one)
            one._end(done)
            if outermost:
                _process.root = None
                if _process.listener is not None:
                    _process.listener.ended(one, _now(), done)


def active() -> bool:
    """Return true while a step is running."""
    return _process.root is not None


@contextlib.contextmanager
def listening(listener: Listener, *, every_s: float | None = _LOOK_S) -> Iterator[None]:
    """Report the steps of this process to a listener within the block.

    Parameters
    ----------
    listener : Listener
        Listener, which replaces the current one within the block.
    every_s : float or None
        Seconds between two calls of `Listener.look` by a thread; with None, the caller calls `look`.
    """
    before, _process.listener = _process.listener, listener
    stopped = threading.Event()
    thread = None
    if every_s is not None:
        thread = threading.Thread(target=_follow, args=(stopped, every_s), name="ninefold progress", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the system allows no thread, and the work may need none
            listener.say("no thread can be started: progress is not shown")
            thread = None
    try:
        yield
    finally:
        stopped.set()
        if thread is not None:
            thread.join()
        _process.listener = before


def look() -> None:
    """Show the outermost step to the listener, if both exist."""
    with _process.lock:
        if _process.root is not None and _process.listener is not None:
            _process.listener.look(_process.root, _now())


def _follow(stopped: threading.Event, every_s: float) -> None:
    while not stopped.wait(every_s):
        look()


def _remembered(doing: str) -> float | None:
    """Return the duration in seconds of the last step with that text, or None."""
    try:
        found = json.loads((cache_folder() / "durations" / digest_of(doing)).read_bytes())["seconds"]
        return float(found)
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None  # a damaged file is overwritten at the end of the step


def _remember(doing: str, seconds: float) -> None:
    folder = cache_folder() / "durations"
    # Failing to store an estimate is no error.
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        with written_aside(folder / digest_of(doing)) as file:
            file.write_text(json.dumps({"doing": doing, "seconds": round(seconds, 1)}))


def _duration(seconds: float) -> str:
    whole = round(seconds)
    return f"{whole} s" if whole < 120 else f"{whole // 60} min {whole % 60} s"


def main(words: Sequence[str]) -> int:
    """Run ``TEXT COMMAND ...`` as a step shown on standard error, and exit with the command's exit code."""
    doing, *command = words

    def write(line: str) -> None:
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()

    try:
        with listening(Lines(write)), step(doing):
            if code := subprocess.call(command):
                sys.exit(code)
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
