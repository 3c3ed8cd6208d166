"""Configurations: miners on real and virtual boards, from the catalogue or from files.

A file describes one configuration in JSON. Its path is accepted wherever a name of the catalogue is::

    {"name": "icebreaker/mine", "baud": 6000000,
     "miner": {"dimensions": 384, "lanes": 8, "depth": 256, "k": 8, "clock_hz": 24000000}}

``baud`` is null for a FIFO of one byte a cycle, as in virtual boards. ``miner`` accepts all parameters of a miner.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from ninefold.hdl.checks import check_integer
from ninefold.hdl.cores.miner import Miner
from ninefold.hdl.miner import MinerParameters
from ninefold.hdl.miner.serial import SerialMiner
from ninefold.spec.errors import InputError

__all__ = [
    "CONFIGURATIONS",
    "SUFFIX",
    "Configuration",
    "configuration",
    "described",
    "full_name",
    "is_configuration",
    "named",
]

#: Suffix of a file with a configuration, which no name of the catalogue has.
SUFFIX: Final = ".json"
_NAME: Final = re.compile("[a-z0-9_]+/[A-Za-z0-9_]+")
_PARAMETERS: Final = {f.name: f for f in fields(MinerParameters) if f.name != "digest"}


@dataclass(frozen=True)
class Configuration:
    """Configuration: a miner on a board.

    Attributes
    ----------
    miner : MinerParameters
        Parameters of the miner, of any design. The digest is set when the bitstream is built.
    baud : int or None
        Baud rate of the UART; None for a FIFO of one byte a cycle.
    """

    miner: MinerParameters
    baud: int | None

    def __post_init__(self) -> None:
        if self.baud is not None and self.miner.clock_hz % self.baud:
            raise InputError(f"baud must divide the clock of {self.miner.clock_hz} Hz, which {self.baud} does not")
        if self.divisor is not None:
            check_integer("clock_hz / baud", self.divisor, 4, 65535)

    @property
    def clock_hz(self) -> int:
        """Frequency of the clock in Hz."""
        return self.miner.clock_hz

    def with_digest(self, digest: bytes) -> "Configuration":
        """Return the configuration with the identity of a build."""
        return replace(self, miner=replace(self.miner, digest=digest))

    @property
    def divisor(self) -> int | None:
        """Clock cycles per bit of the UART, or None without one."""
        return None if self.baud is None else self.miner.clock_hz // self.baud

    def component(self) -> Miner | SerialMiner:
        """Construct the miner, behind its UART if it has one."""
        return Miner(self.miner) if self.divisor is None else SerialMiner(self.miner, self.divisor)


#: Configurations by name, ``BOARD/CONFIG``.
CONFIGURATIONS: Mapping[str, Configuration] = MappingProxyType(
    {
        "virtual/tiny": Configuration(MinerParameters(32, 8, 64, 8, 100_000_000, window=8, reply_bytes=512), None),
        "virtual/demo": Configuration(
            MinerParameters(384, 64, 8192, 64, 100_000_000, buffer_bytes=4096, reply_bytes=2048), None
        ),
        "virtual/demo_signs": Configuration(
            MinerParameters(
                384, 64, 8192, 0, 100_000_000, buffer_bytes=4096, reply_bytes=2048, design="signs", keep=512
            ),
            None,
        ),
        "virtual/signs": Configuration(
            MinerParameters(32, 64, 256, 0, 100_000_000, buffer_bytes=512, reply_bytes=512, design="signs", keep=64),
            None,
        ),
        # One byte in 40 cycles: a query takes 7,980 cycles on the UART and 12,288 in the engine, which would wait at
        # half this rate. The board's FT2232H generates 6 Mbaud exactly, as 12 / 2.
        "icebreaker/small": Configuration(
            MinerParameters(384, 16, 512, 16, 24_000_000, window=2, buffer_bytes=2048, reply_bytes=256), 6_000_000
        ),
        # Each four lanes have a table in a block of RAM, and 12 lanes leave none of the 30 blocks. The store takes the
        # four blocks of SPRAM, 65,536 words of 12 signs.
        "icebreaker/signs": Configuration(
            MinerParameters(
                384, 12, 2048, 0, 24_000_000, window=2, buffer_bytes=2048, reply_bytes=256, design="signs", keep=16
            ),
            6_000_000,
        ),
        "ulx3s/full": Configuration(
            MinerParameters(512, 512, 1024, 64, 125_000_000, buffer_bytes=4096, reply_bytes=1024), 2_500_000
        ),
        # Four rows a cycle: 1,024 cycles for each of the two scans of a query. At 110 MHz more than 500 paths stay too
        # slow for as long as the router runs; at 100 MHz 255 after three rounds, at 90 MHz none after five.
        "ulx3s/signs": Configuration(
            MinerParameters(
                512, 2048, 4096, 0, 90_000_000, buffer_bytes=4096, reply_bytes=1024, design="signs", keep=1024
            ),
            2_500_000,
        ),
        "orangecrab/mid": Configuration(
            MinerParameters(384, 192, 512, 64, 100_000_000, buffer_bytes=4096, reply_bytes=1024), 2_500_000
        ),
        "tangnano9k/small": Configuration(
            MinerParameters(384, 16, 213, 16, 48_000_000, window=2, buffer_bytes=2048, reply_bytes=256), 3_000_000
        ),
        "tangnano9k/signs": Configuration(
            MinerParameters(
                384, 16, 512, 0, 48_000_000, window=2, buffer_bytes=2048, reply_bytes=256, design="signs", keep=16
            ),
            3_000_000,
        ),
    }
)


def is_configuration(name: str) -> bool:
    """Return True if a command-line word names a configuration of the catalogue or a file."""
    return name in CONFIGURATIONS or name.endswith(SUFFIX) or bool(_of_board(name))


def full_name(name: str) -> str:
    """Return ``BOARD/CONFIG`` for a board with a single configuration; return other words unchanged.

    Raises
    ------
    InputError
        The board has several configurations; the message lists them.
    """
    found = _of_board(name)
    if len(found) > 1:
        raise InputError(f"{name} has several configurations, name one: {', '.join(found)}")
    return found[0] if found else name


def _of_board(board: str) -> list[str]:
    return [name for name in CONFIGURATIONS if name.partition("/")[0] == board]


def configuration(name: str) -> Configuration:
    """Return a configuration by name, or from a file.

    Raises
    ------
    InputError
        The name is unknown, or the file does not describe a configuration.
    OSError
        The file cannot be read.
    """
    return named(name)[1]


def named(name: str) -> tuple[str, Configuration]:
    """Return the name ``BOARD/CONFIG`` and the configuration for a name of the catalogue or the path of a file.

    Raises
    ------
    InputError
        The name is unknown, or the file does not describe a configuration; the message names the file and the key.
    OSError
        The file cannot be read.
    """
    if name.endswith(SUFFIX):
        try:
            return _parsed(json.loads(Path(name).read_text(encoding="utf-8")))
        except (ValueError, RecursionError) as error:  # includes errors of JSON and Unicode
            raise InputError(f"{name} is not a configuration: {error}") from error
    name = full_name(name)
    if name not in CONFIGURATIONS:
        raise InputError(
            f"configuration must be one of {', '.join(CONFIGURATIONS)}, or a file that ends in {SUFFIX}, not {name!r}"
        )
    return name, CONFIGURATIONS[name]


def described(name: str, chosen: Configuration) -> str:
    """Return the file content for a configuration with the name ``BOARD/CONFIG``."""
    miner = {parameter: value for parameter, value in asdict(chosen.miner).items() if parameter in _PARAMETERS}
    return json.dumps({"name": name, "baud": chosen.baud, "miner": miner}, indent=2) + "\n"


def _parsed(plain: Any) -> tuple[str, Configuration]:
    _check_keys("the whole", plain, {"name": True, "baud": True, "miner": True})
    name, baud, miner = plain["name"], plain["baud"], plain["miner"]
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InputError(f"name must be BOARD/CONFIG, of letters, digits and underscores, not {name!r}")
    if name in CONFIGURATIONS:
        raise InputError(f"name must not be one of the catalogue, as {name} is")
    if baud is not None:
        check_integer("baud", baud, 1, 2**32 - 1)
    _check_keys("miner", miner, {key: field.default is MISSING for key, field in _PARAMETERS.items()})
    return name, Configuration(MinerParameters(**miner), baud)


def _check_keys(what: str, plain: Any, keys: Mapping[str, bool]) -> None:
    """Check that `plain` is an object with these keys; the value of a key is True if it is required."""
    if not isinstance(plain, dict):
        raise InputError(f"{what} must be an object, not {plain!r}")
    if unknown := [key for key in plain if key not in keys]:
        raise InputError(f"a key of {what} must be one of {', '.join(keys)}, not {unknown[0]!r}")
    if missing := [key for key, needed in keys.items() if needed and key not in plain]:
        raise InputError(f"{what} must have {', '.join(missing)}")
