"""Network file systems, other PID namespaces, and the command lines that locks show."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from ninefold.host.index import Index, locks, place
from ninefold.host.index.environment import Environment
from ninefold.spec.errors import InputError
from tests.host.index.made import made

MOUNTS = r"""
21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 21 0:26 / /home rw,relatime shared:2 - nfs4 server:/home rw,vers=4.2
31 30 8:2 / /home/local rw,relatime - xfs /dev/sdb1 rw
32 21 0:27 / /mnt/our\040share rw,relatime - cifs //server/share rw
33 21 0:28 / /over rw - ext4 /dev/sdc rw
34 21 0:29 / /over rw - nfs server:/over rw
""".strip()


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/", "ext4"),
        ("/homes/index", "ext4"),
        ("/home", "nfs4"),
        ("/home/me/index", "nfs4"),
        ("/home/local/index", "xfs"),
        ("/home/me/../local/index", "xfs"),
        ("/mnt/our share/index", "cifs"),
        ("/over/index", "nfs"),
    ],
)
def test_file_systems(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str, kind: str) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(MOUNTS)
    monkeypatch.setattr(place, "_MOUNTS", mounts)
    assert place.file_system(Path(folder)) == kind
    monkeypatch.setattr(place, "_MOUNTS", tmp_path / "none")
    assert place.file_system(Path(folder)) == ""


def test_an_index_on_a_network_file_system_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(tmp_path / "index", np.ones((3, 4))).close()
    assert place.file_system(tmp_path)
    mounts = tmp_path / "mounts"
    mounts.write_text(f"21 1 8:1 / / rw - ext4 /dev/sda1 rw\n30 21 0:26 / {tmp_path} rw - nfs4 server:/ rw\n")
    monkeypatch.setattr(place, "_MOUNTS", mounts)
    said = rf"^{tmp_path}/index is on a network file system \(nfs4\), .* Keep the index on a local disk; backups of it "
    with pytest.raises(InputError, match=said):
        Index.open(str(tmp_path / "index"))


def test_an_index_that_is_open_in_another_pid_namespace_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(tmp_path / "index", np.ones((3, 4))).close()
    end = os.fork()
    if end == 0:
        os._exit(0)
    os.waitpid(end, 0)
    assert place.strangers([os.getpid(), end, 1]) == [end]
    # A process that has ended is removed from the readers; one that stays is in another namespace.
    # Another reader may be killed after each removal.
    found = [{end: [3]}, {end: [3]}, {end: [3]}, {}]
    monkeypatch.setattr(Environment, "readers", lambda _: found.pop(0) if found else {})
    Index.open(str(tmp_path / "index")).close()
    assert not found
    monkeypatch.setattr(Environment, "readers", lambda _: {end: [3]})
    with pytest.raises(
        InputError, match=rf"index is open in process {end} of another PID namespace, .* Run both in one"
    ):
        Index.open(str(tmp_path / "index"))
    monkeypatch.undo()
    with Index.open(str(tmp_path / "index")) as index, index.snapshot():
        environment = index._content.environment  # type: ignore[union-attr]
        assert environment.readers() == {os.getpid(): [environment.last]}
        assert environment.oldest_reader() == environment.last


@pytest.mark.parametrize(
    ("argv", "original", "said"),
    [
        (["/usr/bin/ninefold", "index", "add", "my notes"], [], "ninefold index add 'my notes'"),
        (["-c", "x"], ["/usr/bin/python3", "-c", "import  os", "x"], "python -c 'import os' x"),
        ([""], ["/usr/bin/python3"], "python"),
        (["/lib/pytest/__main__.py", "-q"], [], "python -m pytest -q"),
        (["/a/tool.py", *["word"] * 40], [], f"tool.py{' word' * 14} [...]"),
    ],
)
def test_command_lines(monkeypatch: pytest.MonkeyPatch, argv: list[str], original: list[str], said: str) -> None:
    monkeypatch.setattr(sys, "argv", argv)
    monkeypatch.setattr(sys, "orig_argv", original)
    assert locks._command() == said
