"""Metrics of a server, added to its scheduler's."""

from prometheus_client import CollectorRegistry, Counter, Histogram

__all__ = ["Meters"]


class Meters:
    """Metrics of a server, in the registry of its scheduler."""

    def __init__(self, registry: CollectorRegistry) -> None:
        labels = ("method", "route", "status")
        self.requests = Counter("ninefold_http_requests", "Requests that were answered.", labels, registry=registry)
        self.seconds = Histogram(
            "ninefold_http_seconds", "Time from the head of a request to its answer.", labels[:2], registry=registry
        )

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request; a route is a template, so that names and ids do not multiply the series."""
        self.requests.labels(method, route, str(status)).inc()
        self.seconds.labels(method, route).observe(seconds)
