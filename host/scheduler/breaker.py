"""Circuit breaker of one device."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, Literal

__all__ = ["COOL_S", "FAILURES", "Breaker"]

#: Consecutive failures that open a breaker, and seconds that it stays open.
FAILURES: Final = 5
COOL_S: Final = 30.0


class Breaker:
    """Circuit breaker, which keeps work away from a failing device (Nygard, "Release It!", 2007).

    While closed it counts consecutive failures. It opens at `failures` of them, or at once when tripped. After `cool_s`
    one trial half-opens it: success closes it, failure opens it again. It stays open while a call hangs on the device.
    Not thread-safe: its owner's lock guards it.

    Parameters
    ----------
    clock : callable
        Monotonic clock in seconds.
    failures : int
        Number of consecutive failures that open it.
    cool_s : float
        Time that it stays open, in seconds.

    Attributes
    ----------
    state : {'closed', 'open', 'half-open'}
        Current state.
    reason : str
        Reason that it opened; empty while it is closed.
    hung : int
        Number of calls on the device that were given up and have not returned.
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, *, failures: int = FAILURES, cool_s: float = COOL_S
    ) -> None:
        self._clock = clock
        self._limit = failures
        self._cool_s = cool_s
        self._opened_at = 0.0
        self._failures = 0
        self.state: Literal["closed", "open", "half-open"] = "closed"
        self.reason = ""
        self.hung = 0

    @property
    def allows(self) -> bool:
        """True if a task may be sent: always while closed, one after cooling down."""
        return self.state == "closed" or self.cooled

    @property
    def cooled(self) -> bool:
        """True if it is open and ready for its one trial."""
        return self.state == "open" and not self.hung and self._clock() - self._opened_at >= self._cool_s

    @property
    def refusal(self) -> str:
        """Reason that no task may be sent; empty if one may."""
        if self.state == "closed" or self.cooled:
            return ""
        if self.state == "half-open":
            return f"on trial after: {self.reason}"
        if self.hung:
            return f"out of use until a hung call returns: {self.reason}"
        left = self._cool_s - (self._clock() - self._opened_at)
        return f"out of use for another {left:.0f} s: {self.reason}"

    def begin(self) -> bool:
        """Note the start of a task; return True if it is the trial that half-opens the breaker."""
        if not self.cooled:
            return False
        self.state = "half-open"
        return True

    def succeed(self) -> bool:
        """Note a success; return True if it closed the breaker."""
        changed = self.state != "closed"
        self.state, self.reason, self._failures = "closed", "", 0
        return changed

    def fail(self, reason: str) -> bool:
        """Note a failure; return True if it opened the breaker."""
        self._failures += 1
        if self.state == "half-open" or self._failures >= self._limit:
            return self.trip(reason)
        return False

    def trip(self, reason: str) -> bool:
        """Open at once; return True if it was not open before."""
        changed = self.state != "open"
        self.state, self.reason, self._opened_at, self._failures = "open", reason, self._clock(), 0
        return changed

    def abandon_trial(self) -> None:
        """Return to open, ready for another trial, since the last one did not test the device."""
        if self.state == "half-open":
            self.state = "open"
