import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from ninefold.spec.errors import UnsupportedError
from ninefold.spec.operators import OPERATORS
from ninefold.spec.protocols import Found
from ninefold.spec.registry import backend, backend_names
from ninefold.spec.runners import scan


def test_scan_finds_one_module_an_operator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "toy_backend"
    package.mkdir()
    (package / "__init__.py").write_text('REASON = "it only counts"\nREASONS = {"embed": "it has no exponential"}\n')
    (package / "topk.py").write_text(
        "def run(device, call):\n    return (device.name, call.options['k'])\nRATING = 3\n"
    )
    (package / "quantise.py").write_text('def run(device, call): ...\nRATING = {"gpu": 10, "cpu": 1}\n')
    (package / "similarity.py").write_text("def run(device, call): ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    runners = scan("toy_backend")
    device = SimpleNamespace(name="toy")
    call = OPERATORS["topk"].bind({"scores": np.zeros((1, 2), np.int32)}, {"k": 7})
    assert runners(device, call) == ("toy", 7)
    assert runners.operators()["topk"] is None
    assert runners.operators()["embed"] == "it has no exponential"
    assert runners.operators()["mine"] == "it only counts"
    assert runners.ratings("cpu") == {"quantise": 1, "topk": 3}
    assert runners.ratings("npu") == {"topk": 3}
    refused = OPERATORS["embed"].bind({"tokens": np.zeros((1, 1), np.int64), "mask": np.ones((1, 1), np.int64)})
    with pytest.raises(UnsupportedError, match=r"^toy does not run embed: it has no exponential$"):
        runners(device, refused)
    sys.modules.pop("toy_backend", None)


@pytest.mark.parametrize("rating", ["0", '{"gpu": 5, "cpu": 11}'])
def test_a_rating_off_the_scale_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rating: str) -> None:
    package = tmp_path / "vain_backend"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "topk.py").write_text(f"def run(device, call): ...\nRATING = {rating}\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ValueError, match=r"^RATING in vain_backend.topk must be 1 to 10, not (0|11)$"):
        scan("vain_backend")
    for name in ("vain_backend.topk", "vain_backend"):
        sys.modules.pop(name)


def test_every_backend_rates_what_it_runs_and_nothing_else() -> None:
    for name in backend_names():
        made = backend(name)
        for found in made.probe():
            if isinstance(found, Found) and found.ratings:
                # A device with a core of another party runs the core's operator only.
                reasons = made.operators() if found.operators is None else found.operators
                runs = {operator for operator, reason in reasons.items() if reason is None}
                assert set(found.ratings) == runs, found.device
