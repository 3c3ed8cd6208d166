"""Boards: pins, clocks and resets of the designs that go on them."""

import re
from dataclasses import replace
from typing import Any

import pytest

from ninefold.hdl.boards import BOARDS, BoardTop, FpgaBoard
from ninefold.hdl.boards.ecp5_pll import ecp5_pll
from ninefold.hdl.configurations import CONFIGURATIONS, Configuration
from ninefold.hdl.miner.parameters import MinerParameters
from ninefold.spec.errors import InputError

# A component that is made in order to be refused is never elaborated.
pytestmark = pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")

#: From the boards' own documentation: clock, line to the board, line from the board, LED.
PINS = {
    "icebreaker": ("35", "6", "9", "11"),
    "ulx3s": ("G2", "M1", "L4", "B2"),
    "orangecrab": ("A9", "N17", "M18", "M3"),
    "tangnano9k": ("52", "18", "17", "10"),
}


def small(board: FpgaBoard) -> Configuration:
    return with_clock(max(board.plls))


def with_clock(clock_hz: int) -> Configuration:
    return Configuration(MinerParameters(32, 8, 64, 4, clock_hz, reply_bytes=512), clock_hz // 16)


@pytest.fixture(scope="module", params=list(BOARDS))
def made(request: pytest.FixtureRequest) -> tuple[FpgaBoard, dict[str, str]]:
    """A board and the files of Amaranth's plan for a small miner on it."""
    board = BOARDS[request.param]
    return board, dict(board.platform().prepare(BoardTop(board, small(board)), emit_src=False).files)


def parameters(text: str, cell: str) -> dict[str, Any]:
    """Return the parameters of the one cell of that type in RTLIL."""
    (body,) = re.findall(rf"^ *cell \\{cell} .*?^ *end$", text, re.MULTILINE | re.DOTALL)
    return {name: value.strip('"') for name, value in re.findall(r"parameter (?:signed )?\\(\w+) (\S+)", body)}


def number(word: str) -> int:
    return int(word.partition("'")[2], 2) if "'" in word else int(word)


def test_pins_are_those_of_the_board(made: tuple[FpgaBoard, dict[str, str]]) -> None:
    board, files = made
    (constraints,) = (text for name, text in files.items() if name.endswith((".pcf", ".lpf", ".cst")))
    pattern = r'(?:set_io|LOCATE COMP|IO_LOC) "?(\w+?)_0__(?:(\w+)__)?io"? (?:SITE )?"?(\w+)"?'
    found = {line or name: pin for name, line, pin in re.findall(pattern, constraints)}
    clock, rx, tx, led = PINS[board.name]
    expected = {f"clk{board.crystal_hz // 10**6}": clock, "rx": rx, "tx": tx, "led": led}
    if board.name == "orangecrab":
        expected["clk"] = expected.pop("clk48")
    if board.name == "ulx3s":
        expected["esp32_gpio0"] = "L2"
    assert found == expected


@pytest.mark.parametrize(
    ("board", "clock_hz"),
    [(board, clock_hz) for board in BOARDS.values() for clock_hz in board.plls],
    ids=lambda value: getattr(value, "name", str(value)),
)
def test_the_pll_makes_the_clock_that_the_miner_is_told(board: FpgaBoard, clock_hz: int) -> None:
    text = board.platform().prepare(BoardTop(board, with_clock(clock_hz)), emit_src=False).files["top.il"]
    if board.toolchain == "ice40":
        p = {key: number(value) for key, value in parameters(text, "SB_PLL40_PAD").items() if key.startswith("DIV")}
        oscillator = board.crystal_hz * (p["DIVF"] + 1) / (p["DIVR"] + 1)
        made_hz = oscillator / 2 ** p["DIVQ"]
        allowed = (533e6, 1066e6)
    elif board.toolchain == "ecp5":
        p = {key: number(value) for key, value in parameters(text, "EHXPLLL").items() if key.endswith("_DIV")}
        made_hz = board.crystal_hz * p["CLKFB_DIV"] / p["CLKI_DIV"]
        oscillator = made_hz * p["CLKOP_DIV"]
        allowed = (400e6, 800e6)
    else:
        p = {key: number(value) for key, value in parameters(text, "rPLL").items() if re.match("(ID|FBD|OD)IV", key)}
        made_hz = board.crystal_hz * (p["FBDIV_SEL"] + 1) / (p["IDIV_SEL"] + 1)
        oscillator = made_hz * p["ODIV_SEL"]
        allowed = (400e6, 1200e6)
    assert made_hz == clock_hz
    assert allowed[0] <= oscillator <= allowed[1]


def test_the_miner_is_at_rest_until_the_pll_is_locked(made: tuple[FpgaBoard, dict[str, str]]) -> None:
    board, files = made
    modules = {
        name: " ".join(body.split())
        for name, body in re.findall(r"^module \\(\S+)\n(.*?)^end$", files["top.il"], re.MULTILINE | re.DOTALL)
    }
    if board.gated:
        # The clock goes through a gate, which two flip-flops of the PLL's own clock open; nothing is reset.
        enable = modules["top.enable"]
        assert enable.count("parameter \\CLK_POLARITY 1") == enable.count("connect \\CLK \\pll_clk") == 2
        assert re.search(r"cell \\top.enable \\enable [^$]*connect \\locked \\locked", modules["top"])
        gate = re.search(r"cell \\DCCA \\gate (.*?) end", modules["top"])
        assert gate is not None
        pins = dict(re.findall(r"connect \\(\w+) \\(\S+)", gate[1]))
        assert pins == {"CLKI": "pll_clk", "CE": "enabled", "CLKO": "clk"}
        assert re.search(r"cell \\EHXPLLL .*?connect \\CLKFB \\pll_clk", modules["top"])
        assert not re.search(r"cell \\top.serial \\serial [^$]*connect \\rst", modules["top"])
        return
    # Two flip-flops that begin at 1 and are set at once while the PLL is not locked, clocked by the PLL.
    assert re.search(r"cell \$not .* connect \\A \\locked \[0\] connect \\Y \\async_ff_rst end", modules["top.reset"])
    assert modules["top.reset"].count(r"connect \ARST \async_ff_rst [0]") == 2
    assert modules["top.reset"].count("parameter \\ARST_VALUE 1'1") == 2
    assert re.search(r"cell \\top.reset \\reset [^$]*connect \\stage1 \\rst \[0\] end", modules["top"])
    assert re.search(r"cell \\top.serial \\serial [^$]*connect \\rst \\rst \[0\]", modules["top"])


def test_small_memories_of_the_tang_nano_are_not_in_block_ram() -> None:
    board = BOARDS["tangnano9k"]
    text = board.platform().prepare(BoardTop(board, CONFIGURATIONS["tangnano9k/small"]), emit_src=False).files["top.il"]
    styles = re.findall(r'attribute \\ram_style "(\w+)"(?:\n *attribute .*)*\n *memory width (\d+) size (\d+)', text)
    found = {(int(size), int(width)): style for style, width, size in styles}
    # The longest request and the nits of queries are in blocks; waiting requests, jobs and results are in LUTs.
    assert found[2048, 8] == found[64, 64] == "block"
    assert {style for (words, _), style in found.items() if words in (16, 32)} == {"distributed"}
    # Constants are logic; three words are fewer cells as flip-flops.
    assert found[128, 16] == found[3, 23] == "logic"


def test_each_catalogue_entry_is_for_a_board_and_its_clock() -> None:
    named = {name: name.partition("/")[0] for name in CONFIGURATIONS}
    assert set(named.values()) - {"virtual"} == set(BOARDS)
    for name, board in named.items():
        if board != "virtual":
            BoardTop(BOARDS[board], CONFIGURATIONS[name])


def test_a_fifo_is_refused() -> None:
    with pytest.raises(InputError) as refusal:
        BoardTop(BOARDS["ulx3s"], replace(small(BOARDS["ulx3s"]), baud=None))
    assert str(refusal.value) == "a configuration for a board must have a UART, not a FIFO"


def test_another_clock_is_refused() -> None:
    with pytest.raises(InputError) as refusal:
        BoardTop(BOARDS["ulx3s"], small(BOARDS["icebreaker"]))
    assert str(refusal.value) == "clock_hz on ulx3s must be 90000000, 110000000, 125000000 or 150000000, not 24000000"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((25_000_000, 1, 5, 3), "the oscillator must run at 400000000 to 800000000 Hz, not 375000000"),
        ((25_000_000, 10, 50, 5), "the phase detector must run at 3125000 to 400000000 Hz, not 2500000"),
    ],
)
def test_a_pll_out_of_its_range_is_refused(values: tuple[int, int, int, int], message: str) -> None:
    with pytest.raises(InputError) as refusal:
        ecp5_pll(*values)
    assert str(refusal.value) == message
