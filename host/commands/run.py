"""``ninefold run``: run one call of any operator, from its signature."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ninefold.spec.errors import InputError, did_you_mean
from ninefold.spec.files import check_folders
from ninefold.spec.progress import step
from ninefold.spec.terminal import printable, to_json

if TYPE_CHECKING:
    from ninefold.spec.signature import Operator

__all__ = ["run"]

#: Elements of a result that are printed.
_SHOWN = 8


@click.command()
@click.argument("operator", required=False)
@click.option(
    "--arg",
    "arguments",
    multiple=True,
    metavar="NAME=VALUE",
    help="Argument: a .npy or .npz file, JSON numbers, an index for a database, or a saved state; may be repeated.",
)
@click.option(
    "--option", "options", multiple=True, metavar="NAME=VALUE", help="Option of the operator; may be repeated."
)
@click.option(
    "--device",
    default="auto",
    show_default=True,
    help="Run on this device of `ninefold devices`; auto lets the scheduler choose.",
)
@click.option("--strict", is_flag=True, help="Fail instead of falling back to another device.")
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write the results to this .npz file."
)
@click.option(
    "--state-out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the next state to this file; a stateful operator needs it. It may be the file of the argument.",
)
@click.option("--json", "as_json", is_flag=True, help="Print shapes, device and metrics as JSON.")
def run(
    operator: str | None,
    arguments: tuple[str, ...],
    options: tuple[str, ...],
    device: str,
    strict: bool,
    output: Path | None,
    state_out: Path | None,
    as_json: bool,
) -> None:
    """Run OPERATOR once, and print or write its results.

    OPERATOR is a name, or the path of a package that defines one. Without OPERATOR, list all operators; without --arg
    and --option, print the signature of OPERATOR.
    """
    from ninefold.spec.operators import OPERATORS, UNUSABLE

    if operator is None:
        width = max(map(len, OPERATORS))
        for name, one in OPERATORS.items():
            click.echo(f"{name:{width}}  {one.summary}")
        for name, reason in UNUSABLE.items():
            click.echo(f"warning: the package of {name} cannot be used: {printable(reason)}", err=True)
        return
    signature = _operator(operator)
    if not arguments and not options:
        click.echo(_signature(signature))
        return
    if (state_out is not None) != signature.stateful:
        said = (
            "needs --state-out FILE for the next state" if signature.stateful else "has no next state for --state-out"
        )
        raise InputError(f"{signature.name} {said}")
    check_folders(output, state_out)
    with step(f"running {signature.name}"):
        _run(
            signature,
            _pairs("--arg", arguments),
            _pairs("--option", options),
            device,
            strict,
            output,
            state_out,
            as_json,
        )


def _run(
    operator: Operator,
    arguments: Mapping[str, str],
    options: Mapping[str, str],
    device: str,
    strict: bool,
    output: Path | None,
    state_out: Path | None,
    as_json: bool,
) -> None:
    from ninefold.host.scheduler import Scheduler
    from ninefold.host.values import parse_option, read_argument, write_results
    from ninefold.numerics.states import save_state
    from ninefold.spec.data import State

    declared = {argument.name: argument for argument in operator.arguments}
    known = {option.name: option for option in operator.options}
    _check_names(operator, "argument", arguments, declared)
    _check_names(operator, "option", options, known)
    given: dict[str, Any] = {name: read_argument(declared[name], text) for name, text in arguments.items()}
    chosen = {name: parse_option(known[name], text) for name, text in options.items()}
    with Scheduler() as scheduler:
        state = given.get(operator.state_name)
        if isinstance(state, State):
            given[operator.state_name] = handle = scheduler.load(state)
        result = scheduler.run(operator.name, **given, **chosen, device=device, strict=strict)
        if state_out is not None:
            save_state(handle.state, state_out)
    for text in result.fallbacks:
        click.echo(f"warning: {printable(text)}", err=True)
    if output is not None:
        write_results(operator, result.values, output)
    if as_json:
        shapes = {name: _shown(value, elements=False) for name, value in result.values.items()}
        found = {"operator": operator.name, "results": shapes, "answered_by": result.answered_by, "path": result.path}
        click.echo(to_json({**found, "metrics": dict(result.metrics)}))
        return
    if output is None:
        for name, value in result.values.items():
            click.echo(f"{name}: {_shown(value)}")
    click.echo(printable(f"answered by {result.answered_by} ({result.path})"), err=output is None)


def _operator(name: str) -> Operator:
    from ninefold.spec.operators import OPERATORS, UNUSABLE, add

    if "/" in name:
        return add(Path(name))
    if name in OPERATORS:
        return OPERATORS[name]
    if name in UNUSABLE:
        raise InputError(f"the package of {name} cannot be used: {UNUSABLE[name]}")
    near = f"; did you mean './{name}'?" if Path(name, "signature.py").is_file() else did_you_mean(name, OPERATORS)
    raise InputError(f"operator must be one of {', '.join(OPERATORS)}, or a path, not {name!r}{near}")


def _pairs(option: str, given: Iterable[str]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise InputError(f"{option} must be NAME=VALUE, not {text!r}")
        if name in pairs:
            raise InputError(f"{option} {name} is given twice")
        pairs[name] = value
    return pairs


def _check_names(operator: Operator, kind: str, given: Mapping[str, str], known: Mapping[str, Any]) -> None:
    for name in given:
        if name not in known:
            allowed = ", ".join(known) or "none"
            raise InputError(
                f"{operator.name} {kind} must be one of {allowed}, not {name!r}{did_you_mean(name, known)}"
            )


def _signature(operator: Operator) -> str:
    """Return the signature of an operator for a reader, one line an argument, option and result."""
    from ninefold.host.values import describe
    from ninefold.spec.signature import Option

    lines = [f"{operator.name}: {operator.summary}", "", "arguments"]
    lines += [_line(f"{a.name}: {describe(a)}{_optional(a)}", a.doc) for a in operator.arguments]
    if operator.options:
        lines += ["", "options"]
    for option in operator.options:
        default = f"default {option.default}" if option.default is not None else "none by default"
        default = "required" if option.default is Option.REQUIRED else default
        lines.append(_line(f"{option.name}: {option.allowed}, {default}", option.doc))
    lines += ["", f"results ({operator.accuracy})"]
    lines += [_line(f"{r.name}: {describe(r)}", r.doc) for r in operator.results]
    return "\n".join(lines)


def _line(text: str, doc: str) -> str:
    return f"  {text}; {doc}" if doc else f"  {text}"


def _optional(argument: Any) -> str:
    return ", optional" if getattr(argument, "optional", False) else ""


def _shown(value: Any, *, elements: bool = True) -> str:
    import numpy as np

    from ninefold.spec.data import RaggedArray

    if isinstance(value, Mapping):
        return "; ".join(f"{name} {_shown(column, elements=elements)}" for name, column in value.items())
    if isinstance(value, RaggedArray):
        return f"{len(value)} lists of {_shown(value.values, elements=elements)}"
    array = np.asarray(value)
    text = f"{array.dtype.name} {tuple(array.shape)}"
    if not elements:
        return text
    first = ", ".join(str(one) for one in array.reshape(-1)[:_SHOWN].tolist())
    return f"{text}: {first}{', ...' if array.size > _SHOWN else ''}"
