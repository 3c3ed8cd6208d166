import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from queue import Queue

import numpy as np
import pytest
from click.testing import CliRunner

from ninefold.drivers.transports import open_transport
from ninefold.drivers.transports.greeting import KEY_VARIABLE
from ninefold.hdl.configurations import configuration
from ninefold.host import Scheduler
from ninefold.host.backends.board import BoardDevice, Boards
from ninefold.numerics.nits import pack
from ninefold.sim.board import Faults, VirtualBoard
from ninefold.sim.board.serve import serve_pty, serve_tcp
from ninefold.sim.commands.serve import serve
from ninefold.spec.data import Database
from ninefold.spec.errors import InputError, LostDeviceError, UnavailableError
from ninefold.spec.operators import OPERATORS
from ninefold.spec.protocols import Transport
from tests.hdl import client
from tests.sim.test_board import listen

TINY = configuration("virtual/tiny").miner


@contextmanager
def serving(how: Callable[..., None], *args: int, **more: str) -> Iterator[str]:
    """Serve a board in a thread; gives its URL."""
    board, stop, urls = VirtualBoard("virtual/tiny"), threading.Event(), Queue[str]()
    thread = threading.Thread(target=how, args=(board, *args, urls.put, stop.is_set), kwargs=more)
    thread.start()
    try:
        yield urls.get(timeout=20)
    finally:
        stop.set()
        thread.join(timeout=20)
        board.close()
    assert not thread.is_alive()


def ask(url: str, sequence: int) -> None:
    """Load and ask over a transport of the driver's, as a process of its own would."""
    random = np.random.default_rng(sequence)
    vectors, queries = random.integers(-4, 5, (20, TINY.dimensions)), random.integers(-4, 5, (4, TINY.dimensions))
    port = open_transport(url)
    port.write(client.load(sequence, 0, client.packed(vectors), final=True), 1.0)
    port.write(client.query(sequence + 1, queries, 5), 1.0)
    replies = listen(port, 2)
    port.close()
    assert client.found(replies[1]) == client.best(queries, vectors, 5)


def ends(port: Transport) -> bool:
    """Return whether the other side ends a connection."""
    try:
        for _ in range(100):
            port.read(1000, 0.1)
    except LostDeviceError:
        return True
    return False


@pytest.mark.parametrize(("how", "args", "scheme"), [(serve_pty, (), "serial:///dev/"), (serve_tcp, (0,), "tcp://127")])
def test_hosts_come_and_go(how: Callable[..., None], args: tuple[int, ...], scheme: str) -> None:
    with serving(how, *args) as url:
        assert url.startswith(scheme)
        for host in range(3):
            ask(url, 2 * host)


def test_a_quiet_host_gives_way_to_one_that_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ninefold.sim.board.serve._QUIET_S", 0.2)
    with serving(serve_tcp, 0) as url:
        first = open_transport(url)
        first.write(client.query(0, np.zeros((1, TINY.dimensions), int), 1), 1.0)
        listen(first, 1)
        ask(url, 2)  # answered while the first is connected
        assert ends(first)
        first.close()


