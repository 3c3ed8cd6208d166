"""Argument CORE and the options of each core, shared by all commands for one core."""

import difflib
import importlib.util
import inspect
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, get_args, get_origin

import click

from ninefold.spec.errors import InputError, installs, not_installed

__all__ = ["CoreArgument", "CoreCommand", "DesignCommand", "NamesCommand", "type_of"]

#: Key of the given CORE in the context's ``meta``.
_GIVEN = "ninefold.core"
_PREFIX = "core_parameter_"


class _CoreType(click.Choice[str]):
    """Type of CORE: one of the names, or the path of a core."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return a path unchecked, as the import of the core reports errors; check any other word."""
        from ninefold.hdl.catalogue import is_path

        return value if is_path(str(value)) else super().convert(value, param, ctx)


class _DesignType(_CoreType):
    """Type of CORE that also accepts the path of a configuration file."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path of a file unchecked, as opening it reports errors; check any other word."""
        from ninefold.hdl.configurations import SUFFIX, full_name

        name = full_name(str(value))
        return value if str(value).endswith(SUFFIX) or name in self.choices else super().convert(name, param, ctx)


class CoreArgument(click.Argument):
    """Argument CORE. Errors call it CORE, because the list of allowed names follows in the message."""

    def __init__(self, names: Iterable[str], kind: type[click.Choice[str]] = _CoreType) -> None:
        super().__init__(["core"], type=kind(list(names)), metavar="CORE")

    def get_error_hint(self, ctx: click.Context | None) -> str:  # noqa: ARG002
        """Return the name of the argument in errors."""
        return "'CORE'"


class NamesCommand(click.Command):
    """Command for a core without options for its parameters: ``@click.command(cls=...)`` of a subclass.

    The command's function receives ``core``, a name or a path. The cores are imported when the options are read, so
    that ``ninefold --help`` stays fast.
    """

    #: Extras of the project that the command needs.
    extras: tuple[str, ...] = ("hdl",)
    #: Type of CORE.
    kind: type[click.Choice[str]] = _CoreType

    def names(self) -> Sequence[str]:
        """Return the names that CORE may have."""
        from ninefold.hdl.catalogue import core_names

        return core_names()

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return CORE and the command's own options."""
        if importlib.util.find_spec("amaranth") is None:
            raise not_installed("amaranth", installs(*self.extras))
        return [CoreArgument(self.names(), self.kind), *super().get_params(ctx)]

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the help text, then the values of CORE."""
        super().format_help_text(ctx, formatter)
        formatter.write_paragraph()
        with formatter.indentation():
            formatter.write_text(f"CORE: {', '.join(self.names())}; or the path of a core's file or package.")


class CoreCommand(NamesCommand):
    """Command for one core and its parameters: ``@click.command(cls=CoreCommand)``; see also `DesignCommand`.

    The command's function receives ``core``, and ``parameters``, a dict with a value for every parameter of that core.
    Each core has options of its own, which follow CORE on the command line.
    """

    def defaults(self, core: str) -> Mapping[str, Any]:
        """Return the default parameters of a core."""
        from ninefold.hdl.catalogue import find_core

        return find_core(core).core.defaults

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return CORE, the options of the given core, and the command's own options."""
        core, *own = super().get_params(ctx)
        given = ctx.meta.get(_GIVEN)
        options = self._options(given) if given is not None else []
        taken = {flag for option in own for flag in option.opts}
        for option in options:
            if clash := taken.intersection(option.opts):
                raise InputError(
                    f"{given} must not have a parameter with the name of an option of `{ctx.command_path}`, "
                    f"{', '.join(clash)}"
                )
        return [core, *options, *own]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Find CORE, add its options to the command, and parse."""
        ctx.meta[_GIVEN] = None
        ctx.meta[_GIVEN] = self._given(ctx, args)
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            raise self._explained(error, ctx) from error

    def invoke(self, ctx: click.Context) -> Any:
        """Collect the options of the core in ``parameters``, and run the command."""
        names = [name for name in ctx.params if name.startswith(_PREFIX)]
        given = {name.removeprefix(_PREFIX): ctx.params.pop(name) for name in names}
        ctx.params["parameters"] = {name: value for name, value in given.items() if value is not None}
        return super().invoke(ctx)

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the help text, and where the parameters of a core are listed."""
        super().format_help_text(ctx, formatter)
        if ctx.meta.get(_GIVEN) is None:
            formatter.write_paragraph()
            with formatter.indentation():
                formatter.write_text(
                    f"`{ctx.command_path} CORE --help` lists the core's parameters, which follow CORE."
                )

    def _options(self, core: str) -> list[click.Option]:
        """Return an option for each parameter of a core; other words have none."""
        from ninefold.hdl.catalogue import core_names, find_core, is_path

        if core not in core_names() and not is_path(core):
            return []
        entry = find_core(core).core
        help_ = entry.described()
        defaults = self.defaults(core)
        return [
            _option(parameter, defaults.get(name), help_.get(name, f"Parameter of {core}."))
            for name, parameter in entry.parameters.items()
        ]

    def _given(self, ctx: click.Context, args: Sequence[str]) -> str | None:
        """Return the first word that is neither an option nor the value of one."""
        values = {
            flag: not (option.is_flag or option.count)
            for option in click.Command.get_params(self, ctx)
            if isinstance(option, click.Option)
            for flag in (*option.opts, *option.secondary_opts)
        }
        words = iter(args)
        for word in words:
            if word == "--":
                return next(words, None)
            if not word.startswith("-"):
                return word
            if values.get(word):
                next(words, None)
        return None

    def _explained(self, error: click.NoSuchOption, ctx: click.Context) -> Exception:
        given = ctx.meta[_GIVEN]
        if given is None:
            return error
        near = difflib.get_close_matches(error.option_name, error.possibilities or (), cutoff=0.8)
        meant = f"; did you mean {' or '.join(near)}?" if near else ""
        return InputError(f"{given} does not take {error.option_name}{self._takes(given)}{meant}")

    def _takes(self, core: str) -> str:
        """Return the parameters of a core, for the end of a message."""
        flags = ", ".join(option.opts[0] for option in self._options(core))
        return f"; its parameters are {flags}" if flags else "; it has no parameters"


