"""Stand-ins for parts that have proofs of their own (`ninefold.sim.formal.dut.with_parts`)."""

from __future__ import annotations

from typing import Any

from amaranth.asserts import AnyConst, AnySeq
from amaranth.hdl import Elaboratable, Module, Mux, ShapeLike, Signal, Value
from amaranth.lib import memory, stream, wiring
from amaranth.lib.wiring import In, Out

from ninefold.hdl.cores.quantiser import Quantiser
from ninefold.hdl.parts.layouts import BYTE, FRAME_BYTE

__all__ = ["AnyCheck", "AnyCore", "AnyQuantiser", "Direct", "FollowedMemory", "Passage"]


class AnyCheck(wiring.Component):
    """Replacement for a CRC: any value and any match after each byte.

    Members
    -------
    data, valid, start : In
        As for a CRC.
    crc : Out(32)
        Any value, redrawn after each byte.
    match_detected : Out(1)
        Any value, redrawn after each byte.
    """

    def __init__(self, data_width: int) -> None:
        super().__init__(
            {"data": In(data_width), "valid": In(1), "start": In(1), "crc": Out(32), "match_detected": Out(1)}
        )

    def create(self) -> AnyCheck:
        """Return this unit, as a CRC algorithm does."""
        return self

    def elaborate(self, _platform: object) -> Module:
        """Build the two registers."""
        m = Module()
        crc, match = Signal(32), Signal()
        m.d.comb += [self.crc.eq(crc), self.match_detected.eq(match)]
        with m.If(self.valid | self.start):
            m.d.sync += [crc.eq(AnySeq(32)), match.eq(AnySeq(1))]
        return m


class Direct(wiring.Component):
    """Replacement for a queue or a stage: a direct connection from input to output.

    Members
    -------
    input, output : In and Out(stream.Signature(shape))
        Elements of the stream.
    """

    def __init__(self, shape: ShapeLike, _depth: int = 0) -> None:
        super().__init__({"input": In(stream.Signature(shape)), "output": Out(stream.Signature(shape))})

    def elaborate(self, _platform: object) -> Module:
        """Connect input and output."""
        m = Module()
        wiring.connect(m, wiring.flipped(self.input), wiring.flipped(self.output))
        return m


class FollowedMemory(Elaboratable):
    """Replacement for a memory: it stores one word, at any address; every other address reads as any value.

    A word that is read in the cycle of its write is arbitrary.

    Attributes
    ----------
    address, word : Signal
        Address and value of the stored word.
    """

    def __init__(self, *, shape: int, depth: int, **_others: Any) -> None:
        bits = (depth - 1).bit_length()
        self._write = memory.WritePort.Signature(addr_width=bits, shape=shape).create(path=("write",))
        self._read = memory.ReadPort.Signature(addr_width=bits, shape=shape).create(path=("read",))
        self.address, self.word = Signal(bits, name="followed"), Signal(shape, name="word")

    def write_port(self) -> Any:
        """Return the write port."""
        return self._write

    def read_port(self) -> Any:
        """Return the read port."""
        return self._read

    def elaborate(self, _platform: object) -> Module:
        """Build the storage of the word."""
        m = Module()
        write, read = self._write, self._read
        m.d.comb += self.address.eq(AnyConst(len(self.address)))
        with m.If(write.en & (write.addr == self.address)):
            m.d.sync += self.word.eq(write.data)
        with m.If(read.en):
            known = (read.addr == self.address) & ~(write.en & (write.addr == read.addr))
            m.d.sync += read.data.eq(Mux(known, self.word, AnySeq(len(self.word))))
        return m


class Passage(wiring.Component):
    """Replacement for an encoder: bytes pass unchanged.

    Members
    -------
    input : In(stream.Signature({data: 8, last: 1}))
        Bytes of frames.
    output : Out(stream.Signature({data: 8}))
        The same bytes.
    given : Out({data: 8, last: 1})
        Payload of the input.
    """

    def __init__(self, **_sizes: int) -> None:
        super().__init__(
            {
                "input": In(stream.Signature(FRAME_BYTE)),
                "output": Out(stream.Signature(BYTE)),
                "given": Out(FRAME_BYTE),
            }
        )

    def elaborate(self, _platform: object) -> Module:
        """Connect input and output."""
        m = Module()
        m.d.comb += [
            self.given.eq(self.input.payload),
            self.output.payload.data.eq(self.input.payload.data),
            self.output.valid.eq(self.input.valid),
            self.input.ready.eq(self.output.ready),
        ]
        return m


class AnyCore(wiring.Component):
    """Replacement for a core: accepts inputs at any time, and offers any outputs, stable until accepted.

    Parameters
    ----------
    kind : type
        Class of the core.
    given : Any
        Parameters of the core.
    """

    def __init__(self, kind: Any, *given: Any, **named: Any) -> None:
        self._members = kind(*given, **named).signature.members
        super().__init__(dict(self._members))

    def elaborate(self, _platform: object) -> Module:
        """Drive all outputs of the core."""
        m = Module()
        for name, member in self._members.items():
            stream = getattr(self, name)
            if member.is_port:
                value = Value.cast(stream)
                m.d.comb += value.eq(AnySeq(len(value))) if member.flow is Out else []
                continue
            if member.flow is In:
                m.d.comb += [] if member.signature.always_ready else stream.ready.eq(self.takes(name))
                continue
            payload = Value.cast(stream.payload)
            offer, before = Signal(name=f"{name}_waits"), Signal(len(payload), name=f"{name}_before")
            m.d.sync += [offer.eq(stream.valid & ~stream.ready), before.eq(payload)]
            m.d.comb += [
                stream.valid.eq(offer | (AnySeq(1) & self.gives(name))),
                payload.eq(Mux(offer, before, AnySeq(len(payload)))),
            ]
        return m

    def takes(self, _name: str) -> Value:
        """Return whether something is taken from a stream."""
        return AnySeq(1)

    def gives(self, _name: str) -> Value | int:
        """Return whether there may be something to give."""
        return 1


class AnyQuantiser(AnyCore):
    """Replacement for a quantiser: emits as many words as it accepts, at any time, with any nits.

    Parameters
    ----------
    mode, lanes :
        Parameters of the quantiser.

    Attributes
    ----------
    held : Signal
        Words inside.
    """

    CAPACITY = Quantiser.CAPACITY

    def __init__(self, mode: Any, lanes: int) -> None:
        super().__init__(Quantiser, mode, lanes)
        self.held = Signal(range(self.CAPACITY + 1), name="inside")

    def elaborate(self, platform: object) -> Module:
        """Count the words."""
        m = super().elaborate(platform)
        m.d.sync += self.held.eq(
            self.held + (self.values.valid & self.values.ready) - (self.nits.valid & self.nits.ready)
        )
        return m

    def takes(self, name: str) -> Value:
        """Return whether there is room."""
        return AnySeq(1) & (self.held != self.CAPACITY) if name == "values" else AnySeq(1)

    def gives(self, _name: str) -> Value:
        """Return whether there is a word."""
        return self.held != 0
