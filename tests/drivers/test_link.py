import itertools
import random
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from ninefold.drivers.link import BoardResetError, Link, RefusedError, Request
from ninefold.drivers.loading import load, read_register
from ninefold.drivers.protocol import QueryReply, encode, replies, requests
from ninefold.spec.errors import InputError, LostDeviceError
from ninefold.spec.link import FORMAT_PACKED, Fault, Frame, Kind
from ninefold.spec.registers import BY_NAME
from tests.drivers import fixtures
from tests.drivers.board_model import BoardModel, Clock, ModelTransport
from tests.drivers.faults import Faults

QUERIES = 10_000
EPOCH = BY_NAME["epoch"].address
RNG = np.random.default_rng(4)
STORE = RNG.integers(0, 9, (64, 16), np.uint8)  # nibbles 0 to 4 and 12 to 15 are nits
PACKED = np.array([0, 1, 2, 3, 4, 12, 13, 14, 15], np.uint8)
ROWS = PACKED[STORE] | PACKED[RNG.integers(0, 9, (64, 16))] << 4
ASKED = PACKED[RNG.integers(0, 9, (QUERIES, 16))] | PACKED[RNG.integers(0, 9, (QUERIES, 16))] << 4


def nits(packed: np.ndarray) -> np.ndarray:
    values = np.stack([packed & 15, packed >> 4], axis=-1).reshape(len(packed), -1).astype(np.int32)
    return np.where(values > 7, values - 16, values)


SCORES = nits(ASKED) @ nits(ROWS).T
BEST = np.argsort(-SCORES, axis=1, kind="stable")[:, :4]


def linked(
    board: BoardModel | None = None,
    there: Callable[[bytes], bytes] = bytes,
    back: Callable[[bytes], bytes] = bytes,
    event: Callable[[BoardModel], None] = lambda _b: None,
    tries: int = 12,
) -> tuple[Link, BoardModel, Clock]:
    clock, board = Clock(), board or BoardModel()
    link = Link(ModelTransport(board, clock, there, back, event), timeout_s=0.1, tries=tries, clock=clock)
    link.window = board.window
    return link, board, clock


def identify(link: Link) -> None:
    assert link.ask(Request(Kind.IDENTIFY, requests.identify(9), replies.nonce)) == 9


def fill(link: Link, rows: np.ndarray = ROWS, epoch: int = 1) -> None:
    load(link, rows.tobytes(), 16, 200, epoch)


def queries(count: int, each: int = 8) -> Iterator[Request[QueryReply]]:
    for first in range(0, count, each):
        data = ASKED[first : first + each].tobytes()
        payload = requests.query(FORMAT_PACKED, each, 4, data)
        yield Request(Kind.QUERY, payload, lambda p: replies.found(p, each, 4))


def check(answers: list[QueryReply], count: int) -> None:
    """Nothing lost, nothing wrong, everything in order."""
    ids = np.concatenate([a.ids for a in answers])
    assert np.array_equal(ids, BEST[:count])
    scores = np.concatenate([a.scores for a in answers])
    assert np.array_equal(scores, np.take_along_axis(SCORES, BEST, axis=1)[:count])


def test_a_clean_link_repeats_nothing_and_fills_its_window() -> None:
    deepest = 0

    def back(data: bytes) -> bytes:
        # Replies come when the reader waits, so that requests pile up as far as they may.
        nonlocal held, deepest
        held += data
        if data:
            deepest = max(deepest, held.count(0))
            return b""
        out, held = held, b""
        return out

    held = b""
    link, board, _ = linked()
    identify(link)
    fill(link)
    check(list(link.exchange(queries(400))), 400)
    assert (link.statistics.repeats, link.statistics.damaged, link.statistics.late) == (0, 0, 0)
    assert link.statistics.requests == link.statistics.replies == board.executed
    link, board, _ = linked(back=back)
    identify(link)
    fill(link)
    check(list(link.exchange(queries(400))), 400)
    assert deepest == board.window


FAULTS = {
    "flips": {"flip": 1e-4},
    "drops": {"drop": 1e-4},
    "repeats": {"repeat": 1e-4},
    "delays": {"delay": 0.05},
    "cuts": {"cut": 0.02},
    "garbage": {"garbage": 0.05},
    "all": {"flip": 1e-4, "drop": 5e-5, "repeat": 5e-5, "delay": 0.01, "cut": 0.005, "garbage": 0.01},
}


