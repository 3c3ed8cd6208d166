"""Progress of slow steps: what is being done, for how long, and how long it is expected to take.

Code of all layers wraps its slow parts in `step`. Steps of a library call are silent. A command line follows them with
a listener, for example `Lines`, which writes to standard error about steps of more than five seconds.

``python -m spec.progress TEXT COMMAND ...`` runs a command as a step, for the Makefile, which runs commands before
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

#: Seconds before a step is mentioned.
FIRST_S: Final = 5.0
#: Seconds between two lines.
EVERY_S: Final = 10.0
#: Seconds between two looks at the running step.
_LOOK_S: Final = 0.25
#: Items from which the rate so far is a fair guess at the time left.
_ITEMS: Final = 10

_now: Callable[[], float] = time.monotonic


class Step:
    """A running step; `step` makes one.

    Attributes
    ----------
    doing : str
        The work and its object, as ``"placing and routing ulx3s/full"``.
    began_s : float
        Time when it began, by the monotonic clock.
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
        """Set the number of items that are done and their total; the first call counts what was done before."""
        with _process.lock:
            if self._total is None or self._done == self._first == 0:
                self._first, self._first_s = done, _now()
            self._done, self._total = done, total

    def advance(self, line: str = "") -> None:
        """Count one more item as done, and pass a line about it to the listener."""
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
        # The time of a step with items or with steps within it depends on what there was to do.
        known = self._whole and self._total is None
        if done and known and took_s >= FIRST_S and _process.listener is not None:
            _remember(self.doing, took_s)


class Listener(Protocol):
    """Follower of the steps of a process; calls come one at a time, from several threads."""

    def look(self, step: Step, now_s: float) -> None:
        """Show the outermost step, which is running; called several times a second."""

    def say(self, line: str) -> None:
        """Show a line about an item that is done."""

    def ended(self, step: Step, now_s: float, done: bool) -> None:
        """Show that the outermost step has ended; `done` is false if it failed."""


class Lines:
    """Writer of lines about steps that take more than `FIRST_S`, at most one each `EVERY_S`.

    For the first step, the time since the writer was made counts. The end of a step is written if there was a line
    about it.

    Parameters
    ----------
    write : callable
        ``write(line)``; the line has no line end.
    """

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        # A program may have been silent for long before its first step, while it imported its modules.
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
        """Write how long the step took, if it was mentioned and is done."""
        if self._mentioned and done:
            self._put(f"{step.doing}: done in {_duration(now_s - step.began_s)}", now_s)
        self._silent_s, self._last_s, self._mentioned = None, None, False

    def _put(self, line: str, now_s: float) -> None:
        self._last_s = now_s
        # A reader that has gone does not end the work.
        with contextlib.suppress(OSError, ValueError):
            self._write(line)


@dataclass
class _Process:
    """Steps and listener of this process, and the steps of each thread, the innermost last."""

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

    A step belongs to the one that its thread is in, or else to the outermost of the process. Where there is a listener,
    the duration of a step without items and without steps within it is kept in the cache under its text, and is what
    the next step of that text is expected to take.

    Parameters
    ----------
    doing : str
        The work and its object, as ``"placing and routing ulx3s/full"``.
    total : int, optional
        Number of items; `Step.advance` and `Step.at` say how many are done.
    count : callable, optional
        Returns the number of items that are done and their total, 0 if that is not known yet; called for each line.
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
    """Let a listener follow the steps of this process within the block.

    Parameters
    ----------
    listener : Listener
        Takes the place of another one for that time.
    every_s : float or None
        Seconds between two looks, by a thread; None leaves `look` to the caller.
    """
    before, _process.listener = _process.listener, listener
    stopped = threading.Event()
    thread = None
    if every_s is not None:
        thread = threading.Thread(target=_follow, args=(stopped, every_s), name="ninefold progress", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the system allows none: the work may need none
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
    """Let the listener look at the outermost step, if there are both."""
    with _process.lock:
        if _process.root is not None and _process.listener is not None:
            _process.listener.look(_process.root, _now())


def _follow(stopped: threading.Event, every_s: float) -> None:
    while not stopped.wait(every_s):
        look()


def _remembered(doing: str) -> float | None:
    """Return the seconds that a step of that text took the last time, or None."""
    try:
        found = json.loads((cache_folder() / "durations" / digest_of(doing)).read_bytes())["seconds"]
        return float(found)
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None  # a damaged file is written again at the end


def _remember(doing: str, seconds: float) -> None:
    folder = cache_folder() / "durations"
    # An estimate is not worth an error.
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        with written_aside(folder / digest_of(doing)) as file:
            file.write_text(json.dumps({"doing": doing, "seconds": round(seconds, 1)}))


def _duration(seconds: float) -> str:
    whole = round(seconds)
    return f"{whole} s" if whole < 120 else f"{whole // 60} min {whole % 60} s"


def main(words: Sequence[str]) -> int:
    """Run ``TEXT COMMAND ...`` as a step that is followed on standard error, and exit as the command does."""
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
