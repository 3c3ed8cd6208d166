"""The page on the link is enough for a client: one written from it predicts every reply of a board."""

import random
import struct
import time
from collections.abc import Callable, Iterator

import pytest

from ninefold.drivers.link_page import link_page
from ninefold.drivers.register_files import markdown
from ninefold.drivers.transports import open_transport
from ninefold.hdl.configurations import configuration
from ninefold.sim.golden.board import GoldenBoard
from ninefold.sim.golden.link import encoded as golden_encoded
from ninefold.sim.golden.link import receive
from ninefold.sim.golden.sign_board import SignBoard
from ninefold.spec.link import PAYLOAD_MAX, Fault
from tests.drivers.plain_client import FINAL, KINDS, PlainClient, encoded

Talk = Callable[[bytes, int], bytes]


def golden(name: str) -> Iterator[Talk]:
    miner = configuration(name).miner
    parameters = (miner.dimensions, miner.lanes, miner.depth, miner.k, miner.clock_hz, miner.mode, miner.window)
    limits = miner.request_limit, miner.reply_limit
    signs = miner.design == "signs"
    board = SignBoard(miner.keep, True, *parameters, *limits) if signs else GoldenBoard(*parameters, *limits)

    def talk(data: bytes, count: int) -> bytes:
        frames = receive(data, PAYLOAD_MAX).frames
        assert len(frames) == count
        return b"".join(golden_encoded(board.reply(body)) for body in frames)

    yield talk


def simulated(name: str) -> Iterator[Talk]:
    board = open_transport(f"sim://{name}")

    def talk(data: bytes, count: int) -> bytes:
        board.write(data, 10.0)
        heard, until = b"", time.monotonic() + 60
        while heard.count(0) < count and time.monotonic() < until:
            heard += board.read(1 << 16, 0.1)
        assert heard.count(0) == count
        return heard

    yield talk
    board.close()


