"""Board of design stream behind a UART."""

from typing import Any

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ninefold.hdl.cores.uart_receiver import UartReceiver
from ninefold.hdl.cores.uart_transmitter import UartTransmitter
from ninefold.hdl.stream_board.board import StreamBoard
from ninefold.hdl.stream_board.parameters import StreamBoardParameters

__all__ = ["SerialStreamBoard"]


class SerialStreamBoard(wiring.Component):
    """A :class:`~ninefold.hdl.stream_board.board.StreamBoard` behind a UART, 8N1.

    There is no flow control, so a host must not have more than two of the longest requests in flight.

    Parameters
    ----------
    core : wiring.Component
        The core.
    parameters : StreamBoardParameters
        Parameters of the board.
    divisor : int
        Clock cycles per bit, 4 to 65535.

    Members
    -------
    rx : In(1)
        Serial input from the host, 1 when idle.
    tx : Out(1, init=1)
        Serial output to the host, 1 when idle.
    """

    def __init__(self, core: Any, parameters: StreamBoardParameters, divisor: int) -> None:
        self._board = StreamBoard(core, parameters)
        self._receiver = UartReceiver(divisor)
        self._transmitter = UartTransmitter(divisor)
        super().__init__({"rx": In(1, init=1), "tx": Out(1, init=1)})

    def elaborate(self, _platform: object) -> Module:
        """Connect the UART and the board."""
        m = Module()
        m.submodules.receiver = self._receiver
        m.submodules.transmitter = self._transmitter
        m.submodules.board = board = self._board
        wiring.connect(m, self._receiver.output, board.rx)
        wiring.connect(m, board.tx, self._transmitter.input)
        m.d.comb += [self._receiver.rx.eq(self.rx), self.tx.eq(self._transmitter.tx)]
        return m
