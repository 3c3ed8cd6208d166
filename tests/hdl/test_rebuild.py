"""The committed manifests: of the sources as they are, and the smallest one's bitstream built anew from nothing."""

from pathlib import Path

import pytest

from ninefold.hdl.bitstream import Plan, build, plan
from ninefold.spec.manifest import Manifest, manifests

#: What builds quickest.
SMALLEST = "icebreaker/small"


def committed(planned: Plan) -> Manifest:
    """Return the committed manifest of a plan, and fail where it is not of these sources and tools."""
    renew = f"`ninefold build {planned.name} --seeds 4 --output bitstreams` renews bitstreams/{planned.name}.json"
    found = manifests().get(planned.name)
    assert found is not None, f"{planned.name} has no manifest: {renew}"
    assert found.tools == planned.versions, f"{planned.name} was built with other tools than are installed: {renew}"
    assert found.digest == planned.digest, f"{planned.name} was built from other sources: {renew}"
    return found


@pytest.mark.parametrize("name", list(manifests()))
def test_each_manifest_is_of_the_sources_as_they_are(name: str) -> None:
    assert committed(plan(name)).device


def test_the_smallest_bitstream_is_built_again_byte_for_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NINEFOLD_CACHE", str(tmp_path))
    planned = plan(SMALLEST)
    manifest = committed(planned)
    made = build(planned, (manifest.seed,)).manifest
    renew = f"`ninefold build {SMALLEST} --seeds 4 --output bitstreams` writes what is made now"
    assert made.bitstream == manifest.bitstream, f"the same sources made another bitstream: {renew}"
    assert made == manifest
