"""Argument CORE and options for the parameters of cores, shared by all commands for one core."""

import importlib.util
import inspect
from collections.abc import Iterable, Mapping
from typing import Any, Literal, get_args, get_origin

import click

from ninefold.spec.errors import installs, not_installed

__all__ = ["CoreArgument", "CoreCommand", "DesignCommand"]


class CoreArgument(click.Argument):
    """Argument CORE. Errors call it CORE, because the list of allowed names follows in the message."""

    def __init__(self, names: Iterable[str], kind: type[click.Choice[str]] = click.Choice) -> None:
        super().__init__(["core"], type=kind(list(names)))

    def get_error_hint(self, ctx: click.Context | None) -> str:  # noqa: ARG002
        """Return the name of the argument in errors."""
        return "'CORE'"


class CoreCommand(click.Command):
    """Command for one core: ``@click.command(cls=CoreCommand)``; see also `DesignCommand`.

    The command's function receives ``core``, the name of a core, and ``parameters``, a dict with a value for every
    parameter of that core. The values come from options, which are derived from the signatures of the cores, or else
    from ``DEFAULTS``. Given options that the core does not take are included, so that ``make_core`` rejects them.

    The cores are imported when the options are read, so that ``ninefold --help`` stays fast.
    """

    #: Type of CORE.
    _kind: type[click.Choice[str]] = click.Choice

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return CORE, one option for each parameter of a core, and the command's own options."""
        if importlib.util.find_spec("amaranth") is None:
            raise not_installed("amaranth", installs("hdl"))
        from ninefold.hdl.catalogue import CORES

        return [CoreArgument([*CORES, *self._others()], self._kind), *self._options(), *super().get_params(ctx)]

    def invoke(self, ctx: click.Context) -> Any:
        """Collect the options of the core in ``parameters``, and run the command."""
        given = {str(option.name): ctx.params.pop(str(option.name)) for option in self._options()}
        chosen = {name: value for name, value in given.items() if value is not None}
        ctx.params["parameters"] = {**self._defaults().get(ctx.params["core"], {}), **chosen}
        return super().invoke(ctx)

    def _defaults(self) -> Mapping[str, Mapping[str, Any]]:
        """Return the default parameters of each core."""
        from ninefold.hdl.catalogue import DEFAULTS

        return DEFAULTS

    def _options(self) -> list[click.Option]:
        from ninefold.hdl.catalogue import CORES, parameters_of

        defaults = self._defaults()
        users: dict[str, list[str]] = {}
        parameters: dict[str, inspect.Parameter] = {}
        for core in CORES:
            for name, parameter in parameters_of(core).items():
                parameters[name] = parameter
                users.setdefault(name, []).append(f"{core} (default {defaults[core][name]})")
        return [_option(parameter, ", ".join(users[name])) for name, parameter in parameters.items()]

    def _others(self) -> list[str]:
        """Return the names allowed in addition to the cores."""
        return []


class _Design(click.Choice[str]):
    """Type of CORE that also accepts the path of a configuration file."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path of a file unchecked, as opening it reports errors; check any other name."""
        from ninefold.hdl.configurations import SUFFIX, full_name

        return value if str(value).endswith(SUFFIX) else super().convert(full_name(str(value)), param, ctx)


class DesignCommand(CoreCommand):
    """Command for a core, or for a configuration, given by name or file and without parameters."""

    _kind = _Design

    def _others(self) -> list[str]:
        from ninefold.hdl.configurations import CONFIGURATIONS

        return list(CONFIGURATIONS)


def _option(parameter: inspect.Parameter, users: str) -> click.Option:
    flag = "--" + parameter.name.replace("_", "-")
    annotation = parameter.annotation
    text = f"Parameter of {users}."
    if annotation is bool:
        return click.Option([f"{flag}/--no-{flag[2:]}", parameter.name], default=None, help=text)
    is_choice = get_origin(annotation) is Literal
    kind = click.Choice(get_args(annotation)) if is_choice else click.types.convert_type(annotation)
    return click.Option([flag, parameter.name], type=kind, default=None, help=text)
