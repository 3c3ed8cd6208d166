"""Catalogue of configurations: which miner goes on which board, virtual ones included."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from ninefold.hdl.miner import Miner, MinerParameters, SerialMiner
from ninefold.spec.errors import InputError

__all__ = ["CONFIGURATIONS", "Configuration", "configuration"]


@dataclass(frozen=True)
class Configuration:
    """A miner on a board.

    Attributes
    ----------
    miner : MinerParameters
        The miner; its digest is that of a bitstream only once that is built.
    baud : int or None
        Rate of its UART in bits a second; None for a FIFO of a byte a cycle.
    """

    miner: MinerParameters
    baud: int | None

    def __post_init__(self) -> None:
        if self.baud is not None and self.miner.clock_hz % self.baud:
            raise InputError(f"baud must divide the clock of {self.miner.clock_hz} Hz, which {self.baud} does not")

    @property
    def divisor(self) -> int | None:
        """Clock cycles a bit of the UART, if there is one."""
        return None if self.baud is None else self.miner.clock_hz // self.baud

    def component(self) -> Miner | SerialMiner:
        """Make the miner, behind its UART if it has one."""
        return Miner(self.miner) if self.divisor is None else SerialMiner(self.miner, self.divisor)


#: By the names of the command line, ``BOARD/CONFIG``.
CONFIGURATIONS: Mapping[str, Configuration] = MappingProxyType(
    {
        "virtual/tiny": Configuration(MinerParameters(32, 8, 64, 8, 100_000_000, window=8, reply_bytes=512), None),
        "virtual/demo": Configuration(
            MinerParameters(384, 64, 8192, 64, 100_000_000, buffer_bytes=4096, reply_bytes=2048), None
        ),
        # A byte each 40 cycles: a query takes 8,300 cycles on the line, fewer than the 12,288 of the engine, which at
        # half this rate would wait. The board's FT2232H makes 6 Mbaud without error, as 12 / 2.
        "icebreaker/small": Configuration(
            MinerParameters(384, 16, 512, 16, 24_000_000, window=2, buffer_bytes=2048, reply_bytes=256), 6_000_000
        ),
        "ulx3s/full": Configuration(
            MinerParameters(512, 512, 1024, 64, 125_000_000, buffer_bytes=4096, reply_bytes=1024), 2_500_000
        ),
        "orangecrab/mid": Configuration(
            MinerParameters(384, 192, 512, 64, 100_000_000, buffer_bytes=4096, reply_bytes=1024), 2_500_000
        ),
        "tangnano9k/small": Configuration(
            MinerParameters(384, 16, 256, 16, 48_000_000, window=2, buffer_bytes=2048, reply_bytes=256), 3_000_000
        ),
    }
)


def configuration(name: str) -> Configuration:
    """Return a configuration by its name.

    Raises
    ------
    InputError
        There is none of that name.
    """
    if name not in CONFIGURATIONS:
        raise InputError(f"configuration must be one of {', '.join(CONFIGURATIONS)}, not {name!r}")
    return CONFIGURATIONS[name]
