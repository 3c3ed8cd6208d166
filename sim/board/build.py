"""Designs of virtual boards, elaborated once for each configuration and cached."""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Mapping
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from ninefold.hdl import yosys
from ninefold.sim.verilated import Design, Stream, tools_or_reason
from ninefold.spec.cache import BuildCache, digest_of
from ninefold.spec.sources import sources_of

__all__ = ["board_design", "from_files", "identity"]

#: Digest -> path of the file, for boards that this process opened by the path of a file.
_FILES: dict[str, str] = {}

#: Modules that determine the Verilog text of a board, with what they import of `_PACKAGES`.
_MODULES = ("ninefold.hdl.cores.miner", "ninefold.sim.board.uart", "ninefold.sim.verilated.design")
_STREAM_MODULES = ("ninefold.hdl.stream_board.serial", "ninefold.sim.board.uart", "ninefold.sim.verilated.design")
_PACKAGES = ("ninefold.hdl", "ninefold.spec")


def identity(name: str) -> bytes:
    """Return the digest in a configuration's virtual board: SHA-256 of sources, tools and parameters.

    A core's name or path, with its board and parameters as `core_word` of
    `ninefold.hdl.stream_board.configurations` joins them, names the board of design stream around it.

    Raises
    ------
    InputError
        No configuration has this name, or the file does not describe one.
    UnavailableError
        Verilator, a C++ compiler or Amaranth is missing.
    """
    tools_or_reason()
    from ninefold.hdl.configurations import CONFIGURATIONS, configuration
    from ninefold.hdl.stream_board.configurations import names_core

    if names_core(name):
        return _core_identity(name)
    chosen = configuration(name)
    parameters = {key: value for key, value in asdict(chosen.miner).items() if key != "digest"}
    digest = digest_of(_sources(), parameters, chosen.divisor)
    if name not in CONFIGURATIONS:
        _FILES[digest] = name
    return bytes.fromhex(digest)


def _core_identity(name: str) -> bytes:
    from ninefold.hdl.elaborate import rtlil
    from ninefold.hdl.stream_board.configurations import stream_configuration

    chosen = stream_configuration(name)
    parameters = {key: value for key, value in asdict(chosen.board).items() if key != "digest"}
    digest = digest_of(_sources(_STREAM_MODULES), parameters, chosen.divisor, rtlil(chosen.made()))
    _FILES[digest] = name
    return bytes.fromhex(digest)


def from_files() -> Mapping[str, str]:
    """Return digest -> path of the file, for the boards that this process opened by the path of a file."""
    return dict(_FILES)


def board_design(name: str, digest: bytes) -> Design:
    """Return the design of a configuration with byte streams ``rx`` and ``tx``.

    Parameters
    ----------
    name : str
        Name of the configuration.
    digest : bytes
        Digest that the board's identity registers contain, 32 bytes.
    """
    key = digest_of(identity(name), digest)
    folder = BuildCache("boards").get(key, lambda entry: _write(entry, name, digest))
    streams = json.loads((folder / "streams.json").read_text())
    return Design((folder / "top.v").read_text(), tuple(Stream.from_json(s) for s in streams))


def _write(folder: Path, name: str, digest: bytes) -> None:
    from ninefold.sim.verilated import elaborate

    made = elaborate(_component(name, digest))
    (folder / "top.v").write_text(made.verilog)
    (folder / "streams.json").write_text(json.dumps([s.to_json() for s in made.streams]))


def _component(name: str, digest: bytes) -> Any:
    from ninefold.hdl.configurations import configuration
    from ninefold.hdl.stream_board.configurations import names_core, stream_configuration
    from ninefold.sim.board.uart import HostUart

    chosen = stream_configuration(name) if names_core(name) else configuration(name)
    made = chosen.with_digest(digest).component()
    return made if chosen.divisor is None else HostUart(made, chosen.divisor)


@cache
def _sources(modules: tuple[str, ...] = _MODULES) -> tuple[str, ...]:
    files = sources_of(modules, _PACKAGES)
    return (*(f.read_text() for f in files), *(importlib.metadata.version(t) for t in ("amaranth", yosys.PACKAGE)))
