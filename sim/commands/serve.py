"""``ninefold board serve``: a virtual board for other processes."""

import click

from ninefold.spec.errors import InputError

__all__ = ["serve"]


@click.command("serve")
@click.argument("configuration")
@click.option("--pty", "as_pty", is_flag=True, help="On a pseudo-terminal, as a serial port; so if nothing is said.")
@click.option("--tcp", type=click.IntRange(0, 65535), metavar="PORT", help="On this TCP port; 0: any that is free.")
@click.option(
    "--fault", "faults", multiple=True, metavar="NAME=VALUE", help="A fault, e.g. flip=1e-4; may be repeated."
)
def serve(configuration: str, as_pty: bool, tcp: int | None, faults: tuple[str, ...]) -> None:
    """Serve the virtual board CONFIGURATION, e.g. virtual/tiny, until interrupted.

    The first line that is printed is the board's URL.
    """
    from ninefold.sim.board import Faults, VirtualBoard
    from ninefold.sim.board.serve import serve_pty, serve_tcp

    if as_pty and tcp is not None:
        raise InputError("a board is served by --pty or by --tcp, not by both")
    wrong = [fault for fault in faults if "=" not in fault]
    if wrong:
        raise InputError(f"a fault must be NAME=VALUE, not {wrong[0]!r}")
    board = VirtualBoard(configuration, Faults.of(dict(fault.split("=", 1) for fault in faults)))
    try:
        if tcp is None:
            serve_pty(board, click.echo, lambda: False)
        else:
            serve_tcp(board, tcp, click.echo, lambda: False)
    except KeyboardInterrupt:
        return  # as it is meant to end
    finally:
        board.close()
