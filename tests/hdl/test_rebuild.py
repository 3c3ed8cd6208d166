"""The committed manifests: of the sources as they are, and a bitstream built again from nothing."""

from pathlib import Path

import pytest

from ninefold.hdl.bitstream import build, plan
from ninefold.spec.manifest import Manifest, manifests
from tests.hdl.caches import with_tools
from tests.sampling import turn

FIXTURES = Path(__file__).parents[1] / "fixtures" / "bitstream"
LOCK = Path(__file__).parents[2] / "requirements.lock"
#: A design of the tests, which is placed in half the time of the smallest of the catalogue.
LITTLE = str(FIXTURES / "little.json")
SMALLEST = "icebreaker/small"
#: What takes turns.
REBUILT = (LITTLE, LITTLE, LITTLE, SMALLEST)
SMALLEST_GOWIN = "tangnano9k/small"


def committed(name: str) -> Manifest:
    """Return the committed manifest of a configuration."""
    if name == LITTLE:
        return Manifest.from_json((FIXTURES / "little.manifest.json").read_text())
    return manifests()[name]


def renewed(name: str) -> str:
    """Return how to renew a manifest."""
    if name == LITTLE:
        return f"`ninefold build {LITTLE} --seeds 1` makes what renews little.manifest.json beside it"
    return f"`ninefold build {name} --seeds 4 --output bitstreams` renews bitstreams/{name}.json"


def locked() -> dict[str, str]:
    """Return the version of each package in requirements.lock, by its name in lower case."""
    lines = [line for line in LOCK.read_text().splitlines() if not line.startswith("#")]
    return {name.lower(): version for name, _, version in (line.partition("==") for line in lines)}


@pytest.mark.parametrize("name", [LITTLE, *manifests()], ids=["little", *manifests()])
def test_each_manifest_is_of_the_sources_as_they_are(name: str) -> None:
    # Not of the installed tools: those for Gowin are an extra that tests do without.
    manifest = committed(name)
    versions = locked()
    assert manifest.tools == {package: versions[package] for package in manifest.tools}, (
        f"{name} was built with other tools than requirements.lock names: {renewed(name)}"
    )
    planned = plan(name, manifest.tools)
    assert planned.digest == manifest.digest, f"{name} was built from other sources: {renewed(name)}"
    assert set(manifest.tools) == set(planned.recipe.packages)


def test_a_bitstream_is_built_again_byte_for_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NINEFOLD_CACHE", with_tools(tmp_path))
    check_rebuild(REBUILT[turn(len(REBUILT))])


@pytest.mark.gowin
def test_a_bitstream_of_gowin_is_built_again_byte_for_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NINEFOLD_CACHE", with_tools(tmp_path))
    check_rebuild(SMALLEST_GOWIN)


def check_rebuild(name: str) -> None:
    """Build a configuration with the seed of its manifest, and compare."""
    planned, manifest = plan(name), committed(name)
    assert manifest.tools == planned.versions, f"{name} was built with other tools than are installed: {renewed(name)}"
    made = build(planned, (manifest.seed,)).manifest
    assert made.bitstream == manifest.bitstream, f"the same sources made another bitstream of {name}"
    assert made == manifest
