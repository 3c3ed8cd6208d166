"""Testbench of the stream board around a loopback, whose replies a golden board judges one by one."""

# ruff: noqa: D401 - the docstring of a test states what holds

import itertools
import struct
from typing import Any

import cocotb

from ninefold.sim.cores.stream_board.requests import ALL, MASK, MOVED, TURN, StreamTestbench
from ninefold.sim.golden.link import crc32, encoded, stuff
from ninefold.sim.testbench.streams import PATTERNS, always, blocked
from ninefold.spec.link import ERROR, REPLY, Kind, StreamFault
from ninefold.spec.registers import BY_NAME

__all__ = ["started"]

_EPOCH, _CONTROL = BY_NAME["epoch"].address, BY_NAME["control"].address


async def started(dut: Any) -> StreamTestbench:
    """Return a testbench with the device reset."""
    tb = StreamTestbench(dut)
    await tb.restart()
    return tb


@cocotb.test()
async def directed(dut: Any) -> None:
    """Payloads pass in order, padded, with their ends; the reply is written by hand."""
    tb = await started(dut)
    size, channels = tb.size, tb.channels
    payloads = b"".join(bytes([i + 1]) + bytes(size - 2) + bytes([i % 2]) for i in range(2))
    tb.push(0, 2, data=payloads)
    await tb.settled()
    tb.pull(0, 1)
    await tb.settled()
    credits = [tb.room] * channels + [1] + [0] * (channels - 1)
    wanted = bytes([channels, 1, 1, 0]) + payloads[:size] + struct.pack(f"<{2 * channels}H", *credits)
    assert tb.replies[-1][4:] == wanted, tb.replies[-1].hex()
    await tb.drained()


@cocotb.test()
async def registers(dut: Any) -> None:
    """Identity, epoch, turn, and the core's registers; a reset restores them."""
    tb = await started(dut)
    tb.request(Kind.IDENTIFY, b"1234")
    for address in (*range(11), *range(0x10, 0x14), _EPOCH, _CONTROL, TURN, MASK, MOVED):
        tb.read(address)
    tb.read(0, 11)
    tb.read(0x10, 4)
    for bit in range(32):
        tb.write(MASK, 1 << bit)
        tb.write(_EPOCH, 1 << bit)
        tb.read(MASK, 2)
        tb.write(_CONTROL, 1 << bit & ~1)
    await tb.settled()
    for mask in (0, 0xA5, 0x5A):
        tb.write(MASK, mask)
        for channel in range(tb.channels):
            tb.push(channel, min(3, tb.most))
            tb.pull(channel)
        await tb.drained()
        tb.read(MASK, 2)
    for reset in (lambda: tb.request(Kind.RESET), lambda: tb.write(_CONTROL, 0xFFFFFFFF)):
        tb.write(MASK, 0x77)
        tb.write(_EPOCH, 0x88)
        reset()
        tb.read(MASK, 2)
        tb.read(_EPOCH)
        tb.read(TURN)
        await tb.settled()


@cocotb.test()
async def sizes_crossed_with_back_pressure(dut: Any) -> None:
    """PUSH and PULL of several sizes under each pattern of the source crossed with each of the sink."""
    tb = await started(dut)
    for offered, taken in itertools.product(PATTERNS.values(), repeat=2):
        tb.pace(offered, taken)
        for channel in range(tb.channels):
            tb.push(channel, tb.random.choice([0, 1, tb.most - 1, tb.most]))
            tb.pull(channel, tb.random.choice([1, 2, ALL]))
        await tb.settled()
    await tb.drained()


@cocotb.test()
async def full_queues(dut: Any) -> None:
    """Each input is filled until a PUSH is refused; nothing is lost, and afterwards as much fits as before."""
    tb = await started(dut)
    for channel in (*range(tb.channels), 0):
        for count in (1, tb.most):
            refused = 0
            while refused < 2:
                tb.push(channel, count)
                await tb.settled()
                refused += tb.replies[-1][0] == ERROR
                assert not refused or tb.replies[-1][4] == StreamFault.ROOM
            free = struct.unpack_from("<H", tb.replies[-1], len(tb.replies[-1]) - 4 * tb.channels + 2 * channel)[0]
            tb.push(channel, free)
            await tb.settled()
            assert tb.replies[-1][0] == Kind.PUSH | REPLY
            # Payloads enter while others leave.
            tb.pull(channel, 1)
            await tb.settled()
            tb.push(channel, 1)
            await tb.drained()


@cocotb.test()
async def random_requests(dut: Any) -> None:
    """Requests of every kind in a row, some refused, while the patterns change."""
    tb = await started(dut)
    for _ in range(40):
        tb.pace(tb.random.choice(list(PATTERNS.values())), tb.random.choice(list(PATTERNS.values())))
        for _ in range(4):
            tb.random_request()
        await tb.steps(tb.random.randint(1, 300))
        if tb.random.randrange(4) == 0:
            await tb.settled()
    await tb.drained()


@cocotb.test()
async def refusals(dut: Any) -> None:
    """Refusals give the reason, at every limit, the first one of several, and change nothing."""
    tb = await started(dut)
    tb.write(MASK, 0x3C)
    for turns in range(3):
        for number, (kind, payload) in enumerate(tb.refused()):
            tb.request(kind, payload)
            if number % 16 == 0:
                tb.read(MASK, 2)
                await tb.settled()
        await tb.settled()
        assert not any(tb.board.pushed), "a refused request has an effect on the model"
        for channel in range(tb.channels):
            tb.pull(channel)
        await tb.settled()
        # The next round has another turn.
        for _ in range(5 + 60 * turns):
            tb.push(0, 0)
            await tb.steps(tb.random.randint(0, 60))
        await tb.settled()


