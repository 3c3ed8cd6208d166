"""The register file, word by word, against the table of ``ninefold.spec.registers``."""

from collections.abc import Awaitable, Callable, Iterable
from random import Random
from typing import Any

import pytest
from amaranth.hdl import Module, Signal
from amaranth.sim import Simulator

from ninefold.hdl.miner import MinerParameters
from ninefold.hdl.miner.registers import EVENTS, RegisterFile, exists, identity_words, writable
from ninefold.spec.formats import THRESHOLDS
from ninefold.spec.registers import BY_NAME, REGISTERS, Register

# Numbers unlike one another, so that no register can stand for another.
PARAMETERS = MinerParameters(
    48,
    12,
    700,
    5,
    99_000_001,
    "linear",
    window=4,
    buffer_bytes=512,
    reply_bytes=256,
    digest=bytes(range(100, 132)),
)
TABLE = {address: register for register in REGISTERS for address in register.addresses}
#: Bits of what may be written, as the table's text says.
WIDTHS = {"threshold": 16, "epoch": 8}
#: What the executor shows to the register file.
SHOWN = {"rows": 0x0000_1234, "load_bytes": 0x8765_4321, "load_check": 0xDEAD_BEEF}
ADDRESSES = range(64)


def expected(register: Register) -> list[int]:
    """Return what the table and the parameters say of a register after a reset."""
    by_configuration = dict(identity_words(PARAMETERS)) | {"threshold": list(THRESHOLDS[PARAMETERS.mode].reached_at)}
    words = by_configuration.get(register.name) or [register.reset] * register.count
    assert None not in words, f"nothing says what {register.name} holds"
    if register.reset is not None:
        assert words == [register.reset] * register.count
    return [word or 0 for word in words]


def simulate(testbench: Callable[[Any, RegisterFile], Awaitable[None]]) -> None:
    core = RegisterFile(PARAMETERS)

    async def run(ctx: Any) -> None:
        # Counters are frozen, cycles included, so that words can be compared.
        ctx.set(core.hold, 1)
        await testbench(ctx, core)

    simulator = Simulator(core)
    simulator.add_clock(1e-6)
    simulator.add_testbench(run)
    simulator.run()


async def read(ctx: Any, core: RegisterFile, addresses: Iterable[int]) -> list[int]:
    words = []
    for address in addresses:
        ctx.set(core.address, address)
        await ctx.tick().repeat(3)
        words.append(ctx.get(core.word))
    return words


async def write(ctx: Any, core: RegisterFile, address: int, word: int) -> None:
    ctx.set(core.write_address, address)
    ctx.set(core.write_word, word)
    ctx.set(core.write, 1)
    await ctx.tick()
    ctx.set(core.write, 0)


def test_every_address_reads_after_a_reset_as_the_table_says() -> None:
    async def testbench(ctx: Any, core: RegisterFile) -> None:
        words = [0] * len(ADDRESSES)
        for register in REGISTERS:
            words[register.address : register.address + register.count] = expected(register)
        assert await read(ctx, core, ADDRESSES) == words
        for name, value in SHOWN.items():
            ctx.set(getattr(core, name), value)
            words[BY_NAME[name].address] = value
        assert await read(ctx, core, ADDRESSES) == words

    simulate(testbench)


def test_the_table_and_the_fabric_agree_on_what_exists_and_what_may_be_written() -> None:
    m = Module()
    address, there, may = Signal(16), Signal(), Signal()
    m.d.comb += [there.eq(exists(address)), may.eq(writable(address))]
    aliases = [low | 1 << bit for low in TABLE for bit in range(6, 16)]

    async def testbench(ctx: Any) -> None:
        for value in [*range(256), *aliases, 0xFFFF]:
            ctx.set(address, value)
            register = TABLE.get(value)
            wanted = (register is not None, register is not None and "w" in register.access)
            assert (ctx.get(there), ctx.get(may)) == wanted, f"{value:#x}"

    simulator = Simulator(m)
    simulator.add_testbench(testbench)
    simulator.run()


