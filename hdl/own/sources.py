"""Verilog files of a user, read as one text that keeps their names and lines."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from ninefold.spec.cache import digest_of
from ninefold.spec.errors import InputError

__all__ = ["read"]

_VHDL: Final = (".vhd", ".vhdl")
_INCLUDE: Final = re.compile(r'^[ \t]*`include[ \t]+"([^"\n]+)".*$', re.MULTILINE)
_DATA: Final = re.compile(r'(\$readmem[hb]\s*\(\s*)"([^"\n]+)"')


def read(files: Sequence[str | Path], folder: Path, include: Sequence[str | Path] = ()) -> str:
    """Return the text of Verilog files, with included files in their places.

    Directives keep the names and lines of the files for the messages of tools. Names of data files for ``$readmemh``
    and ``$readmemb`` become absolute paths, with the digest of the content beside them.

    Parameters
    ----------
    files : sequence of str or Path
        The files, relative to `folder`.
    folder : Path
        Folder of the file that declares the core.
    include : sequence of str or Path
        Folders of included files, relative to `folder`. The folder of the including file is searched first.

    Raises
    ------
    InputError
        A file does not exist, is no text, or is VHDL, or a file is included within itself.
    """
    if not files:
        raise InputError("files must name at least one Verilog file, not none")
    folders = [folder / other for other in include]
    return "".join(f"`default_nettype wire\n{_text(folder / file, str(file), folders, ())}\n" for file in files)


def _text(path: Path, shown: str, folders: Sequence[Path], within: tuple[Path, ...]) -> str:
    if path.suffix.lower() in _VHDL:
        raise InputError(
            f"{shown} is VHDL, which must be converted to Verilog first, e.g. with `ghdl synth --out=verilog`"
        )
    if path in within:
        raise InputError(f"{shown} includes itself")
    try:
        text = path.read_text()
    except OSError as error:
        raise InputError(f"the Verilog file {shown} cannot be read: {error.strerror} ({path})") from error
    except UnicodeDecodeError as error:
        raise InputError(f"the Verilog file {shown} is no text: {error}") from error
    text = _DATA.sub(lambda found: _data(found, path), text)
    lines = [f'`line 1 "{shown}" 0\n']
    place = 0
    for found in _INCLUDE.finditer(text):
        number = text.count("\n", 0, found.start()) + 1
        inside = _included(found[1], path, folders, f"{shown}:{number}")
        lines += [
            text[place : found.start()],
            _text(inside, found[1], folders, (*within, path)),
            f'\n`line {number + 1} "{shown}" 0',
        ]
        place = found.end()
    return "".join([*lines, text[place:]])


def _included(name: str, path: Path, folders: Sequence[Path], place: str) -> Path:
    for folder in (path.parent, *folders):
        if (folder / name).is_file():
            return folder / name
    looked = ", ".join(str(folder) for folder in (path.parent, *folders))
    raise InputError(f'{place}: `include "{name}": there is no such file in {looked}; name its folder in include=[...]')


def _data(found: re.Match[str], path: Path) -> str:
    file = path.parent / found[2]
    if not file.is_file():
        return found[0]
    return f'{found[1]}/* {digest_of(file.read_text())[:16]} */ "{file.resolve()}"'
