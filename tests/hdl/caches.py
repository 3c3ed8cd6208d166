"""Empty caches for tests that build from nothing."""

from pathlib import Path

from ninefold.spec.cache import cache_folder


def with_tools(folder: Path) -> str:
    """Return a folder as an empty cache that has the compiled tools of the cache that all tests share."""
    shared = cache_folder() / "tools"
    shared.mkdir(parents=True, exist_ok=True)
    (folder / "tools").symlink_to(shared)
    return str(folder)
