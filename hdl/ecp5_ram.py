"""Block RAM of the ECP5 with the register that is within it."""

from amaranth.hdl import Cat, ClockSignal, Const, Instance, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["Ecp5Ram", "Ecp5Rams"]

#: Words of a DP16KD by their bits, the widest first.
_DEPTHS = {18: 1 << 10, 9: 1 << 11, 4: 1 << 12, 2: 1 << 13, 1: 1 << 14}
#: Memories of no more words are better off in wider blocks than a DP16KD.
_SHALLOW = 512


class Ecp5Ram(wiring.Component):
    """Memory with one write port, one read port, and a register behind what is read, in DP16KD.

    No tool of the open flow puts that register to use by itself. Without it a word leaves the block 5.8 ns after the
    edge of the clock at speed grade 6, and its way to a flip-flop is still before it.

    A word is accepted each cycle, and an address each cycle. The word at the address given in cycle t is on
    ``read_word`` in cycle t + 2; what is read in the cycle of a write of the same word is nothing in particular. All
    words are 0 after configuration.

    Parameters
    ----------
    width : int
        Bits a word.
    depth : int
        Words, 1 to 16384.

    Members
    -------
    write : In(1)
        Write ``write_word`` at ``write_address``.
    write_address, read_address : In(range(depth))
        Which word.
    write_word : In(width)
        What to write.
    read_word : Out(width)
        What was read.
    """

    def __init__(self, width: int, depth: int) -> None:
        self._width = width
        self._block_width = next(bits for bits, words in _DEPTHS.items() if depth <= words)
        super().__init__(
            {
                "write": In(1),
                "write_address": In(range(depth)),
                "write_word": In(width),
                "read_address": In(range(depth)),
                "read_word": Out(width),
            }
        )

    def elaborate(self, _platform: object) -> Module:
        """Build the blocks side by side, port A for writing and port B for reading."""
        m = Module()
        # Of the 14 pins of an address the lowest are not for words of several bits; of 18 bits they enable the bytes.
        unused = 14 - (_DEPTHS[self._block_width] - 1).bit_length()
        write_address, read_address = Signal(14), Signal(14)
        m.d.comb += [
            write_address.eq(Cat(Const(0b11 if self._block_width == 18 else 0, unused), self.write_address)),
            read_address.eq(Cat(Const(0, unused), self.read_address)),
        ]
        for first in range(0, self._width, self._block_width):
            part = slice(first, min(first + self._block_width, self._width))
            m.submodules[f"block_{first}"] = Instance(
                "DP16KD",
                p_REGMODE_A="NOREG",
                p_REGMODE_B="OUTREG",
                p_RESETMODE="SYNC",
                p_GSR="DISABLED",
                **self._port("A", self.write, write_address),
                **self._port("B", Const(0), read_address),
                **{f"i_DIA{i}": bit for i, bit in enumerate(self.write_word[part])},
                **{f"o_DOB{i}": bit for i, bit in enumerate(self.read_word[part])},
            )
        return m

    def _port(self, name: str, write: Signal | Const, address: Signal) -> dict[str, object]:
        return {
            f"p_DATA_WIDTH_{name}": self._block_width,
            f"p_WRITEMODE_{name}": "NORMAL",
            f"p_CSDECODE_{name}": "0b000",
            f"i_CLK{name}": ClockSignal("sync"),
            f"i_CE{name}": Const(1),
            f"i_OCE{name}": Const(1),
            f"i_RST{name}": Const(0),
            f"i_WE{name}": write,
            **{f"i_CS{name}{i}": Const(0) for i in range(3)},
            **{f"i_AD{name}{i}": bit for i, bit in enumerate(address)},
        }


class Ecp5Rams:
    """What :class:`ninefold.hdl.cores.store.WordStore` asks a platform for; mix it into that of a board."""

    def registered_ram(self, width: int, depth: int) -> Ecp5Ram | None:
        """Return a RAM for so many words, None where these blocks are not the best for them."""
        return Ecp5Ram(width, depth) if _SHALLOW < depth <= max(_DEPTHS.values()) else None
