"""Large memories in the single-port RAM of iCE40 UltraPlus."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from amaranth.hdl import Array, ClockSignal, Instance, Module, Mux, Shape, Signal

__all__ = ["SPRAM", "SpramMemories"]

#: Attributes of a memory that is to use SPRAM even if it is small. It must not be read in the cycle of a write.
SPRAM: Final[Mapping[str, int]] = MappingProxyType({"prefers_spram": 1})

_WIDTH, _DEPTH_BITS = 16, 14
_DEPTH = 1 << _DEPTH_BITS
#: Number of bits above which a memory uses SPRAM: the total block RAM of an iCE40UP5K.
_LARGE_BITS = 30 * 4096


class SpramMemories:
    """Mixin for platforms that puts large memories into SPRAM.

    A memory with one write port and one read port, and with more bits than all block RAM or the attributes `SPRAM`, is
    built from SB_SPRAM256KA, each with 16,384 words of 16 bits; deeper memories have several banks. Read latency is one
    cycle, as in block RAM. If both ports are enabled in a cycle, only the write happens, which suits an exclusive
    :class:`ninefold.hdl.parts.store.WordStore`. The content after power-on is undefined.
    """

    def get_memory(self, memory: Any) -> Any:
        """Return the implementation of an Amaranth memory: SPRAM, or its own elaboration."""
        width = Shape.cast(memory.shape).width
        plain = len(memory.write_ports) == len(memory.read_ports) == 1
        large = width * memory.depth > _LARGE_BITS or memory.attrs.keys() >= SPRAM.keys()
        if not (plain and large):
            return memory.elaborate(None)
        (write,), (read,) = memory.write_ports, memory.read_ports
        m = Module()
        banks = -(-memory.depth // _DEPTH)
        address = Signal(max(_DEPTH_BITS, len(read.addr)))
        bank, read_bank = address[_DEPTH_BITS:], Signal(range(banks))
        words = Array(Signal(width, name=f"word_{i}") for i in range(banks))
        m.d.comb += [address.eq(Mux(write.en, write.addr, read.addr)), read.data.eq(words[read_bank])]
        with m.If(read.en):
            m.d.sync += read_bank.eq(bank)
        for i, word in enumerate(words):
            for first in range(0, width, _WIDTH):
                part = slice(first, min(first + _WIDTH, width))
                m.submodules[f"spram_{i}_{first}"] = Instance(
                    "SB_SPRAM256KA",
                    i_CLOCK=ClockSignal("sync"),
                    i_ADDRESS=address[:_DEPTH_BITS],
                    i_DATAIN=write.data[part],
                    i_MASKWREN=0b1111,
                    i_WREN=write.en,
                    i_CHIPSELECT=(write.en | read.en) & (bank == i),
                    i_STANDBY=0,
                    i_SLEEP=0,
                    # Active low.
                    i_POWEROFF=1,
                    o_DATAOUT=word[part],
                )
        return m