def draw(client: PlainClient, rng: random.Random) -> tuple[int, bytes, int]:
    """Return kind, payload and epoch of a request of which any part may be wrong."""
    searches = rng.choice((KINDS["CANDIDATES"], KINDS["FETCH"])) if client["design"] else KINDS["QUERY"]
    other = rng.choice((0, KINDS["QUERY"], 0x7F, 0x85) if client["design"] else (0, 8, 9, 0x7F, 0x85, 0xFF))
    kind = rng.choices((1, 2, 3, 4, searches, 6, 7, other), (2, 6, 6, 12, 30 if client["design"] else 20, 1, 1, 2))[0]
    row, most = client["dimensions"] // 2, client["limits"] & 0xFFFF
    extra = rng.choice((b"", b"", b"", b"\7", bytes(3)))
    epoch = rng.choice((client.epoch, client.epoch, client.epoch, 77))
    if kind == KINDS["READ"]:
        start, count = rng.choice((0, 3, 0x14, 0x15, 0x19, 0x1B, 0x1D, 0xFFFF)), rng.choice((0, 1, 1, 2, 5))
        return kind, struct.pack("<HH", start, count) + extra, 0
    if kind == KINDS["WRITE"]:
        start = rng.choice((0x0A, 0x15, 0x16, 0x18, 0x19, 0x19, 0x19, 0x1C, 0x1D))
        words = [rng.choice((200, 70000, 6, 259)) for _ in range(rng.choice((0, 1, 1, 1, 2, 6)))]
        count = len(words) + rng.choice((0, 0, 0, 0, 1))
        return kind, struct.pack(f"<HH{len(words)}I", start, count, *words) + extra, 0
    if kind == KINDS["LOAD"]:
        start = rng.choice((0, len(client.loaded), len(client.loaded), len(client.loaded) + row, 5))
        size = rng.choice((0, 1, row, 5 * row, 5 * row, 5 * row + 3, (client["depth"] // 2 + 1) * row))
        nits = [x | y << 4 for x in (0, 1, 4, 12, 15) for y in (0, 3, 9, 13)]
        data = bytes(rng.choices(nits, k=min(size, most - 4)))
        return kind, struct.pack("<I", start | rng.choice((0, FINAL))) + data, 0
    if kind == KINDS["QUERY"]:
        form, count = rng.choice((0, 0, 0, 1, 1, 2, 200)), rng.choice((0, 1, 1, 2, 9, 11, 40, 255))
        each = 2 * client["dimensions"] if form else row
        whole = rng.choice((count, count, count - 1, 9, 10, 11))
        data = (
            struct.pack("<16h", *(rng.randrange(-6000, 6000) for _ in range(16))) * 2
            if form
            else b"\x4f\x10" * (row // 2)
        )
        data = (data * max(0, whole))[: min(each * max(0, whole), 900, most - 16)]
        return kind, struct.pack("<BBH", form, count, rng.choice((0, 1, 3, 8, 8, 9))) + data + extra, epoch
    if kind in (KINDS["CANDIDATES"], KINDS["FETCH"]) and client["design"]:
        return kind, *draw_scan(client, rng, kind, epoch, extra)
    return kind, rng.choice((b"", b"\1\2\3\4", b"\1\2\3")) if kind == KINDS["IDENTIFY"] else extra, 0


def draw_scan(client: PlainClient, rng: random.Random, kind: int, epoch: int, extra: bytes) -> tuple[bytes, int]:
    """Return payload and epoch of a CANDIDATES or FETCH of which any part may be wrong."""
    if kind == KINDS["FETCH"]:
        ticket = max(0, client.ticket - rng.choice((0, 0, 0, 1, 2)))
        return struct.pack("<4H", ticket, rng.choice((0, 0, 2, 60)), rng.choice((0, 1, 2, 9, 127)), 0) + extra, 0
    form, masked = rng.choice((0, 0, 1, 1, 2)), rng.choice((0, 0, 1, 1, 2))
    grid = struct.pack("<32h", *(rng.randrange(-6000, 6000) for _ in range(32)))
    query = grid if form else bytes(rng.choices((0x4F, 0x10, 0xC3, 0x00), k=client["dimensions"] // 2))
    mask = bytes(rng.choices((0, 255, 0x5A), k=-(-client.rows // 8) * (masked > 0)))
    return struct.pack("<BBH", form, masked, rng.choice((0, 1, 9, 64, 65))) + query + mask + extra, epoch


@pytest.mark.parametrize("name", ["virtual/tiny", "virtual/signs"])
@pytest.mark.parametrize("board", [golden, simulated])
def test_a_client_written_from_the_page_predicts_every_reply(board: Callable[[str], Iterator[Talk]], name: str) -> None:
    rng = random.Random(2_024)
    talks = board(name)
    client = PlainClient(next(talks), link_page(), markdown())
    client.start()
    refused, repeats = set(), 0
    sent: list[bytes] = []
    for _ in range(1600 if client["design"] else 400):
        kind, payload, epoch = draw(client, rng)
        body = client._frame(kind, payload, epoch, rng.randrange(256))
        damaged = bytearray(encoded(body) if rng.random() < 0.1 else b"")
        if damaged:
            # It has no reply: the only reply belongs to the sound frame after it.
            place = rng.randrange(len(damaged) - 1)
            damaged[place] ^= rng.choice([bit for bit in (1, 2, 4, 8, 16, 32, 64, 128) if damaged[place] != bit])
        reply = client.send(body, bytes(damaged))
        refused |= {reply[4]} if reply[0] == 0xFF else set()
        sent = [*sent[-7:], body]
        if rng.random() < 0.2:
            # Any of the last eight, whether its reply is still kept or not.
            repeats += client.send(rng.choice(sent)) == reply
        if rng.random() < 0.05:
            # Another request with the same sequence number is no repeat.
            client.send(bytes([KINDS["READ"], body[1], 0, 0]) + struct.pack("<HH", client.at["rows"], 1 + repeats % 3))
    # Of design signs, several requests fill the store, which chance does not.
    signs = {Fault.KEEP, Fault.TICKET, Fault.RANGE}
    assert refused == {fault.value for fault in Fault} - ({Fault.K, Fault.STORE} if client["design"] else signs)
    assert client.double > (20 if client["design"] else 60)
    assert repeats > 5
    next(talks, None)
