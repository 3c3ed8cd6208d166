"""Sizes, segments and state of an index, for reports."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from .index import Index

__all__ = ["status_of"]


def status_of(index: Index) -> dict[str, Any]:
    """Return what ``ninefold index info`` reports.

    Returns
    -------
    dict
        ``index``, ``source``, ``rows``, ``dimensions``, ``scale``, ``mode``, and: ``model``, ``vectors``,
        ``generation``, ``bytes`` on the disk, ``tail`` (rows in no segment), ``dead_share`` (of the rows in segments),
        ``best_recall`` (measured when the generation was made; None without a measurement), and ``segments``, each
        with ``digest``, ``rows``, ``dead`` and ``bytes``.
    """
    with index.snapshot() as snapshot:
        generation, manifest = snapshot.generation, snapshot.manifest
        segments = []
        tail = 0
        for part in snapshot.parts.parts:
            if part.on_host:
                tail = len(part)
                continue
            dead = 0 if part.alive is None else int(np.count_nonzero(~part.alive))
            size = sum(array.nbytes for array in part.database.arrays.values())
            segments.append({"digest": part.database.digest, "rows": len(part.sequence), "dead": dead, "bytes": size})
        rows = sum(one["rows"] for one in segments)
        recalls = [setting.recall for setting in generation.settings]
        return {
            **snapshot.describe(),
            "model": manifest.model,
            "vectors": manifest.vectors,
            "fields": dict(asdict(manifest)["fields"]),
            "generation": generation.number,
            "bytes": sum(path.stat().st_size for path in index.folder.rglob("*") if path.is_file()),
            "tail": tail,
            "dead_share": sum(one["dead"] for one in segments) / rows if rows else 0.0,
            "best_recall": max(recalls, default=None),
            "segments": segments,
        }
