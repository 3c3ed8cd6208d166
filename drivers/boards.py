"""Boards that are available, real or virtual: their names, and opening one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Protocol

from ninefold.drivers.board import Board
from ninefold.drivers.link import TIMEOUT_S, TRIES
from ninefold.drivers.transports import open_transport
from ninefold.drivers.transports.urls import split
from ninefold.spec.errors import InputError, LostDeviceError, UnavailableError, did_you_mean
from ninefold.spec.manifest import manifests
from ninefold.spec.progress import step
from ninefold.spec.registry import entries

__all__ = [
    "ANY",
    "BOARDS",
    "Address",
    "Source",
    "bitstream",
    "only_board",
    "open_board",
    "places",
    "url_of",
    "why_simulated",
]

#: Group of entry points for sources of boards; each is a `Source`.
BOARDS = "ninefold.boards"
#: Suffix of a file with a configuration, which can be simulated.
_FILE = ".json"
#: Digest that accepts any bitstream.
ANY = "any"


@dataclass(frozen=True)
class Address:
    """Address of a board.

    Attributes
    ----------
    name : str
        Serial number, or name of the simulated configuration.
    url : str
        URL for `ninefold.drivers.transports.open_transport`.
    description : str
        Description for users.
    simulated : bool
        True if this computer simulates the board.
    """

    name: str
    url: str
    description: str
    simulated: bool = False


class Source(Protocol):
    """Source of boards; a module can be one."""

    def places(self) -> Sequence[Address]:
        """Return the boards that are available now, quickly and without opening one.

        Raises
        ------
        UnavailableError
            There is none; the message gives the reason and the step that provides one.
        """
        ...

    def identities(self) -> Mapping[str, str]:
        """Return the names of bitstreams without a manifest, by digest (64 hexadecimal digits)."""
        ...


def places() -> dict[str, Sequence[Address] | UnavailableError]:
    """Return for each source, by name, its boards or the reason why there is none."""
    found: dict[str, Sequence[Address] | UnavailableError] = {}
    for name, entry in entries(BOARDS).items():
        try:
            found[name] = _source(entry).places()
        except UnavailableError as error:
            found[name] = error
    return found


def url_of(name: str) -> str:
    """Return the URL of a board, given any of its names.

    Parameters
    ----------
    name : str
        A URL; a name from `places`, optionally followed by URL options; a source, for its first board; a file with a
        configuration; the path of a port; a serial number; or one of these after ``board:``, as in a device name.

    Raises
    ------
    InputError
        The name is unknown.
    UnavailableError
        The named source has no board.
    """
    bare = name.removeprefix("board:")
    if "://" in bare:
        split(bare)  # refuses anything that is no URL
        return bare
    stem, mark, options = bare.partition("?")
    if stem.endswith(_FILE):
        return f"sim://{bare}"
    found = places()
    source = found.get(stem.partition("/")[0], ())
    if isinstance(source, UnavailableError):
        raise source
    known = {stem: source[0].url} if source and stem in found else {}
    known |= {p.name: p.url for some in found.values() if not isinstance(some, UnavailableError) for p in some}
    if stem in known:
        return f"{known[stem]}{mark}{options}"
    half = any(stem == one.partition("/")[2] for one in known)
    if half or not stem or ("/" in stem and not stem.startswith("/")):
        raise InputError(
            f"a board must be a URL or a name from `ninefold board list` ({', '.join(known) or 'none now'}), not"
            f" {name!r}{did_you_mean(stem, known)}"
        )
    return f"serial://{bare}"


def only_board() -> Address:
    """Return the one board that is plugged in, or else the first one that can be simulated.

    Raises
    ------
    InputError
        More than one board is plugged in.
    UnavailableError
        No board is plugged in, and none can be simulated.
    """
    found = places()
    listed = [place for some in found.values() if not isinstance(some, UnavailableError) for place in some]
    real = [place for place in listed if not place.simulated]
    if len(real) > 1:
        raise InputError(f"more than one board is plugged in: name one of {', '.join(place.url for place in real)}")
    if not listed:
        raise next(error for error in found.values() if isinstance(error, UnavailableError))
    return (real or listed)[0]


def why_simulated(found: Mapping[str, Sequence[Address] | UnavailableError]) -> str:
    """Return the reason why a simulated board replaces one that is plugged in."""
    missing = [some for some in found.values() if isinstance(some, UnavailableError)]
    return "; ".join(error.what for error in missing) or "no board is plugged in"


def bitstream(digest: str) -> str:
    """Return the name of the bitstream with this digest, or an empty string if no manifest or source has it."""
    for manifest in manifests().values():
        if manifest.digest == digest:
            return manifest.name
    for entry in entries(BOARDS).values():
        if digest in (known := _source(entry).identities()):
            return known[digest]
    return ""


def open_board(
    name: str,
    *,
    digest: str = "",
    selftest: bool = True,
    record: Path | None = None,
    timeout_s: float = TIMEOUT_S,
    tries: int = TRIES,
) -> Board:
    """Open a board and check that it can be used.

    Parameters
    ----------
    name : str
        Name of the board, as for `url_of`.
    digest : str
        Digest of the bitstream that the board must hold, or `ANY`; empty for any known bitstream.
    selftest : bool
        Run the known-answer test, which overwrites what the board holds.
    record : Path, optional
        File to which the session is recorded.
    timeout_s : float
        Time limit of a request in seconds, in addition to the board's computation.
    tries : int
        Number of times a request is sent before the board counts as lost.

    Raises
    ------
    InputError
        The name or digest is invalid.
    UnavailableError, LostDeviceError, DeviceError
        The board cannot be used; the message gives the reason.
    """
    _check_digest(digest)
    url = url_of(name)
    # A recording can be replayed only without random choices.
    seed = 0 if record is not None or split(url)[0] == "replay" else None
    with step(f"opening {url}"):
        board = Board(open_transport(url, record), timeout_s=timeout_s, tries=tries, seed=seed)
        try:
            if digest not in ("", ANY):
                board.check_digest(digest)
            elif not digest and not bitstream(board.identity.digest):
                raise LostDeviceError(
                    f"the board holds the bitstream {board.identity.digest}, which no manifest describes: program it,"
                    " or name that digest, by --digest or, of a device, as board:NAME#DIGEST"
                )
            if selftest:
                board.selftest()
        except BaseException:
            board.close()
            raise
    return board


def _check_digest(digest: str) -> None:
    if digest not in ("", ANY) and (len(digest) != 64 or set(digest.lower()) - set("0123456789abcdef")):
        raise InputError(f"a digest must be 64 hexadecimal digits or {ANY!r}, not {digest!r}")


def _source(entry: EntryPoint) -> Source:
    found: Source = entry.load()
    return found
