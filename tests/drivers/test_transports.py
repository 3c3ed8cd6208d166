import errno
import os
import pty
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from ninefold.drivers.link import Link, Request
from ninefold.drivers.protocol import replies, requests
from ninefold.drivers.transports import open_transport
from ninefold.drivers.transports.serial_port import set_latency
from ninefold.drivers.transports.usb import BOARDS, find, ports, udev_rule
from ninefold.spec.errors import DamagedDataError, DeviceError, InputError, LostDeviceError, UnavailableError
from ninefold.spec.link import Kind
from ninefold.spec.protocols import Transport
from ninefold.spec.registry import TRANSPORTS, entries
from tests.drivers.board_model import BoardModel, serve

STATISTICS = Request(Kind.STATISTICS, b"", replies.statistics)
IDENTIFY = Request(Kind.IDENTIFY, requests.identify(0), replies.identity)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def accept(listener: socket.socket) -> tuple[threading.Thread, str]:
    """Serve one connection; return the thread that does, and the URL."""

    def run() -> None:
        connection, _ = listener.accept()
        with connection:
            serve(connection.fileno(), BoardModel())

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread, f"tcp://127.0.0.1:{listener.getsockname()[1]}"


def test_a_board_on_a_pseudo_terminal(port: str) -> None:
    transport = open_transport(f"serial://{port}?baud=115200")
    assert isinstance(transport, Transport)
    link = Link(transport, timeout_s=2)
    assert link.ask(IDENTIFY).dimensions == 32
    assert [s.queries for s in link.exchange([STATISTICS] * 50)] == [0] * 50
    with pytest.raises(UnavailableError, match=rf"^{port} is in use by another process; close that one first$"):
        open_transport(f"serial://{port}")
    link.close()
    link.close()
    with pytest.raises(LostDeviceError, match=rf"^{port} is closed$"):
        transport.read(1, 0)


def test_a_port_that_is_unplugged() -> None:
    board_end, user_end = pty.openpty()
    transport = open_transport(f"serial://{os.ttyname(user_end)}")
    os.close(user_end)
    assert transport.read(5, 0.01) == b""
    os.close(board_end)
    with pytest.raises(LostDeviceError, match=r"is gone|was closed"):
        transport.read(5, 1)
    transport.close()


def test_a_board_on_a_socket(listener: socket.socket) -> None:
    thread, url = accept(listener)
    link = Link(open_transport(url), timeout_s=2)
    assert link.ask(IDENTIFY).dimensions == 32
    link.close()
    thread.join(10)
    assert not thread.is_alive()


def test_a_closed_socket_is_a_lost_device(listener: socket.socket) -> None:
    transport = open_transport(f"tcp://127.0.0.1:{listener.getsockname()[1]}")
    listener.accept()[0].close()
    with pytest.raises(LostDeviceError, match=r"^tcp://127\.0\.0\.1:\d+ was closed by the other end$"):
        transport.read(1, 5)


