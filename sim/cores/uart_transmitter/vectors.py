"""Vectors of the UART transmitter: bytes, through the receiver."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ninefold.hdl.cores.uart_receiver import UartReceiver
from ninefold.hdl.cores.uart_transmitter import UartTransmitter
from ninefold.hdl.parts.layouts import BYTE
from ninefold.sim.levels.case import Case
from ninefold.sim.levels.frames import FrameCore

__all__ = ["UartCase", "case"]

#: Share of cycles in which the UART's bytes may wait; a byte that is not taken before the next one is lost.
_UART_PAUSES = (0.0, 0.25, 0.5)


def case(parameters: Mapping[str, Any], vectors: int, seed: int, steps: int) -> Case:
    """Return the case of the core: plain vectors, and a sequence of operations after them."""
    return UartCase("uart_transmitter", parameters, seed).case(vectors, steps)


class UartCase(FrameCore):
    """Case with bytes that pass through a transmitter and a receiver."""

    pauses = _UART_PAUSES
    blocks = False

    def component(self) -> Any:
        return UartLoop(self.given["divisor"])

    def operations(self) -> Mapping[str, Callable[[], None]]:
        some = self.script.some
        return {
            "bytes": lambda: self.send([self.frame(some(1, 9))]),
            "single bytes": lambda: self.one_by_one([self.frame(1) for _ in range(3)]),
            "a reset within a byte": self.reset,
        }

    def frames(self, count: int) -> list[bytes]:
        return [self.frame(4) for _ in range(count)]


class UartLoop(wiring.Component):
    """UART transmitter and receiver in loopback.

    Parameters
    ----------
    divisor : int
        Clock cycles per bit.

    Members
    -------
    input : In(stream.Signature({data: 8}))
        Bytes to send.
    output : Out(stream.Signature({data: 8}))
        Bytes received; a byte that is not taken before the next one is lost.
    """

    def __init__(self, divisor: int) -> None:
        self._divisor = divisor
        super().__init__({"input": In(stream.Signature(BYTE)), "output": Out(stream.Signature(BYTE))})

    def elaborate(self, _platform: object) -> Module:
        """Connect transmitter and receiver."""
        m = Module()
        m.submodules.transmitter = transmitter = UartTransmitter(self._divisor)
        m.submodules.receiver = receiver = UartReceiver(self._divisor)
        wiring.connect(m, wiring.flipped(self.input), transmitter.input)
        wiring.connect(m, receiver.output, wiring.flipped(self.output))
        m.d.comb += receiver.rx.eq(transmitter.tx)
        return m