@pytest.mark.parametrize("name", FAULTS)
def test_ten_thousand_queries_none_lost_none_wrong(name: str) -> None:
    seed = 1000 + list(FAULTS).index(name)
    there, back = (Faults(random.Random(seed + side), **FAULTS[name]) for side in (0, 100))
    link, _board, _ = linked(there=there, back=back)
    identify(link)
    fill(link)
    happened = link.statistics
    given_up = happened.requests - happened.replies  # blocks of the load that came before one that was lost
    check(list(link.exchange(queries(QUERIES))), QUERIES)
    assert happened.requests - happened.replies == given_up
    assert happened.repeats + happened.late + happened.damaged > 0, "no fault happened"


def test_a_request_is_not_carried_out_twice() -> None:
    lost = itertools.count()
    link, board, _ = linked(back=lambda data: b"" if data and next(lost) % 3 == 0 else data)
    identify(link)
    link.ask(Request(Kind.WRITE, requests.write(EPOCH, [5]), replies.nothing))
    before = board.executed
    for _ in range(20):
        link.ask(Request(Kind.STATISTICS, b"", replies.statistics))
    assert link.statistics.repeats >= 6
    assert board.executed == before + 20


def test_a_hung_board_is_reported_in_bounded_time() -> None:
    writes = itertools.count()

    def hang(board: BoardModel) -> None:
        board.hung = next(writes) > 50

    link, _board, clock = linked(event=hang, tries=5)
    identify(link)
    fill(link)
    answers: list[QueryReply] = []
    hung_from = 0.0

    def ask() -> None:
        nonlocal hung_from
        for answer in link.exchange(queries(QUERIES)):
            answers.append(answer)
            hung_from = clock.now

    with pytest.raises(
        LostDeviceError, match=r"^the link is dead: QUERY was sent 5 times within [0-9.]+ s without an answer"
    ):
        ask()
    check(answers, 8 * len(answers))
    assert clock.now - hung_from < 5 * 0.1 + 0.1


def test_a_hang_that_passes_costs_only_time() -> None:
    writes = itertools.count()

    def hang(board: BoardModel) -> None:
        board.hung = 50 < next(writes) < 70

    link, _board, _ = linked(event=hang)
    identify(link)
    fill(link)
    check(list(link.exchange(queries(400))), 400)
    assert link.statistics.timeouts >= 1


class SlowTransport(ModelTransport):
    """The board takes 60 ms for a query, and no time for anything else."""

    until = 0.0

    def write(self, data: bytes, timeout_s: float) -> None:
        super().write(data, timeout_s)
        if data[1:2] == bytes([Kind.QUERY]):  # behind the first code of the frame
            self.until = max(self.until, self._clock.now) + 0.06

    def read(self, size: int, timeout_s: float) -> bytes:
        waits = min(timeout_s, self.until - self._clock.now)
        if waits > 0:
            self._clock.now += waits
            return b""
        return super().read(size, timeout_s)


