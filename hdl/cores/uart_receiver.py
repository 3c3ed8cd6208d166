"""UART receiver, 8N1, least significant bit first."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out

from ninefold.hdl.checks import check_integer
from ninefold.hdl.core import Core
from ninefold.hdl.parts.layouts import BYTE

__all__ = ["CORE", "DIVISOR_MAX", "UartReceiver"]

DIVISOR_MAX = 65535


class UartReceiver(wiring.Component):
    """UART receiver.

    ``rx`` is sampled each cycle. The edge of a start bit sets the phase, and each bit is sampled in its middle. The
    baud rate of the sender may differ by 4 % at large divisors and by 2 % at a divisor of 4. A start bit that ends
    before its middle is ignored as noise. A byte without a stop bit is dropped, and ``rx`` must be idle before the
    next.

    A byte is offered 3 cycles after the middle of its stop bit. There is no flow control: a byte that is complete while
    the previous one is still offered is lost.

    Parameters
    ----------
    divisor : int
        Cycles per bit, 4 to 65535.

    Members
    -------
    rx : In(1)
        Serial input, 1 when idle, asynchronous.
    output : Out(stream.Signature({data: 8}))
        The bytes.
    lost : Out(1)
        High for one cycle for each byte that was lost or had no stop bit.

    Raises
    ------
    InputError
        A parameter outside what is allowed.
    """

    def __init__(self, divisor: int) -> None:
        self.divisor = check_integer("divisor", divisor, 4, DIVISOR_MAX)
        super().__init__({"rx": In(1), "output": Out(stream.Signature(BYTE)), "lost": Out(1)})

    def elaborate(self, _platform: object) -> Module:
        """Build the synchroniser, the timer and the shift register."""
        m = Module()
        line = Signal(init=1)
        m.submodules.synchroniser = FFSynchronizer(self.rx, line, init=1)
        timer = Signal(range(self.divisor))
        bits = Signal(range(10))
        shifted = Signal(8)
        done = Signal()
        with m.If(self.output.ready):
            m.d.sync += self.output.valid.eq(0)
        with m.FSM():
            with m.State("IDLE"):
                # This is the first cycle of the start bit; its middle is half a bit later.
                m.d.sync += [timer.eq(self.divisor // 2 - 1), bits.eq(0)]
                with m.If(~line):
                    m.next = "BITS"
            with m.State("BITS"):
                m.d.sync += timer.eq(timer - 1)
                with m.If(timer == 0):
                    m.d.sync += [timer.eq(self.divisor - 1), bits.eq(bits + 1), shifted.eq(Cat(shifted[1:], line))]
                    with m.If((bits == 0) & line):
                        m.next = "IDLE"
                    with m.If(bits == 9):
                        # `shifted` does not take the stop bit.
                        m.d.sync += shifted.eq(shifted)
                        m.d.comb += done.eq(line)
                        m.d.comb += self.lost.eq(~line | (self.output.valid & ~self.output.ready))
                        with m.If(line):
                            m.next = "IDLE"
                        with m.Else():
                            m.next = "WAIT"
            with m.State("WAIT"), m.If(line):
                m.next = "IDLE"
        with m.If(done & (~self.output.valid | self.output.ready)):
            m.d.sync += [self.output.valid.eq(1), self.output.payload.data.eq(shifted)]
        return m


CORE = Core(
    UartReceiver,
    defaults={"divisor": 8},
    smallest={"divisor": 5},
)
