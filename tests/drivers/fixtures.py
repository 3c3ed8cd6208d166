"""The bytes that both codecs are checked against."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from ninefold.spec.link import Frame

__all__ = ["encoded", "frame", "frames", "streams"]

_FOLDER = Path(__file__).parent.parent / "fixtures" / "link"


@cache
def frames() -> dict[str, dict[str, Any]]:
    """Return the fields and bytes of each frame, by name."""
    return {f["name"]: f for f in json.loads((_FOLDER / "frames.json").read_text())}


def streams() -> list[dict[str, Any]]:
    """Return streams of bytes with the frames in them."""
    found: list[dict[str, Any]] = json.loads((_FOLDER / "streams.json").read_text())
    return found


def frame(name: str) -> Frame:
    """Return a frame of the fixtures."""
    f = frames()[name]
    return Frame(f["kind"], f["sequence"], f["priority"], f["epoch"], bytes.fromhex(f["payload"]))


def encoded(name: str) -> bytes:
    """Return the bytes of a frame of the fixtures."""
    return bytes.fromhex(frames()[name]["encoded"])
