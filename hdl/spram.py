"""Large memories in the single-port RAM of iCE40 UltraPlus."""

from typing import Any

from amaranth.hdl import ClockSignal, Instance, Module, Mux, Shape

__all__ = ["SpramMemories"]

_WIDTH, _DEPTH = 16, 1 << 14
#: Number of bits above which a memory uses SPRAM: the total block RAM of an iCE40UP5K.
_LARGE_BITS = 30 * 4096


class SpramMemories:
    """Mixin for platforms that puts large memories into SPRAM.

    A memory with more bits than all block RAM, one write port and one read port is built from SB_SPRAM256KA, each 16
    bits wide. Read latency is one cycle, as in block RAM. If both ports are enabled in a cycle, only the write happens,
    which suits an exclusive :class:`ninefold.hdl.parts.store.WordStore`. The content after power-on is undefined.
    """

    def get_memory(self, memory: Any) -> Any:
        """Return the implementation of an Amaranth memory: SPRAM if it is large, else its own elaboration."""
        width = Shape.cast(memory.shape).width
        plain = len(memory.write_ports) == len(memory.read_ports) == 1
        if not plain or width * memory.depth <= _LARGE_BITS or memory.depth > _DEPTH:
            return memory.elaborate(None)
        (write,), (read,) = memory.write_ports, memory.read_ports
        m = Module()
        for first in range(0, width, _WIDTH):
            part = slice(first, min(first + _WIDTH, width))
            m.submodules[f"spram_{first}"] = Instance(
                "SB_SPRAM256KA",
                i_CLOCK=ClockSignal("sync"),
                i_ADDRESS=Mux(write.en, write.addr, read.addr),
                i_DATAIN=write.data[part],
                i_MASKWREN=0b1111,
                i_WREN=write.en,
                i_CHIPSELECT=write.en | read.en,
                i_STANDBY=0,
                i_SLEEP=0,
                # Active low.
                i_POWEROFF=1,
                o_DATAOUT=read.data[part],
            )
        return m
