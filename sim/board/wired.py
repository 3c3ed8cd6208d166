"""What stands between a host's bytes and a miner with a UART."""

from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ninefold.hdl.link import UartReceiver, UartTransmitter
from ninefold.hdl.link.layouts import BYTE
from ninefold.hdl.miner import MinerParameters, SerialMiner

__all__ = ["WiredMiner"]


class WiredMiner(wiring.Component):
    """A miner with its UART, and the serial port of a host at the other end of the lines.

    Parameters
    ----------
    parameters : MinerParameters
        The miner.
    divisor : int
        Clock cycles a bit, at both ends.

    Members
    -------
    rx : In(stream.Signature({data: 8}))
        Bytes from the host.
    tx : Out(stream.Signature({data: 8}))
        Bytes to the host, which must be ready.
    """

    def __init__(self, parameters: MinerParameters, divisor: int) -> None:
        self._parameters = parameters
        self._divisor = divisor
        super().__init__({"rx": In(stream.Signature(BYTE)), "tx": Out(stream.Signature(BYTE))})

    def elaborate(self, _platform: object) -> Module:
        """Connect the two ends."""
        m = Module()
        m.submodules.board = board = SerialMiner(self._parameters, self._divisor)
        m.submodules.transmitter = transmitter = UartTransmitter(self._divisor)
        m.submodules.receiver = receiver = UartReceiver(self._divisor)
        wiring.connect(m, wiring.flipped(self.rx), transmitter.input)
        wiring.connect(m, receiver.output, wiring.flipped(self.tx))
        m.d.comb += [board.rx.eq(transmitter.tx), receiver.rx.eq(board.tx)]
        return m
