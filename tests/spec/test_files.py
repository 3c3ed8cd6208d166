import errno
import os
import stat
from pathlib import Path

import pytest

from ninefold.spec.errors import InputError
from ninefold.spec.files import check_folders, written_aside


def test_a_file_appears_with_the_rights_of_any_new_file(tmp_path: Path) -> None:
    path, plain = tmp_path / "file", tmp_path / "plain"
    plain.touch()
    for text in ("first", "second"):
        with written_aside(path) as aside:
            aside.write_text(text)
            assert path.exists() is (text == "second")
        assert path.read_text() == text
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)
    assert sorted(tmp_path.iterdir()) == [path, plain]


def test_a_folder_that_is_not_there_is_named_with_the_file(tmp_path: Path) -> None:
    check_folders(None, tmp_path / "page.html", Path("page.html"))
    with pytest.raises(InputError, match=f"^there is no folder {tmp_path / 'no'} to write page.html in$"):
        check_folders(tmp_path / "page.html", tmp_path / "no" / "page.html")


def test_what_was_there_stays_when_the_block_fails(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def fail() -> None:
        with written_aside(path) as aside:
            aside.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_stays_and_leads_to_the_new_file(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    real, link = tmp_path / "there" / "real", tmp_path / "link"
    real.write_text("old")
    link.symlink_to(real)
    with written_aside(link) as aside:
        aside.write_text("new")
    assert link.is_symlink()
    assert real.read_text() == "new"


def test_what_is_no_file_is_never_replaced(tmp_path: Path) -> None:
    # As /dev/stdout and /dev/null are, which root could replace.
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with written_aside(pipe) as aside:
        aside.write_text("through")
    assert os.read(reader, 100) == b"through"
    os.close(reader)
    assert pipe.is_fifo()


def test_errors_name_the_file_and_not_the_one_aside(tmp_path: Path) -> None:
    path = tmp_path / "none" / "file"
    with pytest.raises(FileNotFoundError) as failure, written_aside(path):
        pass
    assert failure.value.filename == str(path)
    path = tmp_path / "file"
    with pytest.raises(OSError, match="No space") as full, written_aside(path):
        raise OSError(errno.ENOSPC, "No space left on device")  # as a write does: it names no file
    assert full.value.filename == str(path)
    with pytest.raises(FileNotFoundError) as other, written_aside(path) as aside:
        aside.write_bytes((tmp_path / "source").read_bytes())
    assert other.value.filename == str(tmp_path / "source")
    assert list(tmp_path.iterdir()) == []
