"""A board on a pseudo-terminal."""

import os
import pty
import threading
import tty
from collections.abc import Iterator

import pytest

from tests.drivers.board_model import BoardModel, serve


def served(model: BoardModel) -> Iterator[str]:
    """Serve a board on a pseudo-terminal, and yield its path."""
    board_end, user_end = pty.openpty()
    tty.setraw(user_end)
    thread = threading.Thread(target=serve, args=(board_end, model), daemon=True)
    thread.start()
    yield os.ttyname(user_end)
    os.close(user_end)
    thread.join(10)
    os.close(board_end)


@pytest.fixture
def port() -> Iterator[str]:
    """A pseudo-terminal with a miner behind it."""
    yield from served(BoardModel())


@pytest.fixture
def signs_port() -> Iterator[str]:
    """A pseudo-terminal with a board that scans signs behind it."""
    yield from served(BoardModel(design="signs", k=0, keep=40))
