"""``ninefold board serve``: serve a virtual board to other processes."""

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
@click.option(
    "--fault", "faults", multiple=True, metavar="NAME=VALUE", help="Inject a fault, e.g. flip=1e-4; may be repeated."
)
def serve(configuration: str, as_pty: bool, tcp: int | None, faults: tuple[str, ...]) -> None:
    """Serve the virtual board CONFIGURATION until interrupted.

    CONFIGURATION, e.g. virtual/tiny, may also be a URL with faults as options: sim://virtual/tiny?flip=1e-4. The first
    line of output is the URL for other processes.
    """
    from ninefold.drivers.transports.urls import once, split
    from ninefold.hdl.configurations import full_name

    if as_pty and tcp is not None:
        raise InputError("--pty and --tcp cannot be combined")
    wrong = [fault for fault in faults if "=" not in fault]
    if wrong:
        raise InputError(f"a fault must be NAME=VALUE, not {wrong[0]!r}")
    bare = configuration.removeprefix("board:")
    scheme, name, options = split(bare if "://" in bare else f"sim://{bare}")
    if scheme != "sim":
        raise InputError(f"CONFIGURATION must name a configuration or a sim:// URL, not {configuration!r}")
    given = [(key, value) for key, _, value in (fault.partition("=") for fault in faults)]
    with step(f"preparing the virtual board {name}"):
        from ninefold.sim.board import Faults, VirtualBoard
        from ninefold.sim.board.serve import serve_pty, serve_tcp

        board = VirtualBoard(full_name(name), Faults.of(once([*options.items(), *given], "a fault")))
    try:
        if tcp is None:
            serve_pty(board, click.echo, lambda: False)
        else:
            serve_tcp(board, tcp, click.echo, lambda: False)
    except KeyboardInterrupt:
        return  # the normal way to end
    finally:
        board.close()
