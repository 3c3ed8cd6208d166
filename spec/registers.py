"""The register map: one frozen table.

The fabric, the drivers, a C header, SVD, JSON and ``docs/registers.md`` are made from it. Registers are 32-bit words
with word addresses. Reading has no side effect.
"""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

from .formats import CANDIDATES_MAX, MODES
from .link import EPOCH_MAX, EPOCH_RESET, Design

__all__ = [
    "BY_NAME",
    "DESIGN_CODES",
    "IDENTITY",
    "MAGIC",
    "MODE_CODES",
    "NO_TEMPERATURE",
    "REGISTERS",
    "STATISTICS",
    "VERSION",
    "Access",
    "Bits",
    "Register",
]

#: ``"NFLD"``, in byte order of the link.
MAGIC: Final = 0x444C464E
#: Version of link and register map; a driver refuses a board of another version.
VERSION: Final = 2
#: Value of ``temperature`` on a board without a sensor.
NO_TEMPERATURE: Final = 0x8000_0000
#: Mode of the quantiser -> value of the register ``mode``.
MODE_CODES: Final = MappingProxyType({mode: code for code, mode in enumerate(MODES)})
#: Design of a board that searches -> value of the register ``design``. Stream boards have `.stream_link.STREAM_CODE`.
DESIGN_CODES: Final[MappingProxyType[Design, int]] = MappingProxyType({"miner": 0, "signs": 1})

Access = Literal["r", "rw", "w"]


@dataclass(frozen=True)
class Bits:
    """A bit field of a register.

    Attributes
    ----------
    name : str
        Name of the field.
    low, width : int
        Position of the lowest bit, and number of bits.
    doc : str
        Meaning.
    """

    name: str
    low: int
    width: int
    doc: str


@dataclass(frozen=True)
class Register:
    """One register, or an array of consecutive registers.

    Attributes
    ----------
    name : str
        Name of the register.
    address : int
        Word address of the first register.
    access : {'r', 'rw', 'w'}
        ``w`` reads as 0.
    doc : str
        Meaning, with the unit.
    reset : int or None
        Value after a reset; None if the configuration determines it.
    count : int
        Number of registers.
    fields : tuple of Bits
        Bit fields; bits outside them are 0. Empty if the word is one number.
    """

    name: str
    address: int
    access: Access
    doc: str
    reset: int | None = None
    count: int = 1
    fields: tuple[Bits, ...] = ()

    @property
    def addresses(self) -> range:
        """Word addresses of the registers."""
        return range(self.address, self.address + self.count)


REGISTERS: Final = (
    Register("magic", 0x00, "r", 'The bytes "NFLD".', MAGIC),
    Register("version", 0x01, "r", "Version of link and register map.", VERSION),
    Register(
        "digest",
        0x02,
        "r",
        "SHA-256 of the inputs of the bitstream; its first byte is the lowest byte of the first word.",
        count=8,
    ),
    Register("dimensions", 0x0A, "r", "Nits per row; even."),
    Register(
        "lanes", 0x0B, "r", "Nits scored per cycle; divides dimensions. In the design signs, may be a multiple of it."
    ),
    Register("depth", 0x0C, "r", "Capacity of the store in rows, 1 to 65536."),
    Register("k", 0x0D, "r", "Maximum number of results per QUERY, 1 to 256; 0 in the design signs."),
    Register("mode", 0x0E, "r", "Quantiser for grid values: 0 tanh, 1 linear."),
    Register(
        "formats",
        0x0F,
        "r",
        "Query formats that the board accepts.",
        fields=(Bits("packed", 0, 1, "Packed nits."), Bits("grid", 1, 1, "Grid values.")),
    ),
    Register(
        "window",
        0x10,
        "r",
        "Replies that the board keeps: the maximum number of requests in flight. A power of two.",
    ),
    Register(
        "limits",
        0x11,
        "r",
        "Maximum payload sizes in bytes.",
        fields=(
            Bits("request", 0, 16, "Longest request payload that the board accepts."),
            Bits("reply", 16, 16, "Longest reply payload that the board sends."),
        ),
    ),
    Register("clock_hz", 0x12, "r", "Frequency of the clock that cycles counts, in Hz."),
    Register("design", 0x13, "r", "Design of the board: 0 miner, 1 signs, 2 stream."),
    Register("keep", 0x14, "r", f"Maximum number of candidates per ticket, 1 to {CANDIDATES_MAX}; 0 in other designs."),
    Register(
        "threshold",
        0x15,
        "rw",
        "Smallest magnitude of a grid value (16 bits) that reaches nit 1, 2, 3 and 4. Reset to the mode's values.",
        count=4,
    ),
    Register(
        "epoch",
        0x19,
        "rw",
        f"Copied into every reply. 0 after a reset and after a load starts; 1 to {EPOCH_MAX} once written.",
        EPOCH_RESET,
    ),
    Register("rows", 0x1A, "r", "Rows loaded; 0 until the final block of a load.", 0),
    Register("load_bytes", 0x1B, "r", "Bytes received by the current load, or by the last one.", 0),
    Register("load_check", 0x1C, "r", "CRC-32 (zlib) of these bytes.", 0),
    Register(
        "control",
        0x1D,
        "w",
        "Commands; written bits take effect once.",
        0,
        fields=(Bits("reset", 0, 1, "1: same as the command RESET."),),
    ),
    Register("queries", 0x20, "r", "Queries answered, or scans started, without repeated replies.", 0),
    Register("cycles_low", 0x21, "r", "Clock cycles since reset, bits 31..0.", 0),
    Register("cycles_high", 0x22, "r", "Clock cycles since reset, bits 63..32.", 0),
    Register("accepted_low", 0x23, "r", "Scores that the top-k accepted, or rows kept for tickets, bits 31..0.", 0),
    Register("accepted_high", 0x24, "r", "The same count, bits 63..32.", 0),
    Register("stalls", 0x25, "r", "Cycles in which a result waited for the link.", 0),
    Register("crc_errors", 0x26, "r", "Frames dropped because of a wrong CRC.", 0),
    Register("dropped", 0x27, "r", "Frames dropped for another reason: invalid COBS, too short, too long.", 0),
    Register("temperature", 0x28, "r", "Temperature in 0.001 degrees Celsius, signed; 0x80000000 without a sensor."),
)

BY_NAME: Final = MappingProxyType({register.name: register for register in REGISTERS})
#: Word addresses that an IDENTIFY reply carries.
IDENTITY: Final = range(BY_NAME["magic"].address, BY_NAME["keep"].address + 1)
#: Word addresses that a STATISTICS reply carries.
STATISTICS: Final = range(BY_NAME["queries"].address, BY_NAME["temperature"].address + 1)
