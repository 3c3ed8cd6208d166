"""Register file of a board of design stream, with the registers of its core."""

from collections.abc import Mapping
from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Const, Module, Mux, ResetSignal, Signal, Value
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out

from ninefold.hdl.miner.counters import Counter
from ninefold.hdl.stream_board.interface import Interface
from ninefold.hdl.stream_board.jobs import ADDRESS_BITS
from ninefold.hdl.stream_board.parameters import StreamBoardParameters
from ninefold.spec.registers import MAGIC, NO_TEMPERATURE, VERSION
from ninefold.spec.stream_link import STREAM_CODE
from ninefold.spec.streams import board_registers, layout_check

__all__ = ["EVENTS", "StreamRegisters", "identity_words"]

#: Events to count, one bit each, high for one cycle per event.
EVENTS = data.StructLayout(dict.fromkeys(("crc_errors", "dropped"), 1))
#: Addresses of the constants.
_CONSTANT_BITS = 6


def identity_words(parameters: StreamBoardParameters, interface: Interface) -> Mapping[str, list[int]]:
    """Return the words of the constant registers by name."""
    p = parameters
    return {
        "magic": [MAGIC],
        "version": [VERSION],
        "digest": [int.from_bytes(p.digest[i : i + 4], "little") for i in range(0, 32, 4)],
        "streams": [len(interface.inputs) | len(interface.outputs) << 8],
        "layout": [layout_check(interface.streams, interface.registers)],
        "window": [p.window],
        "limits": [p.request_limit | p.reply_limit << 16],
        "clock_hz": [p.clock_hz],
        "design": [STREAM_CODE],
        "temperature": [NO_TEMPERATURE],
    }


class StreamRegisters(wiring.Component):
    """All registers of the board and of its core.

    Latency of a read is three cycles, from ``address`` to ``word``; reading has no side effect. A write takes effect in
    the next cycle.

    Parameters
    ----------
    parameters : StreamBoardParameters
        Parameters of the board.
    interface : Interface
        Streams and registers of the core.
    count_from : int
        Initial value of the counters, modulo their widths; negative values let tests see them wrap around.

    Members
    -------
    address : In(ADDRESS_BITS)
        Address of the word to read.
    word : Out(32)
        Content of that word; 0 where there is no register.
    hold : In(1)
        Freeze the counters for up to 255 cycles; events during that time are added afterwards.
    write : In(1)
        Write ``write_word`` at ``write_address``; ``control`` is left to the executor.
    write_address, write_word : In
        Address and word to write.
    clear : In(1)
        Set all writable registers to their values after a reset and, one cycle later, the counters to `count_from`.
    epoch : Out(8)
        Current epoch.
    turn : In(8)
        Value of this register.
    events : In(EVENTS)
        Events of this cycle.
    core : Out(32).array(registers)
        Values of the core's control registers; 0 for a status register.
    status : In(32).array(registers)
        Values of the core's status registers.
    """

    def __init__(self, parameters: StreamBoardParameters, interface: Interface, count_from: int = 0) -> None:
        self._p, self._interface, self._count_from = parameters, interface, count_from
        registers = len(interface.registers)
        super().__init__(
            {
                "address": In(ADDRESS_BITS),
                "word": Out(32),
                "hold": In(1),
                "write": In(1),
                "write_address": In(ADDRESS_BITS),
                "write_word": In(32),
                "clear": In(1),
                "epoch": Out(8),
                "turn": In(8),
                "events": In(EVENTS),
                "core": Out(32).array(registers),
                "status": In(32).array(registers),
            }
        )

    def elaborate(self, _platform: object) -> Module:
        """Build the writable registers, the counters and the multiplexer."""
        m = Module()
        table = {register.name: register for register in board_registers()}
        at = {name: register.address for name, register in table.items()}
        values: dict[int, Value] = {at["epoch"]: self.epoch, at["turn"]: self.turn}
        for name, value in self._counters(m).items():
            values[at[name]] = value
        own = board_registers(self._interface.registers)[len(table) :]
        writable: list[tuple[int, Signal, int]] = [(at["epoch"], self.epoch, 0)]
        for number, (one, register) in enumerate(zip(self._interface.registers, own, strict=True)):
            if one.access == "rw":
                value = Signal(one.bits, init=one.reset, name=f"control_{one.name}")
                writable.append((register.address, value, one.reset))
                m.d.comb += self.core[number].eq(value)
            else:
                value = Signal(one.bits, name=f"status_{one.name}")
                m.d.sync += value.eq(self.status[number])
            values[register.address] = value
        with m.If(self.write), m.Switch(self.write_address):
            for address, signal, _ in writable:
                with m.Case(address):
                    m.d.sync += signal.eq(self.write_word)
        with m.If(self.clear):
            m.d.sync += [signal.eq(initial) for _, signal, initial in writable]
        self._read(m, values)
        return m

    def _read(self, m: Module, values: Mapping[int, Value]) -> None:
        """Read constant registers from a memory, which takes no logic, and the others through a multiplexer."""
        fixed = identity_words(self._p, self._interface)
        words = [0] * 2**_CONSTANT_BITS
        for register in board_registers():
            if register.name in fixed:
                words[register.address : register.address + register.count] = fixed[register.name]
        # Two ports with half a word each, because an ECP5 block RAM has a register for each port.
        halves = [word >> shift & 0xFFFF for shift in (0, 16) for word in words]
        m.submodules.constants = constants = memory.Memory(
            shape=16, depth=len(halves), init=halves, attrs={"ram_style": "block"}
        )
        reads = [constants.read_port() for _ in range(2)]
        address = self.address[:_CONSTANT_BITS]
        m.d.comb += [read.addr.eq(Cat(address, Const(half, 1))) for half, read in enumerate(reads)]
        # Block RAM is slow, so a register follows it. Meanwhile the other words are gated by their select bits, then
        # combined in pairs, then all together.
        constant, of_core = Signal(32, reset_less=True), Signal()
        m.d.sync += of_core.eq(self.address[-1])
        m.d.sync += constant.eq(Mux(of_core, 0, Cat(read.data for read in reads)))
        chosen: list[Value] = [constant]
        varying = list(values.items())
        for i in range(0, len(varying), 2):
            pair = Signal(32, name=f"pair_{i}")
            shown: Value = Const(0, 32)
            for a, value in varying[i : i + 2]:
                meant = Signal(name=f"meant_{a}")
                m.d.sync += meant.eq(self.address == a)
                shown |= Mux(meant, value, 0)
            m.d.sync += pair.eq(shown)
            chosen.append(pair)
        # All but one of them are 0.
        m.d.sync += self.word.eq(reduce(or_, chosen))

    def _counters(self, m: Module) -> dict[str, Value]:
        """Add the counters and return their words by register name."""
        # One register clears them, also after a reset; a separate reset would add logic to hundreds of registers.
        clear = Signal(reset_less=True, init=1)
        m.d.sync += clear.eq(self.clear | ResetSignal(allow_reset_less=True))
        found: dict[str, Value] = {}
        for name, event, width in (
            ("cycles", Const(1), 64),
            ("crc_errors", self.events.crc_errors, 32),
            ("dropped", self.events.dropped, 32),
        ):
            m.submodules[name] = counter = Counter(width, self._count_from)
            m.d.comb += [counter.event.eq(event), counter.hold.eq(self.hold), counter.clear.eq(clear)]
            found[name] = counter.value
        cycles = found.pop("cycles")
        return {"cycles_low": cycles[:32], "cycles_high": cycles[32:], **found}