def test_quick_replies_do_not_make_slow_requests_look_lost() -> None:
    clock, board = Clock(), BoardModel()
    link = Link(SlowTransport(board, clock), timeout_s=0.1, clock=clock)
    identify(link)
    fill(link)
    status = Request(Kind.STATISTICS, b"", replies.statistics)
    for first in range(0, 80, 8):
        link.ask(status)
        (query,) = itertools.islice(queries(80), first // 8, first // 8 + 1)
        link.ask(query)
    assert link.statistics.repeats == 0
    assert clock.now > 10 * 0.06


@pytest.mark.parametrize("reloaded", [False, True])
def test_a_reset_in_mid_run_passes_nothing_wrong(reloaded: bool) -> None:
    writes = itertools.count()

    def reset(board: BoardModel) -> None:
        if next(writes) == 60:
            board.reset()
            if reloaded:  # by someone else, with other data
                board.loaded, board.rows, board.epoch = ROWS[::-1].tobytes(), 64, 9

    link, board, _ = linked(event=reset)
    identify(link)
    fill(link)
    answers = []
    with pytest.raises(BoardResetError, match=r"^the board answers from epoch [09] instead of 1"):
        answers += link.exchange(queries(400))
    # A repaired link continues where it stopped.
    fill(link, epoch=2)
    check(list(link.exchange(queries(400))), 400)
    assert board.epoch == 2


def test_garbage_without_end_is_a_dead_link() -> None:
    noise = random.Random(8)
    link, _board, clock = linked(back=lambda _: noise.randbytes(5000), tries=4)
    with pytest.raises(LostDeviceError, match=r"^the link is dead: IDENTIFY was sent 4 times"):
        identify(link)
    assert clock.now < 0.6
    assert link.statistics.damaged > 4


def test_replies_of_another_conversation_are_discarded() -> None:
    stale = [Frame(0x85, 1, 0, 3, b""), Frame(0x82, 200, 0, 1, bytes(4)), Frame(0x81, 0, 0, 0, bytes(4))]
    before = b"".join(encode(f) for f in stale)
    first = itertools.count()
    link, _board, _ = linked(back=lambda data: before + data if next(first) == 1 else data)
    identify(link)
    fill(link)
    check(list(link.exchange(queries(40))), 40)
    assert (link.statistics.late, link.statistics.wrong) == (2, 1)


def test_a_reply_of_an_earlier_epoch_is_discarded() -> None:
    link, _board, _ = linked()
    identify(link)
    fill(link)
    old = list(link.exchange(queries(8)))
    sequence = link.statistics.requests % 256
    stale = encode(Frame(0x85, sequence, 0, 7, bytes([0, 8, 4, 0]) + bytes(192)))
    transport = link._transport
    assert isinstance(transport, ModelTransport)
    transport._ready += stale
    check([*old, *link.exchange(itertools.islice(queries(16), 1, 2))], 16)
    assert link.statistics.foreign == 1


def test_an_answer_that_never_fits_is_named() -> None:
    link, _board, _ = linked(tries=3)
    identify(link)
    with pytest.raises(LostDeviceError, match=r"READ was sent 3 times .*; last: a reply to READ or STATISTICS has"):
        link.ask(Request(Kind.READ, requests.read(EPOCH), lambda p: replies.words(p, 2)))


def test_a_refusal_is_passed_on_and_the_link_goes_on() -> None:
    link, _board, _ = linked()
    identify(link)
    with pytest.raises(RefusedError, match=r"^QUERY refused: EMPTY, detail 0$") as caught:
        list(link.exchange(queries(400)))
    assert caught.value.refusal.code == Fault.EMPTY
    fill(link)
    check(list(link.exchange(queries(400))), 400)


def test_an_exchange_that_is_left_does_not_disturb_the_next() -> None:
    link, _board, _ = linked()
    identify(link)
    fill(link)
    for _ in range(100):
        next(link.exchange(queries(400)))
    check(list(link.exchange(queries(400))), 400)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"timeout_s": 0}, r"^timeout_s must be finite and greater than 0, not 0$"),
        ({"tries": 0}, r"^tries must be 1 or more, not 0$"),
    ],
)
def test_bad_settings_are_refused(arguments: dict[str, int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Link(ModelTransport(BoardModel(), Clock()), **arguments)
    link, _board, _ = linked()
    with pytest.raises(InputError, match=r"^window must be 1 to 128, not 129$"):
        link.window = 129
    with pytest.raises(InputError, match=r"^epoch must be 0 to 255, not 256$"):
        link.epoch = 256


def test_replies_to_another_host_use_up_no_tries() -> None:
    """A host that waited for its turn repeated its request until it gave up, and the next one gets the replies."""
    other = BoardModel(dimensions=16)
    request = Frame(Kind.READ, 0, 0, 0, requests.read(0, 2))
    link, board, clock = linked(tries=2)
    link._transport._ready += other.receive(encode(request)) * 12  # type: ignore[attr-defined]
    assert read_register(link, "rows") == (board.word(BY_NAME["rows"].address),)
    assert (link.statistics.wrong, link.statistics.repeats, clock.now < 0.1) == (12, 0, True)


def test_hosts_with_the_same_sequence_numbers_get_their_own_answers() -> None:
    board = BoardModel()
    one, other = linked(board)[0], linked(board)[0]
    for number in range(20):
        for link, name in ((one, "rows"), (other, "dimensions")):
            assert read_register(link, name) == (board.word(BY_NAME[name].address),), number


@pytest.mark.parametrize("name", ["identify", "read rows", "statistics", "reset", "load first", "query packed"])
def test_the_model_answers_requests_of_the_fixtures(name: str) -> None:
    answer = BoardModel(dimensions=8).receive(fixtures.encoded(name))
    assert answer.count(0) == 1