def test_requests_of_a_host_that_left_before_its_turn_are_not_served(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ninefold.sim.board.serve._QUIET_S", 0.2)
    board, taken = VirtualBoard("virtual/tiny"), []
    write = board.write
    monkeypatch.setattr(board, "write", lambda data, timeout_s: (taken.append(data), write(data, timeout_s)))
    monkeypatch.setattr(f"{__name__}.VirtualBoard", lambda _name: board)
    with serving(serve_tcp, 0) as url:
        first, second = open_transport(url), open_transport(url)
        first.write(client.query(0, np.zeros((1, TINY.dimensions), int), 1), 1.0)
        listen(first, 1)
        second.write(b"left" + client.query(2, np.zeros((1, TINY.dimensions), int), 1), 1.0)
        second.close()
        time.sleep(0.5)
        first.write(client.query(1, np.zeros((1, TINY.dimensions), int), 1), 1.0)
        listen(first, 1)  # it is still its turn, as no one else waits
        ask(url, 4)
        first.close()
    assert b"left" not in b"".join(taken)


def test_a_device_that_lost_its_turn_while_it_was_quiet_asks_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ninefold.sim.board.serve._QUIET_S", 0.2)
    random = np.random.default_rng(1)
    nits = random.integers(-4, 5, (40, TINY.dimensions)).astype(np.int8)
    data = Database({"nits": pack(nits)}, {"rows": 40, "dimensions": TINY.dimensions, "scale": 0.7, "mode": "tanh"})
    q = random.normal(0, 2, (3, TINY.dimensions)).astype(np.float32)
    with Scheduler(costs=None) as scheduler, serving(serve_tcp, 0) as url:
        asked = [scheduler.run("mine", q, data, k=4, device=f"board:{url}")]
        ask(url, 2)  # takes the turn, and leaves a database of its own
        asked.append(scheduler.run("mine", q, data, k=4, device=f"board:{url}"))
    assert [(one.answered_by, one.fallbacks) for one in asked] == [(f"board:{url}", ())] * 2
    assert asked[0].values["ids"].tolist() == asked[1].values["ids"].tolist()


def test_a_busy_host_gives_way_between_two_requests_once_its_turn_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ninefold.sim.board.serve._TURN_S", 0.5)
    monkeypatch.setattr("ninefold.sim.board.serve._QUIET_S", 60.0)
    random = np.random.default_rng(1)
    nits = random.integers(-4, 5, (40, TINY.dimensions)).astype(np.int8)
    data = Database({"nits": pack(nits)}, {"rows": 40, "dimensions": TINY.dimensions, "scale": 0.7, "mode": "tanh"})
    q = random.normal(0, 2, (3, TINY.dimensions)).astype(np.float32)
    call = OPERATORS["mine"].bind({"q": q, "database": data}, {"k": 4})
    done, found = threading.Event(), []

    def busy(device: BoardDevice) -> None:
        while not done.is_set():
            found.append(device.run(call).values["ids"].tolist())

    with serving(serve_tcp, 0) as url, closing(Boards().miner(url)) as first:
        first.load(data)
        thread = threading.Thread(target=busy, args=(first,))
        thread.start()
        try:
            with closing(Boards().miner(url)) as second:  # it would be lost if it had no turn
                second.load(data)
                other = second.run(call).values["ids"].tolist()
        finally:
            done.set()
            thread.join()
    assert found == [other] * len(found) != []


def test_hosts_prove_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    key = "0123456789abcdef" * 2
    with serving(serve_tcp, 0, key=key) as url:
        monkeypatch.setenv(KEY_VARIABLE, key)
        ask(url, 0)
        monkeypatch.setenv(KEY_VARIABLE, key[::-1])
        with pytest.raises(UnavailableError, match="refuses the key"):
            open_transport(url)
        monkeypatch.setenv(KEY_VARIABLE, "short")
        with pytest.raises(InputError, match="NINEFOLD_BOARD_KEY must hold a key of at least 32 characters, not 5"):
            open_transport(url)
        monkeypatch.delenv(KEY_VARIABLE)
        port = open_transport(url)  # its first bytes are no proof
        port.write(client.query(4, np.zeros((1, TINY.dimensions), int), 1), 1.0)
        assert ends(port)
        port.close()
        monkeypatch.setenv(KEY_VARIABLE, key)
        ask(url, 6)
    for more, said in (
        ({"host": "0.0.0.0"}, "a board on 0.0.0.0, which other machines reach, needs --key FILE"),  # noqa: S104
        ({"host": "lab"}, "host must be an IP address, not 'lab'"),
    ):
        with pytest.raises(InputError, match=said):
            serve_tcp(VirtualBoard("virtual/tiny"), 0, print, lambda: True, **more)


def test_a_board_that_nobody_speaks_to_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ninefold.sim.board.serve._ASLEEP_S", 0.1)
    board = VirtualBoard("virtual/tiny")
    monkeypatch.setattr(f"{__name__}.VirtualBoard", lambda _name: board)
    with serving(serve_tcp, 0) as url:
        port = open_transport(url)
        for sequence in (0, 2):
            time.sleep(0.5)
            before = board.cycles
            time.sleep(0.2)
            assert board.cycles == before
            port.write(client.query(sequence, np.zeros((1, TINY.dimensions), int), 1), 1.0)
            listen(port, 1)
            assert board.cycles > before
        port.close()


def test_command() -> None:
    command = [
        sys.executable,
        "-c",
        "from ninefold.host.cli import main; main()",
        "board",
        "serve",
        "virtual/tiny",
        "--tcp",
        "0",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            ask(process.stdout.readline().strip(), 0)
        finally:
            process.terminate()


@pytest.mark.parametrize(
    "words",
    [
        ["virtual/tiny", "--fault", "seed=5", "--fault", "flip=0.5"],
        ["sim://virtual/tiny?seed=5", "--fault", "flip=0.5"],
        ["board:virtual/tiny?seed=5&flip=0.5"],
    ],
)
def test_a_configuration_goes_by_all_its_names(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    class Made:
        def __init__(self, *what: object) -> None:
            made.append(what)
            raise KeyboardInterrupt

    monkeypatch.setattr("ninefold.sim.board.VirtualBoard", Made)
    CliRunner().invoke(serve, words)
    assert made == [("virtual/tiny", Faults(flip=0.5, seed=5))]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["virtual/tiny", "--fault", "flip=0.1", "--fault", "flip=0.2"],
            "a fault must be given once, not flip=0.1 and",
        ),
        (
            ["sim://virtual/tiny?flip=0.1", "--fault", "flip=0.2"],
            "a fault must be given once, not flip=0.1 and flip=0.2",
        ),
        (["tcp://x:1"], "CONFIGURATION must name a configuration or a sim:// URL, not 'tcp://x:1'"),
        (["virtual/big"], "configuration must be one of"),
        (["virtual/tiny", "--pty", "--tcp", "1"], "--pty and --tcp cannot be combined"),
        (["virtual/tiny", "--fault", "flip"], "a fault must be NAME=VALUE, not 'flip'"),
        (["virtual/tiny", "--fault", "flip=3"], "flip must be a chance from 0 to 1, not 3.0"),
    ],
)
def test_refusals(words: list[str], message: str) -> None:
    result = CliRunner().invoke(serve, words)
    assert isinstance(result.exception, InputError)
    assert message in str(result.exception)
