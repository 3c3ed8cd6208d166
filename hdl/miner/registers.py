"""Register file, built from the table of ``ninefold.spec.registers``."""

from collections.abc import Mapping
from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Const, Module, Mux, ResetSignal, Signal, Value
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out

from ninefold.hdl.miner.counters import Counter
from ninefold.hdl.miner.parameters import MinerParameters
from ninefold.spec.formats import THRESHOLDS
from ninefold.spec.registers import BY_NAME, DESIGN_CODES, MAGIC, MODE_CODES, NO_TEMPERATURE, REGISTERS, VERSION

__all__ = ["EVENTS", "RegisterFile", "exists", "identity_words", "writable"]

#: Events to count, one bit each, high for one cycle per event.
EVENTS = data.StructLayout(dict.fromkeys(("queries", "accepted", "stalls", "crc_errors", "dropped"), 1))


def exists(address: Value) -> Value:
    """Return True if there is a register at a word address."""
    return address.matches(*(a for register in REGISTERS for a in register.addresses))


def writable(address: Value) -> Value:
    """Return True if the register at a word address is writable."""
    return address.matches(*(a for register in REGISTERS if "w" in register.access for a in register.addresses))


def identity_words(parameters: MinerParameters) -> Mapping[str, list[int]]:
    """Return the words of the constant registers of a configuration, by name."""
    p = parameters
    return {
        "magic": [MAGIC],
        "version": [VERSION],
        "digest": [int.from_bytes(p.digest[i : i + 4], "little") for i in range(0, 32, 4)],
        "dimensions": [p.dimensions],
        "lanes": [p.lanes],
        "depth": [p.depth],
        "k": [p.k],
        "mode": [MODE_CODES[p.mode]],
        "formats": [0b11],
        "window": [p.window],
        "limits": [p.request_limit | p.reply_limit << 16],
        "clock_hz": [p.clock_hz],
        "design": [DESIGN_CODES[p.design]],
        "keep": [p.keep],
        "control": [0],
        "temperature": [NO_TEMPERATURE],
    }


class RegisterFile(wiring.Component):
    """All registers of a miner.

    Latency of a read is three cycles, from ``address`` to ``word``; reading has no side effect. A write takes effect in
    the next cycle.

    Parameters
    ----------
    parameters : MinerParameters
        Parameters of the miner.
    count_from : int
        Initial value of the counters, modulo their widths; negative values let tests see them wrap around.

    Members
    -------
    address : In(6)
        Address of the word to read.
    word : Out(32)
        Content of that word.
    hold : In(1)
        Freeze the counters for up to 255 cycles; events during that time are added afterwards.
    write : In(1)
        Write ``write_word`` at ``write_address``, which must be ``writable``; ``control`` is left to the executor.
    write_address, write_word : In
        Address and word to write.
    clear : In(1)
        Set the epoch to 0, the thresholds to the mode's values and, one cycle later, the counters to `count_from`.
    clear_epoch : In(1)
        Set the epoch to 0.
    epoch : Out(8)
        Current epoch.
    rows, load_bytes, load_check : In
        Values of these registers.
    events : In(EVENTS)
        Events of this cycle.
    """

    def __init__(self, parameters: MinerParameters, count_from: int = 0) -> None:
        self._parameters = parameters
        self._count_from = count_from
        super().__init__(
            {
                "address": In(6),
                "word": Out(32),
                "hold": In(1),
                "write": In(1),
                "write_address": In(6),
                "write_word": In(32),
                "clear": In(1),
                "clear_epoch": In(1),
                "epoch": Out(8),
                "rows": In(32),
                "load_bytes": In(32),
                "load_check": In(32),
                "events": In(EVENTS),
            }
        )

    def elaborate(self, _platform: object) -> Module:
        """Build the writable registers, the counters and the multiplexer."""
        m = Module()
        initial = THRESHOLDS[self._parameters.mode].reached_at
        thresholds = [Signal(16, name=f"threshold_{i}", init=value) for i, value in enumerate(initial)]
        values: dict[str, list[Value]] = {
            "threshold": [*thresholds],
            "epoch": [self.epoch],
            "rows": [self.rows],
            "load_bytes": [self.load_bytes],
            "load_check": [self.load_check],
            **self._counters(m),
        }
        with m.If(self.write), m.Switch(self.write_address):
            for address, signal in [
                *zip(BY_NAME["threshold"].addresses, thresholds, strict=True),
                (BY_NAME["epoch"].address, self.epoch),
            ]:
                with m.Case(address):
                    m.d.sync += signal.eq(self.write_word)
        with m.If(self.clear | self.clear_epoch):
            m.d.sync += self.epoch.eq(0)
        with m.If(self.clear):
            m.d.sync += [signal.eq(value) for signal, value in zip(thresholds, initial, strict=True)]
        self._read(m, values)
        return m

    def _read(self, m: Module, values: dict[str, list[Value]]) -> None:
        """Read constant registers from a memory, which takes no logic, and the others through a multiplexer."""
        fixed = identity_words(self._parameters)
        words = [0] * 2 ** len(self.address)
        for register in REGISTERS:
            if register.name in fixed:
                words[register.address : register.address + register.count] = fixed[register.name]
        # Two ports with half a word each, because an ECP5 block RAM has a register for each port.
        halves = [word >> shift & 0xFFFF for shift in (0, 16) for word in words]
        m.submodules.constants = constants = memory.Memory(
            shape=16, depth=len(halves), init=halves, attrs={"ram_style": "block"}
        )
        reads = [constants.read_port() for _ in range(2)]
        m.d.comb += [read.addr.eq(Cat(self.address, Const(half, 1))) for half, read in enumerate(reads)]
        # Block RAM is slow, so a register follows it. Meanwhile the other words, which come from all over the miner,
        # are gated by their select bits, then combined in pairs, then all together.
        constant = Signal(32, reset_less=True)
        m.d.sync += constant.eq(Cat(read.data for read in reads))
        chosen: list[Value] = [constant]
        varying = [at for name, vs in values.items() for at in zip(BY_NAME[name].addresses, vs, strict=True)]
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

    def _counters(self, m: Module) -> dict[str, list[Value]]:
        """Add the counters and return their words by register name."""
        events: dict[str, tuple[Value, int]] = {
            "queries": (self.events.queries, 32),
            "stalls": (self.events.stalls, 32),
            "crc_errors": (self.events.crc_errors, 32),
            "dropped": (self.events.dropped, 32),
            "cycles": (Const(1), 64),
            "accepted": (self.events.accepted, 64),
        }
        # One register clears them, also after a reset; a separate reset would add logic to hundreds of registers.
        clear = Signal(reset_less=True, init=1)
        m.d.sync += clear.eq(self.clear | ResetSignal(allow_reset_less=True))
        words: dict[str, list[Value]] = {}
        for name, (event, width) in events.items():
            m.submodules[name] = counter = Counter(width, self._count_from)
            m.d.comb += [counter.event.eq(event), counter.hold.eq(self.hold), counter.clear.eq(clear)]
            if width == 32:
                words[name] = [counter.value]
            else:
                words[f"{name}_low"], words[f"{name}_high"] = [counter.value[:32]], [counter.value[32:]]
        return words