class DesignCommand(CoreCommand):
    """Command for a core, or for a configuration, given by name or file and without parameters."""

    kind = _DesignType

    def names(self) -> Sequence[str]:
        """Return the names of cores and configurations."""
        from ninefold.hdl.configurations import CONFIGURATIONS

        return [*super().names(), *CONFIGURATIONS]

    def _options(self, core: str) -> list[click.Option]:
        from ninefold.hdl.configurations import is_configuration

        return [] if is_configuration(core) else super()._options(core)

    def _takes(self, core: str) -> str:
        from ninefold.hdl.configurations import is_configuration

        return ": a configuration has no parameters" if is_configuration(core) else super()._takes(core)


def _option(parameter: inspect.Parameter, default: Any, text: str) -> click.Option:
    flag, name = "--" + parameter.name.replace("_", "-"), _PREFIX + parameter.name
    if default is None and parameter.default is not parameter.empty:
        default = parameter.default
    kind, shown = type_of(parameter, default), default is not None
    if kind is click.BOOL:
        return click.Option([f"{flag}/--no-{flag[2:]}", name], default=default, show_default=shown, help=text)
    return click.Option([flag, name], type=kind, default=default, show_default=shown, help=text)


def type_of(parameter: inspect.Parameter, default: Any) -> click.ParamType[Any]:
    """Return the type of a core's parameter on the command line, by its annotation or else by its default."""
    annotation = parameter.annotation if parameter.annotation is not parameter.empty else type(default)
    is_choice = get_origin(annotation) is Literal
    return click.Choice(get_args(annotation)) if is_choice else click.types.convert_type(annotation)
