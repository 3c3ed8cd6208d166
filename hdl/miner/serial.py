"""Miner behind a UART."""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ninefold.hdl.cores.miner import Miner
from ninefold.hdl.cores.uart_receiver import UartReceiver
from ninefold.hdl.cores.uart_transmitter import UartTransmitter
from ninefold.hdl.miner.parameters import MinerParameters

__all__ = ["SerialMiner"]


class SerialMiner(wiring.Component):
    """A :class:`Miner` behind a UART, 8N1.

    There is no flow control, so a host must not have more than two of the longest requests in flight.

    Parameters
    ----------
    parameters : MinerParameters
        Parameters of the miner.
    divisor : int
        Clock cycles per bit, 4 to 65535.

    Members
    -------
    rx : In(1)
        Serial input from the host, 1 when idle.
    tx : Out(1, init=1)
        Serial output to the host, 1 when idle.
    """

    def __init__(self, parameters: MinerParameters, divisor: int) -> None:
        self.parameters = parameters
        self._receiver = UartReceiver(divisor)
        self._transmitter = UartTransmitter(divisor)
        super().__init__({"rx": In(1, init=1), "tx": Out(1, init=1)})

    def elaborate(self, _platform: object) -> Module:
        """Connect the UART and the miner."""
        m = Module()
        m.submodules.receiver = self._receiver
        m.submodules.transmitter = self._transmitter
        m.submodules.miner = miner = Miner(self.parameters)
        wiring.connect(m, self._receiver.output, miner.rx)
        wiring.connect(m, miner.tx, self._transmitter.input)
        m.d.comb += [self._receiver.rx.eq(self.rx), self.tx.eq(self._transmitter.tx)]
        return m
