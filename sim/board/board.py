"""A virtual board as a transport: ``sim://CONFIG``."""

from __future__ import annotations

import time
from collections.abc import Mapping

import numpy as np

from ninefold.sim.board.build import board_design, identity
from ninefold.sim.board.faults import Faults, Line
from ninefold.sim.verilated import Model
from ninefold.spec.errors import LostDeviceError

__all__ = ["VirtualBoard", "open_board"]

#: Cycles without a byte after which the simulation looks at the clock again.
_IDLE_CYCLES = 2_000
#: Bytes taken from the board in one go, and bytes that may wait for it before a write has to.
_CHUNK_BYTES = 1 << 16
#: How long a hung board is waited for at once.
_NAP_S = 0.01


class VirtualBoard:
    """A verilated miner behind a byte stream, in this process.

    It is simulated while it is read from or written to, and stands still otherwise; so how long it takes for a request
    depends on this computer, how many cycles does not.

    Parameters
    ----------
    name : str
        Of the configuration; the board is compiled when the cache does not have it.
    faults : Faults
        What goes wrong.

    Raises
    ------
    InputError
        There is no configuration of that name.
    UnavailableError
        When Verilator, a C++ compiler or Amaranth is missing, with what to install.
    """

    def __init__(self, name: str, faults: Faults | None = None) -> None:
        faults = faults or Faults()
        digest = identity(name)
        if faults.identity == "wrong":
            digest = bytes(byte ^ 0xFF for byte in digest)
        self.name = f"sim://{name}"
        self._model: Model | None = Model(board_design(name, digest))
        self._to_board, self._from_board = Line(faults, 0), Line(faults, 1)
        self._pending, self._ahead = bytearray(), bytearray()
        self._received = 0
        self._hang, self._reset = faults.hang, faults.reset

    @property
    def cycles(self) -> int:
        """Clock cycles simulated so far."""
        return self._open().cycles

    def read(self, size: int, timeout_s: float) -> bytes:
        """Return 1 to `size` bytes, or none when the time is up."""
        deadline = time.monotonic() + timeout_s
        while True:
            self._ahead += self._from_board.take()
            if self._ahead:
                taken = bytes(self._ahead[:size])
                del self._ahead[:size]
                return taken
            self._simulate()
            if not (self._ahead or time.monotonic() < deadline):
                return b""

    def write(self, data: bytes, timeout_s: float) -> None:
        """Send all of `data`; what the board does not take at once waits in a buffer of 64 KiB.

        Raises
        ------
        LostDeviceError
            When the board does not take the data in time, or is closed.
        """
        self._open()
        deadline = time.monotonic() + timeout_s
        self._to_board.put(data)
        self._simulate()
        while len(self._pending) > _CHUNK_BYTES:
            if time.monotonic() >= deadline:
                raise LostDeviceError(f"{self.name} did not take {len(self._pending)} bytes in {timeout_s:g} s")
            self._simulate()

    def close(self) -> None:
        """Close the stream; nothing happens when it is closed."""
        if self._model is not None:
            self._model.close()
            self._model = None

    def _simulate(self) -> None:
        """Let the board run until it has taken and given what there is, or has done neither for a while."""
        model = self._open()
        self._pending += self._to_board.take()
        if self._received == self._hang:
            self._pending.clear()
            time.sleep(_NAP_S)
            return
        # Bytes up to the next fault.
        limits = [at - self._received for at in (self._hang, self._reset) if at is not None and at > self._received]
        beats = np.frombuffer(bytes(self._pending[: min([_CHUNK_BYTES, *limits])]), np.uint8).reshape(-1, 1)
        run, taken = model.exchange({"rx": beats}, {"tx": _CHUNK_BYTES}, _IDLE_CYCLES)
        del self._pending[: taken["rx"]]
        self._received += taken["rx"]
        self._from_board.put(run.outputs["tx"].tobytes())
        self._ahead += self._from_board.take()
        if self._received == self._reset:
            model.reset()
            self._reset = None

    def _open(self) -> Model:
        if self._model is None:
            raise LostDeviceError(f"{self.name} is closed")
        return self._model


def open_board(address: str, options: Mapping[str, str]) -> VirtualBoard:
    """Open the virtual board of a configuration; options are the attributes of `Faults`.

    Raises
    ------
    InputError
        There is no such configuration or option.
    UnavailableError
        When a tool is missing, with what to install.
    """
    return VirtualBoard(address, Faults.of(options))
