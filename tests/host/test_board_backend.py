"""The backend ``board`` against simulated boards in this process, in another one, and a model behind a port."""

from __future__ import annotations

import os
import pty
import signal
import socket
import subprocess
import sys
import threading
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from ninefold.drivers import boards, plugged
from ninefold.drivers.boards import open_board
from ninefold.drivers.transports import usb
from ninefold.host import Scheduler
from ninefold.host.backends.board import BoardDevice, Boards
from ninefold.numerics.nits import pack
from ninefold.sim import golden
from ninefold.sim.board import catalogue
from ninefold.spec.data import Database
from ninefold.spec.errors import DeviceError, InputError, LostDeviceError, UnavailableError, UnsupportedError
from ninefold.spec.operators import OPERATORS
from ninefold.spec.protocols import HOST, Found, Missing
from ninefold.spec.residents import load_and_run
from ninefold.spec.signature import Call
from tests.drivers.board_model import DIGEST, BoardModel, serve

RNG = np.random.default_rng(46)
MINE = OPERATORS["mine"]
#: What the model behind a port is opened as: no manifest describes it.
KNOWN = f"#{DIGEST.hex()}"


def database(rows: int, dimensions: int = 32, mode: str = "linear", low: int = -4) -> Database:
    nits = RNG.integers(low, 5, (rows, dimensions)).astype(np.int8)
    return Database({"nits": pack(nits)}, {"rows": rows, "dimensions": dimensions, "scale": 0.7, "mode": mode})


def queries(count: int, dimensions: int = 32) -> Any:
    return RNG.normal(0, 2, (count, dimensions)).astype(np.float32)


def asked(data: Database, q: Any, k: int = 5) -> Call:
    return MINE.bind({"q": q, "database": data}, {"k": k})


def check(device: BoardDevice, call: Call) -> Any:
    answer, wanted = load_and_run(device, call), golden.answer(call)
    for name, values in wanted.items():
        assert np.array_equal(answer.values[name], values), name
    return answer


@contextmanager
def opened(instance: str) -> Iterator[BoardDevice]:
    device = Boards().open(instance)
    try:
        yield device
    finally:
        device.close()


