"""The argument CORE and the parameters of the cores as options, shared by all commands about one core."""

import importlib.util
import inspect
from collections.abc import Iterable, Mapping
from typing import Any, Literal, get_args, get_origin

import click

from ninefold.spec.errors import installs, not_installed

__all__ = ["CoreArgument", "CoreCommand", "DesignCommand"]


class CoreArgument(click.Argument):
    """The argument CORE; an error names it so, since the list of what it may be follows there anyway."""

    def __init__(self, names: Iterable[str], kind: type[click.Choice[str]] = click.Choice) -> None:
        super().__init__(["core"], type=kind(list(names)))

    def get_error_hint(self, ctx: click.Context | None) -> str:  # noqa: ARG002
        """Return what an error calls it."""
        return "'CORE'"


class CoreCommand(click.Command):
    """A command about one core: ``@click.command(cls=CoreCommand)``; see also `DesignCommand`.

    Its function gets ``core``, the name of a core, and ``parameters``, a dict with a value for every parameter of that
    core: from the options, which are made from the signatures of the cores, or else from ``DEFAULTS``. Options that the
    core does not take are in it when they are given, so that ``make_core`` refuses them.

    The cores are imported when options are looked at, so that ``ninefold --help`` stays quick.
    """

    #: Of CORE.
    _kind: type[click.Choice[str]] = click.Choice

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return CORE, one option for each parameter of a core, and the command's own options."""
        if importlib.util.find_spec("amaranth") is None:
            raise not_installed("amaranth", installs("hdl"))
        from ninefold.hdl.catalogue import CORES

        return [CoreArgument([*CORES, *self._others()], self._kind), *self._options(), *super().get_params(ctx)]

    def invoke(self, ctx: click.Context) -> Any:
        """Gather the options of the core into ``parameters``."""
        given = {str(option.name): ctx.params.pop(str(option.name)) for option in self._options()}
        chosen = {name: value for name, value in given.items() if value is not None}
        ctx.params["parameters"] = {**self._defaults().get(ctx.params["core"], {}), **chosen}
        return super().invoke(ctx)

    def _defaults(self) -> Mapping[str, Mapping[str, Any]]:
        """Return the parameters of each core that are taken when they are not given."""
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
        """Return what may be named beside the cores."""
        return []


class _Design(click.Choice[str]):
    """One of the names, or the path of a file with a configuration."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Pass on what is meant as a file; opening it says what is wrong with it."""
        from ninefold.hdl.configurations import SUFFIX, full_name

        return value if str(value).endswith(SUFFIX) else super().convert(full_name(str(value)), param, ctx)


class DesignCommand(CoreCommand):
    """A command about one core, or about a configuration, by name or as a file, which has no parameters."""

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
