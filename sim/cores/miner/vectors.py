"""Case of a whole miner: the bytes of requests and of the expected replies."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ninefold.drivers.protocol import frames, replies
from ninefold.drivers.protocol.errors import ProtocolError
from ninefold.hdl.cores.miner import Miner
from ninefold.hdl.miner import MinerParameters
from ninefold.sim.cores.miner.conversation import Conversation, Heard
from ninefold.sim.cores.miner.operations import Operations
from ninefold.sim.golden.link import encoded, receive
from ninefold.sim.golden.packed import pack
from ninefold.sim.levels.case import Case, Place, Reading
from ninefold.sim.levels.search import mined
from ninefold.spec.formats import THRESHOLDS
from ninefold.spec.link import ERROR, REPLY, Frame, Kind
from ninefold.spec.protocols import Transport
from ninefold.spec.registers import BY_NAME, IDENTITY, STATISTICS

__all__ = ["case", "miner_case"]

_EPOCH = 3
_ROWS = 64
#: A reply takes at most two cycles per byte, and no beat moves while rows are scored.
_PATIENCE = 20_000
_NO_ECP5 = "a miner's buffers are in block RAM (DP16KD), for which Yosys has no simulation model"
#: Bytes of the digest in an IDENTIFY reply, which differs between boards.
_DIGEST = slice(*(4 + 4 * (BY_NAME["digest"].address + n - IDENTITY.start) for n in (0, BY_NAME["digest"].count)))
#: Counters whose values do not depend on time once nothing is in flight.
_COUNTERS = ("queries", "accepted_low", "accepted_high", "crc_errors", "dropped")
#: Seconds without a byte after which a board is considered silent.
_SILENCE_S = 5.0
_READ_BYTES = 1 << 16


def case(parameters: Mapping[str, Any], vectors: int, seed: int, steps: int) -> Case:
    """Return the case of the core: a load, queries in both formats, and a sequence."""
    given = dict(parameters)
    count_from = given.pop("count_from")
    return miner_case(MinerParameters(**given), vectors, seed, steps, count_from)


def miner_case(parameters: MinerParameters, vectors: int, seed: int, steps: int, count_from: int = 0) -> Case:
    """Return the case of a miner with its byte stream: a load, queries in both formats, and a sequence.

    Parameters
    ----------
    parameters : MinerParameters
        Parameters of the miner; its digest is zero.
    vectors : int
        Number of queries.
    seed : int
        Seed of rows, queries and sequence.
    steps : int
        Number of operations in the sequence after them.
    count_from : int
        Initial value of its counters.
    """
    p = parameters
    talk = Conversation(p, seed, count_from)
    grid = talk.plain(vectors, _EPOCH)
    rows, kept = talk.rows, min(talk.most_results, len(talk.rows))
    operations = Operations(talk)
    talk.script.play(steps, operations.all(), operations.fill)
    computed = list(talk.computed)

    def compute() -> Reading:
        operator, options = ("mine", {"k": kept}) if p.design == "miner" else ("candidates", {"keep": kept})
        found = [{"id": i, "score": s} for hits in mined(grid, rows, p.mode, operator, **options) for i, s in hits]
        places = [Place("mine", f"query {q}", rank) for q in range(vectors) for rank in range(kept)]
        sequence = {place: value for ask in computed for place, value in ask()}
        return {**dict(zip(places, found, strict=True)), **sequence}

    def ask(board: Any) -> Reading:
        board.load(pack(rows), p.dimensions, THRESHOLDS[p.mode].reached_at)
        answer = (board.search if p.design == "miner" else board.candidates)(grid.astype(np.int16), kept)
        pairs = zip(answer.ids.reshape(-1).tolist(), answer.scores.reshape(-1).tolist(), strict=True)
        places = [Place("mine", f"query {q}", rank) for q in range(vectors) for rank in range(kept)]
        return dict(zip(places, ({"id": i, "score": s} for i, s in pairs), strict=True))

    heard = tuple(talk.heard)
    return Case(
        lambda: Miner(p, count_from),
        talk.script.steps,
        lambda out: _read(out["tx"].tobytes(), heard),
        vectors,
        compute,
        ask,
        transport=lambda stream: _Spoken(p, stream).read(talk, heard),
        operations=talk.script.operations,
        patience=_PATIENCE + 4 * _ROWS * p.dimensions // p.lanes,
        refused={"ecp5": _NO_ECP5},
    )


def _read(data: bytes, heard: tuple[Heard, ...]) -> Reading:
    """Parse replies, each as the answer to the request in its position."""
    found: dict[Place, Mapping[str, int | str]] = {}
    for due, reply in zip(heard, frames.Decoder().feed(data), strict=False):
        place = Place("link", f"reply {due.number}", 0, due.step)
        if isinstance(reply, frames.Damage):
            found[place] = {"frame": f"damaged: {reply.reason}"}
            return found
        header: dict[str, int | str] = {"type": reply.kind, "sequence": reply.sequence, "epoch": reply.epoch}
        found[place] = header
        if due.results and reply.kind in (Kind.QUERY | REPLY, Kind.FETCH | REPLY):
            try:
                table = _table(due, reply)
            except ProtocolError as error:
                header["payload"] = str(error)
                return found
            for row, query in enumerate(due.queries):
                for rank in range(due.results):
                    entry = {"id": int(table.ids[row, rank]), "score": int(table.scores[row, rank])}
                    found[Place("mine", f"query {query}", rank, due.step)] = entry
        else:
            header |= _payload(due, reply)
    return found


def _table(due: Heard, reply: Frame) -> replies.QueryReply:
    """Return the results, or all candidates of a scan, which a board may have in any order, best first."""
    if reply.kind == Kind.QUERY | REPLY:
        return replies.found(reply.payload, len(due.queries), due.results)
    table = replies.candidates(reply.payload, due.results, due.results)
    order = np.lexsort((table.ids[0], -table.scores[0]))
    return replies.QueryReply(table.ids[:, order], table.scores[:, order])


def _payload(due: Heard, reply: Frame) -> dict[str, int | str]:
    if reply.kind == ERROR or not due.counters:
        data = reply.payload
        if reply.kind == Kind.IDENTIFY | REPLY:
            data = data[: _DIGEST.start] + data[_DIGEST.stop :]
        return {"payload": data.hex()}
    if due.counters == "timed" or len(reply.payload) != 4 * len(STATISTICS):
        return {"bytes": len(reply.payload)}
    words = struct.unpack(f"<{len(STATISTICS)}I", reply.payload)
    return {name: words[BY_NAME[name].address - STATISTICS.start] for name in _COUNTERS}


@dataclass(frozen=True)
class _Spoken:
    """Sequence sent to a board over a byte stream."""

    p: MinerParameters
    stream: Transport

    def read(self, talk: Conversation, heard: tuple[Heard, ...]) -> Reading:
        """Send the sequence without its plain vectors; return the reading of the replies."""
        due = tuple(one for one in heard if one.step)
        decoder, came = frames.Decoder(), b""
        # This ends any partial frame of an earlier conversation.
        self.stream.write(b"\0", _SILENCE_S)
        resets = 0
        for step in talk.script.steps:
            if not step.number or step.broken_off:
                continue
            if step.reset:
                resets += 1
                # A host cannot use the reset pin. The RESET command leaves the same state, but its frames differ.
                for kind, payload in ((Kind.IDENTIFY, bytes(4)), (Kind.RESET, b"")):
                    body = bytes((kind, 0xFF, resets & 0xFF, 0)) + payload
                    if not self._ask(decoder, encoded(body), 1):
                        return _read(came, due)
            for burst, count in self._bursts(step.inputs["rx"].tobytes()):
                replies_ = self._ask(decoder, burst, count)
                came += replies_
                if count and not replies_:
                    return _read(came, due)
        return _read(came, due)

    def _bursts(self, data: bytes) -> Iterator[tuple[bytes, int]]:
        """Yield the bytes in portions that fit a board's buffers, each with its number of replies."""
        longest = self.p.buffer_bytes - 1
        burst, count = b"", 0
        for frame in data.split(b"\0")[:-1]:
            sound = len(receive(frame + b"\0", longest).frames)
            if burst and (len(burst) + len(frame) > self.p.buffer_bytes // 2 or count + sound > self.p.window):
                yield burst, count
                burst, count = b"", 0
            burst, count = burst + frame + b"\0", count + sound
        if burst:
            yield burst, count

    def _ask(self, decoder: frames.Decoder, sent: bytes, count: int) -> bytes:
        """Return the bytes of `count` replies, or fewer if the board falls silent."""
        self.stream.write(sent, _SILENCE_S)
        found, came = 0, b""
        while found < count:
            data = self.stream.read(_READ_BYTES, _SILENCE_S)
            if not data:
                return b""
            found += len(decoder.feed(data))
            came += data
        return came
