"""OrangeCrab r0.2 with an ECP5-25F, UART on header pins 0 (to the board) and 1 (from the board)."""

from amaranth.build import Attrs, PinsN, Resource
from amaranth_boards.orangecrab_r0_2 import OrangeCrabR0_2_25FPlatform
from amaranth_boards.resources import UARTResource

from ninefold.hdl.boards.board import FpgaBoard
from ninefold.hdl.boards.ecp5_pll import ecp5_pll

__all__ = ["BOARD"]


class _Platform(OrangeCrabR0_2_25FPlatform):
    """OrangeCrab platform with a UART on the header and the green LED."""

    resources = [  # noqa: RUF012
        *OrangeCrabR0_2_25FPlatform.resources,
        UARTResource(0, rx="0", tx="1", conn=("io", 0), attrs=Attrs(IO_TYPE="LVCMOS33", PULLMODE="UP")),
        Resource("led", 0, PinsN("M3", dir="o"), Attrs(IO_TYPE="LVCMOS33")),
    ]


BOARD = FpgaBoard(
    "orangecrab",
    "LFE5U-25F",
    "CSFBGA285",
    "8",
    "ecp5",
    48_000_000,
    _Platform,
    {100_000_000: ecp5_pll(48_000_000, divide=12, multiply=25, output_divide=6)},
    gated=True,
    aim=1.1,
)