def test_two_ends_that_both_write_do_not_wait_for_each_other(listener: socket.socket) -> None:
    transport = open_transport(f"tcp://127.0.0.1:{listener.getsockname()[1]}")
    connection, _ = listener.accept()
    size = 900_000
    said, got = bytes(range(250)) * (size // 250), bytearray()

    def other_end() -> None:
        connection.sendall(said)  # before it reads anything
        while len(got) < 20 * size:
            got.extend(connection.recv(1 << 16))

    thread = threading.Thread(target=other_end, daemon=True)
    thread.start()
    transport.write(said * 20, 20)
    thread.join(20)
    assert bytes(got) == said * 20
    back = b""
    while len(back) < size:
        back += transport.read(1 << 16, 5)
    assert back == said
    connection.close()
    transport.close()


def test_a_write_that_nobody_takes_ends_in_time(listener: socket.socket) -> None:
    transport = open_transport(f"tcp://127.0.0.1:{listener.getsockname()[1]}")
    connection, _ = listener.accept()
    with pytest.raises(LostDeviceError, match=r"^tcp://127\.0\.0\.1:\d+ took \d+ of 64000000 bytes in 0\.2 s$"):
        transport.write(bytes(64_000_000), 0.2)
    connection.close()
    transport.close()


def test_a_session_is_recorded_and_played_back(listener: socket.socket, tmp_path: Path) -> None:
    def session(url: str, record: Path | None) -> list[object]:
        link = Link(open_transport(url, record), timeout_s=2)
        link.window = 4
        answers = [link.ask(IDENTIFY), *link.exchange([STATISTICS] * 20)]
        link.close()
        return answers

    _, url = accept(listener)
    path = tmp_path / "session.jsonl"
    assert session(url, path) == session(f"replay://{path}", None)
    link = Link(open_transport(f"replay://{path}"), timeout_s=0.05, tries=2)
    with pytest.raises(DeviceError, match=r"^after 1 bytes .*, \w+ is written where the session of .* wrote \w+; a r"):
        link.ask(STATISTICS)


def test_a_recording_that_ends_is_a_lost_device(tmp_path: Path) -> None:
    path = tmp_path / "short"
    path.write_text('{"format": "ninefold recording 1", "url": "x"}\n{"write": "00"}\n{"read": "0102"}\n')
    transport = open_transport(f"replay://{path}")
    assert transport.read(5, 0) == b""
    transport.write(b"\0", 1)
    assert (transport.read(1, 0), transport.read(9, 0)) == (b"\x01", b"\x02")
    for again in (lambda: transport.read(1, 0), lambda: transport.write(b"a", 1)):
        with pytest.raises(LostDeviceError, match=r"short has ended; a recording answers only the recorded command"):
            again()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"is empty, and no recording$"),
        ("{}", r'bad is no recording: line 1 must be {"format": "ninefold recording 1", ...}, not \'{}\'$'),
        ("no JSON", r"bad is no recording: line 1 must be .*, not 'no JSON'$"),
        ('{"format": "tape"}', r"bad is no recording: line 1 must be .*, not '{\"format\": \"tape\"}'$"),
        *(
            (
                f'{{"format": "ninefold recording 1"}}\n{line}',
                rf'bad is damaged: line 2 must be {{"read": HEX}} or {{"write": HEX}}, not {re.escape(repr(line))}$',
            )
            for line in (59 * "[", '{"rad": "00"}', '{"read": "0"}', '{"read"', '{"read": 0}', "[]", "{}", "7")
        ),
        ('{"format": "ninefold recording 1"}\n' + 99_999 * "[", r"line 2 must be .*, not '\[{60}...'$"),
        ('{"format": "ninefold recording 1"}\n' + 99 * "x", r"line 2 must be .*, not 'x{60}...'$"),
    ],
)
def test_a_damaged_recording_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "bad").write_text(text)
    with pytest.raises(DamagedDataError, match=message):
        open_transport(f"replay://{tmp_path / 'bad'}")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("/dev/ttyUSB0", r"^the URL of a board must begin with .*serial://, .*tcp://, not '/dev/ttyUSB0'$"),
        ("ftp://x", r"not 'ftp://x'$"),
        ("tcp://x", r"^tcp:// needs host:port with a port from 1 to 65535, not 'x'$"),
        ("tcp://x:70000", r"not 'x:70000'$"),
        ("tcp://x:1?baud=3", r"^an option of tcp:// must be one of none, not 'baud'$"),
        ("serial:///dev/null?baud=0", r"^baud must be 1 to 12000000, not '0'$"),
        ("serial:///dev/null?speed=1", r"^an option of serial:// must be one of baud, not 'speed'$"),
        ("serial:///dev/null?baud", r"^options must be name=value, joined by &, not 'baud'$"),
        ("replay://", r"^replay:// needs the path of a recording$"),
        ("serial://?baud=1&baud=2", r"^an option of serial:// must be given once, not baud=1 and baud=2$"),
    ],
)
def test_a_bad_url_is_refused(url: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        open_transport(url)


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match=r"^/dev/nothing cannot be opened: .*; `ninefold board list`"):
        open_transport("serial:///dev/nothing")
    with pytest.raises(
        UnavailableError, match=r"^/dev/null cannot be opened: it is no serial port that supports 9600 baud"
    ):
        open_transport("serial:///dev/null?baud=9600")
    with socket.create_server(("127.0.0.1", 0)) as server:
        free = server.getsockname()[1]
    with pytest.raises(UnavailableError, match=rf"^nothing answers at tcp://127\.0\.0\.1:{free}: Connection refused"):
        open_transport(f"tcp://127.0.0.1:{free}")
    with pytest.raises(
        UnavailableError, match=r"nowhere cannot be read: .*; `ninefold board selftest URL --record FILE`"
    ):
        open_transport(f"replay://{tmp_path / 'nowhere'}")
    with pytest.raises(InputError, match=r"nowhere/x cannot be written: there is no folder .*nowhere$"):
        open_transport(f"replay://{recording(tmp_path)}", tmp_path / "nowhere" / "x")


