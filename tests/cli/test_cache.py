"""``ninefold cache``."""

from pathlib import Path

import pytest

from tests.cli.conftest import Run

DIGEST = "0123456789abcdef" * 4


def test_path(ninefold: Run, folders: Path) -> None:
    assert ninefold("cache", "path").stdout == f"{folders / 'cache'}\n"
    assert ninefold("--cache-dir", "other", "cache", "path").stdout == f"{folders / 'other'}\n"


def test_nothing_to_clear(ninefold: Run, folders: Path) -> None:
    assert ninefold("cache", "clear").stdout == f"{folders / 'cache'}: nothing to remove\n"
    assert not (folders / "cache").exists()


def test_clear_says_what_and_how_much(ninefold: Run, folders: Path) -> None:
    for name in (
        f"verilated/{DIGEST}/lib.so",
        f"verilated/.{DIGEST}-abc/part.o",
        f"embeddings/{DIGEST}/embeddings.sqlite",
    ):
        (folders / "cache" / name).parent.mkdir(parents=True, exist_ok=True)
        (folders / "cache" / name).write_bytes(bytes(600_000))
    (folders / "cache" / "verilated" / f".{DIGEST}.lock").touch()
    (folders / "data").mkdir()
    result = ninefold("cache", "clear")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "embeddings: removed 1 entry, 0.6 MB",
        "verilated: removed 1 entry, 1.2 MB",
        f"{folders / 'cache'}: 1.8 MB removed",
    ]
    assert list((folders / "cache").iterdir()) == []
    assert (folders / "data").is_dir()


def test_clear_takes_only_what_is_its_own(ninefold: Run, folders: Path) -> None:
    home = folders / "home"
    precious = [home / "photos" / "cat.jpg", home / "letter.txt", home / "git" / f"{DIGEST}0" / "x", home / DIGEST]
    for path in precious:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    (home / "link").symlink_to(home / "photos")
    (home / "kernel").mkdir()
    (home / "kernel" / DIGEST).symlink_to(home / "photos")
    result = ninefold("--cache-dir", home, "cache", "clear")
    assert result.exit_code == 0
    assert all(path.exists() for path in precious)
    assert (home / "link").is_symlink()
    assert not (home / "kernel").exists()
    assert f"kept, since it holds files that are not Ninefold's: {home / 'photos'}" in result.stdout


def test_an_index_and_what_was_embedded_for_it(ninefold: Run, folders: Path, notes: Path) -> None:
    ninefold("index", notes, "-o", "notes")
    assert "embeddings: removed 1 entry" in ninefold("cache", "clear").stdout
    assert ninefold("search", "notes", "bees").exit_code == 0


def test_the_size_of_the_cache_of_embeddings_is_an_option(
    ninefold: Run, folders: Path, notes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NINEFOLD_EMBEDDINGS_GIB", "1")  # the option sets it, and the test's end restores it
    refused = ninefold("--embeddings-gib", "few", "index", notes, "-o", "notes")
    assert refused.exit_code == 2
    assert refused.stderr == (
        "error: NINEFOLD_EMBEDDINGS_GIB must be 0, or a number of GiB from 0.000976562, not 'few'\n"
    )
    assert ninefold("--embeddings-gib", "0", "index", notes, "-o", "notes").exit_code == 0
    assert not (folders / "cache" / "embeddings").exists()


def test_a_comparison_that_cannot_write_its_cache_fails(
    ninefold: Run, folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folders / "file").write_text("")
    monkeypatch.setenv("NINEFOLD_CACHE", str(folders / "file"))
    result = ninefold("compare", "queue", "--vectors", "1")
    assert result.exit_code == 3
    assert result.stderr.splitlines()[-1].startswith(f"error: the cache folder {folders / 'file'}")
    assert "set NINEFOLD_CACHE or --cache-dir to another" in result.stderr
