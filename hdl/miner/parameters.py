"""Parameters of a miner."""

from dataclasses import dataclass

from ninefold.hdl.checks import check_integer, check_mode
from ninefold.spec.errors import InputError
from ninefold.spec.formats import DIMENSIONS_MAX, K_MAX, Mode
from ninefold.spec.link import FORMAT_GRID, PREFIX_BYTES, RESULT_BYTES, ROWS_MAX
from ninefold.spec.registers import IDENTITY

__all__ = ["MinerParameters"]

_FRAME_OVERHEAD = 8


@dataclass(frozen=True)
class MinerParameters:
    """Parameters of a miner.

    Attributes
    ----------
    dimensions : int
        Nits per row, 2 to 4096, even.
    lanes : int
        Nit products per cycle, even; divides `dimensions`.
    depth : int
        Capacity of the store in rows, 1 to 65536.
    k : int
        Maximum number of results per query, 1 to 256.
    mode : {"tanh", "linear"}
        Thresholds of the quantiser after reset.
    window : int
        Number of kept replies, a power of two from 2 to 16.
    buffer_bytes : int
        Size of the receive buffer in bytes, a power of two. The longest request takes half of it, so that one is
        received while the previous one is executed. One query of grid values must fit.
    reply_bytes : int
        Maximum size of a kept reply in bytes, a power of two from 256; one query with `k` results must fit.
    clock_hz : int
        Frequency of the clock in Hz.
    digest : bytes
        Identity of the build, 32 bytes.

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

    def __post_init__(self) -> None:
        check_mode(self.mode)
        check_integer("dimensions", self.dimensions, 2, DIMENSIONS_MAX)
        check_integer("lanes", self.lanes, 2, DIMENSIONS_MAX)
        check_integer("depth", self.depth, 1, ROWS_MAX)
        check_integer("k", self.k, 1, K_MAX)
        check_integer("clock_hz", self.clock_hz, 1, 2**32 - 1)
        if self.lanes % 2 or self.dimensions % self.lanes:
            raise InputError(f"lanes must be even and divide dimensions ({self.dimensions}), not {self.lanes}")
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
        needed = PREFIX_BYTES + self.query_bytes[FORMAT_GRID]
        if self.request_limit < needed:
            raise InputError(
                f"buffer_bytes must hold twice {needed + _FRAME_OVERHEAD // 2} bytes for a query of "
                f"{self.dimensions} grid values, which {self.buffer_bytes} does not"
            )
        needed = max(PREFIX_BYTES + RESULT_BYTES * self.k, PREFIX_BYTES + 4 * len(IDENTITY))
        if self.reply_limit < needed:
            raise InputError(f"reply_bytes must hold {needed + 4} bytes, which {self.reply_bytes} does not")

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