@contextmanager
def served(port: int = 0, *options: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Serve virtual/tiny in a process of its own; gives its URL and the process."""
    code = "from ninefold.host.cli import main; main()"
    command = [sys.executable, "-c", code, "board", "serve", "virtual/tiny", "--tcp", str(port), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip(), process
        finally:
            process.kill()


@contextmanager
def listening(model: BoardModel, clients: int) -> Iterator[str]:
    """Let several clients talk to one board at a time, as over a hub."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def talk(connection: socket.socket) -> None:
            with connection:
                serve(connection.fileno(), model)

        def answer() -> None:
            for _ in range(clients):
                threading.Thread(target=talk, args=(server.accept()[0],), daemon=True).start()

        threading.Thread(target=answer, daemon=True).start()
        yield f"tcp://127.0.0.1:{server.getsockname()[1]}"


def err(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the model give every query's last score wrong."""
    right = BoardModel._query

    def wrong(self: BoardModel, epoch: int, payload: bytes) -> bytes:
        answer = right(self, epoch, payload)
        return answer[:-1] + bytes([answer[-1] ^ 1])

    monkeypatch.setattr(BoardModel, "_query", wrong)


class TestSimulated:
    @pytest.mark.parametrize("mode", ["tanh", "linear"])
    def test_databases_of_any_size(self, mode: str) -> None:
        with opened("virtual/tiny") as device:
            assert device.name == "board:virtual/tiny"
            for rows, dimensions in ((1, 32), (64, 31), (65, 7), (200, 32)):
                data = database(rows, dimensions, mode, low=3)  # many ties
                for k in (1, 8):
                    answer = check(device, asked(data, queries(9, dimensions), k))
                    assert answer.path == "virtual/tiny in Verilator"
                    assert answer.metrics["cycles"] >= 9 * rows * 4
                    assert answer.metrics["link_bytes_out"] > 9 * 64 * -(-rows // 64)

    def test_two_databases_in_turn(self) -> None:
        with opened("virtual/tiny") as device:
            both = database(40, mode="tanh"), database(64, mode="linear")
            for data in (*both, *both):
                device.load(data)
                loaded = check(device, asked(data, queries(3))).metrics["link_bytes_out"]
                assert loaded < 700  # it is there: no byte of it went again
            device.load(both[0])
            again = device.run(asked(both[1], queries(3)))  # loaded, but the store holds the other one
            assert again.metrics["link_bytes_out"] > 1024
            device.unload(both[1].digest)
            with pytest.raises(DeviceError, match=r"^database \w{12} is not loaded on board:virtual/tiny$"):
                device.run(asked(both[1], queries(3)))

    def test_nothing_to_find(self) -> None:
        with opened("virtual/tiny") as device:
            check(device, asked(database(5), queries(0)))
            check(device, asked(database(0), queries(2)))

    @pytest.mark.parametrize(
        ("data", "k", "message"),
        [
            (database(40), 9, "board:virtual/tiny returns at most 8 results per query, not 9"),
            (database(40, 33), 5, "33 dimensions, where the board has 32"),
        ],
    )
    def test_what_does_not_fit_is_refused_with_both_numbers(self, data: Database, k: int, message: str) -> None:
        with opened("virtual/tiny") as device, pytest.raises(UnsupportedError, match=message):
            load_and_run(device, asked(data, queries(1, int(data.attributes["dimensions"])), k))

    def test_rerank_counts_as_results(self) -> None:
        data = database(40)
        data = Database({**data.arrays, "vectors": RNG.normal(0, 1, (40, 32)).astype(np.float16)}, data.attributes)
        with Scheduler(costs=None) as s:
            with pytest.raises(UnsupportedError, match="at most 8 results per query, not 12"):
                s.run("mine", queries(1), data, k=3, rerank=4, device="board:virtual/tiny", strict=True)
            result = s.run("mine", queries(1), data, k=3, rerank=4, device="board:virtual/tiny")
        assert result.answered_by == "cpu"
        assert "not 12 (k, times rerank)" in result.fallbacks[0]

    def test_a_bad_link_and_a_reset_change_nothing(self) -> None:
        with opened("sim://virtual/tiny?flip=1e-4&reset=9000&seed=2") as device:
            metrics = check(device, asked(database(64), queries(300))).metrics
        assert metrics["link_repeats"] > 0
        assert metrics["reloads"] == 1

    def test_another_identity_is_not_used_and_the_scheduler_says_why(self) -> None:
        device, data = "board:sim://virtual/tiny?identity=wrong", database(40)
        with Scheduler(costs=None) as s:
            for _ in range(2):
                result = s.run("mine", queries(2), data, device=device)
                assert result.answered_by == "cpu"
                assert "holds the bitstream" in result.fallbacks[0]
                assert "which no manifest describes" in result.fallbacks[0]
            assert result.fallbacks[0].startswith(f"{device} is out of use for another 30 s: ")
        with pytest.raises(LostDeviceError, match="where 0000000000000000 is expected"):
            Boards().open(f"sim://virtual/tiny#{'00' * 32}").load(data)

    def test_what_is_no_board_is_the_callers_fault(self) -> None:
        with pytest.raises(InputError, match=r"configuration must be one of .*, not 'virtual/big'"):
            Boards().open("sim://virtual/big").load(database(3))
        with pytest.raises(InputError, match="must begin with"):
            Boards().open("http://board")
        with pytest.raises(UnavailableError, match="no board 'D00123' is plugged in"):
            Boards().open("D00123")
        for use in (Boards().open, Boards().resolve):
            with pytest.raises(InputError, match=r"\(virtual/demo, virtual/tiny, .*not 'virtual/nosuch'; did you mean"):
                use("virtual/nosuch")


@pytest.mark.parametrize("rows", [10, 16, 150])
def test_a_miner_takes_masks(rows: int) -> None:
    """Its 16 best rows are widened candidates; queries with too few allowed ones are scored on the host."""
    rng = np.random.default_rng(rows)
    nits, q = rng.integers(2, 5, (rows, 32)).astype(np.int8), rng.normal(0, 2, (20, 32)).astype(np.float32)
    data = Database({"nits": pack(nits)}, {"rows": rows, "dimensions": 32, "scale": 0.7, "mode": "linear"})
    on_host = set()
    with listening(BoardModel(), 1) as url, opened(f"{url}{KNOWN}") as device:
        for share in (0, 0.02, 0.3, 0.6, 0.95, 1):
            allowed = np.packbits(rng.random(rows) < share, bitorder="little")
            for k in (1, 6, 16):
                call = MINE.bind({"q": q, "database": data, "allowed": allowed}, {"k": k})
                path = check(device, call).path
                on_host.add(path.partition(", queries quantised on the host, ")[2])
    end = "queries scored on the host: of 16 rows too few were allowed"
    few = {int(text.split()[0]) for text in on_host if text.endswith(end)}
    assert len(few) + 1 == len(on_host)
    assert (max(few, default=0) == 20) is (rows > 16)
    assert (min(few, default=20) < 20) is (rows > 16)


def test_names() -> None:
    backend = Boards()
    assert backend.resolve("virtual") == "board:virtual/demo"
    assert backend.resolve("virtual/tiny") == "board:virtual/tiny"
    found = backend.resolve("tcp://there:4000")
    assert isinstance(found, Found)
    assert (found.device, found.kind, found.unit, found.named_only) == ("board:tcp://there:4000", "fpga", "", True)
    simulated = backend.resolve("sim://icebreaker/small")
    assert isinstance(simulated, Found)
    assert (simulated.kind, simulated.unit) == ("simulation", HOST)
    listed = {entry.device: entry for entry in backend.probe()}
    for name in ("board:virtual/demo", "board:virtual/tiny"):
        entry = listed[name]
        assert isinstance(entry, Found)
        assert entry.named_only


class TestPort:
    """A model on a pseudo-terminal, which stands for a board that is plugged in."""

    @pytest.fixture
    def model(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[BoardModel]:
        model, (board_end, user_end) = BoardModel(), pty.openpty()
        tty.setraw(user_end)
        threading.Thread(target=serve, args=(board_end, model), daemon=True).start()
        port = usb.Port(usb.BOARDS[0], os.ttyname(user_end), "IB1")
        monkeypatch.setattr(usb, "ports", lambda: [port])
        monkeypatch.setattr("ninefold.drivers.transports.serial_port.ports", lambda: [port])
        yield model
        os.close(user_end)

    @pytest.fixture
    def known(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(plugged, "identities", lambda: {DIGEST.hex(): "icebreaker/model"})

    @pytest.mark.usefixtures("known")
    def test_it_is_found_and_preferred(self, model: BoardModel) -> None:
        backend = Boards()
        entry = backend.probe()[0]
        assert isinstance(entry, Found)
        assert (entry.device, entry.kind, entry.ratings, entry.named_only) == ("board:IB1", "fpga", {"mine": 9}, False)
        assert "icebreaker/model, 64 rows of 32 nits, k up to 16" in entry.description
        asked_for = model.executed
        assert backend.probe()[0] == entry
        assert model.executed == asked_for, "a board is asked once"
        with Scheduler(costs=None) as s:
            data, q = database(40), queries(3)
            first = s.run("mine", q, data, k=5)
            assert (first.answered_by, first.why) == (
                "board:IB1",
                "rated highest, 9.7; no such call has been measured yet",
            )
            assert first.path == "icebreaker/model, queries quantised on the host"
            assert s.run("mine", q, data, k=5, device="board").answered_by == "board:IB1"

    @pytest.mark.usefixtures("model")
    def test_a_bitstream_that_no_manifest_describes(self) -> None:
        entry = Boards().probe()[0]
        assert isinstance(entry, Missing)
        assert entry.reason.endswith(f"holds the bitstream {DIGEST.hex()}, which no manifest describes")
        with pytest.raises(UnavailableError, match="board:IB1 cannot be used: the board holds the bitstream"):
            Boards().open("IB1")
        with opened(f"IB1{KNOWN}") as device:
            check(device, asked(database(100), queries(3)))

    @pytest.mark.usefixtures("known")
    def test_a_board_that_does_not_answer(self, model: BoardModel) -> None:
        model.hung = True
        entry = Boards().probe()[0]
        assert isinstance(entry, Missing)
        assert "the link is dead: IDENTIFY was sent" in entry.reason

    @pytest.mark.usefixtures("model", "known")
    def test_a_board_that_errs_is_not_used(self, monkeypatch: pytest.MonkeyPatch) -> None:
        err(monkeypatch)
        with Scheduler(costs=None) as s:
            result = s.run("mine", queries(3), database(40), k=5)
            assert result.answered_by != "board:IB1"
            assert "board:IB1 cannot be used: the board fails its known-answer test" in result.fallbacks[0]
            (status,) = [entry for entry in s.devices() if entry.device == "board:IB1"]
            assert status.state.startswith("open: board:IB1 cannot be used: the board fails")

    @pytest.mark.usefixtures("model", "known")
    def test_another_process_has_it(self) -> None:
        with opened("IB1"):
            entry = Boards().probe()[0]
        assert isinstance(entry, Missing)
        assert "is in use by another process" in entry.reason

    def test_without_verilator(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def missing() -> list[Any]:
            raise UnavailableError("Verilator was not found", "get it")

        monkeypatch.setattr(catalogue, "places", missing)
        with Scheduler(costs=None) as s:
            for name in ("board:virtual", "board:virtual/tiny"):
                with pytest.raises(UnavailableError, match="board:virtual is not available: Verilator was not found"):
                    s.run("mine", queries(1), database(3), device=name, strict=True)
        with pytest.raises(UnavailableError, match="Verilator was not found"):
            Boards().open("virtual/tiny")

    def test_without_a_board(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(usb, "_comports", list)
        entry = Boards().probe()[0]
        assert isinstance(entry, Missing)
        assert (entry.device, entry.reason) == ("board:usb", "no board is plugged in: found no serial ports")


def test_what_a_board_holds_already_is_not_sent_again() -> None:
    model, data = BoardModel(), database(60)
    with listening(model, 3) as url:
        for loads in (True, False, False):
            before = model.loads
            with opened(f"{url}{KNOWN}") as device:
                device.load(data)
                check(device, asked(data, queries(4)))
            assert (model.loads > before) is loads


def test_a_board_that_holds_it_and_errs_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    model, data = BoardModel(), database(60)
    with listening(model, 2) as url:
        with opened(f"{url}{KNOWN}") as device:
            device.load(data)
        err(monkeypatch)
        with opened(f"{url}{KNOWN}") as device, pytest.raises(LostDeviceError, match="fails its known-answer test"):
            device.load(data)


def test_two_clients_on_one_board_each_find_their_own() -> None:
    model = BoardModel()
    with listening(model, 2) as url, opened(f"{url}{KNOWN}") as one, opened(f"{url}{KNOWN}") as other:
        mine, theirs = database(64, mode="tanh"), database(50, mode="linear")
        for _ in range(3):
            check(one, asked(mine, queries(20)))
            check(other, asked(theirs, queries(20)))


@pytest.mark.parametrize("call", ["_query", "_write"])
def test_a_call_whose_turn_ends_meanwhile_is_run_in_the_next_turn(call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, data, right = BoardModel(), database(60), getattr(BoardModel, call)
    with listening(model, 3) as url, opened(f"{url}{KNOWN}") as device:
        device.load(data)
        check(device, asked(data, queries(4)))
        ends = [1]

        def ended(*given: Any) -> Any:
            if ends[0]:
                ends[0] -= 1
                raise ConnectionError  # the board closes the link and serves another host
            return right(*given)

        monkeypatch.setattr(BoardModel, call, ended)
        other = database(30)

        def use(data: Database) -> None:
            device.load(data)
            check(device, asked(data, queries(4)))

        use(other)
        assert ends == [0]
        ends[0] = 2
        with pytest.raises(LostDeviceError, match=r"was closed by the other end|is gone"):
            use(data)


LOAD = """
import os, signal, sys
import numpy as np
from ninefold.drivers.link import Link
from ninefold.host.backends.board import Boards
from ninefold.spec.data import Database

write, loads = Link._write, []

def count(link, data):
    write(link, data)
    if len(data) > 900:
        os.kill(os.getpid(), signal.SIGKILL)

device = Boards().open(sys.argv[1])
attributes = {"rows": 64, "dimensions": 32, "scale": 1.0, "mode": "tanh"}
data = Database({"nits": np.full((64, 16), 0x11, np.uint8)}, attributes)
device.connect().selftest()
Link._write = count
device.load(data)
"""


def test_a_process_killed_in_mid_load_and_started_again() -> None:
    with served() as (url, _):
        killed = subprocess.run([sys.executable, "-c", LOAD, url], capture_output=True, timeout=60)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        left = open_board(url, selftest=False)
        condition = left.condition
        left.close()
        assert condition.interrupted
        assert condition.rows == 0
        with opened(url) as device:
            data = database(64)
            check(device, asked(data, queries(30)))


def test_a_board_that_is_unplugged_in_mid_batch_and_returns() -> None:
    data, k = database(64), 4
    batches = [queries(500) for _ in range(20)]
    with Scheduler(costs=None, cool_s=0.5) as s:
        with served() as (url, process):
            futures = [s.submit("mine", q, data, k=k, device=f"board:{url}") for q in batches]
            futures[3].result()
            process.kill()
            results = [future.result() for future in futures]
        by = [result.answered_by for result in results]
        assert by[0] == by[3] == f"board:{url}"
        assert by[-1] == "cpu"
        for q, result in zip(batches, results, strict=True):
            wanted = golden.answer(asked(data, q, k))
            assert all(np.array_equal(result.values[name], values) for name, values in wanted.items())
            assert bool(result.fallbacks) == (result.answered_by == "cpu")
        (status,) = [status for status in s.devices() if status.device == f"board:{url}"]
        assert status.state.startswith(f"open: tcp://127.0.0.1:{url.rpartition(':')[2]} ")
        reasons = [text for result in results for text in result.fallbacks]
        assert all(url in reason for reason in reasons)
        assert any("closed by the other end" in reason or "is gone" in reason for reason in reasons), reasons
        # It returns, empty, and is used again once the breaker has cooled down.
        port = int(url.rpartition(":")[2])
        with served(port) as (again, _):
            assert again == url
            for _ in range(100):
                result = s.run("mine", batches[0], data, k=k, device=f"board:{url}")
                if result.answered_by != "cpu":
                    break
                threading.Event().wait(0.1)
            assert (result.answered_by, result.fallbacks) == (f"board:{url}", ())
            assert np.array_equal(result.values["ids"], results[0].values["ids"])


def test_known_bitstreams() -> None:
    assert boards.bitstream("00" * 32) == ""
    board = open_board("sim://virtual/tiny", selftest=False)
    assert boards.bitstream(board.identity.digest) == "virtual/tiny"
    board.close()
