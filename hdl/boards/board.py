"""Description of a board for builds, and the top-level design for a board."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from amaranth.hdl import ClockDomain, ClockSignal, Elaboratable, Module, Signal
from amaranth.lib import io
from amaranth.lib.cdc import ResetSynchronizer

from ninefold.hdl.floorplan import Sites
from ninefold.spec.errors import InputError

__all__ = ["BoardTop", "FpgaBoard", "Pll", "Serial", "Toolchain"]

Toolchain = Literal["ecp5", "gowin", "ice40"]


class Serial(Protocol):
    """Design behind a UART, on a clock: a configuration of any kind."""

    @property
    def clock_hz(self) -> int:
        """Frequency of the clock in Hz."""

    @property
    def divisor(self) -> int | None:
        """Clock cycles per bit of the UART, or None without one."""

    def component(self) -> Any:
        """Construct the design, with its ports ``rx`` and ``tx``."""


#: ``pll(m, port, clock, locked)`` adds a PLL to a module, from the port of the oscillator to two signals.
Pll = Callable[[Module, Any, Signal, Signal], None]


@dataclass(frozen=True)
class FpgaBoard:
    """Board with an FPGA.

    Attributes
    ----------
    name : str
        Name in the catalogue.
    device, package, speed : str
        FPGA, in the vendor's names; an empty speed if there is only one grade.
    toolchain : {'ecp5', 'gowin', 'ice40'}
        Toolchain for its bitstreams.
    crystal_hz : int
        Frequency of the board's oscillator in Hz.
    platform : callable
        Constructor of the Amaranth platform, which has the resources ``uart`` and ``led``.
    plls : mapping of int to Pll
        PLL by the frequency of its output in Hz, the miner's clock; a configuration chooses one.
    gated : bool
        True if the clock is stopped until the PLL is locked, so that no reset is needed.
    aim : float
        Target frequency of placer and router, as a multiple of the clock. The router improves only paths that miss the
        target by its own estimate.
    high : tuple of str
        One-bit output resources that must be held at 1.
    sites : Sites, optional
        Sites of block RAM, for the floorplan of engines that fill much of the device.
    """

    name: str
    device: str
    package: str
    speed: str
    toolchain: Toolchain
    crystal_hz: int
    platform: Callable[[], Any]
    plls: Mapping[int, Pll] = field(hash=False)
    gated: bool = False
    aim: float = 1.0
    high: tuple[str, ...] = ()
    sites: Sites | None = None

    @property
    def clocks(self) -> tuple[str, ...]:
        """Nets of the clocks that drive registers: the miner's clock, and the clock of the gate after the PLL."""
        return ("clk", "enable.pll_clk") if self.gated else ("clk",)

    @property
    def part(self) -> str:
        """Device, package and speed grade as one word."""
        return "-".join(word for word in (self.device, self.package, self.speed) if word)


class BoardTop(Elaboratable):
    """Top-level design: a configuration with the board's UART and PLL, stopped or in reset until the PLL is locked.

    The LED is lit while bytes pass in either direction.

    Parameters
    ----------
    board : FpgaBoard
        The board.
    configuration : Serial
        The design and its UART.

    Raises
    ------
    InputError
        The configuration has no UART, or another clock.
    """

    def __init__(self, board: FpgaBoard, configuration: Serial) -> None:
        if configuration.divisor is None:
            raise InputError("a configuration for a board must have a UART, not a FIFO")
        clock_hz = configuration.clock_hz
        if clock_hz not in board.plls:
            *others, last = map(str, board.plls)
            allowed = f"{', '.join(others)} or {last}" if others else last
            raise InputError(f"clock_hz on {board.name} must be {allowed}, not {clock_hz}")
        self._board = board
        self._pll = board.plls[clock_hz]
        self._serial = configuration.component()

    def elaborate(self, platform: Any) -> Module:
        """Connect clock, reset, UART and LED."""
        m = Module()
        clock, locked = Signal(), Signal()
        m.domains.sync = ClockDomain(reset_less=self._board.gated)
        self._pll(m, platform.request(platform.default_clk, dir="-"), clock, locked)
        m.d.comb += ClockSignal().eq(clock)
        if not self._board.gated:
            m.submodules.reset = ResetSynchronizer(~locked)
        m.submodules.serial = serial = self._serial

        lines = {line.name: "-" for line in platform.lookup("uart").ios if hasattr(line, "name")}
        uart = platform.request("uart", dir=lines)
        m.submodules.rx = rx = io.Buffer("i", uart.rx)
        m.submodules.tx = tx = io.Buffer("o", uart.tx)
        m.submodules.led = led = io.Buffer("o", platform.request("led", 0, dir="-"))
        m.d.comb += [serial.rx.eq(rx.i), tx.o.eq(serial.tx), led.o.eq(~(rx.i & serial.tx))]
        for name in self._board.high:
            m.submodules[name] = held = io.Buffer("o", platform.request(name, dir="-"))
            m.d.comb += held.o.eq(1)
        return m
