"""``ninefold board serve``: serve a virtual board to other processes."""

from pathlib import Path

import click

from ninefold.spec.errors import InputError
from ninefold.spec.progress import step

__all__ = ["serve"]


@click.command("serve")
@click.argument("configuration")
@click.option("--pty", "as_pty", is_flag=True, help="Serve on a pseudo-terminal, as a serial port (default).")
@click.option(
    "--tcp", type=click.IntRange(0, 65535), metavar="PORT", help="Serve on this TCP port; 0 selects a free port."
)
@click.option("--host", default="127.0.0.1", show_default=True, help="With --tcp: listen on this IP address.")
@click.option(
    "--key",
    "key_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="With --tcp: ask hosts for the key in this file, which they have in NINEFOLD_BOARD_KEY.",
)
@click.option(
    "--core", metavar="CORE", help="Serve a core of your own; CONFIGURATION is a board, e.g. virtual or icebreaker."
)
@click.option(
    "-p", "--parameter", "parameters", multiple=True, metavar="NAME=VALUE", help="Parameter of CORE; may be repeated."
)
@click.option(
    "--fault", "faults", multiple=True, metavar="NAME=VALUE", help="Inject a fault, e.g. flip=1e-4; may be repeated."
)
def serve(
    configuration: str,
    as_pty: bool,
    tcp: int | None,
    host: str,
    key_file: Path | None,
    core: str | None,
    parameters: tuple[str, ...],
    faults: tuple[str, ...],
) -> None:
    """Serve the virtual board CONFIGURATION until interrupted.

    With --core, `ninefold board serve virtual --core dot8.py` serves a core of your own (docs/howto/own-core.md). The
    board virtual has a FIFO; a real board has its UART and its clock.
    CONFIGURATION, e.g. virtual/tiny, may also be a URL with faults as options: sim://virtual/tiny?flip=1e-4. The first
    line of output is the URL for other processes.
    """
    from ninefold.drivers.transports.greeting import key_of
    from ninefold.drivers.transports.urls import once, split
    from ninefold.hdl.configurations import full_name
    from ninefold.hdl.stream_board.configurations import board_names, core_word

    if as_pty and tcp is not None:
        raise InputError("--pty and --tcp cannot be combined")
    if tcp is None and (host != "127.0.0.1" or key_file is not None):
        raise InputError("--host and --key need --tcp PORT")
    key = "" if key_file is None else key_of(key_file)
    for kind, words in (("fault", faults), ("parameter", parameters)):
        if wrong := [word for word in words if "=" not in word]:
            raise InputError(f"a {kind} must be NAME=VALUE, not {wrong[0]!r}")
    if parameters and core is None:
        raise InputError("--parameter needs --core")
    bare = configuration.removeprefix("board:")
    scheme, name, options = split(bare if "://" in bare else f"sim://{bare}")
    if scheme != "sim":
        raise InputError(f"CONFIGURATION must name a configuration or a sim:// URL, not {configuration!r}")
    if core is not None:
        if name not in board_names():
            raise InputError(f"a core is served on one of the boards {', '.join(board_names())}, not {name!r}")
        name = core_word(core, dict(word.split("=", 1) for word in parameters), name)
    given = [(key, value) for key, _, value in (fault.partition("=") for fault in faults)]
    with step(f"preparing the virtual board {name}"):
        from ninefold.sim.board import Faults, VirtualBoard
        from ninefold.sim.board.serve import serve_pty, serve_tcp

        board = VirtualBoard(
            name if core is not None else full_name(name), Faults.of(once([*options.items(), *given], "a fault"))
        )
    try:
        if tcp is None:
            serve_pty(board, click.echo, lambda: False)
        else:
            serve_tcp(board, tcp, click.echo, lambda: False, host, key)
    except KeyboardInterrupt:
        return  # the normal way to end
    finally:
        board.close()
