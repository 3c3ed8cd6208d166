"""``ninefold board load`` and ``query`` on boards in this process and on a port."""

from __future__ import annotations

import csv
import io
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from queue import Queue

import numpy as np
import pytest

from ninefold.drivers.transports import usb
from ninefold.sim.board import VirtualBoard, catalogue
from ninefold.sim.board.serve import serve_tcp
from tests.cli.conftest import Run
from tests.drivers.board_model import DIGEST, BoardModel
from tests.host.test_board_backend import listening

SIMULATED = "sim://virtual/tiny"


@pytest.fixture(autouse=True)
def compiled(monkeypatch: pytest.MonkeyPatch, shared_cache: str, folders: Path) -> None:
    """Use the boards that other tests compiled."""
    monkeypatch.setenv("NINEFOLD_CACHE", shared_cache)


@pytest.fixture
def served() -> Iterator[str]:
    """Serve one board to successive hosts."""
    board, stop, urls = VirtualBoard("virtual/tiny"), threading.Event(), Queue[str]()
    thread = threading.Thread(target=serve_tcp, args=(board, 0, urls.put, stop.is_set))
    thread.start()
    yield urls.get(timeout=20)
    stop.set()
    thread.join(timeout=20)
    board.close()


def test_what_was_loaded_is_there_for_the_next_process(ninefold: Run, indexed: Path, served: str) -> None:
    first = json.loads(ninefold("board", "load", served, "v", "--json").stdout)
    assert (first["rows"], first["store_rows"], first["was_there"]) == (200, 64, False)
    assert first["bitstream"] == "virtual/tiny"
    assert first["bytes_out"] > 64 * 16
    again = ninefold("board", "load", served, "v").stdout
    assert again == f"{served} (virtual/tiny): 64 rows of 200 (each search loads the others); already on the board\n"
    # It answers queries as any device does, loading missing parts first.
    found = json.loads(ninefold("board", "query", served, "v", "7", "-k", "4", "--json").stdout)
    assert found["answered_by"] == f"board:{served}"
    assert 64 * 16 > found["metrics"]["link_bytes_out"] - (200 - 64) * 16 > 0
    on_cpu = json.loads(ninefold("search", "v", "7", "-k", "4", "--device", "cpu", "--json").stdout)
    assert found["hits"] == on_cpu["hits"]


@pytest.mark.parametrize("options", [(), ("--rerank", "2"), ("--threshold", "adaptive")])
def test_a_simulated_board_answers_as_search_does(ninefold: Run, indexed: Path, options: tuple[str, ...]) -> None:
    words = ("v", "7", "-k", "3", *options, "--json")
    there, here = (
        json.loads(ninefold(*command, *words).stdout) for command in (("board", "query", SIMULATED), ("search",))
    )
    assert there["hits"] == here["hits"]
    assert sorted(there) == sorted(here)


@pytest.mark.parametrize(("options", "hits"), [((), 8), (("--rerank", "3"), 2)])
def test_as_many_hits_as_the_board_gives_where_nobody_says(
    ninefold: Run, indexed: Path, options: tuple[str, ...], hits: int
) -> None:
    found = json.loads(ninefold("board", "query", "virtual/tiny", "v", "7", *options, "--json").stdout)
    assert len(found["hits"]) == hits
    assert found["answered_by"] == f"board:{SIMULATED}"


@pytest.mark.parametrize(
    ("options", "scan"), [((), ("-k", "10", "--oversample", "6")), (("-k", "2", "--rerank", "1"), ())]
)
def test_a_board_that_scans_signs(
    ninefold: Run, indexed: Path, options: tuple[str, ...], scan: tuple[str, ...]
) -> None:
    """It finds as many candidates as it keeps, at most 32 per hit."""
    model = BoardModel(design="signs", k=0, keep=64)
    with listening(model, 8) as url:
        known = ("--digest", DIGEST.hex())
        loaded = json.loads(ninefold("board", "load", url, "v", *known, "--json").stdout)
        found = json.loads(ninefold("board", "query", url, "v", "7", *known, *options, "--json").stdout)
        refused = ninefold("board", "query", url, "v", "7", *known, "-k", "65")
    assert (loaded["rows"], loaded["store_rows"]) == (200, 64)
    assert found["path"].endswith("candidates scored by nits on the host")
    words = ("v", "7", *options, *scan, "--scan", "signs", "--device", "cpu", "--json")
    assert found["hits"] == json.loads(ninefold("search", *words).stdout)["hits"]
    assert refused.exit_code == 2
    assert "keeps at most 64 candidates per query, not 65 (k * oversample, times rerank)" in refused.stderr


