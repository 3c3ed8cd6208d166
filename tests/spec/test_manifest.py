"""Manifests: their JSON form, refused input, and the manifests of the catalogue."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ninefold.spec import manifest as module
from ninefold.spec.errors import DamagedDataError, InputError
from ninefold.spec.manifest import Clock, Manifest, Step, Usage, manifest, manifests

MANIFEST = Manifest(
    name="board/small",
    digest="0123456789abcdef" * 4,
    device="PART-PACKAGE-6",
    seed=3,
    timing_met=True,
    clocks={"sync": Clock(constraint_mhz=24.0, fmax_mhz=24.0)},
    resources={"lut4": Usage(12, None), "ICESTORM_LC": Usage(20, 5280)},
    tools={"pyosys": "0.70"},
    bitstream="f" * 64,
    critical_path=(Step("near miner.topk.kept", 0.5, 1.25),),
    seconds=1.5,
)


def test_json_and_back() -> None:
    assert Manifest.from_json(MANIFEST.to_json()) == MANIFEST
    assert Manifest.from_json(MANIFEST.to_json()).seconds == 1.5
    assert MANIFEST.to_json().endswith("}\n")


def test_time_taken_is_outside_the_comparison() -> None:
    assert replace(MANIFEST, seconds=9.0) == MANIFEST
    assert replace(MANIFEST, seed=4) != MANIFEST


def test_identity_is_what_the_board_carries() -> None:
    assert MANIFEST.identity[:4] == b"\x01\x23\x45\x67"
    assert len(MANIFEST.identity) == 32


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ((), [], "the whole must be an object"),
        (("name",), "small", "name must be BOARD/CONFIG, not 'small'"),
        (("digest",), "abc", "digest must be 64 hexadecimal digits, not 'abc'"),
        (("bitstream",), None, "bitstream must be 64 hexadecimal digits, not None"),
        (("seed",), -1, "seed must be an integer from 0, not -1"),
        (("seed",), True, "seed must be an integer from 0, not True"),
        (("timing_met",), 1, "timing_met must be true or false, not 1"),
        (("timing_met",), False, "timing_met contradicts clocks"),
        (("clocks",), {}, "clocks must be an object with at least one key"),
        (("clocks", "sync"), 24, "clocks.sync must be an object"),
        (("clocks", "sync", "fmax_mhz"), float("nan"), "clocks.sync.fmax_mhz must be a number from 0, not nan"),
        (("clocks", "sync", "fmax_mhz"), float("inf"), "clocks.sync.fmax_mhz must be a number from 0, not inf"),
        (("clocks", "sync", "fmax_mhz"), 0, "clocks.sync.fmax_mhz must be above 0, not 0"),
        (("clocks", "sync", "constraint_mhz"), 0.0, "clocks.sync.constraint_mhz must be above 0, not 0.0"),
        (("resources", "lut4", "used"), "12", "resources.lut4.used must be an integer from 0, not '12'"),
        (("resources", "lut4", "free"), 1, "resources.lut4.free is not known"),
        (("tools", "pyosys"), "", "tools.pyosys must be a text, not ''"),
        (("critical_path",), {}, "critical_path must be a list"),
        (("critical_path", 0, "signal"), 7, "critical_path[0].signal must be a text, not 7"),
        (("seconds",), 10**400, f"seconds must be a number from 0, not {10**400}"),
        (("seconds",), "long", "seconds must be a number from 0, not 'long'"),
        (("author",), "me", "author is not known"),
    ],
)
def test_damage_is_named(path: tuple[Any, ...], value: Any, message: str) -> None:
    plain = json.loads(MANIFEST.to_json())
    if path:
        inner = plain
        for key in path[:-1]:
            inner = inner[key]
        inner[path[-1]] = value
    else:
        plain = value
    with pytest.raises(DamagedDataError) as refusal:
        Manifest.from_json(json.dumps(plain), "x.json")
    assert str(refusal.value) == f"x.json is damaged: {message}"


@pytest.mark.parametrize("key", list(json.loads(MANIFEST.to_json())))
def test_a_missing_key_is_named(key: str) -> None:
    plain = json.loads(MANIFEST.to_json())
    del plain[key]
    with pytest.raises(DamagedDataError, match=f"^the manifest is damaged: {key} is missing$"):
        Manifest.from_json(json.dumps(plain))


def test_a_cut_file_is_damaged() -> None:
    with pytest.raises(DamagedDataError, match=r"^x is damaged: it is not JSON "):
        Manifest.from_json(MANIFEST.to_json()[:100], "x")


@pytest.mark.parametrize("text", [b"\xff{}", "[" * 100_000, b"", b"nul"])
def test_what_is_no_json_is_damaged(text: str | bytes) -> None:
    with pytest.raises(DamagedDataError, match=r"^x is damaged: it is not JSON "):
        Manifest.from_json(text, "x")


def test_manifests_of_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "__init__.py").touch()
    (tmp_path / "board").mkdir()
    (tmp_path / "board" / "small.json").write_text(MANIFEST.to_json())
    (tmp_path / "board" / "note.txt").touch()
    monkeypatch.setattr(module, "files", lambda _: tmp_path)
    assert manifests.__wrapped__() == {"board/small": MANIFEST}
    (tmp_path / "board" / "other.json").write_text(MANIFEST.to_json())
    with pytest.raises(DamagedDataError, match=r"other\.json is damaged: name is 'board/small', not 'board/other'"):
        manifests.__wrapped__()


def test_the_catalogue_is_read_and_sorted() -> None:
    assert list(manifests()) == sorted(manifests())
    assert all(manifest(name) is found for name, found in manifests().items())
    with pytest.raises(InputError, match=r"^the manifest must be one of .*, not 'virtual/none'$"):
        manifest("virtual/none")
