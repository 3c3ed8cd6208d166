"""The backend ``board`` on boards that scan signs: every case of the conformance suite, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ninefold.drivers import plugged
from ninefold.drivers.transports import usb
from ninefold.host import Scheduler
from ninefold.host.backends.board import BoardDevice, Boards
from ninefold.numerics.nits import pack
from ninefold.sim import golden
from ninefold.sim.conformance import difference
from ninefold.spec.data import Database
from ninefold.spec.errors import LostDeviceError, UnsupportedError
from ninefold.spec.operators import OPERATORS
from ninefold.spec.protocols import Found
from ninefold.spec.residents import load_and_run
from ninefold.spec.signature import Call
from tests.conformance.cases import calls_of
from tests.conformance.judge import expected
from tests.drivers.board_model import DIGEST, BoardModel
from tests.host.test_board_backend import KNOWN, database, listening, opened, queries

MINE, CANDIDATES = OPERATORS["mine"], OPERATORS["candidates"]


def signs(**settings: Any) -> BoardModel:
    return BoardModel(**{"design": "signs", "k": 0, "keep": 60, "lanes": 64, **settings})


def check(device: BoardDevice, call: Call) -> Any:
    answer = load_and_run(device, call)
    assert difference(call, answer.values, golden.answer(call)) == ""
    return answer


def runs_there(call: Call) -> bool:
    return call.options.get("scan", "signs") == "signs" and call.options["macro"] is None


@pytest.mark.parametrize("operator", ["candidates", "mine"])
def test_every_case_that_scans_signs(operator: str) -> None:
    """Databases of several parts; the others are refused with the reason."""
    model = signs(dimensions=1024, depth=120, keep=2048, request_max=3000, reply_max=2000)
    wrong, refused = {}, 0
    with listening(model, 1) as url, opened(f"{url}{KNOWN}") as device:
        for name, call in calls_of(operator).items():
            if runs_there(call):
                wrong[name] = difference(call, load_and_run(device, call).values, expected(operator, name))
                continue
            refused += 1
            with pytest.raises(UnsupportedError, match=r"keeps only the signs of nits|scans all rows of its store"):
                load_and_run(device, call)
    assert {name: text for name, text in wrong.items() if text} == {}
    assert len(wrong) > 6
    assert refused > 5


def test_parts_are_cut_once_and_scored_by_nits_afterwards() -> None:
    """A part's own best rows by nits may lose by signs against rows of another part."""
    nits = np.full((96, 32), 1, np.int8)
    nits[:64, 16:] = -1  # by signs, the second part is better
    nits[:64, :16] = 4  # by nits, the first one
    data = Database({"nits": pack(nits)}, {"rows": 96, "dimensions": 32, "scale": 1.0, "mode": "linear"})
    call = MINE.bind(
        {"q": np.full((1, 32), 2, np.float32), "database": data}, {"k": 4, "scan": "signs", "oversample": 2}
    )
    with listening(signs(), 1) as url, opened(f"{url}{KNOWN}") as device:
        answer = check(device, call)
    assert answer.values["ids"].tolist() == [[64, 65, 66, 67]]
    assert answer.path == f"{DIGEST.hex()[:16]}, queries quantised on the host, candidates scored by nits on the host"


def test_masks_over_parts_and_empty_parts() -> None:
    rng, data, model = np.random.default_rng(3), database(150), signs()
    with listening(model, 1) as url, opened(f"{url}{KNOWN}") as device:
        device.load(data)
        for rows in (range(0), range(3), range(60, 70), range(140, 150), range(150)):
            bits = np.zeros(150, np.uint8)
            bits[list(rows)] = rng.random(len(rows)) < 0.7
            loads = model.loads
            given = {"q": queries(3), "database": data, "allowed": np.packbits(bits, bitorder="little")}
            check(device, CANDIDATES.bind(given, {"keep": 20}))
            check(device, MINE.bind(given, {"k": 3, "scan": "signs", "oversample": 5}))
            if not bits.any():
                assert model.loads == loads


@pytest.mark.parametrize(("request_max", "how"), [(75, ", queries quantised on the host"), (76, "")])
def test_a_simulated_board_quantises_if_grid_values_and_the_mask_fit(request_max: int, how: str) -> None:
    """32 grid values and the mask of 64 rows take 76 bytes."""
    data, allowed = database(150), np.full(19, 0x2A, np.uint8)
    call = CANDIDATES.bind({"q": queries(3), "database": data, "allowed": allowed}, {"keep": 20})
    with listening(signs(request_max=request_max), 1) as url, opened(f"{url}{KNOWN}") as device:
        device.simulated = True
        answer = check(device, call)
    assert answer.path.endswith(f" in Verilator{how}")


