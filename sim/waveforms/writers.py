"""Writers of waveforms: FST, by GTKWave's library (pylibfst), and VCD."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path

from ninefold.sim.waveforms.changes import FstFunctions, Target, copy_changes, prepare
from ninefold.sim.waveforms.hierarchy import Header, Scope, Variable
from ninefold.spec.errors import InputError, ToolError, UnavailableError, installs

__all__ = ["FORMATS", "Writer", "check_format", "make_writer"]

_FIELDS, _MODULE = "struct", "module"
_INSTALL = f"{installs('rtl')}, or write VCD with --vcd"


class Writer(ABC):
    """Writer of a waveform file, which writes the header when it is constructed.

    Parameters
    ----------
    path : Path
        File to write; an existing file is replaced.
    header : Header
        Header of the VCD, which names the signals.

    Attributes
    ----------
    targets : list of Target
        Signals to copy; signals that always change together are one target.
    """

    def __init__(self, path: Path, header: Header) -> None:
        self.path = path
        self.targets: list[Target] = []
        self._known: dict[tuple[object, ...], Target] = {}
        self._begin(header)
        for name, scope in header.root.scopes.items():
            self._declare(name, scope, fields=False)
        self._end_of_header()

    @abstractmethod
    def copy(self, raw: Path, offset: int, ended: threading.Event) -> None:
        """Copy the changes of a VCD, which start after `offset` bytes, until `ended` is set, and complete the file."""

    @abstractmethod
    def _begin(self, header: Header) -> None: ...

    @abstractmethod
    def _scope(self, name: str, kind: str) -> None: ...

    @abstractmethod
    def _upscope(self) -> None: ...

    @abstractmethod
    def _variable(self, variable: Variable, known: Target | None) -> Target:
        """Declare a signal, as an alias of `known` unless that is None."""

    @abstractmethod
    def _end_of_header(self) -> None: ...

    def _declare(self, name: str, scope: Scope, *, fields: bool) -> None:
        self._scope(name, _FIELDS if fields else _MODULE)
        for variable in scope.ordered():
            identity = variable.code, variable.low, variable.width, tuple(variable.declared.names.items())
            known = self._known.get(identity)
            target = self._variable(variable, known)
            if known is None:
                self._known[identity] = target
                self.targets.append(target)
        for inner, content in scope.scopes.items():
            self._declare(inner, content, fields=inner in scope.variables)
        self._upscope()


def _shown(variable: Variable) -> str:
    """Return the name for viewers, which includes the range of a vector."""
    scalar = variable.width == 1 or variable.declared.names
    return variable.name if scalar else f"{variable.name} [{variable.width - 1}:0]"


def _target(variable: Variable, key: str, handle: int) -> Target:
    one = variable
    return Target(one.code, key, handle, one.width, one.low, one.of, one.declared.names)


class _Fst(Writer):
    def _begin(self, header: Header) -> None:
        from pylibfst import ffi, lib

        self._ffi, self._lib = ffi, lib
        self._directions = {"input": lib.FST_VD_INPUT, "output": lib.FST_VD_OUTPUT, "inout": lib.FST_VD_INOUT}
        self._context = lib.fstWriterCreate(bytes(self.path), 1)
        if self._context == ffi.NULL:
            raise ToolError(f"pylibfst cannot write {self.path}")
        lib.fstWriterSetPackType(self._context, lib.FST_WR_PT_LZ4)
        lib.fstWriterSetVersion(self._context, b"Ninefold")
        # No date, so that equal runs give equal files.
        lib.fstWriterSetDate(self._context, b"")
        lib.fstWriterSetTimescaleFromString(self._context, header.timescale.encode())

    def _scope(self, name: str, kind: str) -> None:
        scope = self._lib.FST_ST_VCD_STRUCT if kind == _FIELDS else self._lib.FST_ST_VCD_MODULE
        self._lib.fstWriterSetScope(self._context, scope, name.encode(), self._ffi.NULL)

    def _upscope(self) -> None:
        self._lib.fstWriterSetUpscope(self._context)

    def _variable(self, variable: Variable, known: Target | None) -> Target:
        names = variable.declared.names
        kind, width = (self._lib.FST_VT_GEN_STRING, 0) if names else (self._lib.FST_VT_VCD_WIRE, variable.width)
        direction = self._directions.get(variable.declared.direction, self._lib.FST_VD_IMPLICIT)
        alias = 0 if known is None else known.handle
        name = _shown(variable).encode()
        handle = self._lib.fstWriterCreateVar(self._context, kind, direction, width, name, alias)
        return known or _target(variable, "", handle)

    def _end_of_header(self) -> None:
        pass

    def copy(self, raw: Path, offset: int, ended: threading.Event) -> None:
        try:
            functions = ("TimeChange", "ValueChange", "VariableLengthValueChange")
            found = [self._ffi.addressof(self._lib, f"fstWriterEmit{name}") for name in functions]
            context, *addresses = (int(self._ffi.cast("uintptr_t", one)) for one in (self._context, *found))
            copy_changes(raw, offset, self.targets, FstFunctions(context, *addresses), ended)
        finally:
            self._lib.fstWriterClose(self._context)


class _Vcd(Writer):
    def _begin(self, header: Header) -> None:
        self._file = self.path.open("w")
        self._depth = 0
        self._print(f"$version Ninefold $end\n$timescale {header.timescale} $end")

    def _print(self, text: str) -> None:
        self._file.write(f"{' ' * self._depth}{text}\n")

    def _scope(self, name: str, kind: str) -> None:
        self._print(f"$scope {kind} {name} $end")
        self._depth += 1

    def _upscope(self) -> None:
        self._depth -= 1
        self._print("$upscope $end")

    def _variable(self, variable: Variable, known: Target | None) -> Target:
        # A code that no simulator gives, where a signal is not all that its code stands for.
        own = variable.declared.names or variable.width < variable.of
        target = known or _target(variable, f"{variable.code}~{len(self.targets)}~" if own else variable.code, 0)
        kind = "string 1" if variable.declared.names else f"wire {variable.width}"
        self._print(f"$var {kind} {target.key} {_shown(variable)} $end")
        return target

    def _end_of_header(self) -> None:
        self._print("$enddefinitions $end")
        self._file.close()

    def copy(self, raw: Path, offset: int, ended: threading.Event) -> None:
        copy_changes(raw, offset, self.targets, self.path, ended)


_WRITERS: Mapping[str, type[Writer]] = {".fst": _Fst, ".vcd": _Vcd}
#: Suffixes of the formats, the default first.
FORMATS = tuple(_WRITERS)


def check_format(suffix: str) -> None:
    """Check that a format can be written, before anything is simulated, and compile the code that writes it.

    Parameters
    ----------
    suffix : str
        One of `FORMATS`.

    Raises
    ------
    InputError
        The format is unknown.
    UnavailableError
        The format is FST and pylibfst is not usable, or no C++ compiler is installed.
    """
    if suffix not in FORMATS:
        raise InputError(f"the format of a waveform must be {' or '.join(FORMATS)}, not {suffix!r}")
    if suffix == ".fst":
        try:
            import pylibfst  # noqa: F401
        except (ImportError, OSError) as error:
            raise UnavailableError(f"pylibfst, which writes FST, is not usable: {error}", _INSTALL) from error
    prepare()


def make_writer(path: Path, header: Header, suffix: str) -> Writer:
    """Create a writer, which writes the header of a waveform file.

    Parameters
    ----------
    path : Path
        File to write; an existing file is replaced.
    header : Header
        Header of the VCD, which names the signals.
    suffix : str
        Format, one of `FORMATS`.

    Raises
    ------
    InputError
        The format is unknown.
    UnavailableError
        The format is FST and pylibfst is not usable, or no C++ compiler is installed.
    ToolError
        The file cannot be written.
    """
    check_format(suffix)
    return _WRITERS[suffix](path, header)
