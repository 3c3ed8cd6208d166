"""Board with a UART, and the host's UART between it and the host's byte stream."""

from typing import Any

from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ninefold.hdl.cores.uart_receiver import UartReceiver
from ninefold.hdl.cores.uart_transmitter import UartTransmitter
from ninefold.hdl.parts.layouts import BYTE

__all__ = ["HostUart"]


class HostUart(wiring.Component):
    """Design with a UART, connected to the UART of a host.

    Parameters
    ----------
    design : wiring.Component
        The design, with its serial ports ``rx`` and ``tx``.
    divisor : int
        Clock cycles per bit, for both UARTs.

    Members
    -------
    rx : In(stream.Signature({data: 8}))
        Bytes from the host.
    tx : Out(stream.Signature({data: 8}))
        Bytes to the host; ``ready`` must stay 1.
    """

    def __init__(self, design: Any, divisor: int) -> None:
        self._design = design
        self._divisor = divisor
        super().__init__({"rx": In(stream.Signature(BYTE)), "tx": Out(stream.Signature(BYTE))})

    def elaborate(self, _platform: object) -> Module:
        """Connect the two UARTs."""
        m = Module()
        m.submodules.board = board = self._design
        m.submodules.transmitter = transmitter = UartTransmitter(self._divisor)
        m.submodules.receiver = receiver = UartReceiver(self._divisor)
        wiring.connect(m, wiring.flipped(self.rx), transmitter.input)
        wiring.connect(m, receiver.output, wiring.flipped(self.tx))
        m.d.comb += [board.rx.eq(transmitter.tx), receiver.rx.eq(board.tx)]
        return m
