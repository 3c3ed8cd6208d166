"""The C++ compiler that CXX or PATH name, and what is said of a program that is none."""

from pathlib import Path

import pytest

from ninefold.spec.compiler import compiler_version, found_compiler, made
from ninefold.spec.errors import UnavailableError


def script(path: Path, body: str) -> str:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return str(path)


def test_cxx_may_have_arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = script(tmp_path / "tool", 'echo "$@"')
    monkeypatch.setenv("CXX", f"{tool} -m64 '-DX=a b'")
    command = found_compiler()
    assert command == (tool, "-m64", "-DX=a b")
    assert compiler_version(command) == "-m64 -DX=a b --version\n"
    script(tmp_path / "tool", "echo another version")
    assert compiler_version(command) == "another version\n", "it was replaced"


@pytest.mark.parametrize(
    ("named", "said"),
    [
        (
            "false",
            "CXX is set to 'false', which is not a working C++ compiler: `{path} --version` failed with exit code 1",
        ),
        (
            "sh -c 'kill -9 $$'",
            "which is not a working C++ compiler: `{path} -c 'kill -9 $$' --version` was ended by SIGKILL",
        ),
    ],
)
def test_a_program_that_is_no_compiler(named: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", named)
    command = found_compiler()
    assert command is not None
    with pytest.raises(UnavailableError) as missing:
        compiler_version(command)
    assert said.format(path=command[0]) in str(missing.value)
    assert str(missing.value).endswith("; set it to a C++ compiler, or unset it")
    assert "coreutils" not in str(missing.value)


def test_what_cannot_be_run_and_what_is_no_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "broken"
    broken.write_bytes(b"\x7fELF nothing")
    broken.chmod(0o755)
    monkeypatch.setenv("CXX", str(broken))
    with pytest.raises(
        UnavailableError, match=r"is not a working C\+\+ compiler: .*broken cannot be started \(Exec format"
    ):
        compiler_version((str(broken),))
    monkeypatch.setenv("CXX", "g++ 'open")
    with pytest.raises(
        UnavailableError, match=r"^CXX is set to \"g\+\+ 'open\", which is not a valid command line \(No closing"
    ):
        found_compiler()
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert found_compiler() is None


def test_one_that_says_it_succeeded_and_wrote_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "true")
    with pytest.raises(UnavailableError, match=r"^CXX is set to 'true', which .* did not write kernel\.so; set it to"):
        made(tmp_path / "kernel.so", ("/bin/true",))
    (tmp_path / "kernel.so").write_text("")
    made(tmp_path / "kernel.so", ("/bin/true",))