def test_reports_say_what_was_searched_and_what_the_scores_are(ninefold: Run, vectors: Path) -> None:
    words = ("board", "query", SIMULATED, vectors, "7", "-k", "2")
    found = json.loads(ninefold(*words, "--json").stdout)
    assert (found["index"], found["score"]) == (str(vectors), "dot product of the nits")
    found = json.loads(ninefold(*words, "--rerank", "4", "--json").stdout)
    row = np.load(vectors)[7].astype(np.float16).astype(np.float64)
    assert (found["hits"][0]["row"], found["score"]) == (7, "dot product of the float vectors")
    assert found["hits"][0]["score"] == pytest.approx(row @ row)
    shown = " ".join(ninefold(*words, "--rerank", "4").stdout.split())
    assert "score: dot product of the float vectors" in shown


def test_what_stands_in_for_a_board_is_said(ninefold: Run, indexed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usb, "_comports", list)
    monkeypatch.setattr(catalogue, "SIZES", {"virtual/tiny": "64 rows"})
    result = ninefold("search", "v", "7", "-k", "3", "--device", "board")
    assert "answered by board:virtual/tiny; " in " ".join(result.stdout.split())
    assert result.stderr == "no board is plugged in: found no serial ports; using sim://virtual/tiny\n"


def test_vectors_without_an_index(ninefold: Run, vectors: Path) -> None:
    queries = np.load(vectors)[[5, 9, 11]]
    np.save("queries.npy", queries)
    result = ninefold("board", "query", SIMULATED, vectors, "queries.npy", "-k", "2", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert [(row["query"], row["rank"]) for row in rows] == [(str(q), str(r)) for q in range(3) for r in (1, 2)]
    assert [row["row"] for row in rows[::2]] == ["5", "9", "11"]
    reports = json.loads(ninefold("board", "query", SIMULATED, vectors, "queries.npy", "-k", "2", "--json").stdout)
    assert [[str(hit["row"]) for hit in report["hits"]] for report in reports] == [
        [row["row"] for row in rows[i : i + 2]] for i in (0, 2, 4)
    ]
    shown = ninefold("board", "query", SIMULATED, vectors, "queries.npy", "-k", "2").stdout
    assert "query 2 ---" in shown
    assert "bytes on the link in" in shown
    loaded = ninefold("board", "load", SIMULATED, vectors).stdout
    assert loaded.startswith(
        f"{SIMULATED} (virtual/tiny in Verilator): 64 rows of 200 (each search loads the others); "
    )


def test_a_text(ninefold: Run, notes: Path) -> None:
    assert ninefold("index", notes, "-o", "notes").exit_code == 0
    refused = ninefold("board", "query", SIMULATED, "notes", "rain in the attic")
    assert refused.exit_code == 2
    assert refused.stderr == "error: 384 dimensions, where the board has 32\n"


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (
            ("query", "tiny", "v", "3"),
            2,
            "a board must be a URL or a name from `ninefold board list` (virtual/demo,",
        ),
        (("load", "tiny", "v"), 2, "not 'tiny'; did you mean 'virtual/tiny'?"),
        (
            ("load", SIMULATED, "notes.jsonl"),
            2,
            "a board searches an index or a .npy file of vectors, not 'notes.jsonl'; `ni",
        ),
        (("query", SIMULATED, "v.npy", "rain"), 2, "error: v.npy holds vectors: search it with a .npy file or the num"),
        (("query", SIMULATED, "v", "3", "--queries", "-"), 2, "give either QUERY or --queries"),
        (("load", SIMULATED, "w"), 2, "there is no index "),
        (("load", "tcp://127.0.0.1:1", "v"), 2, "nothing answers at tcp://127.0.0.1:1: Connection refused"),
        (("query", SIMULATED, "v", "3", "-k", "10"), 2, "at most 8 results per query, not 10"),
        (("query", SIMULATED, "v", "200"), 2, "row must be 0 to 199, not 200"),
        (("query", SIMULATED, "v", "rain", "-k", "2"), 2, "search it with a .npy file or the number of a row"),
        (("query", SIMULATED, "v", "v/wide.npy", "-k", "2"), 2, "the queries have 3 dimensions, the index 16"),
        (("query", SIMULATED, "v", "v/none.npy", "-k", "2"), 2, "must have shape (N, D), with N from 1, not (0, 16)"),
        (("query", SIMULATED, "v", "3", "--digest", "ab"), 2, "a digest must be 64 hexadecimal digits"),
        (("query", SIMULATED, "v", "3", "-k", "2", "--digest", "ab" * 32), 3, "where abababababababab is expected"),
        (
            ("load", f"{SIMULATED}?identity=wrong", "v"),
            3,
            "which no manifest describes: program it, or name that digest",
        ),
        (("load", f"{SIMULATED}?hang=700", "v"), 3, "the link is dead: "),
    ],
)
def test_refusals(ninefold: Run, indexed: Path, words: tuple[str, ...], code: int, message: str) -> None:
    Path("v").mkdir()
    Path("notes.jsonl").write_text('{"text": "rain"}\n')
    np.save("v.npy", np.eye(16, dtype=np.float32))
    np.save("v/wide.npy", np.zeros((2, 3), np.float32))
    np.save("v/none.npy", np.zeros((0, 16), np.float32))
    result = ninefold("board", *words)
    assert message in result.stderr
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert result.exit_code == code
