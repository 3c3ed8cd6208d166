"""A command ended by SIGTERM also ends the tools that it runs."""

import contextlib
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

#: Command lines with a single command, which waits for a tool: itself, within a testbench, while it starts
#: the tool, or in another process.
WAITING = {
    "itself": """
from ninefold.hdl.tools import run, together
from ninefold.host import cli

cli.cli.main = lambda **_: together(lambda seconds: run(["sleep", seconds]), ["600"], 1)
cli.main()
""",
    "testbench": """
from pathlib import Path
from subprocess import run

from ninefold.host import cli
from ninefold.sim.simulators import find_simulator

def wait(**_):
    with find_simulator("verilator")._runner(Path("log")):
        run(["sleep", "600"])

cli.cli.main = wait
cli.main()
""",
    "start": """
import subprocess
import time

from ninefold.hdl.tools import run
from ninefold.host import cli

start = subprocess.Popen._execute_child

def slow(*arguments):
    start(*arguments)
    time.sleep(1)

subprocess.Popen._execute_child = slow
cli.cli.main = lambda **_: run(["sleep", "600"])
cli.main()
""",
    "worker": """
from ninefold.hdl.tools import run
from ninefold.host import cli
from ninefold.sim.mutation.workers import workers

def wait(**_):
    with workers(1) as pool:
        pool.submit(run, ["sleep", "600"]).result()

cli.cli.main = wait
cli.main()
""",
}


def children(process: int) -> list[int]:
    with contextlib.suppress(OSError):  # it ended meanwhile
        paths = Path(f"/proc/{process}/task").glob("*/children")
        return [int(pid) for path in paths for pid in path.read_text().split()]
    return []


def descendants(process: int) -> list[int]:
    found = children(process)
    return found + [below for child in found for below in descendants(child)]


def sleeps(process: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{process}/cmdline").read_text().startswith("sleep\0")
    return False


@pytest.mark.parametrize("who", WAITING)
def test_a_command_that_is_told_to_end_ends_its_tools(who: str) -> None:
    with subprocess.Popen([sys.executable, "-c", WAITING[who]]) as command:
        try:
            while not (tools := list(filter(sleeps, found := descendants(command.pid)))):
                assert command.poll() is None
                time.sleep(0.05)
            command.send_signal(signal.SIGTERM)
            assert command.wait(60) == 128 + signal.SIGTERM
        finally:
            command.kill()
    assert not [tool for tool in tools if Path(f"/proc/{tool}").exists()]
    # What only tidies up after the others may end a little later.
    limit = time.monotonic() + 60
    while left := [process for process in found if Path(f"/proc/{process}").exists()]:
        assert time.monotonic() < limit, left
        time.sleep(0.05)
