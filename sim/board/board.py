"""Virtual board as a transport: ``sim://CONFIG``."""

from __future__ import annotations

import time
from collections.abc import Mapping

import numpy as np

from ninefold.sim.board.build import board_design, identity
from ninefold.sim.board.faults import Faults, Line
from ninefold.sim.verilated import Model
from ninefold.spec.errors import LostDeviceError

__all__ = ["VirtualBoard", "open_board"]

#: Cycles without a byte after which a read returns what has come, and maximum cycles between checks of its deadline.
_QUIET_CYCLES, _IDLE_CYCLES = 128, 2_000
#: Maximum bytes read from the board at once, and maximum bytes buffered for it before a write blocks.
_CHUNK_BYTES = 1 << 16
#: Time of one wait for a hung board.
_NAP_S = 0.01


class VirtualBoard:
    """Miner simulated in this process, accessed through a byte stream.

    The board is simulated only during reads, and during writes of more than its buffer holds. The time of a request
    therefore depends on this computer; its number of cycles does not. A read ends soon after the board is quiet.

    Parameters
    ----------
    name : str
        Name of the configuration. The board is compiled if it is not in the cache.
    faults : Faults, optional
        Faults to inject.

    Raises
    ------
    InputError
        No configuration has this name.
    UnavailableError
        Verilator, a C++ compiler or Amaranth is missing; the message says what to install.
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
        """Return 1 to `size` bytes, or none after `timeout_s` seconds."""
        deadline, idle = time.monotonic() + timeout_s, _QUIET_CYCLES
        while True:
            self._ahead += self._from_board.take()
            if self._ahead:
                taken = bytes(self._ahead[:size])
                del self._ahead[:size]
                return taken
            self._simulate(idle)
            idle = min(2 * idle, _IDLE_CYCLES)
            if not (self._ahead or time.monotonic() < deadline):
                return b""

    def write(self, data: bytes, timeout_s: float) -> None:
        """Send all of `data`; bytes that the board has not accepted wait for the next read in a buffer of 64 KiB.

        Raises
        ------
        LostDeviceError
            The board does not accept the data in time, or is closed.
        """
        self._open()
        deadline = time.monotonic() + timeout_s
        self._to_board.put(data)
        self._pending += self._to_board.take()
        while len(self._pending) > _CHUNK_BYTES:
            if time.monotonic() >= deadline:
                raise LostDeviceError(f"{self.name} did not take {len(self._pending)} bytes in {timeout_s:g} s")
            self._simulate(_IDLE_CYCLES)

    def close(self) -> None:
        """Close the stream; do nothing if it is closed already."""
        if self._model is not None:
            self._model.close()
            self._model = None

    def _simulate(self, idle: int) -> None:
        """Run the board until all bytes have moved, or none has moved for `idle` cycles."""
        model = self._open()
        self._pending += self._to_board.take()
        if self._received == self._hang:
            self._pending.clear()
            time.sleep(_NAP_S)
            return
        # Send only the bytes up to the next fault.
        limits = [at - self._received for at in (self._hang, self._reset) if at is not None and at > self._received]
        beats = np.frombuffer(bytes(self._pending[: min([_CHUNK_BYTES, *limits])]), np.uint8).reshape(-1, 1)
        run, taken = model.exchange({"rx": beats}, {"tx": _CHUNK_BYTES}, idle)
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
        The configuration or an option does not exist.
    UnavailableError
        A tool is missing; the message says what to install.
    """
    return VirtualBoard(address, Faults.of(options))
