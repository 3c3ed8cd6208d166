"""Servers whose devices may be used: from the environment, and from a file in the data folder."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from ninefold.spec.cache import data_folder
from ninefold.spec.errors import InputError
from ninefold.spec.terminal import printable

__all__ = ["FILE", "VARIABLE", "RemoteServer", "servers"]

#: Variable of the environment with URLs, separated by commas; their key is in NINEFOLD_KEY.
VARIABLE: Final = "NINEFOLD_REMOTES"
#: File in the data folder: a URL on each line, and behind a blank its key if it needs one.
FILE: Final = "remotes.txt"


@dataclass(frozen=True)
class RemoteServer:
    """Server of devices.

    Attributes
    ----------
    url : str
    key : str or None
        Its key; None for NINEFOLD_KEY, or none.
    """

    url: str
    key: str | None = field(default=None, repr=False)

    @property
    def address(self) -> str:
        """Host and port, which names the server's devices."""
        return urlsplit(self.url).netloc


def servers() -> list[RemoteServer]:
    """Return the servers that are named, first in the environment and then in the file.

    Raises
    ------
    InputError
        A URL is none, two servers have one address, or others may read the file, which holds keys.
    """
    found = [RemoteServer(url.strip()) for url in os.environ.get(VARIABLE, "").split(",") if url.strip()]
    path = data_folder() / FILE
    if path.is_file():
        found += _listed(path)
    for server in found:
        if urlsplit(server.url).scheme not in ("http", "https") or not server.address:
            raise InputError(
                f"a server is named by an address such as https://host:8900, not {printable(server.url)!r}"
            )
    addresses = [server.address for server in found]
    if twice := next((one for one in addresses if addresses.count(one) > 1), None):
        raise InputError(f"the server {printable(twice)} is named twice, in {VARIABLE} or {path}")
    return found


def _listed(path: Path) -> list[RemoteServer]:
    lines = [line.split() for line in path.read_text().splitlines() if line.strip() and not line.startswith("#")]
    if wrong := next((words for words in lines if len(words) > 2), None):
        raise InputError(f"a line of {path} holds a URL and a key, not {len(wrong)} words")
    if any(len(words) == 2 for words in lines) and path.stat().st_mode & 0o077:
        raise InputError(f"{path} holds keys and may be read by others than its owner; chmod 600 it")
    return [RemoteServer(*words) for words in lines]
