import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ninefold.drivers.protocol import Decoder, ProtocolError, encode, replies, requests
from ninefold.hdl.configurations import CONFIGURATIONS
from ninefold.spec.errors import InputError
from ninefold.spec.formats import CANDIDATES_MAX
from ninefold.spec.link import COMMANDS, ERROR_PAYLOAD, LOAD_FINAL, PAYLOAD_MAX, Field, Frame, Kind
from ninefold.spec.registers import BY_NAME, DESIGN_CODES, IDENTITY, MODE_CODES, NO_TEMPERATURE, STATISTICS
from tests.drivers import fixtures

WORD = st.integers(0, 2**32 - 1)
BYTE = st.integers(0, 255)
QUICK = settings(max_examples=60, deadline=None, derandomize=True)
LAYOUTS = {command.kind: command for command in COMMANDS}


def fields(name: str) -> dict[str, object]:
    found: dict[str, object] = fixtures.frames()[name]["fields"]
    return found


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("identify", lambda f: requests.identify(f["nonce"])),
        ("read rows", lambda f: requests.read(f["address"], f["count"])),
        ("write epoch", lambda f: requests.write(f["address"], f["words"])),
        ("write thresholds", lambda f: requests.write(f["address"], f["words"])),
        ("load first", lambda f: requests.load(f["offset"], bytes.fromhex(f["data"]), final=f["final"])),
        ("load final", lambda f: requests.load(f["offset"], bytes.fromhex(f["data"]), final=f["final"])),
        ("query packed", lambda f: requests.query(f["format"], f["count"], f["k"], bytes.fromhex(f["data"]))),
        ("query grid", lambda f: requests.query(f["format"], f["count"], f["k"], bytes.fromhex(f["data"]))),
        ("candidates packed", lambda f: requests.candidates(f["format"], f["keep"], bytes.fromhex(f["data"]))),
        (
            "candidates grid, masked",
            lambda f: requests.candidates(f["format"], f["keep"], bytes.fromhex(f["data"])[:-1], b"\x05"),
        ),
        ("fetch", lambda f: requests.fetch(f["ticket"], f["offset"], f["count"])),
    ],
)
def test_requests_have_the_bytes_of_the_fixtures(name: str, make: Callable[[object], bytes]) -> None:
    assert make(fields(name)) == fixtures.frame(name).payload


def test_replies_have_the_values_of_the_fixtures() -> None:
    payload = {name: fixtures.frame(name).payload for name in fixtures.frames()}
    assert replies.words(payload["read reply"], 1) == (32,)
    assert replies.load(payload["load reply"]) == 8
    assert replies.load(payload["load final reply"]) == 0
    replies.nothing(payload["write reply"])
    found = replies.found(payload["query reply"], 2, 2)
    assert found.ids.tolist() == [[5, 0], [31, 2]]
    assert found.scores.tolist() == [[40, -3], [128, 128]]
    assert (found.ids.dtype, found.scores.dtype) == (np.uint16, np.int32)
    assert replies.ticket(payload["candidates reply"]) == 1
    candidates = replies.candidates(payload["fetch reply"], 3, 2)
    assert (candidates.ids.tolist(), candidates.scores.tolist()) == ([[7, 300]], [[-32, 4]])
    assert (candidates.ids.dtype, candidates.scores.dtype) == (np.uint16, np.int32)
    refusal = replies.refusal(payload["error offset"])
    assert str(refusal) == "LOAD refused: OFFSET, detail 4096"
    statistics = replies.statistics(payload["statistics reply"])
    assert (statistics.queries, statistics.cycles, statistics.accepted) == (3, 0x1_FFFF_FFFE, 96)
    assert (statistics.stalls, statistics.crc_errors, statistics.dropped) == (7, 2, 1)
    assert statistics.temperature_celsius is None
    warm = payload["statistics reply"][:-4] + struct.pack("<i", -1500)
    assert replies.statistics(warm).temperature_celsius == -1.5


def test_the_identity_of_the_fixtures() -> None:
    payload = fixtures.frame("identify reply").payload
    assert replies.nonce(payload) == 0xDEADBEEF
    identity = replies.identity(payload)
    assert identity.digest == "".join(f"{n}" * 8 for n in range(1, 9))
    assert (identity.dimensions, identity.lanes, identity.depth, identity.k) == (8, 4, 32, 4)
    assert (identity.mode, identity.formats, identity.window) == ("tanh", frozenset({0, 1}), 8)
    assert (identity.request_max, identity.reply_max, identity.clock_hz) == (256, 256, 24_000_000)
    assert identity.row_bytes == 4
    assert (identity.design, identity.keep) == ("miner", 0)