def recording(folder: Path) -> Path:
    path = folder / "r"
    path.write_text('{"format": "ninefold recording 1", "url": "x"}\n')
    return path


def test_a_port_that_may_not_be_opened_names_the_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    import serial

    def refuse(*_: object, **__: object) -> None:
        raise serial.SerialException(errno.EACCES, "could not open port /dev/ttyUSB7: Permission denied")

    monkeypatch.setattr(serial, "Serial", refuse)
    with pytest.raises(UnavailableError, match=r"^/dev/ttyUSB7 may not be opened by this user; echo .*60-ninefold"):
        open_transport("serial:///dev/ttyUSB7")
    rule = udev_rule(next(b for b in BOARDS if b.name == "ulx3s"))
    assert 'ATTRS{idVendor}=="0403", ATTRS{idProduct}=="6015"' in rule
    assert 'TAG+="uaccess"' in rule


def listed(device: str, pid: int, product: str, number: str, location: str) -> SimpleNamespace:
    return SimpleNamespace(
        device=device, vid=0x0403, pid=pid, product=product, manufacturer="", serial_number=number, location=location
    )


PLUGGED_IN = [
    listed("/dev/ttyUSB0", 0x6010, "iCEBreaker V1.0e", "ib01", "1-1:1.0"),  # its programming port
    listed("/dev/ttyUSB1", 0x6010, "iCEBreaker V1.0e", "ib01", "1-1:1.1"),
    listed("/dev/ttyUSB2", 0x6015, "ULX3S FPGA 85K v3.0.8", "D00123", "1-2"),
    listed("/dev/ttyUSB3", 0x6015, "FT231X USB UART", "other", "1-3"),  # the same chip in something else
    SimpleNamespace(device="/dev/ttyS0", vid=None, pid=None, product=None, serial_number=None, location=None),
]


def test_boards_are_found_by_identity_and_serial_number() -> None:
    found = ports(PLUGGED_IN)
    assert [(p.board.name, p.serial_number, p.path) for p in found] == [
        ("icebreaker", "ib01", "/dev/ttyUSB1"),
        ("ulx3s", "D00123", "/dev/ttyUSB2"),
    ]
    assert find("ib01", found) == find("icebreaker", found) == found[0]
    with pytest.raises(UnavailableError, match=r"^more than one board is plugged in: icebreaker ib01 at .*; ulx3s D00"):
        find("", found)
    with pytest.raises(UnavailableError, match=r"^no board 'X9' is plugged in: found icebreaker ib01 at .*; plug it"):
        find("X9", found)
    with pytest.raises(UnavailableError, match=r"^no board is plugged in: found no known board"):
        find("", [])
    assert find("", found[:1]) == found[0]


def test_the_latency_timer_is_set_where_it_can(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    timer = tmp_path / "latency_timer"
    asked: list[bool] = []
    port = SimpleNamespace(set_low_latency_mode=asked.append)
    assert set_latency(port, timer) is None
    timer.write_text("16\n")
    assert set_latency(port, timer) == 1
    assert asked == []
    timer.write_text("16\n")

    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "write_text", refuse)
    assert set_latency(port, timer) == 16
    assert asked == [True]
    assert set_latency(SimpleNamespace(set_low_latency_mode=refuse), timer) == 16


def test_transports_are_entry_points() -> None:
    assert {"serial", "tcp", "replay"} <= set(entries(TRANSPORTS))
    for entry in entries(TRANSPORTS).values():
        assert callable(entry.load())
