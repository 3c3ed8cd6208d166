"""Register file: the table of ``ninefold.spec.registers`` on the fabric."""

from collections.abc import Mapping
from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Const, Module, Mux, ResetSignal, Signal, Value
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out

from ninefold.hdl.miner.counters import Counter
from ninefold.hdl.miner.parameters import MinerParameters
from ninefold.spec.formats import THRESHOLDS
from ninefold.spec.registers import BY_NAME, MAGIC, MODE_CODES, NO_TEMPERATURE, REGISTERS, VERSION

__all__ = ["EVENTS", "RegisterFile", "exists", "identity_words", "writable"]

#: What is counted: one bit an event and cycle.
EVENTS = data.StructLayout(dict.fromkeys(("queries", "accepted", "stalls", "crc_errors", "dropped"), 1))


def exists(address: Value) -> Value:
    """Return whether there is a register at a word address."""
    return address.matches(*(a for register in REGISTERS for a in register.addresses))


def writable(address: Value) -> Value:
    """Return whether the register at a word address may be written."""
    return address.matches(*(a for register in REGISTERS if "w" in register.access for a in register.addresses))


def identity_words(parameters: MinerParameters) -> Mapping[str, list[int]]:
    """Return the words of the registers that a configuration fixes, by name."""
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
        "control": [0],
        "temperature": [NO_TEMPERATURE],
    }


class RegisterFile(wiring.Component):
    """All registers of a miner.

    A word is on ``word`` three cycles after its ``address`` was given; reading changes nothing. A write holds from the
    next cycle on.

    Parameters
    ----------
    parameters : MinerParameters
        The miner.
    count_from : int
        What counters begin with, modulo their widths: below 0 tests see them wrap around.

    Members
    -------
    address : In(6)
        Which word to read.
    word : Out(32)
        What it holds.
    hold : In(1)
        Counters keep what they show; what is counted meanwhile is added afterwards, for up to 255 cycles.
    write : In(1)
        Write ``write_word`` at ``write_address``, which must be ``writable``; ``control`` is left to the executor.
    write_address, write_word : In
        Where and what.
    clear : In(1)
        Epoch to 0, thresholds to those of the mode, and a cycle later counters to `count_from`.
    clear_epoch : In(1)
        Epoch to 0.
    epoch : Out(8)
        The epoch.
    rows, load_bytes, load_check : In
        Values of these registers.
    events : In(EVENTS)
        What happens in this cycle.
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
        """Show what the configuration fixes from a memory, which takes no logic, and the other registers beside it."""
        fixed = identity_words(self._parameters)
        words = [0] * 2 ** len(self.address)
        for register in REGISTERS:
            if register.name in fixed:
                words[register.address : register.address + register.count] = fixed[register.name]
        # Half a word at each of two ports: the one block RAM that it takes on an ECP5 has a register for each.
        halves = [word >> shift & 0xFFFF for shift in (0, 16) for word in words]
        m.submodules.constants = constants = memory.Memory(
            shape=16, depth=len(halves), init=halves, attrs={"ram_style": "block"}
        )
        reads = [constants.read_port() for _ in range(2)]
        m.d.comb += [read.addr.eq(Cat(self.address, Const(half, 1))) for half, read in enumerate(reads)]
        # Block RAM is slow, so a register is behind it. Meanwhile each other word, which may come from anywhere in the
        # miner, is told whether it is meant, then two of them go together, or neither, and then all.
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
        # Each is 0 in all but one.
        m.d.sync += self.word.eq(reduce(or_, chosen))

    def _counters(self, m: Module) -> dict[str, list[Value]]:
        """Add the counters; returns their words by the names of their registers."""
        events: dict[str, tuple[Value, int]] = {
            "queries": (self.events.queries, 32),
            "stalls": (self.events.stalls, 32),
            "crc_errors": (self.events.crc_errors, 32),
            "dropped": (self.events.dropped, 32),
            "cycles": (Const(1), 64),
            "accepted": (self.events.accepted, 64),
        }
        # One register clears them, after a reset too: both would be logic in front of hundreds of registers.
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
