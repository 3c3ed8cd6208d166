import struct
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ninefold.drivers.protocol import ProtocolError, replies, requests
from ninefold.spec.errors import InputError
from ninefold.spec.link import LOAD_FINAL
from ninefold.spec.registers import BY_NAME, IDENTITY
from tests.drivers import fixtures

WORD = st.integers(0, 2**32 - 1)


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


@pytest.mark.parametrize(
    ("register", "value", "message"),
    [
        ("magic", 7, r"^the board says magic = 0x00000007, not 0x444c464e$"),
        ("version", 2, r"^the board says version = 2, which must be 1 to 1$"),
        ("dimensions", 7, r"dimensions = 7, lanes = 4, window = 8, where dimensions must be even and a multiple"),
        ("lanes", 3, r"dimensions = 8, lanes = 3"),
        ("window", 3, r"window = 3, where .* a power of two"),
        ("depth", 65537, r"^the board says depth = 65537, which must be 1 to 65536$"),
        ("k", 0, r"k = 0, which must be 1 to 256"),
        ("mode", 2, r"mode = 2, which must be 0 to 1"),
        ("formats", 0, r"formats = 0, which must be 1 to 3"),
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
        (lambda: replies.found(b"\0\x01\x02\0" + bytes(12), 1, 3), r"^asked 1 queries for 3 results, .* of 1 with 2"),
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
