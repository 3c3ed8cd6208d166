"""As many threads for everybody."""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Iterator

from ninefold.spec.benchmark import Request

__all__ = ["limited"]


@contextlib.contextmanager
def limited(request: Request) -> Iterator[None]:
    """Bound the threads of the linear algebra behind NumPy, and of OpenMP, inside the block.

    Without threadpoolctl they keep their own number, which is noted.
    """
    if importlib.util.find_spec("threadpoolctl") is None:
        request.note("threads of NumPy's linear algebra are its own: threadpoolctl is not installed")
        yield
        return
    import threadpoolctl

    with threadpoolctl.threadpool_limits(request.threads):
        yield