@pytest.mark.parametrize(
    ("register", "value", "message"),
    [
        ("magic", 7, r"^the board reports magic = 0x00000007, not 0x444c464e$"),
        ("version", 1, r"^the board reports version = 1, which must be 2 to 2$"),
        ("dimensions", 7, r"dimensions = 7, lanes = 4, window = 8, where dimensions must be even and a multiple"),
        ("lanes", 3, r"dimensions = 8, lanes = 3"),
        ("window", 3, r"window = 3, where .* a power of two"),
        ("depth", 65537, r"^the board reports depth = 65537, which must be 1 to 65536$"),
        ("k", 0, r"k = 0, which must be 1 to 256"),
        ("mode", 2, r"mode = 2, which must be 0 to 1"),
        ("formats", 0, r"formats = 0, which must be 1 to 3"),
        ("design", 2, r"design = 2, which must be 0 to 1"),
        ("design", 1, r"keep = 0, which must be 1 to 8192|k = 4, which must be 0 to 0"),
        ("keep", 1, r"keep = 1, which must be 0 to 0"),
    ],
)
def test_an_identity_that_cannot_be_is_refused(register: str, value: int, message: str) -> None:
    payload = bytearray(fixtures.frame("identify reply").payload)
    struct.pack_into("<I", payload, 4 + 4 * (BY_NAME[register].address - IDENTITY.start), value)
    with pytest.raises(ProtocolError, match=message):
        replies.identity(bytes(payload))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: replies.words(bytes(7), 2), r"has 7 bytes of payload where 8 are expected$"),
        (lambda: replies.found(bytes(3), 1, 1), r"^a QUERY reply has at least 4 bytes, not 3$"),
        (
            lambda: replies.found(b"\0\x01\x02\0" + bytes(12), 1, 3),
            r"^a QUERY reply must hold 1 queries with 3 results, not 1 with 2",
        ),
        (lambda: replies.found(b"\0\x01\x02\0" + bytes(11), 1, 2), r"has 15 bytes of payload where 16 are expected$"),
        (lambda: replies.refusal(b""), r"ERROR has 0 bytes of payload where 8"),
    ],
)
def test_a_wrong_reply_is_refused(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ProtocolError, match=message):
        call()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: requests.identify(-1), r"^nonce must be 0 to 4294967295, not -1$"),
        (lambda: requests.read(65536), r"^address must be 0 to 65535, not 65536$"),
        (lambda: requests.read(0, 0), r"^count must be 1 to 2049, not 0$"),
        (lambda: requests.write(0, []), r"^the number of words must be 1 to 2049, not 0$"),
        (lambda: requests.write(0, [2**32]), r"^word must be 0 to 4294967295, not 4294967296$"),
        (lambda: requests.load(LOAD_FINAL, b"a", final=False), r"^offset must be 0 to 2147483647, not 2147483648$"),
        (lambda: requests.load(0, b"", final=True), r"^the size of a block must be 1 to 8196, not 0$"),
        (lambda: requests.query(2, 1, 1, b"a"), r"^format must be 0 to 1, not 2$"),
        (lambda: requests.query(0, 256, 1, b"a" * 256), r"^count must be 1 to 255, not 256$"),
        (lambda: requests.query(0, 1, 257, b"a"), r"^k must be 1 to 256, not 257$"),
        (lambda: requests.query(0, 2, 1, b"abc"), r"^3 bytes are not 2 queries of one size$"),
    ],
)
def test_a_wrong_request_is_refused(call: Callable[[], object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()


@given(st.lists(WORD, min_size=1, max_size=50))
def test_words_come_back(words: list[int]) -> None:
    payload = requests.write(3, words)
    assert replies.words(payload[4:], len(words)) == tuple(words)


@given(st.integers(0, 255), st.integers(0, 255), WORD)
def test_a_refusal_has_words_for_any_code(code: int, kind: int, detail: int) -> None:
    refusal = replies.refusal(struct.pack("<BBHI", code, kind, 0, detail))
    assert str(refusal).endswith(f"detail {detail}")


#: What the layouts of the contract are made of, for `struct`; bytes and results stand for as many as there are.
_TYPES = {"u8": "B", "u16": "H", "u32": "I", "i32": "i"}
_MANY = {"u8[]": "B", "u32[]": "I", "(u16 id, i32 score)[]": "Hi", "(u16 id, i16 score)[]": "Hh"}


def written(layout: tuple[Field, ...], values: dict[str, Any]) -> bytes:
    """Write a payload as docs/link.md has it, with no help from the codec."""
    data = b""
    for field in layout:
        value = values[field.name]
        if field.type in _TYPES:
            data += struct.pack(f"<{_TYPES[field.type]}", value)
        else:
            each = f"<{_MANY[field.type]}"
            data += b"".join(struct.pack(each, *(one if isinstance(one, tuple) else (one,))) for one in value)
    return data


REQUESTS: dict[Kind, st.SearchStrategy[tuple[bytes, dict[str, Any]]]] = {
    Kind.IDENTIFY: WORD.map(lambda n: (requests.identify(n), {"nonce": n})),
    Kind.READ: st.builds(
        lambda a, n: (requests.read(a, n), {"address": a, "count": n}), st.integers(0, 65535), st.integers(1, 2049)
    ),
    Kind.WRITE: st.builds(
        lambda a, w: (requests.write(a, w), {"address": a, "count": len(w), "words": w}),
        st.integers(0, 65535),
        st.lists(WORD, min_size=1, max_size=20),
    ),
    Kind.LOAD: st.builds(
        lambda at, d, last: (requests.load(at, d, final=last), {"offset": at + 2**31 * last, "data": d}),
        st.integers(0, 2**31 - 1),
        st.binary(min_size=1, max_size=60),
        st.booleans(),
    ),
    Kind.QUERY: st.builds(
        lambda f, n, k, d: (requests.query(f, n, k, d * n), {"format": f, "count": n, "k": k, "data": d * n}),
        st.integers(0, 1),
        st.integers(1, 255),
        st.integers(1, 256),
        st.binary(min_size=1, max_size=30),
    ),
    Kind.CANDIDATES: st.builds(
        lambda f, k, d, m: (
            requests.candidates(f, k, d, m),
            {"format": f, "masked": m > b"", "keep": k, "data": d + m},
        ),
        st.integers(0, 1),
        st.integers(1, CANDIDATES_MAX),
        st.binary(min_size=1, max_size=30),
        st.binary(max_size=9),
    ),
    Kind.FETCH: st.builds(
        lambda t, at, n: (requests.fetch(t, at, n), {"ticket": t, "offset": at, "count": n, "zero": 0}),
        st.integers(1, 65535),
        st.integers(0, CANDIDATES_MAX),
        st.integers(0, CANDIDATES_MAX),
    ),
    Kind.STATISTICS: st.just((b"", {})),
    Kind.RESET: st.just((b"", {})),
}


@pytest.mark.parametrize("kind", REQUESTS)
@QUICK
@given(st.data())
def test_any_request_comes_back_as_the_contract_has_it(kind: Kind, data: st.DataObject) -> None:
    payload, values = data.draw(REQUESTS[kind])
    frame = Frame(kind, data.draw(BYTE), data.draw(BYTE), data.draw(BYTE), payload)
    assert Decoder().feed(encode(frame)) == [frame]
    assert written(LAYOUTS[kind].request, values) == payload


RESULT = st.tuples(st.integers(0, 65535), st.integers(-(2**31), 2**31 - 1))


@QUICK
@given(st.integers(1, 6), st.integers(0, 6), st.data())
def test_any_results_come_back(count: int, results: int, data: st.DataObject) -> None:
    table = data.draw(st.lists(RESULT, min_size=count * results, max_size=count * results))
    values = {"zero": 0, "count": count, "results": results, "found": table}
    payload = written(LAYOUTS[Kind.QUERY].reply, values)
    found = replies.found(payload, count, results)
    assert list(zip(found.ids.reshape(-1).tolist(), found.scores.reshape(-1).tolist(), strict=True)) == table
    assert found.ids.shape == found.scores.shape == (count, results)
    for asked in ((count + 1, results), (count, results + 1)):
        with pytest.raises(ProtocolError):
            replies.found(payload, *asked)


CANDIDATE = st.tuples(st.integers(0, 65535), st.integers(-(2**15), 2**15 - 1))


@QUICK
@given(st.integers(1, 65535), st.integers(0, 65535), st.lists(CANDIDATE, max_size=9))
def test_any_tickets_and_candidates_come_back(ticket: int, total: int, table: list[tuple[int, int]]) -> None:
    assert replies.ticket(written(LAYOUTS[Kind.CANDIDATES].reply, {"ticket": ticket, "zero": 0})) == ticket
    for wrong in ((0, 0), (ticket, 1)):
        with pytest.raises(ProtocolError, match="must hold a ticket from 1 and 0"):
            replies.ticket(struct.pack("<HH", *wrong))
    payload = written(LAYOUTS[Kind.FETCH].reply, {"total": total, "count": len(table), "found": table})
    found = replies.candidates(payload, total, len(table))
    assert list(zip(found.ids[0].tolist(), found.scores[0].tolist(), strict=True)) == table
    for asked in ((total + 1, len(table)), (total, len(table) + 1)):
        with pytest.raises(ProtocolError, match="FETCH"):
            replies.candidates(payload, *asked)


@QUICK
@given(WORD, WORD, WORD, WORD, st.lists(WORD, min_size=9, max_size=9))
def test_any_counters_and_refusals_come_back(code: int, kind: int, detail: int, after: int, counts: list[int]) -> None:
    words = dict(zip(STATISTICS, counts, strict=True))
    said = replies.statistics(written(LAYOUTS[Kind.STATISTICS].reply, {"words": counts}))

    def word(name: str) -> int:
        return words[BY_NAME[name].address]

    assert (said.queries, said.stalls, said.crc_errors, said.dropped) == tuple(
        word(name) for name in ("queries", "stalls", "crc_errors", "dropped")
    )
    assert said.cycles == word("cycles_low") + 2**32 * word("cycles_high")
    assert said.accepted == word("accepted_low") + 2**32 * word("accepted_high")
    signed = word("temperature") - 2**32 * (word("temperature") >= 2**31)
    assert said.temperature_celsius == (None if word("temperature") == NO_TEMPERATURE else signed / 1000)
    values = {"code": code % 256, "kind": kind % 256, "zero": 0, "detail": detail}
    refusal = replies.refusal(written(ERROR_PAYLOAD, values))
    assert (refusal.code, refusal.kind, refusal.detail) == (code % 256, kind % 256, detail)
    assert replies.load(written(LAYOUTS[Kind.LOAD].reply, {"next": after})) == after


@st.composite
def identities(draw: st.DrawFn) -> dict[str, Any]:
    """Draw the words of a board that can be."""
    lanes, ratio, signs = draw(st.integers(1, 64)), 2 * draw(st.integers(1, 16)), draw(st.booleans())
    several_rows = signs and draw(st.booleans())
    return {
        **{name: BY_NAME[name].reset for name in ("magic", "version")},
        "digest": draw(st.binary(min_size=32, max_size=32)),
        "dimensions": 2 * lanes if several_rows else lanes * ratio,
        "lanes": lanes * ratio if several_rows else lanes,
        "depth": draw(st.integers(1, 65536)),
        "k": 0 if signs else draw(st.integers(1, 256)),
        "mode": draw(st.sampled_from(sorted(MODE_CODES.values()))),
        "formats": draw(st.integers(1, 3)),
        "window": 2 ** draw(st.integers(0, 7)),
        "limits": draw(st.integers(8, 65535)) + 65536 * draw(st.integers(88, 65535)),
        "clock_hz": draw(st.integers(1, 2**32 - 1)),
        "design": int(signs),
        "keep": draw(st.integers(1, CANDIDATES_MAX)) if signs else 0,
    }


def identify_reply(values: dict[str, Any]) -> bytes:
    words = [0] * len(IDENTITY)
    for name, value in values.items():
        parts = struct.unpack("<8I", value) if name == "digest" else (value,)
        at = BY_NAME[name].address - IDENTITY.start
        words[at : at + len(parts)] = parts
    return written(LAYOUTS[Kind.IDENTIFY].reply, {"nonce": 7, "words": words})


@QUICK
@given(identities())
def test_any_identity_comes_back(values: dict[str, Any]) -> None:
    said = replies.identity(identify_reply(values))
    assert said.digest == values["digest"].hex()
    for name in ("dimensions", "lanes", "depth", "k", "window", "clock_hz", "keep"):
        assert getattr(said, name) == values[name]
    assert MODE_CODES[said.mode] == values["mode"]
    assert DESIGN_CODES[said.design] == values["design"]
    assert sum(1 << form for form in said.formats) == values["formats"]
    # No frame carries more than the contract allows, however large a board's buffers are.
    assert said.request_max == min(values["limits"] % 65536, PAYLOAD_MAX)
    assert said.reply_max == min(values["limits"] // 65536, PAYLOAD_MAX)


@QUICK
@given(identities(), st.integers(0, 7), st.integers(0, 87), st.booleans())
def test_a_board_that_could_not_even_be_written_to_is_refused(
    values: dict[str, Any], request: int, reply: int, there: bool
) -> None:
    limits = values["limits"]
    values["limits"] = limits // 65536 * 65536 + request if there else limits % 65536 + 65536 * reply
    with pytest.raises(ProtocolError, match=r"^the board reports limits = 0x[0-9a-f]{8}: .* must be at least (8|88)$"):
        replies.identity(identify_reply(values))


def test_the_limits_of_the_catalogue_can_be() -> None:
    for configuration in CONFIGURATIONS.values():
        miner = configuration.miner
        assert 8 <= miner.request_limit <= 65535
        assert 88 <= miner.reply_limit <= 65535
