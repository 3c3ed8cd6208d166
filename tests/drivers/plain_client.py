"""A client of the link that knows ``docs/link.md`` and ``docs/registers.md`` only, and predicts every reply.

It imports nothing of Ninefold. The codes, the order of the checks and the registers come from the tables of the pages.
"""

import re
import struct
import zlib
from collections.abc import Callable
from typing import Any

__all__ = ["PlainClient"]

KINDS = {
    "IDENTIFY": 1,
    "READ": 2,
    "WRITE": 3,
    "LOAD": 4,
    "QUERY": 5,
    "STATISTICS": 6,
    "RESET": 7,
    "CANDIDATES": 8,
    "FETCH": 9,
}
#: Requests that only one design accepts; `design` is its register.
DESIGNS = {"QUERY": 0, "CANDIDATES": 1, "FETCH": 1}
FINAL = 1 << 31


def encoded(body: bytes) -> bytes:
    """Return a frame: COBS of a body and its CRC, and the zero."""
    data, out, piece = body + struct.pack("<I", zlib.crc32(body)) + b"\0", b"", b""
    for byte in data:
        if byte == 0:
            out, piece = out + bytes([len(piece) + 1]) + piece, b""
        else:
            piece += bytes([byte])
            if len(piece) == 254:
                out, piece = out + b"\xff" + piece, b""
    return out + b"\0"


def decoded(piece: bytes) -> bytes:
    """Return the body of a frame without its zero; the CRC must be right."""
    body, place = b"", 0
    while place < len(piece):
        code = piece[place]
        assert place + code <= len(piece), "a code points beyond the end"
        body, place = body + piece[place + 1 : place + code], place + code
        body += b"\0" if code != 255 and place < len(piece) else b""
    assert zlib.crc32(body[:-4]) == int.from_bytes(body[-4:], "little")
    return body[:-4]


def signed_nits(data: bytes) -> list[int]:
    """Return the nits of packed ones."""
    return [(nibble ^ 8) - 8 for byte in data for nibble in (byte & 15, byte >> 4)]


