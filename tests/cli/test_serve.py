"""``ninefold serve``, ``ninefold keys`` and ``ninefold search --server``, as a user runs them."""

from __future__ import annotations

import itertools
import json
import re
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from ninefold.host import Client, Index
from ninefold.host.server.keys import KeyFile
from ninefold.host.sources import Entry
from ninefold.spec.errors import InputError

from ..host.index.made import DIMENSIONS, made, vectors_of
from .conftest import Run

Server = tuple[subprocess.Popen[str], str]


@pytest.fixture
def notes(folders: Path) -> Path:
    """Write an index of vectors called notes, and a query that is its row 3."""
    entries = [Entry(f"id {n}", f"title {n}", f"text {n}", {"year": n}) for n in range(9)]
    made(folders / "data" / "indexes" / "notes", vectors_of(9), entries=entries).close()
    np.save(folders / "query.npy", vectors_of(9)[3].astype(np.float32))
    return folders / "query.npy"


@pytest.fixture
def server(notes: Path, process: Callable[..., subprocess.Popen[str]]) -> Iterator[Server]:
    running = process("serve", "notes", "--port", "0", "--audit", "audit.jsonl")
    try:
        assert running.stdout is not None
        said = running.stdout.readline()
        found = re.fullmatch(r"serving notes at (http://127\.0\.0\.1:\d+)\n", said)
        assert found, said
        yield running, found[1]
    finally:
        running.kill()
        running.communicate()


def ended(running: subprocess.Popen[str], number: signal.Signals) -> tuple[int, str]:
    running.send_signal(number)
    said, _ = running.communicate(timeout=60)
    return running.returncode, said


def test_a_search_at_a_server_is_a_search_here(notes: Path, server: Server, ninefold: Run) -> None:
    running, url = server
    words = ("search", "notes", notes, "-k", "3", "--rerank", "2")
    here, there = ninefold(*words), ninefold(*words, "--server", url)
    assert there.stdout == here.stdout
    assert "title 3" in here.stdout.splitlines()[1]
    report = json.loads(ninefold(*words, "--server", url, "--json").stdout)
    assert report["hits"] == json.loads(ninefold(*words, "--json").stdout)["hits"]
    assert (report["server"], report["dimensions"]) == (url, DIMENSIONS)
    nothing = (*words, "--where", 'year == "3"')
    warning = "warning: no entry meets the filter; entries have the fields year (number)"
    assert [ninefold(*nothing, *more).stderr.splitlines()[-1] for more in ((), ("--server", url))] == [warning] * 2
    for given, message in (
        (("nots", notes), f"{url} has no index nots, only notes; did you mean 'notes'?"),
        (("notes", "3"), "a server takes vectors, and no numbers of rows: give a .npy file"),
        (("notes", notes, "--where", "year =="), "the server refused: the filter is wrong"),
    ):
        refused = ninefold("search", *given, "--server", url)
        assert refused.exit_code == 2
        assert refused.stderr.startswith(f"error: {message}")
    assert ended(running, signal.SIGTERM) == (0, "the server has ended; all requests inside were answered\n")
    refused = ninefold("search", "notes", notes, "--server", url)
    assert refused.exit_code == 2
    assert refused.stderr.startswith(f"error: no answer from {url}: ")


def test_a_locked_index_names_the_server_that_writes_it(folders: Path, server: Server, ninefold: Run) -> None:
    running, url = server
    folder = folders / "data" / "indexes" / "notes"
    begun, stop = threading.Event(), threading.Event()

    def writes() -> None:
        with Client(url) as client:
            for number in itertools.count():
                client.upsert("notes", [Entry(f"new {number}", "", "text")], vectors_of(1).astype(np.float32))
                begun.set()
                if stop.is_set():
                    return

    thread = threading.Thread(target=writes)
    thread.start()
    assert begun.wait(60)
    try:
        with pytest.raises(InputError) as refused, Index.open(str(folder), "w") as index:
            index.delete(["none"])
    finally:
        stop.set()
        thread.join(60)
    assert f"is being written by process {running.pid} (" in str(refused.value)
    assert f"it serves at {url}: write by a Client of that URL, and search with --server {url};" in str(refused.value)


def test_an_interrupt_ends_a_server_and_writes_are_audited(server: Server, folders: Path) -> None:
    running, url = server
    with Client(url) as client:
        client.delete("notes", ["id 1", "id 2"])
    assert ended(running, signal.SIGINT)[0] == 0
    (record,) = [json.loads(line) for line in (folders / "audit.jsonl").read_text().splitlines()]
    assert (record["method"], record["index"], record["entries"], record["done"]) == ("DELETE", "notes", 2, True)
    with Index.open("notes") as index:
        assert len(index) == 7


def test_keys_are_added_listed_and_removed(folders: Path, ninefold: Run) -> None:
    added = ninefold("keys", "add", "anna", "--scope", "write", "--rate", "60", "--days", "2")
    assert (added.exit_code, added.stderr) == (0, "keep it now: it cannot be shown again\n")
    file = KeyFile(folders / "data" / "keys.json")
    key = file.open(added.stdout.strip())
    listed = ninefold("keys", "list").stdout
    assert all(word in listed for word in (key.id, "anna", "write", "60"))
    assert key.digest not in listed
    assert [one["id"] for one in json.loads(ninefold("keys", "list", "--json").stdout)] == [key.id]
    assert ninefold("keys", "remove", key.id).stdout == f"removed the key {key.id} of anna\n"
    assert file.keys() == {}
    assert ninefold("keys", "remove", key.id).exit_code == 2


def test_what_cannot_be_served_is_refused(notes: Path, ninefold: Run) -> None:
    for words, message in (
        (("notes", "--host", "192.0.2.1"), "a server on 192.0.2.1, which other machines reach, needs --keys FILE"),
        (("none",), "there is no index none"),
        (("notes", "notes"), "two indexes would be served as notes"),
        (("notes", "--ray", "8.8.8.8:6379"), "ray must be a private address, not 8.8.8.8:6379"),
        (("notes", "--ray", "lab:6379"), "ray must be an IP address and port such as 10.0.0.1:6379, not 'lab:6379'"),
        (("notes", "--ray", "10.0.0.1:6379"), "a Ray cluster runs the code of whoever reaches it: set RAY_AUTH_MODE"),
        (("notes", "--seconds", "0"), "seconds must be more than 0, not 0.0"),
    ):
        refused = ninefold("serve", *words)
        assert refused.exit_code == 2
        assert refused.stderr.startswith(f"error: {message}")
