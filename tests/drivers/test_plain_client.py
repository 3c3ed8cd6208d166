"""The client written from the pages, against a model of a board that scans signs."""

from __future__ import annotations

import random
import struct

import pytest

from ninefold.drivers.link_page import link_page
from ninefold.drivers.register_files import markdown
from ninefold.spec.link import Fault
from tests.drivers.board_model import BoardModel
from tests.drivers.plain_client import FINAL, KINDS, PlainClient

DIMENSIONS, ROWS = 8, 40


def started(model: BoardModel) -> PlainClient:
    client = PlainClient(lambda data, _count: model.receive(data), link_page(), markdown())
    client.start()
    return client


def loaded(model: BoardModel, rng: random.Random) -> PlainClient:
    client = started(model)
    data = bytes(rng.choices([x | y << 4 for x in (0, 1, 4, 12, 15) for y in (0, 3, 9, 13)], k=ROWS * DIMENSIONS // 2))
    client.ask(KINDS["LOAD"], struct.pack("<I", FINAL) + data)
    client.ask(KINDS["WRITE"], struct.pack("<HHI", client.at["epoch"], 1, 7))
    return client


def signs() -> BoardModel:
    return BoardModel(design="signs", k=0, keep=20, dimensions=DIMENSIONS, depth=64, reply_max=88)


def candidates(rng: random.Random, keep: int, masked: int, form: int) -> bytes:
    query = struct.pack("<8h", *(rng.randrange(-6000, 6000) for _ in range(8))) if form else b"\x4f\x1c\xd0\x33"
    mask = bytes(rng.choices((0, 255, 0x5A, 1), k=ROWS // 8)) if masked else b""
    return struct.pack("<BBH", form, masked, keep) + query + mask


def test_it_predicts_candidates_and_their_refusals() -> None:
    rng = random.Random(5)
    model = signs()
    client = loaded(model, rng)
    refused = set()
    for _ in range(300):
        kind, epoch = rng.choice((KINDS["CANDIDATES"], KINDS["FETCH"], KINDS["FETCH"])), 0
        if kind == KINDS["CANDIDATES"]:
            payload = candidates(rng, rng.choice((0, 1, 9, 20, 21)), rng.choice((0, 1)), rng.choice((0, 1)))
            epoch = rng.choice((7, 7, 7, 8))
        else:
            ticket = rng.choice((client.ticket, client.ticket, max(0, client.ticket - 1), max(0, client.ticket - 2)))
            payload = struct.pack("<HHHH", ticket, rng.choice((0, 0, 3, 15)), rng.choice((0, 1, 5, 9, 30)), 0)
        reply = client.ask(kind, payload, epoch)
        refused |= {reply[4]} if reply[0] == 0xFF else set()
    assert refused == {Fault.KEEP, Fault.TICKET, Fault.RANGE, Fault.REPLY, Fault.EPOCH}
    assert client.ticket == model.ticket > 30
    client.ask(KINDS["RESET"], b"")
    assert client.ask(KINDS["FETCH"], struct.pack("<HHHH", client.ticket, 0, 0, 0))[4] == Fault.TICKET


@pytest.mark.parametrize(("model", "kinds"), [(signs(), ("QUERY",)), (BoardModel(), ("CANDIDATES", "FETCH"))])
def test_a_board_refuses_the_requests_of_another_design(model: BoardModel, kinds: tuple[str, ...]) -> None:
    client = started(model)
    for kind in kinds:
        assert client.ask(KINDS[kind], bytes(8))[4] == Fault.KIND


class Careless(BoardModel):
    """Forgets the mask, changes the order of a ticket, or scores a nit of 0 as negative."""

    wrong = ""

    def _candidates(self, epoch: int, payload: bytes) -> bytes:
        if self.wrong == "mask" and payload[1]:
            payload = payload[:1] + b"\0" + payload[2 : len(payload) - ROWS // 8]
        answer = super()._candidates(epoch, payload)
        if self.wrong == "score":
            self.tickets[self.ticket] = [(row, score + (score == 0)) for row, score in self.tickets[self.ticket]]
        return answer

    def _fetch(self, payload: bytes) -> bytes:
        if self.wrong == "order":
            self.tickets = {ticket: found[::-1] for ticket, found in self.tickets.items()}
        return super()._fetch(payload)


@pytest.mark.parametrize("wrong", ["mask", "order", "score", ""])
def test_it_notices_a_careless_board(wrong: str) -> None:
    rng = random.Random(6)
    model = Careless(design="signs", k=0, keep=20, dimensions=DIMENSIONS, depth=64, formats=3)
    model.wrong = wrong
    client = loaded(model, rng)
    noticed = 0
    for form in (0, 1) * 10:
        client.ask(KINDS["CANDIDATES"], candidates(rng, 9, 1, form), 7)
        for offset in (0, 0, 2):
            total = client.tickets[client.ticket][0]
            try:
                client.ask(KINDS["FETCH"], struct.pack("<HHHH", client.ticket, offset, max(0, total - offset), 0))
            except AssertionError:
                noticed += 1
    assert bool(noticed) is bool(wrong)
