"""``candidates`` on Loihi: rows whose weights are 1 and -1."""

from typing import TYPE_CHECKING

from ninefold.numerics.databases import checked_nits
from ninefold.numerics.nits import unpack
from ninefold.numerics.signs import sign_nits
from ninefold.numerics.stages import eligible_rows, quantised, selected
from ninefold.spec.data import Answer, Database
from ninefold.spec.signature import Call

from .rows import Rows

if TYPE_CHECKING:
    from .device import LoihiDevice

__all__ = ["RATING", "derive", "load", "run"]

RATING = 3


def load(device: "LoihiDevice", database: Database) -> None:  # noqa: ARG001 - the network is built when needed
    """Check a database."""
    checked_nits(database)


def derive(device: "LoihiDevice", database: Database) -> Rows:
    """Build a network of the signs of a database."""
    dimensions = int(database.attributes["dimensions"])
    return device.build(unpack(sign_nits(checked_nits(database), dimensions), dimensions))


def run(device: "LoihiDevice", call: Call) -> Answer:
    """Quantise the queries on the host, run the ramp for each until all neurons have fired, and select on the host."""
    rows = device.residents.form(call.database(), derive)
    with device.timed(rows.cores) as metrics:
        queries = quantised(call)
        scores = rows.all_scores(queries)
        values = selected(scores, call.options["keep"], eligible_rows(call, queries))
    return Answer(values, f"{device.path}, queries quantised and rows selected on the host", metrics)