@cocotb.test()
async def turns_wrap_around(dut: Any) -> None:
    """After 256 turns the first follows."""
    tb = await started(dut)
    for _ in range(260):
        tb.push(0, 0)
    await tb.settled()
    assert tb.turn == 4
    tb.push(0, 1)
    await tb.drained()


@cocotb.test()
async def damaged_requests(dut: Any) -> None:
    """Requests with a flipped bit, cut short or behind garbage: what is not sound has no effect, and is counted."""
    tb = await started(dut)
    for _ in range(40):
        tb.push(0, min(2, tb.most))
        sent = [tb.rx.words.pop() for _ in range(len(tb.rx.words))][::-1]
        place = tb.random.randrange(len(sent) - 1)
        fault = tb.random.randrange(3)
        if fault == 0:
            sent[place] ^= 1 << tb.random.randrange(8)
        elif fault == 1:
            del sent[place : place + tb.random.randint(1, 9)]
        tb.rx.send([*sent, 0])
        await tb.settled()
        tb.pull(0)
        await tb.settled()
    # Each bit of the check counts, and so does each bit of its end.
    body = bytes([Kind.READ, 0, 0, 0]) + struct.pack("<HH", MASK, 1)
    for bit in range(32):
        tb.rx.send(stuff(body + (crc32(body) ^ 1 << bit).to_bytes(4, "little")) + b"\0")
    tb.rx.send(encoded(bytes(tb.longest + 5)))
    tb.rx.send(encoded(bytes(4 * tb.longest)))
    tb.rx.send(b"\1\0\2\1\0")
    await tb.drained()
    counts = await tb.counters()
    for name, count in tb.board.unsound.items():
        assert counts[name] == count, f"{counts[name]} frames are counted as {name}, not {count}"


@cocotb.test()
async def repeats_are_answered_again(dut: Any) -> None:
    """A request whose reply is kept is executed once; a refusal with TURN is not kept."""
    tb = await started(dut)
    for _ in range(12):
        channel = tb.random.randrange(tb.channels)
        pushed = tb.push(channel, tb.random.randint(0, tb.most))
        await tb.settled()
        pulled = tb.pull(channel, tb.random.choice([1, ALL]))
        await tb.settled()
        for sent in tb.random.choices([pushed, pulled], k=3):
            tb.rx.send(sent)
            await tb.settled()
        late = tb.push(channel, 1, turn=(tb.turn + 1) % 256)
        await tb.settled()
        assert tb.replies[-1][4] == StreamFault.TURN
        tb.push(channel, 0)
        await tb.settled()
        tb.rx.send(late)
        await tb.drained()
        assert tb.replies[-1][0] == Kind.PULL | REPLY
    # Requests are distinguished by their CRCs, in every slot, until an IDENTIFY.
    for number in range(40):
        sent = tb.request(Kind.READ, struct.pack("<HH", MASK, 1))
        await tb.settled()
        tb.write(MASK, tb.random.randrange(256))
        await tb.settled()
        tb.rx.send(sent)
        if number % 3 == 0:
            await tb.settled()
            tb.request(Kind.IDENTIFY, b"1234")
            tb.rx.send(sent)
        await tb.settled()


@cocotb.test()
async def two_hosts(dut: Any) -> None:
    """A second host identifies the board; repeats of the first are out of turn, and nothing passes twice."""
    tb = await started(dut)
    for _ in range(4):
        tb.sequence = 0
        first = tb.push(0, min(2, tb.most))
        await tb.settled()
        tb.sequence = 0
        tb.request(Kind.IDENTIFY, b"host")
        tb.push(0, 1)
        tb.rx.send(first)
        await tb.settled()
        assert tb.replies[-1][4] == StreamFault.TURN
        await tb.drained()


@cocotb.test()
async def resets_in_mid_run(dut: Any) -> None:
    """After a reset, by the pin or by a request, nothing is left of payloads, turns and replies."""
    tb = await started(dut)
    for number in range(12):
        tb.pace(always, tb.random.choice([always, blocked(2000)]))
        for _ in range(3):
            tb.push(0, tb.random.randint(0, tb.most))
            tb.pull(0, 1)
        if number % 2:
            tb.request(Kind.RESET)
            await tb.settled()
        else:
            await tb.steps(tb.random.randint(1, 400))
            await tb.restart()
        tb.push(0, 1)
        tb.pull(0)
        tb.read(TURN)
        await tb.drained()


@cocotb.test()
async def payloads_flow_while_replies_leave(dut: Any) -> None:
    """PUSH and PULL in turn for all channels at full speed, and each offer of a reply before it is awaited."""
    tb = await started(dut)
    for _ in range(3):
        tb.pace(always, blocked(300))
        tb.request(Kind.IDENTIFY, b"1234")
        await tb.steps(290)
        assert len(tb.tx.offered) > len(tb.tx.accepted), "nothing is offered"
        await tb.settled()
    for _ in range(8):
        for channel in range(tb.channels):
            tb.push(channel, tb.most // 2)
            tb.pull(channel)
    await tb.drained()
    counts = await tb.counters()
    assert counts["crc_errors"] == counts["dropped"] == 0
