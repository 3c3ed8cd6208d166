import pytest

from ninefold.hdl.commands.progress import steps


def test_where_there_is_no_terminal_only_finished_steps_are_written(capsys: pytest.CaptureFixture[str]) -> None:
    with steps("building", 2) as finished:
        finished("elaborated")
    assert capsys.readouterr() == ("", "elaborated\n")
    with pytest.raises(KeyError), steps("building", 2):
        raise KeyError
    assert capsys.readouterr() == ("", "")
