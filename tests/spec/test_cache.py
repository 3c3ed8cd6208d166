import multiprocessing
import os
import signal
import time
from pathlib import Path

import platformdirs
import pytest

from ninefold.spec.cache import BuildCache, cache_folder, data_folder, digest_of
from ninefold.spec.errors import InputError, ToolError, UnavailableError, UnwritableError


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BuildCache:
    monkeypatch.setenv("NINEFOLD_CACHE", str(tmp_path))
    return BuildCache("things")


def write_slowly(folder: Path) -> None:
    (folder / "first").write_text("1")
    with (folder.parent / "builds").open("a") as log:
        log.write("x")
    time.sleep(0.3)
    (folder / "second").write_text("2")


def build_in_process(root: str) -> None:
    os.environ["NINEFOLD_CACHE"] = root
    BuildCache("things").get("abc", write_slowly)


def test_folders_follow_xdg_and_can_be_moved(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for variable in ("NINEFOLD_CACHE", "NINEFOLD_DATA", "XDG_CACHE_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(variable, raising=False)
    assert cache_folder() == platformdirs.user_cache_path("ninefold")
    assert data_folder() == platformdirs.user_data_path("ninefold")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == platformdirs.user_cache_path("ninefold") == tmp_path / "ninefold"
    monkeypatch.setenv("NINEFOLD_CACHE", str(tmp_path / "elsewhere"))
    assert cache_folder() == tmp_path / "elsewhere"


def test_a_digest_keeps_its_parts_apart() -> None:
    assert digest_of("ab", "c") != digest_of("a", "bc")
    assert digest_of({"a": 1, "b": 2}) == digest_of({"b": 2, "a": 1})
    assert digest_of(b"x") != digest_of("x")


def test_built_once(cache: BuildCache) -> None:
    entry = cache.get("abc", write_slowly)
    assert cache.get("abc", write_slowly) == entry
    assert sorted(p.name for p in entry.iterdir()) == ["first", "second"]
    assert (cache.folder / "builds").read_text() == "x"


def test_a_failed_build_leaves_nothing(cache: BuildCache) -> None:
    def fail(folder: Path) -> None:
        (folder / "half").write_text("")
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        cache.get("abc", fail)
    assert [p.name for p in cache.folder.iterdir()] == [".abc.lock"]
    assert cache.get("abc", write_slowly).is_dir()


def test_what_fails_its_check_is_not_kept_and_is_built_again(cache: BuildCache) -> None:
    def build(folder: Path) -> None:
        (folder / "text").write_text(text)

    def check(folder: Path) -> None:
        if (folder / "text").read_text() != "good":
            raise ToolError("bad")

    text = "half"
    with pytest.raises(ToolError, match="bad"):
        cache.get("abc", build, check)
    assert cache.find("abc") is None
    text = "good"
    entry = cache.get("abc", build, check)
    text = "new"
    assert cache.get("abc", build, check) == entry
    for damage in (lambda: (entry / "text").write_text("gone"), lambda: (entry / "text").unlink()):
        damage()
        text = "good"
        assert cache.get("abc", build, check) == entry
        assert (entry / "text").read_text() == "good"


def test_concurrent_builders_build_once(cache: BuildCache) -> None:
    spawn = multiprocessing.get_context("spawn")
    workers = [spawn.Process(target=build_in_process, args=(str(cache.folder.parent),)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [w.exitcode for w in workers] == [0, 0, 0]
    assert (cache.folder / "builds").read_text() == "x"


def test_a_killed_build_is_cleared_and_built_again(cache: BuildCache) -> None:
    spawn = multiprocessing.get_context("spawn")
    worker = spawn.Process(target=build_in_process, args=(str(cache.folder.parent),))
    worker.start()
    while not list(cache.folder.glob(".abc-*/first")):
        time.sleep(0.005)
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGKILL)
    worker.join()
    assert not (cache.folder / "abc").exists()
    entry = cache.get("abc", write_slowly)
    assert (entry / "second").read_text() == "2"
    assert not list(cache.folder.glob(".abc-*"))


def test_a_folder_that_cannot_be_written_is_named_with_what_moves_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NINEFOLD_CACHE", str(tmp_path / "file"))
    with pytest.raises(UnwritableError) as failed:
        BuildCache("things").get("abc", lambda _: None)
    things = tmp_path / "file" / "things"
    assert str(failed.value) == (
        f"the cache folder {things} cannot be written (Not a directory); "
        "set NINEFOLD_CACHE or --cache-dir to another folder"
    )
    assert failed.value.exit_code == 3


def test_a_write_that_fails_names_the_folder(cache: BuildCache) -> None:
    def full(folder: Path) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left") as failed:
        cache.get("abc", full)
    assert failed.value.filename == str(cache.folder)
    assert cache.find("abc") is None


@pytest.mark.parametrize("variable", ["NINEFOLD_CACHE", "NINEFOLD_DATA"])
def test_a_folder_of_nobody(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    where = {"NINEFOLD_CACHE": cache_folder, "NINEFOLD_DATA": data_folder}[variable]
    monkeypatch.setenv(variable, "~nobody-9/x")
    with pytest.raises(InputError, match=rf"^{variable} must be a folder, not ~nobody-9/x \(Could not"):
        where()

    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    for name in (variable, "XDG_CACHE_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    with pytest.raises(UnavailableError, match=rf"^this user has no home folder, .*; set {variable} to a folder$"):
        where()


def test_an_alias_finds_an_entry_of_another_kind(cache: BuildCache) -> None:
    entry = cache.get("abc", lambda folder: (folder / "x").write_text("1"))
    other = BuildCache("others")
    for _ in range(2):
        other.alias("def", entry)
    found = other.find("def")
    assert found is not None
    assert (found / "x").read_text() == "1"
    assert [path.name for path in other.folder.iterdir()] == ["def"]
    (entry / "x").unlink()
    entry.rmdir()
    assert other.find("def") is None


def test_a_folder_that_is_not_utf8_is_refused_with_the_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NINEFOLD_CACHE", f"{tmp_path}/caf\udce9")
    with pytest.raises(InputError) as refused:
        cache_folder()
    assert str(refused.value) == (
        f"the path of the folder {tmp_path}/caf\\xe9 is not UTF-8 (byte \\xe9), which tools need: "
        "set NINEFOLD_CACHE to another folder"
    )
    monkeypatch.setenv("NINEFOLD_CACHE", f"{tmp_path}/café $x \"'#\\")
    assert cache_folder().name == "café $x \"'#\\"
