"""Thread limits of NumPy and OpenMP."""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Iterator

from ninefold.spec.benchmark import Request

__all__ = ["limited"]


@contextlib.contextmanager
def limited(request: Request) -> Iterator[None]:
    """Limit the threads of NumPy's linear algebra and of OpenMP inside the block.

    Without threadpoolctl they keep their defaults, and a note says so.
    """
    if importlib.util.find_spec("threadpoolctl") is None:
        request.note("NumPy's linear algebra uses its default threads: threadpoolctl is not installed")
        yield
        return
    import threadpoolctl

    with threadpoolctl.threadpool_limits(request.threads):
        yield
