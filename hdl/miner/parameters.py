"""Parameters of a miner."""

from dataclasses import dataclass
from math import gcd
from typing import Final

from ninefold.hdl.checks import check_integer, check_mode
from ninefold.spec.errors import InputError
from ninefold.spec.formats import CANDIDATES_MAX, DIMENSIONS_MAX, K_MAX, Mode
from ninefold.spec.link import FORMAT_GRID, PREFIX_BYTES, RESULT_BYTES, ROWS_MAX, Design
from ninefold.spec.registers import DESIGN_CODES, IDENTITY

__all__ = ["SLOW_HZ", "MinerParameters"]

#: Up to this clock engines have no registers around their stores, to save flip-flops on small devices.
SLOW_HZ: Final = 30_000_000
_FRAME_OVERHEAD = 8
#: Maximum nits per word of the sign plane's rows: a register of 128 bits, or of 32 bits on small devices.
_WORD_NITS_MAX, _WORD_NITS_SLOW = 32, 8


@dataclass(frozen=True)
class MinerParameters:
    """Parameters of a miner.

    Attributes
    ----------
    dimensions : int
        Nits per row, 2 to 4096, even.
    lanes : int
        Nits scored per cycle. Of a miner, an even divisor of `dimensions`; of the design signs, a multiple of 4 that
        divides `dimensions`, or is a multiple of it.
    depth : int
        Capacity of the store in rows, 1 to 65536.
    k : int
        Maximum number of results per query, 1 to 256; 0 in the design signs.
    mode : {"tanh", "linear"}
        Thresholds of the quantiser after reset.
    window : int
        Number of kept replies, a power of two from 2 to 16.
    buffer_bytes : int
        Size of the receive buffer in bytes, a power of two. The longest request takes half of it, so that one is
        received while the previous one is executed. One query of grid values must fit, and in the design signs one of
        packed nits with its mask.
    reply_bytes : int
        Maximum size of a kept reply in bytes, a power of two from 256; one query with `k` results must fit.
    clock_hz : int
        Frequency of the clock in Hz.
    digest : bytes
        Identity of the build, 32 bytes.
    design : {"miner", "signs"}
        Design of the search: scores of all nits, or candidates by their signs.
    keep : int
        Maximum number of candidates per ticket, 1 to 8192; 0 of a miner.

    Raises
    ------
    InputError
        A parameter outside what is allowed.
    """

    dimensions: int
    lanes: int
    depth: int
    k: int
    clock_hz: int
    mode: Mode = "tanh"
    window: int = 8
    buffer_bytes: int = 2048
    reply_bytes: int = 1024
    digest: bytes = bytes(32)
    design: Design = "miner"
    keep: int = 0

    def __post_init__(self) -> None:
        check_mode(self.mode)
        check_integer("dimensions", self.dimensions, 2, DIMENSIONS_MAX)
        check_integer("lanes", self.lanes, 2, DIMENSIONS_MAX)
        check_integer("depth", self.depth, 1, ROWS_MAX)
        check_integer("clock_hz", self.clock_hz, 1, 2**32 - 1)
        self._check_design()
        for name, value, low, high in (
            ("window", self.window, 2, 16),
            ("buffer_bytes", self.buffer_bytes, 64, 32768),
            ("reply_bytes", self.reply_bytes, 256, 16384),
        ):
            check_integer(name, value, low, high)
            if value & (value - 1):
                raise InputError(f"{name} must be a power of two, not {value}")
        if len(self.digest) != 32:
            raise InputError(f"digest must have 32 bytes, not {len(self.digest)}")
        queries = {f"a query of {self.dimensions} grid values": self.query_bytes[FORMAT_GRID]}
        if self.design == "signs":
            queries[f"a query of packed nits with the mask of {self.depth} rows"] = self.row_bytes + self.mask_bytes
        for query, size in queries.items():
            needed = PREFIX_BYTES + size
            if self.request_limit < needed:
                raise InputError(
                    f"buffer_bytes must hold twice {needed + _FRAME_OVERHEAD // 2} bytes for {query}, "
                    f"which {self.buffer_bytes} does not"
                )
        needed = max(PREFIX_BYTES + RESULT_BYTES * self.k, PREFIX_BYTES + 4 * len(IDENTITY))
        if self.reply_limit < needed:
            raise InputError(f"reply_bytes must hold {needed + 4} bytes, which {self.reply_bytes} does not")

    def _check_design(self) -> None:
        """Check the parameters whose range depends on the design."""
        if self.design not in DESIGN_CODES:
            raise InputError(f"design must be one of {', '.join(DESIGN_CODES)}, not {self.design!r}")
        if self.design == "miner":
            check_integer("k", self.k, 1, K_MAX)
            if self.keep:
                raise InputError(f"keep must be 0 in the design miner, not {self.keep}")
            if self.lanes % 2 or self.dimensions % self.lanes:
                raise InputError(f"lanes must be even and divide dimensions ({self.dimensions}), not {self.lanes}")
            return
        if self.k:
            raise InputError(f"k must be 0 in the design signs, not {self.k}")
        check_integer("keep", self.keep, 1, CANDIDATES_MAX)
        for name, value in (("dimensions", self.dimensions), ("lanes", self.lanes)):
            if value % 4:
                raise InputError(f"{name} must be a multiple of 4 in the design signs, not {value}")
        if self.dimensions % self.lanes and self.lanes % self.dimensions:
            raise InputError(
                f"lanes must divide dimensions ({self.dimensions}) or be a multiple of it, not {self.lanes}"
            )

    @property
    def word_nits(self) -> int:
        """Nits per word of rows and queries on the way to the search."""
        if self.design == "miner":
            return self.lanes
        return gcd(self.dimensions, self.lanes, _WORD_NITS_MAX if self.clock_hz > SLOW_HZ else _WORD_NITS_SLOW)

    @property
    def mask_bytes(self) -> int:
        """Size of a mask of all rows in bytes."""
        return -(-self.depth // 8)

    @property
    def row_bytes(self) -> int:
        """Size of a row of packed nits in bytes."""
        return self.dimensions // 2

    @property
    def query_bytes(self) -> tuple[int, int]:
        """Size of a query in bytes, by format."""
        return self.dimensions // 2, 2 * self.dimensions

    @property
    def request_limit(self) -> int:
        """Longest payload of a request in bytes."""
        return self.buffer_bytes // 2 - 4

    @property
    def reply_limit(self) -> int:
        """Longest payload of a reply in bytes."""
        return self.reply_bytes - 4
