"""Discovery of boards, and resolution of device names to boards."""

from collections.abc import Mapping, Sequence
from functools import lru_cache

from ninefold.drivers.boards import ANY, Address, bitstream, open_board, places, url_of
from ninefold.drivers.protocol import Identity
from ninefold.spec.errors import DeviceError, UnavailableError
from ninefold.spec.protocols import HOST, Found, Missing
from ninefold.spec.runners import Runners, scan

from .cores import CoreBoard, CoreBoardDevice, core_board
from .device import BoardDevice

__all__ = ["Boards"]

#: Time limit of an identification request in seconds, and number of times it is sent.
_PROBE_S, _PROBE_TRIES = 0.15, 4
#: Separator between a name or URL and the digest of a bitstream that no manifest describes.
_MARK = "#"
#: Boards with users' cores, by the instance in their device's name.
_CORES: dict[str, CoreBoard] = {}


class Boards:
    """The backend ``board``.

    ``board:SERIAL`` is the board on USB with that serial number. ``board:virtual/demo`` is a simulated board, and
    ``board:virtual`` the first simulated board. ``board:URL`` is the board at a URL, and ``board`` the first board
    found. Append ``#`` and a digest to accept a bitstream that no manifest describes. A board that holds a user's core
    is a device of the operator that the core implements, after `implement`.
    """

    name = "board"

    def __init__(self) -> None:
        #: Identities of the boards that are plugged in, by URL and port.
        self._identified: dict[Address, Found] = {}

    def probe(self) -> Sequence[Found | Missing]:
        """Return the boards; a board on a port is identified once, and a simulated board is not compiled."""
        listed: list[Found | Missing] = []
        seen: set[Address] = set()
        for source, found in places().items():
            if isinstance(found, UnavailableError):
                listed.append(Missing(f"board:{source}", found.what, found.install))
                continue
            for place in found:
                seen.add(place)
                listed.append(self._simulated(place) if place.simulated else self._plugged_in(place))
        self._identified = {place: entry for place, entry in self._identified.items() if place in seen}
        return [*listed, *(board.found() for board in _CORES.values())]

    def implement(self, core: str, place: str) -> CoreBoard:
        """Have a board run the operator that the core on it implements, from now on, in this process.

        Parameters
        ----------
        core : str
            Name or path of the core.
        place : str
            URL of the board, or the name of a board to simulate.

        Raises
        ------
        InputError
            There is no such core or operator, or the core implements none.
        UnavailableError
            A package is not installed.
        """
        board = core_board(core, place)
        _CORES[board.name.removeprefix("board:")] = board
        return board

    def operators(self) -> Mapping[str, str | None]:
        """Return None for every operator, or the reason that this backend does not run it."""
        return _runners().operators()

    def resolve(self, instance: str) -> str | Found:
        """Return the name in `probe`, or a `Found` for a URL or port, which is identified only when it is opened.

        Raises
        ------
        InputError
            Unknown name.
        """
        if instance in _CORES:
            return _CORES[instance].found()
        place, error = _located(instance)
        if error is not None:  # the probe has reported the reason for the whole source
            return f"board:{instance.partition('/')[0]}"
        if place is not None and _MARK not in instance:
            return f"board:{place.name}"
        url = url_of(instance.partition(_MARK)[0]) if place is None else place.url
        kind = "simulation" if url.startswith("sim://") else "fpga"
        return Found(
            f"board:{instance}",
            f"a board at {instance}",
            _runners().ratings(kind),
            named_only=True,
            kind=kind,
            unit=HOST if kind == "simulation" else "",
            timeout_s=None,
        )

    def open(self, instance: str = "") -> BoardDevice | CoreBoardDevice:
        """Open a board; a simulated board is compiled on first use. Raises as `miner`."""
        return CoreBoardDevice(_CORES[instance]) if instance in _CORES else self.miner(instance)

    def miner(self, instance: str = "") -> BoardDevice:
        """Open a miner or a board of design signs; a simulated board is compiled on first use.

        Raises
        ------
        InputError
            Malformed URL or unknown name.
        UnavailableError
            There is no board, or it cannot be used; the message gives the reason.
        """
        place, error = _located(instance)
        if error is not None:
            raise error
        bare, _, digest = instance.partition(_MARK)
        url = url_of(bare) if place is None else place.url
        name = f"board:{instance}" if place is None or digest else f"board:{place.name}"
        device = BoardDevice(name, url, digest, _runners())
        if not device.simulated:
            try:
                device.connect()
            except DeviceError as error:
                raise UnavailableError(f"{name} cannot be used: {error}", "see `ninefold board info`") from error
        return device

    def _simulated(self, place: Address) -> Found:
        return Found(
            f"board:{place.name}",
            f"simulated: {place.description}",
            _runners().ratings("simulation"),
            named_only=True,
            kind="simulation",
            unit=HOST,
            timeout_s=None,
        )

    def _plugged_in(self, place: Address) -> Found | Missing:
        device = f"board:{place.name}"
        if place not in self._identified:
            try:
                board = open_board(place.url, digest=ANY, selftest=False, timeout_s=_PROBE_S, tries=_PROBE_TRIES)
            except UnavailableError as error:
                return Missing(device, f"{place.description}: {error.what}", error.install)
            except DeviceError as error:
                return Missing(device, f"{place.description}: {error}", "program it: `ninefold program`")
            board.close()
            if not (name := bitstream(board.identity.digest)):
                held = f"{place.description} holds the bitstream {board.identity.digest}, which no manifest describes"
                return Missing(device, held, f"program it: `ninefold program`, or use the name {device}{_MARK}DIGEST")
            text = f"{place.description}: {_described(name, board.identity)}"
            ratings = _runners().ratings("fpga")
            if board.identity.design != "signs":
                ratings = {operator: rating for operator, rating in ratings.items() if operator != "candidates"}
            # The driver gives up a dead link in bounded time, so the scheduler needs no limit.
            self._identified[place] = Found(device, text, ratings, kind="fpga", timeout_s=None)
        return self._identified[place]


def _located(instance: str) -> tuple[Address | None, UnavailableError | None]:
    """Return the board of a name, or the error of its source; neither for a URL, which only opening can check."""
    bare = instance.partition(_MARK)[0]
    if "://" in bare:
        return None, None
    known = places()
    listed = [place for found in known.values() if not isinstance(found, UnavailableError) for place in found]
    if exact := [place for place in listed if bare in ("", place.name)]:
        return exact[0], None
    found = known.get(bare.partition("/")[0])
    if isinstance(found, UnavailableError):
        return None, found
    if not bare:
        return None, next((error for error in known.values() if isinstance(error, UnavailableError)), None)
    return (found[0] if found and bare in known else None), None


def _described(name: str, identity: Identity) -> str:
    holds, most = ("signs", "keep") if identity.design == "signs" else ("nits", "k")
    return (
        f"{name}, {identity.depth:,} rows of {identity.dimensions} {holds}, {most} up to {identity.results:,},"
        f" {identity.lanes} lanes"
        f" at {identity.clock_hz / 1e6:g} MHz"
    )


@lru_cache
def _runners() -> Runners:
    return scan(__package__)
