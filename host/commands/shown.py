"""Hits, devices and times as commands show them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from ninefold.spec.terminal import printable
from ninefold.spec.text import counted

if TYPE_CHECKING:
    from ninefold.host.index import Hits
    from ninefold.spec.data import Result

__all__ = ["answered", "considered", "details", "duration", "score_of", "snippet", "timing"]


def duration(seconds: float) -> str:
    """Return a time in s, ms or us."""
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}" if seconds < 100 else f"{seconds:.0f} s"
    return f"{seconds * 1e6:.0f} us"


def timing(result: Result) -> str:
    """Return the device's time and, for simulated hardware, its clock cycles."""
    text = duration(result.metrics["seconds"]) if "seconds" in result.metrics else ""
    cycles = result.metrics.get("cycles")
    if cycles is None:
        return text
    loading = result.metrics.get("load_cycles")
    of_them = f" ({loading:,.0f} of them to load the index)" if loading else ""
    if "link_bytes_out" in result.metrics:
        link = result.metrics["link_bytes_out"] + result.metrics["link_bytes_in"]
        return f"{cycles:,.0f} clock cycles and {link:,.0f} bytes on the link in {text}"
    built = result.metrics.get("build_seconds", 0.0)
    # Opening a cached simulator takes milliseconds and is not reported.
    first = f", after {duration(built)} to build the simulator" if built >= 1 else ""
    return f"{cycles:,.0f} clock cycles{of_them}, simulated in {text}{first}"


def answered(hits: Hits) -> str:
    """Return the line under a list of hits: device, fallback, cycles of simulated hardware, score; safe to print."""
    result = hits.result
    parts = [f"answered by {result.answered_by}"]
    if result.fallbacks:
        parts[0] += " after a fallback" if result.asked_for == "auto" else f" in place of {result.asked_for}"
    if "cycles" in result.metrics:
        parts.append(timing(result))
    parts.append(f"score: {score_of(hits)}")
    if (route := hits.route) is not None:
        doubt = "" if route.confident else ", below all thresholds"
        parts.append(f"stage {route.stage}, confidence {route.confidence:.3f}{doubt}")
    if hits.setting is not None:
        parts.append(str(hits.setting))
    if hits.scanned is not None:
        fields = f"the fields of {counted(hits.scanned, 'entry', 'entries')}" if hits.scanned else "columns only"
        parts.append(f"the filter read {fields}")
    return printable("; ".join(parts))


def details(hits: Hits) -> str:
    """Return the path, reason and times of a search; safe to print."""
    result = hits.result
    parts = [f"{result.answered_by} by path {result.path}: {result.why}"]
    if hits.embed_seconds:
        embedded = hits.embedded
        if embedded is not None and embedded.path:
            took = f"{embedded.answered_by} in {duration(hits.embed_seconds)}"
            parts.append(f"query embedded by {took}, including the start of the model")
        else:
            parts.append(f"embedding of the query taken from the cache in {duration(hits.embed_seconds)}")
    if times := timing(result):
        parts.append(times if "cycles" in result.metrics else f"searched in {times}")
    if "refine_seconds" in result.metrics:
        parts.append(f"reranked in {duration(result.metrics['refine_seconds'])}")
    return printable("; ".join(parts))


def score_of(hits: Hits) -> str:
    """Return the meaning of the scores."""
    if hits.contexts:
        return "similarity6d of the records"
    return f"dot product of the {'float vectors' if hits.result.values['scores'].dtype.kind == 'f' else 'nits'}"


def considered(result: Result) -> Table:
    """Return a table of the candidate devices, with their scores and expected times."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("device", no_wrap=True)
    for heading in ("score", "run", "load", "wait", "in all"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("", overflow="fold")
    if not result.considered:
        table.add_row(Text(printable(result.answered_by)), "", "", "", "", "", Text(printable(result.why)))
    for candidate in result.considered:
        times = (candidate.run_s, candidate.load_s, candidate.wait_s, candidate.completion_s)
        shown = ["" if seconds is None else duration(seconds) for seconds in times]
        won = candidate.device in result.answered_by.split(", ")
        said = candidate.refused or (result.why if won else "" if candidate.run_s is not None else "not measured yet")
        device, said = Text(printable(candidate.device)), printable(said)
        table.add_row(device, f"{candidate.score:.1f}", *shown, Text(said), style="bold" if won else "")
    return table


def snippet(text: str) -> str:
    """Return a text on one line that is safe to print."""
    return printable(" ".join(text.split()))