def test_each_bit_of_what_may_be_written_reads_back_and_changes_nothing_else() -> None:
    async def testbench(ctx: Any, core: RegisterFile) -> None:
        before = await read(ctx, core, ADDRESSES)
        for address in ADDRESSES:
            register = TABLE.get(address)
            # What acts when it is written is left to the executor.
            width = WIDTHS.get(register.name, 0) if register is not None else 0
            for word in [*(1 << bit for bit in range(32)), 0xFFFF_FFFF, 0]:
                await write(ctx, core, address, word)
                before[address] = word & ((1 << width) - 1) if width else before[address]
                assert await read(ctx, core, [address]) == [before[address]]
            assert await read(ctx, core, ADDRESSES) == before, f"{address:#x}"

    assert {r.name for r in REGISTERS if "w" in r.access} == set(WIDTHS) | {"control"}
    simulate(testbench)


def test_a_clear_puts_back_what_a_reset_does() -> None:
    async def testbench(ctx: Any, core: RegisterFile) -> None:
        before = await read(ctx, core, ADDRESSES)
        for name, width in WIDTHS.items():
            for address in BY_NAME[name].addresses:
                await write(ctx, core, address, (1 << width) - 1)
        changed = await read(ctx, core, ADDRESSES)
        ctx.set(core.clear_epoch, 1)
        await ctx.tick()
        ctx.set(core.clear_epoch, 0)
        changed[BY_NAME["epoch"].address] = 0
        assert await read(ctx, core, ADDRESSES) == changed != before
        ctx.set(core.clear, 1)
        await ctx.tick()
        ctx.set(core.clear, 0)
        assert await read(ctx, core, ADDRESSES) == before

    simulate(testbench)


@pytest.mark.parametrize("event", [name for name, _ in EVENTS])
def test_an_event_is_counted_where_the_table_says_and_nowhere_else(event: str) -> None:
    register = BY_NAME.get(event) or BY_NAME[f"{event}_low"]
    clock = BY_NAME["cycles_low"].address

    async def testbench(ctx: Any, core: RegisterFile) -> None:
        words = await read(ctx, core, ADDRESSES)
        for held in (0, 1):
            # What happens while the counters are held is added afterwards.
            ctx.set(core.hold, held)
            ctx.set(getattr(core.events, event), 1)
            await ctx.tick().repeat(100)
            ctx.set(getattr(core.events, event), 0)
            ctx.set(core.hold, 0)
            await ctx.tick().repeat(2)
            ctx.set(core.hold, 1)
            words[register.address] += 100
            now = await read(ctx, core, ADDRESSES)
            assert now[clock] > words[clock]
            words[clock] = now[clock]
            assert now == words

    simulate(testbench)


def test_no_read_has_a_side_effect() -> None:
    """Two runs with the same events and writes end alike, whatever one of them reads meanwhile."""

    def outcome(reads: bool) -> list[int]:
        found: list[int] = []

        async def testbench(ctx: Any, core: RegisterFile) -> None:
            random = Random(1)
            addresses = [*BY_NAME["threshold"].addresses, BY_NAME["epoch"].address]
            for name, value in SHOWN.items():
                ctx.set(getattr(core, name), value)
            for cycle in range(3_000):
                ctx.set(core.events.as_value(), random.getrandbits(len(EVENTS.members)))
                ctx.set(core.hold, cycle % 97 > 60)
                address = random.randrange(len(ADDRESSES))
                ctx.set(core.address, address if reads else 0)
                if cycle % 50 == 0:
                    await write(ctx, core, random.choice(addresses), random.getrandbits(16))
                else:
                    await ctx.tick()
            ctx.set(core.hold, 1)
            found.extend(await read(ctx, core, ADDRESSES))

        simulate(testbench)
        return found

    quiet = outcome(reads=False)
    assert outcome(reads=True) == quiet
    assert all(quiet[BY_NAME[name].address] for name in ("queries", "accepted_low", "stalls", "crc_errors", "dropped"))
