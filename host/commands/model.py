"""``ninefold model``: download the sentence-embedding model, or print its folder."""

import click

from ninefold.spec.terminal import printable

__all__ = ["model"]


@click.group()
def model() -> None:
    """Download the sentence-embedding model, or print its folder."""


@model.command()
def fetch() -> None:
    """Download the model (83.5 MB) unless it is present.

    Its checksums are verified.
    """
    from ninefold.host.embedding import fetch_model

    found = fetch_model(lambda sentence: click.echo(printable(sentence), err=True))
    click.echo(f"the model is in {printable(found.folder)}")


@model.command()
def path() -> None:
    """Print the folder of the model in use."""
    from ninefold.host.embedding import find_model

    click.echo(printable(find_model().folder))