@pytest.mark.parametrize(
    ("model", "operator", "options", "message"),
    [
        (
            signs,
            "mine",
            {"k": 2},
            r"\(0001020304050607\) keeps only the signs of nits: it scans signs, not nits$",
        ),
        (
            signs,
            "mine",
            {"k": 2, "scan": "signs"},
            r"keeps at most 60 candidates per query, not 64 \(k \* oversample, times rerank\)$",
        ),
        (signs, "candidates", {"keep": 61}, r"keeps at most 60 candidates per query, not 61 \(keep\)$"),
        (
            BoardModel,
            "mine",
            {"k": 2, "scan": "signs"},
            r"\(0001020304050607\) is a miner, which scores all rows by nits, without scan$",
        ),
        (
            BoardModel,
            "candidates",
            {"keep": 2},
            r"\(0001020304050607\) is a miner, which scores all rows by nits, not by signs$",
        ),
    ],
)
def test_a_board_of_another_design_and_too_many_candidates_are_refused(
    model: Any, operator: str, options: dict[str, Any], message: str
) -> None:
    call = OPERATORS[operator].bind({"q": queries(1), "database": database(40)}, options)
    with (
        listening(model(), 1) as url,
        opened(f"{url}{KNOWN}") as device,
        pytest.raises(UnsupportedError, match=message),
    ):
        load_and_run(device, call)


def test_more_dimensions_than_the_board_has() -> None:
    call = CANDIDATES.bind({"q": queries(1, 33), "database": database(40, 33)}, {"keep": 2})
    refused = pytest.raises(UnsupportedError, match=r"^33 dimensions, where the board has 32$")
    with listening(signs(), 1) as url, opened(f"{url}{KNOWN}") as device, refused:
        load_and_run(device, call)


def test_nothing_to_find() -> None:
    with listening(signs(), 1) as url, opened(f"{url}{KNOWN}") as device:
        for data, q in ((database(5), queries(0)), (database(0), queries(2))):
            check(device, CANDIDATES.bind({"q": q, "database": data}, {"keep": 3}))


def test_a_board_that_errs_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    right = BoardModel._fetch

    def wrong(self: BoardModel, payload: bytes) -> bytes:
        answer = right(self, payload)
        return answer[:-1] + bytes([answer[-1] ^ 1])

    monkeypatch.setattr(BoardModel, "_fetch", wrong)
    refused = pytest.raises(LostDeviceError, match="fails its known-answer test: query 0 has score")
    with listening(signs(), 1) as url, opened(f"{url}{KNOWN}") as device, refused:
        device.load(database(40))


@pytest.mark.parametrize(
    ("model", "rated", "described"),
    [
        (signs, {"mine": 9, "candidates": 9}, "64 rows of 32 signs, keep up to 60, 64 lanes"),
        (BoardModel, {"mine": 9}, "64 rows of 32 nits, k up to 16, 2 lanes"),
    ],
)
def test_only_boards_that_scan_signs_are_rated_for_candidates(
    model: Any, rated: dict[str, int], described: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.drivers.conftest import served

    ports = served(model())
    port = usb.Port(usb.BOARDS[0], next(ports), "IB1")
    monkeypatch.setattr(usb, "ports", lambda: [port])
    monkeypatch.setattr("ninefold.drivers.transports.serial_port.ports", lambda: [port])
    monkeypatch.setattr(plugged, "identities", lambda: {DIGEST.hex(): "icebreaker/model"})
    entry = Boards().probe()[0]
    assert isinstance(entry, Found)
    assert entry.ratings == rated
    assert described in entry.description
    with Scheduler(costs=None) as scheduler:
        data = database(40)
        by_signs = scheduler.run("mine", queries(2), data, k=3, scan="signs", oversample=4)
        by_nits = scheduler.run("mine", queries(2), data, k=3)
        scan = scheduler.run("candidates", queries(2), data, keep=3)
    there = model is signs
    assert (by_signs.answered_by == "board:IB1") is there
    assert (by_nits.answered_by == "board:IB1") is not there
    assert (scan.answered_by == "board:IB1") is there
    next(ports, None)
