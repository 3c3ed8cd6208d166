"""``ninefold model``: fetch the sentence-embedding model, or say where it is."""

import click

from ninefold.spec.terminal import printable

__all__ = ["model"]


@click.group()
def model() -> None:
    """Fetch the sentence-embedding model, or say where it is."""


@model.command()
def fetch() -> None:
    """Download the model (83.5 MB) unless it is there already, and check it."""
    from ninefold.host.embedding import fetch_model

    found = fetch_model(lambda sentence: click.echo(printable(sentence), err=True))
    click.echo(f"the model is in {printable(found.folder)}")


@model.command()
def path() -> None:
    """Print the folder of the model in use."""
    from ninefold.host.embedding import find_model

    click.echo(printable(find_model().folder))
