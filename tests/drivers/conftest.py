"""A board on a pseudo-terminal."""

import os
import pty
import threading
import tty
from collections.abc import Iterator

import pytest

from tests.drivers.board_model import BoardModel, serve


@pytest.fixture
def port() -> Iterator[str]:
    """A pseudo-terminal with a board behind it."""
    board_end, user_end = pty.openpty()
    tty.setraw(user_end)
    thread = threading.Thread(target=serve, args=(board_end, BoardModel()), daemon=True)
    thread.start()
    yield os.ttyname(user_end)
    os.close(user_end)
    thread.join(10)
    os.close(board_end)
