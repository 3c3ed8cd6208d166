"""Build plans of bitstreams: all inputs, and their digest."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from ninefold.hdl import block_ram, floorplan, tools
from ninefold.hdl.bitstream.recipes import Recipe, recipe
from ninefold.hdl.boards import BOARDS, BoardTop, FpgaBoard
from ninefold.hdl.configurations import CONFIGURATIONS, SUFFIX, Configuration, is_configuration, named
from ninefold.hdl.elaborate import allow_collisions, uncollected
from ninefold.spec.cache import digest_of
from ninefold.spec.errors import InputError

__all__ = ["Plan", "buildable", "plan"]


@dataclass(frozen=True)
class Plan:
    """Inputs of the build of a bitstream.

    Attributes
    ----------
    name : str
        ``BOARD/CONFIG``.
    board : FpgaBoard
        Target board.
    configuration : Configuration
        Configuration of the miner, with zeros for its digest.
    recipe : Recipe
        Commands of the tools.
    versions : dict of str to str
        Versions of the tools.
    digest : str
        SHA-256 of RTLIL, constraints, recipe and versions, in hexadecimal.
    """

    name: str
    board: FpgaBoard
    configuration: Configuration
    recipe: Recipe
    versions: dict[str, str]
    digest: str

    def sources(self) -> dict[str, str]:
        """Return the input files of the tools: RTLIL, which contains the digest, and constraints."""
        miner = replace(self.configuration.miner, digest=bytes.fromhex(self.digest))
        return _sources(self.board, replace(self.configuration, miner=miner), self.recipe)


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
    board = BOARDS[_board(full)]
    made_by = recipe(board, configuration.miner.clock_hz)
    if versions is None:
        versions = {package: tools.version_of(package, made_by.install) for package in made_by.packages}
    sources = _sources(board, configuration, made_by)
    passes = [f"absorb_registers {block_ram.REVISION}"] if made_by.absorbs else []
    passes += [f"pin_memories {floorplan.REVISION} {board.sites}"] if board.sites else []
    digest = digest_of(sources, made_by.script, passes, made_by.place, made_by.pack, dict(versions))
    return Plan(full, board, configuration, made_by, dict(versions), digest)


def _sources(board: FpgaBoard, configuration: Configuration, made_by: Recipe) -> dict[str, str]:
    # Clock of the whole miner. Our constraint takes precedence over the one derived from the PLL.
    aim_mhz = board.aim * configuration.miner.clock_hz / 1e6
    aim = {} if board.aim == 1 else {"add_preferences": f'FREQUENCY NET "clk" {aim_mhz:g} MHZ;'}
    with uncollected():
        files = board.platform().prepare(BoardTop(board, configuration), emit_src=False, **aim).files
    return {"top.il": allow_collisions(files["top.il"]), made_by.constraints: files[made_by.constraints]}


def _board(name: str) -> str:
    return name.partition("/")[0]
