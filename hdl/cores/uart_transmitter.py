"""UART transmitter, 8N1, least significant bit first."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ninefold.hdl.checks import check_integer
from ninefold.hdl.core import Core
from ninefold.hdl.cores.uart_receiver import DIVISOR_MAX
from ninefold.hdl.parts.layouts import BYTE

__all__ = ["CORE", "UartTransmitter"]


class UartTransmitter(wiring.Component):
    """UART transmitter.

    Throughput is one byte in ``10 * divisor`` cycles, without gaps. The start bit begins in the cycle after the byte
    was accepted.

    Parameters
    ----------
    divisor : int
        Cycles per bit, 4 to 65535.

    Members
    -------
    input : In(stream.Signature({data: 8}))
        The bytes.
    tx : Out(1, init=1)
        Serial output, 1 when idle.

    Raises
    ------
    InputError
        A parameter outside what is allowed.
    """

    def __init__(self, divisor: int) -> None:
        self.divisor = check_integer("divisor", divisor, 4, DIVISOR_MAX)
        super().__init__({"input": In(stream.Signature(BYTE)), "tx": Out(1, init=1)})

    def elaborate(self, _platform: object) -> Module:
        """Build the timer and the shift register, which ends with the stop bit."""
        m = Module()
        timer = Signal(range(self.divisor))
        left = Signal(range(11))
        shifted = Signal(10, init=0x3FF)
        # Idle, or in the last cycle of the stop bit.
        free = Signal(init=1)
        m.d.comb += [self.tx.eq(shifted[0]), self.input.ready.eq(free)]
        with m.If(self.input.valid & self.input.ready):
            m.d.sync += [
                shifted.eq(Cat(Const(0, 1), self.input.payload.data, Const(1, 1))),
                left.eq(10),
                timer.eq(self.divisor - 1),
                free.eq(0),
            ]
        with m.Elif(timer != 0):
            m.d.sync += [timer.eq(timer - 1), free.eq((timer == 1) & (left == 1))]
        with m.Elif(left != 0):
            m.d.sync += [
                shifted.eq(Cat(shifted[1:], Const(1, 1))),
                left.eq(left - 1),
                timer.eq(Mux(left == 1, 0, self.divisor - 1)),
            ]
        return m


CORE = Core(
    UartTransmitter,
    defaults={"divisor": 8},
    # Odd, so that a value inverted in every cycle of a bit differs at the end.
    smallest={"divisor": 5},
)
