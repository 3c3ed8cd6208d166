"""What a bitstream is built from, and the digest of all that."""

from dataclasses import dataclass, replace

from ninefold.hdl import block_ram, floorplan, tools
from ninefold.hdl.bitstream.recipes import Recipe, recipe
from ninefold.hdl.boards import BOARDS, Board, BoardTop
from ninefold.hdl.configurations import CONFIGURATIONS, SUFFIX, Configuration, is_configuration, named
from ninefold.hdl.elaborate import allow_collisions, uncollected
from ninefold.spec.cache import digest_of
from ninefold.spec.errors import InputError

__all__ = ["Plan", "buildable", "plan"]


@dataclass(frozen=True)
class Plan:
    """What a bitstream is built from.

    Attributes
    ----------
    name : str
        ``BOARD/CONFIG``.
    board : Board
        The board.
    configuration : Configuration
        The miner, with zeros for its digest.
    recipe : Recipe
        How the tools are called.
    versions : dict of str to str
        Their versions.
    digest : str
        SHA-256 over RTLIL, constraints, recipe and versions, in hexadecimal.
    """

    name: str
    board: Board
    configuration: Configuration
    recipe: Recipe
    versions: dict[str, str]
    digest: str

    def sources(self) -> dict[str, str]:
        """Return the files that the tools start from: RTLIL, which carries the digest, and constraints."""
        miner = replace(self.configuration.miner, digest=bytes.fromhex(self.digest))
        return _sources(self.board, replace(self.configuration, miner=miner), self.recipe)


def buildable() -> list[str]:
    """Return the names of all configurations that are for a board."""
    return [name for name in CONFIGURATIONS if _board(name) in BOARDS]


def plan(name: str) -> Plan:
    """Elaborate a configuration for its board.

    Parameters
    ----------
    name : str
        ``BOARD/CONFIG`` of the catalogue, or the path of a file, as :func:`ninefold.hdl.configurations.named` takes it.

    Raises
    ------
    InputError
        There is no such configuration, or it is for a virtual board.
    UnavailableError
        A tool is not installed.
    """
    allowed = f"the bitstream must be one of {', '.join(buildable())}, or a file that ends in {SUFFIX}, not {name!r}"
    if not is_configuration(name):
        raise InputError(allowed)
    full, configuration = named(name)
    if _board(full) not in BOARDS:
        raise InputError(f"{allowed}, which is for {_board(full)}: boards are {', '.join(BOARDS)}")
    board = BOARDS[_board(full)]
    made_by = recipe(board)
    versions = {package: tools.version_of(package, made_by.install) for package in made_by.packages}
    sources = _sources(board, configuration, made_by)
    passes = [f"absorb_registers {block_ram.REVISION}"] if made_by.absorbs else []
    passes += [f"pin_memories {floorplan.REVISION} {board.sites}"] if board.sites else []
    digest = digest_of(sources, made_by.script, passes, made_by.place, made_by.pack, versions)
    return Plan(full, board, configuration, made_by, versions, digest)


def _sources(board: Board, configuration: Configuration, made_by: Recipe) -> dict[str, str]:
    # The clock of all that is in the miner; a constraint of ours comes before the one that follows from the PLL.
    aim = {} if board.aim_hz is None else {"add_preferences": f'FREQUENCY NET "clk" {board.aim_hz / 1e6:g} MHZ;'}
    with uncollected():
        files = board.platform().prepare(BoardTop(board, configuration), emit_src=False, **aim).files
    return {"top.il": allow_collisions(files["top.il"]), made_by.constraints: files[made_by.constraints]}


def _board(name: str) -> str:
    return name.partition("/")[0]
