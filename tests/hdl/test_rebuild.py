"""The committed manifests: of the sources as they are, and a bitstream built again from nothing."""

from pathlib import Path

import pytest

from ninefold.hdl.bitstream import Plan, build, plan
from ninefold.spec.manifest import Manifest, manifests
from tests.hdl.caches import with_tools
from tests.sampling import turn

FIXTURES = Path(__file__).parents[1] / "fixtures" / "bitstream"
#: A design of the tests, which is placed in half the time of the smallest of the catalogue.
LITTLE = str(FIXTURES / "little.json")
SMALLEST = "icebreaker/small"
#: What takes turns.
REBUILT = (LITTLE, LITTLE, LITTLE, SMALLEST)


def committed(planned: Plan) -> Manifest:
    """Return the committed manifest of a plan, and fail where it is not of these sources and tools."""
    little = Manifest.from_json((FIXTURES / "little.manifest.json").read_text())
    renew = f"`ninefold build {planned.name} --seeds 4 --output bitstreams` renews bitstreams/{planned.name}.json"
    if planned.name == little.name:
        renew = f"`ninefold build {LITTLE} --seeds 1` makes what renews little.manifest.json beside it"
    found = {**manifests(), little.name: little}.get(planned.name)
    assert found is not None, f"{planned.name} has no manifest: {renew}"
    assert found.tools == planned.versions, f"{planned.name} was built with other tools than are installed: {renew}"
    assert found.digest == planned.digest, f"{planned.name} was built from other sources: {renew}"
    return found


@pytest.mark.parametrize("name", [LITTLE, *manifests()], ids=lambda name: Path(name).stem)
def test_each_manifest_is_of_the_sources_as_they_are(name: str) -> None:
    assert committed(plan(name)).device


def test_a_bitstream_is_built_again_byte_for_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NINEFOLD_CACHE", with_tools(tmp_path))
    planned = plan(REBUILT[turn(len(REBUILT))])
    manifest = committed(planned)
    made = build(planned, (manifest.seed,)).manifest
    assert made.bitstream == manifest.bitstream, f"the same sources made another bitstream of {planned.name}"
    assert made == manifest
