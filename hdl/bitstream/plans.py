"""Build plans of bitstreams: all inputs, and their digest."""

from collections.abc import Mapping
from dataclasses import dataclass

from ninefold.hdl import block_ram, floorplan, tools
from ninefold.hdl.bitstream.recipes import Recipe, recipe
from ninefold.hdl.boards import BOARDS, BoardTop, FpgaBoard
from ninefold.hdl.configurations import CONFIGURATIONS, SUFFIX, Configuration, is_configuration, named
from ninefold.hdl.elaborate import allow_collisions, uncollected
from ninefold.hdl.foreign import linked
from ninefold.hdl.stream_board.configurations import CORE_MODULES, StreamConfiguration, stream_configuration
from ninefold.hdl.stream_board.interface import Interface
from ninefold.spec.cache import digest_of
from ninefold.spec.errors import InputError

__all__ = ["Plan", "buildable", "core_plan", "plan"]


@dataclass(frozen=True)
class Plan:
    """Inputs of the build of a bitstream.

    Attributes
    ----------
    name : str
        ``BOARD/CONFIG``.
    board : FpgaBoard
        Target board.
    configuration : Configuration or StreamConfiguration
        The design, with zeros for its digest.
    recipe : Recipe
        Commands of the tools.
    versions : dict of str to str
        Versions of the tools.
    digest : str
        SHA-256 of RTLIL, constraints, recipe and versions, in hexadecimal.
    """

    name: str
    board: FpgaBoard
    configuration: Configuration | StreamConfiguration
    recipe: Recipe
    versions: dict[str, str]
    digest: str

    def sources(self) -> dict[str, str]:
        """Return the input files of the tools: RTLIL, which contains the digest, and constraints."""
        return _sources(self.board, self.configuration.with_digest(bytes.fromhex(self.digest)), self.recipe)

    @property
    def interface(self) -> Interface | None:
        """Streams and registers of a user's core; None for a miner."""
        return None if isinstance(self.configuration, Configuration) else self.configuration.interface


def buildable() -> list[str]:
    """Return the names of all configurations for real boards."""
    return [name for name in CONFIGURATIONS if _board(name) in BOARDS]


def plan(name: str, versions: Mapping[str, str] | None = None) -> Plan:
    """Elaborate a configuration for its board.

    Parameters
    ----------
    name : str
        ``BOARD/CONFIG`` of the catalogue or the path of a file, as for :func:`ninefold.hdl.configurations.named`.
    versions : mapping of str to str, optional
        Versions of the tools, for a digest of another build; those that are installed by default.

    Raises
    ------
    InputError
        The configuration does not exist, or is for a virtual board.
    UnavailableError
        A tool is not installed, and no versions are given.
    """
    allowed = f"the bitstream must be one of {', '.join(buildable())}, or a file that ends in {SUFFIX}, not {name!r}"
    if not is_configuration(name):
        raise InputError(allowed)
    full, configuration = named(name)
    if _board(full) not in BOARDS:
        raise InputError(f"{allowed}, which is for {_board(full)}: boards are {', '.join(BOARDS)}")
    return _planned(full, configuration, versions)


def core_plan(board: str, core: str, versions: Mapping[str, str] | None = None) -> Plan:
    """Elaborate a user's core on a board, at the board's slowest clock.

    Parameters
    ----------
    board : str
        Name of the board.
    core : str
        Name or path of the core, and its parameters: see `ninefold.hdl.stream_board.configurations`.
    versions : mapping of str to str, optional
        As of `plan`.

    Raises
    ------
    InputError
        There is no such board or core, or the board cannot hold a payload.
    UnavailableError
        A tool is not installed, and no versions are given.
    """
    if board not in BOARDS:
        raise InputError(f"the board must be one of {', '.join(BOARDS)}, not {board!r}")
    configuration = stream_configuration(f"{board}/{core}")
    return _planned(f"{board}/{configuration.name.lower()}", configuration, versions)


def _planned(name: str, configuration: Configuration | StreamConfiguration, versions: Mapping[str, str] | None) -> Plan:
    board = BOARDS[_board(name)]
    made_by = recipe(board, configuration.clock_hz, own=isinstance(configuration, StreamConfiguration))
    if versions is None:
        versions = {package: tools.version_of(package, made_by.install) for package in made_by.packages}
    sources = _sources(board, configuration, made_by)
    passes = [f"absorb_registers {block_ram.REVISION}"] if made_by.absorbs else []
    passes += [f"pin_memories {floorplan.REVISION} {board.sites}"] if board.sites else []
    digest = digest_of(sources, made_by.script, passes, made_by.place, made_by.pack, dict(versions))
    return Plan(name, board, configuration, made_by, dict(versions), digest)


def _sources(board: FpgaBoard, configuration: Configuration | StreamConfiguration, made_by: Recipe) -> dict[str, str]:
    # Clock of the whole design. Our constraint takes precedence over the one derived from the PLL.
    aim_mhz = board.aim * configuration.clock_hz / 1e6
    aim = {} if board.aim == 1 else {"add_preferences": f'FREQUENCY NET "clk" {aim_mhz:g} MHZ;'}
    with uncollected():
        files = board.platform().prepare(BoardTop(board, configuration), emit_src=False, **aim).files
    # A user's memories may rely on what a collision reads.
    own = CORE_MODULES if isinstance(configuration, StreamConfiguration) else ""
    rtlil = linked(allow_collisions(files["top.il"], own))
    return {"top.il": rtlil, made_by.constraints: files[made_by.constraints]}


def _board(name: str) -> str:
    return name.partition("/")[0]
