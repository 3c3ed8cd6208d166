"""The boards that can be had here, what they are known by, and how one is opened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Protocol

from ninefold.drivers.board import Board
from ninefold.drivers.link import TIMEOUT_S, TRIES
from ninefold.drivers.transports import open_transport, split
from ninefold.spec.errors import InputError, LostDeviceError, UnavailableError, did_you_mean
from ninefold.spec.manifest import manifests
from ninefold.spec.progress import step
from ninefold.spec.registry import entries

__all__ = [
    "ANY",
    "BOARDS",
    "Place",
    "Source",
    "bitstream",
    "only_board",
    "open_board",
    "places",
    "url_of",
    "why_simulated",
]

#: Entry points of those who know of boards; each is a `Source`.
BOARDS = "ninefold.boards"
#: What a configuration in a file ends with, which can be simulated.
_FILE = ".json"
#: In place of a digest: any bitstream will do.
ANY = "any"


@dataclass(frozen=True)
class Place:
    """Where a board is.

    Attributes
    ----------
    name : str
        What it is called: its serial number, or the configuration that is simulated.
    url : str
        As `ninefold.drivers.transports.open_transport` takes it.
    description : str
        What it is, in words.
    simulated : bool
        Whether it is computed by this computer.
    """

    name: str
    url: str
    description: str
    simulated: bool = False


class Source(Protocol):
    """Who knows of boards; a module is one."""

    def places(self) -> Sequence[Place]:
        """Return the boards that can be had now, quickly, without opening one.

        Raises
        ------
        UnavailableError
            Why there is none, with the step that provides one.
        """
        ...

    def identities(self) -> Mapping[str, str]:
        """Return digests, 64 hexadecimal digits, of bitstreams that no manifest describes, and their names."""
        ...


def places() -> dict[str, Sequence[Place] | UnavailableError]:
    """Return, for each source by name, the boards that it knows of, or why there is none."""
    found: dict[str, Sequence[Place] | UnavailableError] = {}
    for name, entry in entries(BOARDS).items():
        try:
            found[name] = _source(entry).places()
        except UnavailableError as error:
            found[name] = error
    return found


def url_of(name: str) -> str:
    """Return the URL of a board by any name that it has.

    Parameters
    ----------
    name : str
        A URL; what `places` calls it, options of the URL behind it perhaps; a source, for the first board that it knows
        of; a file with a configuration; the path of a port; a serial number; or one of these behind ``board:``, as a
        device is named.

    Raises
    ------
    InputError
        For a name that is none.
    UnavailableError
        Where the source that is named knows of none.
    """
    bare = name.removeprefix("board:")
    if "://" in bare:
        split(bare)  # refuses what is no URL
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
            f"a board is named by a URL, or as `ninefold board list` has it ({', '.join(known) or 'none now'}), not"
            f" {name!r}{did_you_mean(stem, known)}"
        )
    return f"serial://{bare}"


def only_board() -> Place:
    """Return the one board that is plugged in; where there is none, the first one that can be simulated.

    Raises
    ------
    InputError
        When there is more than one.
    UnavailableError
        When there is none, and none can be simulated.
    """
    found = places()
    listed = [place for some in found.values() if not isinstance(some, UnavailableError) for place in some]
    real = [place for place in listed if not place.simulated]
    if len(real) > 1:
        raise InputError(f"more than one board is plugged in: name one of {', '.join(place.url for place in real)}")
    if not listed:
        raise next(error for error in found.values() if isinstance(error, UnavailableError))
    return (real or listed)[0]


def why_simulated(found: Mapping[str, Sequence[Place] | UnavailableError]) -> str:
    """Return why a simulated one of the `places` that were found stands in for one that is plugged in."""
    missing = [some for some in found.values() if isinstance(some, UnavailableError)]
    return "; ".join(error.what for error in missing) or "no board is plugged in"


def bitstream(digest: str) -> str:
    """Return the name of the bitstream with that digest; empty where neither manifest nor source knows it."""
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
    """Open a board and make sure that it is fit for use.

    Parameters
    ----------
    name : str
        As `url_of` takes it.
    digest : str
        Of the bitstream that it must hold, from a manifest; one that is known where it is empty; `ANY`.
    selftest : bool
        Run the known-answer test, which overwrites what the board holds.
    record : Path, optional
        Write the session into this file.
    timeout_s : float
        How long a request may take beside the board's own computation.
    tries : int
        How often a request is sent before the board counts as lost.

    Raises
    ------
    InputError
        For a name or digest that is none.
    UnavailableError, LostDeviceError, DeviceError
        Why the board cannot be used.
    """
    _check_digest(digest)
    url = url_of(name)
    # A recording can be played back only where nothing is left to chance.
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
