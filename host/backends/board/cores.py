"""Users' cores on boards as devices: each runs the operator that its core implements."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any, Final

from ninefold.drivers.stream_core import BoardCore, open_board_core
from ninefold.spec.data import Answer, Database, State
from ninefold.spec.errors import DeviceError, InputError, LostDeviceError, UnavailableError, UnsupportedError, installs
from ninefold.spec.operators import OPERATORS
from ninefold.spec.protocols import HOST, Found
from ninefold.spec.registry import entries
from ninefold.spec.signature import Call

__all__ = ["GROUP", "CoreBoard", "CoreBoardDevice", "core_board"]

_LOG = logging.getLogger("ninefold.board")
#: Group of entry points that return the operator of a core, or None: ``implementation(core)``.
GROUP: Final = "ninefold.core_operators"
#: Payloads of the known-answer test before the first call.
_TESTED: Final = 100
_RATING: Final = 9


@dataclass(frozen=True)
class CoreBoard:
    """Board that holds a user's core.

    Attributes
    ----------
    place : str
        URL of the board, or the name of a board to simulate.
    runs : Any
        Operator of the core (``ninefold.sim.rtl.implemented.Implementation``).
    """

    place: str
    runs: Any

    @property
    def name(self) -> str:
        """Name of the device: ``board:`` and the URL, or the board to simulate and the core."""
        return f"board:{self.place}" if "://" in self.place else f"board:{self.place}/{Path(self.runs.core).stem}"

    @property
    def simulated(self) -> bool:
        """True if no hardware is behind it."""
        return "://" not in self.place or self.place.startswith("sim://")

    def found(self) -> Found:
        """Return its entry in a probe; it is opened on first use."""
        operator = self.runs.operator.name
        reason = f"{self.name} holds the core {self.runs.core}, which runs {operator} only"
        return Found(
            self.name,
            f"{'simulated: ' * self.simulated}core {self.runs.core} for {operator}",
            {operator: _RATING},
            named_only=self.simulated,
            kind="simulation" if self.simulated else "fpga",
            unit=HOST if self.simulated else "",
            timeout_s=None,
            operators={name: None if name == operator else reason for name in OPERATORS},
        )


class CoreBoardDevice:
    """Core on a board as a device, connected and tested on first use, and again after it was lost.

    Parameters
    ----------
    board : CoreBoard
        The board.

    Attributes
    ----------
    name : str
        Name of the device.
    path : str
        The board's place.
    """

    def __init__(self, board: CoreBoard) -> None:
        self.name, self.path = board.name, f"board {board.place}"
        self._board = board
        self._cores: dict[str, BoardCore] = {}
        self._build_seconds = 0.0
        self._closed = False

    @property
    def capacity_bytes(self) -> int | None:
        """None: nothing stays on the board."""
        return None

    def load(self, resident: Database | State) -> None:
        """Do nothing: a core gets its database with each call."""

    def unload(self, key: str) -> None:
        """Do nothing."""

    def run(self, call: Call) -> Answer:
        """Run one call; the time to compile, connect and test counts as ``build_seconds``, not as ``seconds``."""
        if self._closed:
            raise DeviceError(f"the device {self.name} is closed")
        if call.operator is not self._board.runs.operator:
            raise UnsupportedError(f"{self.name} runs {self._board.runs.operator.name}, not {call.operator.name}")
        self._build_seconds = 0.0
        try:
            answer: Answer = self._board.runs.answer(self, call)
        except LostDeviceError:
            self._leave()
            raise
        metrics = {**answer.metrics, "build_seconds": self._build_seconds}
        metrics["seconds"] -= self._build_seconds
        return replace(answer, metrics=metrics)

    def core(self, name: str, parameters: Mapping[str, int | str]) -> BoardCore:
        """Return the core at given parameters, connected and tested."""
        key = f"{name} {parameters}"
        if key not in self._cores:
            started = perf_counter()
            if not self._board.simulated:
                self._leave()  # one link
            core = open_board_core(name, f"board:{self._board.place}", parameters)
            try:
                core.selftest(name, parameters, payloads=_TESTED)
            except InputError as error:
                _LOG.info("the core has no known-answer test: %s", error, extra={"device": self.name})
            except DeviceError as error:
                core.close()
                raise LostDeviceError(f"{self.name} cannot be used: {error}") from error
            self._cores[key] = core
            self._build_seconds += perf_counter() - started
        return self._cores[key]

    def close(self) -> None:
        """Close the link."""
        self._leave()
        self._closed = True

    def _leave(self) -> None:
        for core in self._cores.values():
            core.close()
        self._cores.clear()


def core_board(core: str, place: str) -> CoreBoard:
    """Return the board at a place as the device of a core's operator.

    Raises
    ------
    InputError
        The core implements no operator.
    UnavailableError
        A package is not installed; the message says how to install it.
    """
    known = entries(GROUP)
    if not known:
        raise UnavailableError("nothing installed tells the operator of a core", installs("rtl"))
    runs = next(iter(known.values())).load()(core)
    if runs is None:
        raise InputError(f"{core} implements no operator: define IMPLEMENTS, the name of one, beside CORE")
    return CoreBoard(place, runs)