class PlainClient:
    """One client, one request at a time.

    Parameters
    ----------
    talk : callable
        ``talk(data, count)`` sends bytes and returns the bytes of ``count`` frames.
    link, registers : str
        Text of the two pages.
    """

    def __init__(self, talk: Callable[[bytes, int], bytes], link: str, registers: str) -> None:
        self.talk = talk
        self.codes = {n: int(c) for c, n in re.findall(r"^\| (\d+) \| ([A-Z]+) \|", link, re.MULTILINE)}
        order = link.partition("### Order of the checks")[2].partition("## Values")[0]
        self.order = re.findall(r"^\| ([A-Z]+) \| ([A-Z]+) \|", order, re.MULTILINE)
        rows = re.findall(r"^\| (0x\w+)(?: to (0x\w+))? \| `(\w+)`(?:\[\d+\])? \| (\w+) \|", registers, re.MULTILINE)
        self.access = {at: a for lo, hi, _, a in rows for at in range(int(lo, 16), int(hi or lo, 16) + 1)}
        self.at = {name: int(lo, 16) for lo, _, name, _ in rows}
        self.words: dict[int, int] = {}
        self.sequence = 0
        self.kept: dict[int, tuple[int, bytes]] = {}
        self.double = 0
        self._forget()

    def _forget(self) -> None:
        """Be as the board is after a reset."""
        self.epoch = self.rows = 0
        self.loading, self.loaded = False, b""
        self.ticket = 0
        #: Number of candidates of a ticket, and their scores by row; None if the client cannot predict them.
        self.tickets: dict[int, tuple[int, dict[int, int] | None]] = {}
        #: Row at each place of a ticket, where it has been seen.
        self.places: dict[tuple[int, int], int] = {}
        for index in range(4):
            self.words.pop(self.at["threshold"] + index, None)

    def __getitem__(self, name: str) -> int:
        return self.words[self.at[name]]

    def start(self) -> None:
        """Send a zero and IDENTIFY, and keep the identity registers and the thresholds."""
        sent = self._frame(KINDS["IDENTIFY"], b"\xef\xbe\xad\xde")
        reply = decoded(self.talk(b"\0" + encoded(sent), 1)[:-1])
        assert reply[:8] == bytes([0x81, sent[1], 0, 0]) + b"\xef\xbe\xad\xde"
        self.words = dict(enumerate(struct.unpack(f"<{len(reply[8:]) // 4}I", reply[8:])))
        assert self["magic"] == 0x444C464E
        assert self["version"] == 2
        self.kept.clear()
        self.thresholds()

    def thresholds(self) -> None:
        """Read the thresholds, whose values after a reset the pages leave to the board."""
        reply = self.ask(KINDS["READ"], struct.pack("<HH", self.at["threshold"], 4))
        self.words.update(enumerate(struct.unpack("<4I", reply[4:]), self.at["threshold"]))

    def _frame(self, kind: int, payload: bytes, epoch: int = 0, priority: int = 0) -> bytes:
        body = bytes([kind, self.sequence, priority, epoch]) + payload
        self.sequence = (self.sequence + 1) % 256
        return body

    def ask(self, kind: int, payload: bytes, epoch: int = 0, priority: int = 0) -> bytes:
        """Send a new request, and return the reply, which must be the one that the pages promise."""
        return self.send(self._frame(kind, payload, epoch, priority))

    def send(self, body: bytes, before: bytes = b"") -> bytes:
        """Send a body, new or not, after other bytes; the reply must be the one that the pages promise."""
        slot, check = body[1] % self.words[self.at["window"]], zlib.crc32(body)
        reply = decoded(self.talk(before + encoded(body), 1)[:-1])
        if slot in self.kept and self.kept[slot][0] == check and body[0] != KINDS["IDENTIFY"]:
            assert reply == self.kept[slot][1], "a repeat has another reply"
            return reply
        kind, payload = body[0], body[4:]
        wrong = self.refusal(kind, payload, body[3])
        if wrong is not None:
            expected: bytes | None = struct.pack("<BBHI", wrong[0], kind, 0, wrong[1])
            self.kept.pop(slot, None)
        else:
            expected = self._executed(kind, payload)
        head = bytes([0xFF if wrong else kind | 0x80, body[1], body[2], self.epoch])
        assert reply[:4] == head, (body[:16].hex(), reply[:16].hex(), wrong)
        assert expected is None or reply[4:] == expected, (body[:16].hex(), reply[:16].hex(), wrong)
        if kind == KINDS["FETCH"] and not wrong:
            self._check_fetched(payload, reply[4:])
        if kind != KINDS["IDENTIFY"]:
            self.kept[slot] = (check, reply)
        return reply

    def refusal(self, kind: int, payload: bytes, epoch: int) -> tuple[int, int] | None:
        """Return code and detail of the refusal of a request, by the order of the page; None if it is executed."""
        name = next((name for name, code in KINDS.items() if code == kind), None)
        if name is None or DESIGNS.get(name, self["design"]) != self["design"]:
            return self.codes["KIND"], 0
        conditions = getattr(self, f"_{name.lower()}_checks")(payload, epoch)
        failing = []
        for request, check in self.order:
            if request == name:
                detail = conditions[check].pop(0)()
                if detail is not None:
                    failing.append((self.codes[check], detail))
                if len(payload) < 4:
                    break
        self.double += len({code for code, _ in failing}) > 1
        return failing[0] if failing else None

    def _identify_checks(self, payload: bytes, _epoch: int) -> dict[str, list[Any]]:
        return {"LENGTH": [lambda: None if len(payload) == 4 else len(payload)]}

    def _statistics_checks(self, payload: bytes, _epoch: int) -> dict[str, list[Any]]:
        return {"LENGTH": [lambda: len(payload) or None]}

    _reset_checks = _statistics_checks

    def _read_checks(self, payload: bytes, _epoch: int, writes: bool = False) -> dict[str, list[Any]]:
        first, count = struct.unpack("<HH", payload[:4].ljust(4, b"\0"))
        size = 4 + 4 * count * writes
        there = [a for a, access in self.access.items() if not writes or "w" in access]
        missing = (a for a in range(first, first + count) if a not in there)
        return {
            "LENGTH": [lambda: len(payload) if len(payload) != size or not count else None],
            "ADDRESS": [lambda: next(missing, None)],
        }

    def _write_checks(self, payload: bytes, epoch: int) -> dict[str, list[Any]]:
        return self._read_checks(payload, epoch, writes=True)

    def _load_checks(self, payload: bytes, _epoch: int) -> dict[str, list[Any]]:
        (word,) = struct.unpack("<I", payload[:4].ljust(4, b"\0"))
        offset, next_offset = word & ~FINAL, len(self.loaded) if self.loading else 0
        end, row = (len(self.loaded) if offset else 0) + len(payload) - 4, self["dimensions"] // 2
        store = self["depth"] * row
        return {
            "LENGTH": [lambda: len(payload) if len(payload) <= 4 else None],
            "OFFSET": [lambda: next_offset if offset and not (self.loading and offset == next_offset) else None],
            "STORE": [lambda: store if end > store else None],
            "ROW": [lambda: (end % row or None) if word & FINAL else None],
        }

    def _query_checks(self, payload: bytes, epoch: int) -> dict[str, list[Any]]:
        form, count, k = struct.unpack("<BBH", payload[:4].ljust(4, b"\0"))
        size = self["dimensions"] * 2 if form else self["dimensions"] // 2
        n, limit = min(count, 1 + max(0, len(payload) - 4) // size), self["limits"] >> 16
        return {
            "LENGTH": [
                lambda: len(payload) if len(payload) < 4 or not count else None,
                lambda: len(payload) if len(payload) != 4 + count * size else None,
            ],
            "FORMAT": [lambda: None if form < 32 and self["formats"] >> form & 1 else self["formats"]],
            "EMPTY": [lambda: None if self.rows else 0],
            "EPOCH": [lambda: None if epoch == self.epoch else self.epoch],
            "K": [lambda: None if 1 <= k <= self["k"] else self["k"]],
            "REPLY": [lambda: limit if 4 + 6 * n * min(k, self.rows) > limit else None],
        }

    def _candidates_checks(self, payload: bytes, epoch: int) -> dict[str, list[Any]]:
        form, masked, keep = struct.unpack("<BBH", payload[:4].ljust(4, b"\0"))
        size = (self["dimensions"] * 2 if form else self["dimensions"] // 2) + masked * (-(-self.rows // 8))
        return {
            "LENGTH": [
                lambda: len(payload) if len(payload) < 4 or masked > 1 else None,
                lambda: len(payload) if len(payload) != 4 + size else None,
            ],
            "FORMAT": [lambda: None if form < 32 and self["formats"] >> form & 1 else self["formats"]],
            "EMPTY": [lambda: None if self.rows else 0],
            "EPOCH": [lambda: None if epoch == self.epoch else self.epoch],
            "KEEP": [lambda: None if 1 <= keep <= self["keep"] else self["keep"]],
        }

    def _fetch_checks(self, payload: bytes, _epoch: int) -> dict[str, list[Any]]:
        ticket, offset, count, _ = struct.unpack("<HHHH", payload[:8].ljust(8, b"\0"))
        kept, limit = self.tickets.get(ticket, (None,))[0], self["limits"] >> 16
        return {
            "LENGTH": [lambda: len(payload) if len(payload) != 8 else None],
            "TICKET": [lambda: self.ticket if kept is None else None],
            "REPLY": [lambda: limit if 4 + 4 * count > limit else None],
            "RANGE": [lambda: kept if kept is not None and offset + count > kept else None],
        }

    def _executed(self, kind: int, payload: bytes) -> bytes | None:
        """Do what the board does, and return the payload of its reply; None if the pages do not give it."""
        if kind == KINDS["IDENTIFY"]:
            self.kept.clear()
            return payload + struct.pack("<21I", *(self.words[a] for a in range(21)))
        if kind == KINDS["READ"]:
            first, count = struct.unpack("<HH", payload)
            known = {
                **self.words,
                self.at["epoch"]: self.epoch,
                self.at["rows"]: self.rows,
                self.at["load_bytes"]: len(self.loaded),
                self.at["load_check"]: zlib.crc32(self.loaded),
                self.at["control"]: 0,
            }
            addresses = range(first, first + count)
            return struct.pack(f"<{count}I", *(known[a] for a in addresses)) if set(addresses) <= set(known) else None
        if kind == KINDS["WRITE"]:
            self._written(payload)
        elif kind == KINDS["LOAD"]:
            return self._loaded(payload)
        elif kind == KINDS["QUERY"]:
            return self._found(payload)
        elif kind == KINDS["CANDIDATES"]:
            return self._scanned(payload)
        elif kind == KINDS["RESET"]:
            self._forget()
            self.kept.clear()
        return None if kind in (KINDS["STATISTICS"], KINDS["FETCH"]) else b""

    def _written(self, payload: bytes) -> None:
        first, count = struct.unpack_from("<HH", payload)
        written = dict(zip(range(first, first + count), struct.unpack(f"<{count}I", payload[4:]), strict=True))
        self.epoch = written.get(self.at["epoch"], self.epoch) & 255
        self.words.update({a: w & 65535 for a, w in written.items() if a < self.at["epoch"]})
        if written.get(self.at["control"], 0) & 1:
            self._forget()
            self.kept.clear()

    def _loaded(self, payload: bytes) -> bytes:
        (word,) = struct.unpack_from("<I", payload)
        if not word & ~FINAL:
            self.loading, self.loaded, self.rows, self.epoch = True, b"", 0, 0
            self.tickets = {}
        self.loaded += payload[4:]
        if word & FINAL:
            self.loading, self.rows = False, len(self.loaded) * 2 // self["dimensions"]
        return struct.pack("<I", len(self.loaded) if self.loading else 0)

    def _asked(self, form: int, data: bytes) -> list[int] | None:
        """Return the nits of queries; None if the client does not know a threshold."""
        if not form:
            return signed_nits(data)
        limits = [self.words.get(self.at["threshold"] + i) for i in range(4)]
        if None in limits:
            return None
        grid = struct.unpack(f"<{len(data) // 2}h", data)
        return [sum(abs(g) >= limit for limit in limits if limit is not None) * (1 if g > 0 else -1) for g in grid]

    def _found(self, payload: bytes) -> bytes | None:
        form, count, k = struct.unpack_from("<BBH", payload)
        size, results, reply = self["dimensions"], min(k, self.rows), b""
        stored, asked = signed_nits(self.loaded), self._asked(form, payload[4:])
        if asked is None:
            return None
        for query in (asked[i * size : (i + 1) * size] for i in range(count)):
            scores = [
                sum(a * b for a, b in zip(query, stored[r * size : (r + 1) * size], strict=True))
                for r in range(self.rows)
            ]
            best = sorted(range(self.rows), key=lambda r, scores=scores: (-scores[r], r))[:results]  # type: ignore[misc]
            reply += b"".join(struct.pack("<Hi", r, scores[r]) for r in best)
        return struct.pack("<BBH", 0, count, results) + reply

    def _scanned(self, payload: bytes) -> bytes:
        """Keep the candidates of the next ticket, and return its reply."""
        form, masked, keep = struct.unpack_from("<BBH", payload)
        size, row = self["dimensions"], self["dimensions"] // 2
        end = 4 + (2 * size if form else row)
        query, mask = self._asked(form, payload[4:end]), payload[end:]
        rows = [r for r in range(self.rows) if not masked or mask[r // 8] >> r % 8 & 1]
        total, best = min(keep, len(rows)), None
        if query is not None:
            kept = {}
            for r in rows:
                nits = signed_nits(self.loaded[r * row : (r + 1) * row])
                kept[r] = sum(-q if nit < 0 else q for q, nit in zip(query, nits, strict=True))
            best = {r: kept[r] for r in sorted(kept, key=lambda r: (-kept[r], r))[:keep]}
        self.ticket = self.ticket % 65535 + 1
        self.tickets[self.ticket] = (total, best)
        self.tickets = dict(list(self.tickets.items())[-2:])
        self.places = {place: r for place, r in self.places.items() if place[0] in self.tickets}
        return struct.pack("<HH", self.ticket, 0)

    def _check_fetched(self, payload: bytes, reply: bytes) -> None:
        """Check the candidates of a FETCH: rows of the ticket, each at one place, with their scores."""
        ticket, offset, count, _ = struct.unpack("<HHHH", payload)
        total, best = self.tickets[ticket]
        assert struct.unpack_from("<HH", reply) == (total, count)
        assert len(reply) == 4 + 4 * count
        for place, (row, score) in enumerate(struct.iter_unpack("<Hh", reply[4:]), offset):
            assert best is None or best.get(row) == score, (ticket, place, row, score)
            assert self.places.setdefault((ticket, place), row) == row, "the order of a ticket has changed"
        seen = [row for (number, _), row in self.places.items() if number == ticket]
        assert len(set(seen)) == len(seen), "a row is at two places"
