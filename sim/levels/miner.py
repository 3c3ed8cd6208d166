"""Vectors for a whole miner: the bytes of requests, and those of the replies that must come."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ninefold.drivers.protocol import frames, replies, requests
from ninefold.drivers.protocol.errors import ProtocolError
from ninefold.hdl.miner import Miner, MinerParameters
from ninefold.sim.golden.board import Board
from ninefold.sim.golden.link import encoded
from ninefold.sim.golden.packed import pack
from ninefold.sim.golden.quantise import nits_of_grid
from ninefold.sim.levels.case import Beats, Case, Place, Reading, Step
from ninefold.sim.levels.search import grid_values, mined
from ninefold.spec.formats import NIT_MAX, NIT_MIN, THRESHOLDS
from ninefold.spec.link import FORMAT_GRID, FORMAT_PACKED, PREFIX_BYTES, REPLY, Frame, Kind
from ninefold.spec.registers import BY_NAME

__all__ = ["miner_case"]

_EPOCH = 3
_ROWS = 64
#: Replies are two cycles a byte at most, and nothing moves while rows are scored.
_PATIENCE = 20_000
_NO_ECP5 = "a miner's buffers are in block RAM (DP16KD), of which Yosys has no simulation model"


def miner_case(parameters: MinerParameters, vectors: int, seed: int, count_from: int = 0) -> Case:
    """Return the vectors of a miner behind its byte stream: a load, and queries in both formats.

    Parameters
    ----------
    parameters : MinerParameters
        The miner; its digest is zero.
    vectors : int
        How many queries.
    seed : int
        Of rows and queries.
    count_from : int
        What its counters begin with.
    """
    p = parameters
    random = np.random.default_rng(seed)
    values = np.array([NIT_MIN, NIT_MAX, *range(NIT_MIN, NIT_MAX + 1)], np.int8)
    rows = random.choice(values, (min(p.depth, _ROWS), p.dimensions))
    grid = grid_values(random, (vectors, p.dimensions), p.mode)
    kept = min(p.k, len(rows))
    sent = _requests(p, pack(rows).tobytes(), grid, kept)
    judge = Board(p.dimensions, p.lanes, p.depth, p.k, p.clock_hz, p.mode, p.window, p.request_limit, p.reply_limit)
    steps = []
    # Half of what the board keeps replies of is under way at once.
    for first in range(0, len(sent), max(1, p.window // 2)):
        part = sent[first : first + max(1, p.window // 2)]
        came = b"".join(encoded(judge.reply(_body(frame))) for frame in part)
        steps.append(Step({"rx": _beats(b"".join(map(frames.encode, part)))}, {"tx": _beats(came)}))
    places = [Place("mine", f"query {q}", rank) for q in range(vectors) for rank in range(kept)]

    def compute() -> Reading:
        found = [{"id": i, "score": s} for hits in mined(grid, rows, p.mode, kept) for i, s in hits]
        return dict(zip(places, found, strict=True))

    def ask(board: Any) -> Reading:
        board.load(pack(rows), p.dimensions, THRESHOLDS[p.mode].reached_at)
        answer = board.search(grid.astype(np.int16), kept)
        pairs = zip(answer.ids.reshape(-1).tolist(), answer.scores.reshape(-1).tolist(), strict=True)
        return dict(zip(places, ({"id": i, "score": s} for i, s in pairs), strict=True))

    patience = _PATIENCE + 4 * len(rows) * p.dimensions // p.lanes
    return Case(
        lambda: Miner(p, count_from),
        tuple(steps),
        lambda out: _read(out, sent, kept),
        vectors,
        compute,
        ask,
        patience,
        {"ecp5": _NO_ECP5},
    )


def _requests(p: MinerParameters, data: bytes, grid: np.ndarray[Any, np.dtype[Any]], k: int) -> list[Frame]:
    size = p.request_limit - PREFIX_BYTES
    starts = range(0, len(data), size)
    sent: list[tuple[Kind, bytes]] = [(Kind.IDENTIFY, requests.identify(0x12345678))]
    sent += [(Kind.LOAD, requests.load(s, data[s : s + size], final=s + size >= len(data))) for s in starts]
    sent.append((Kind.WRITE, requests.write(BY_NAME["epoch"].address, [_EPOCH])))
    for number, values in enumerate(grid):
        if number % 2:
            query = requests.query(FORMAT_GRID, 1, k, values.astype("<i2").tobytes())
        else:
            query = requests.query(FORMAT_PACKED, 1, k, pack(nits_of_grid(values[None], p.mode)).tobytes())
        sent.append((Kind.QUERY, query))
    return [
        Frame(kind, number % 256, 0, _EPOCH if kind == Kind.QUERY else 0, payload)
        for number, (kind, payload) in enumerate(sent)
    ]


def _read(out: Mapping[str, Beats], sent: list[Frame], kept: int) -> Reading:
    """Take replies apart, each as the one to the request of its turn."""
    found: dict[Place, dict[str, int | str]] = {}
    query = 0
    for number, (request, reply) in enumerate(zip(sent, frames.Decoder().feed(out["tx"].tobytes()), strict=False)):
        place = Place("link", f"reply {number}", 0)
        if isinstance(reply, frames.Damage):
            found[place] = {"frame": f"damaged: {reply.reason}"}
            return found
        found[place] = {"type": reply.kind, "sequence": reply.sequence, "epoch": reply.epoch}
        if request.kind != Kind.QUERY:
            found[place]["payload"] = reply.payload.hex()
            continue
        try:
            table = replies.found(reply.payload if reply.kind == Kind.QUERY + REPLY else b"", 1, kept)
        except ProtocolError as error:
            found[place]["payload"] = str(error)
            return found
        for rank in range(kept):
            entry: dict[str, int | str] = {"id": int(table.ids[0, rank]), "score": int(table.scores[0, rank])}
            found[Place("mine", f"query {query}", rank)] = entry
        query += 1
    return found


def _body(frame: Frame) -> bytes:
    return bytes((frame.kind, frame.sequence, frame.priority, frame.epoch)) + frame.payload


def _beats(data: bytes) -> Beats:
    return np.frombuffer(data, np.uint8).reshape(-1, 1)
