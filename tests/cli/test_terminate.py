"""A command ended by SIGTERM also ends the tools that it runs."""

import signal
import subprocess
import sys
import time
from pathlib import Path

#: Command line with a single command, which waits for a tool.
WAITING = """
from ninefold.hdl.tools import run, together
from ninefold.host import cli

cli.cli.main = lambda **_: together(lambda seconds: run(["sleep", seconds]), ["600"], 1)
cli.main()
"""


def children(process: int) -> list[int]:
    return [int(pid) for path in Path(f"/proc/{process}/task").glob("*/children") for pid in path.read_text().split()]


def test_a_command_that_is_told_to_end_ends_its_tools() -> None:
    with subprocess.Popen([sys.executable, "-c", WAITING]) as command:
        while not (tools := children(command.pid)):
            assert command.poll() is None
            time.sleep(0.05)
        command.send_signal(signal.SIGTERM)
        assert command.wait(60) == 128 + signal.SIGTERM
    assert not [tool for tool in tools if Path(f"/proc/{tool}").exists()]
