"""ULX3S with an ECP5-85F, UART on the FTDI chip."""

from amaranth.build import Attrs, Pins, Resource
from amaranth_boards.ulx3s import ULX3S_85F_Platform

from ninefold.hdl.boards.board import FpgaBoard
from ninefold.hdl.boards.ecp5_pll import ecp5_pll
from ninefold.hdl.floorplan import Sites

__all__ = ["BOARD"]


class _Platform(ULX3S_85F_Platform):
    """ULX3S platform with the enable pin of the ESP32 as a separate resource."""

    resources = [  # noqa: RUF012
        *ULX3S_85F_Platform.resources,
        Resource("esp32_gpio0", 0, Pins("L2", dir="o"), Attrs(IO_TYPE="LVCMOS33", PULLMODE="UP", DRIVE="4")),
    ]


BOARD = FpgaBoard(
    "ulx3s",
    "LFE5U-85F",
    "CABGA381",
    "6",
    "ecp5",
    25_000_000,
    _Platform,
    {
        90_000_000: ecp5_pll(25_000_000, divide=5, multiply=18, output_divide=8),
        110_000_000: ecp5_pll(25_000_000, divide=5, multiply=22, output_divide=6),
        125_000_000: ecp5_pll(25_000_000, divide=1, multiply=5, output_divide=5),
        150_000_000: ecp5_pll(25_000_000, divide=1, multiply=6, output_divide=4),
    },
    gated=True,
    aim=1.02,
    # Otherwise the ESP32, which can also configure the FPGA, may restart the board.
    high=("esp32_gpio0",),
    # Four sites in nine tiles, and two more tiles in the middle.
    sites=Sites(
        columns=tuple(4 + 9 * i + 2 * j + 2 * (i > 6) for i in range(13) for j in range(4)),
        rows=(22, 46, 70, 82),
    ),
)
