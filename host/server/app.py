"""The application: all routes, their schema, and errors as problems."""

from litestar import Litestar, Response
from litestar.di import Provide
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin

from . import indexes, models, page
from .guards import AnyRequest
from .problems import MEDIA_TYPE, problem_of
from .service import Service

__all__ = ["application"]


def _refused(_request: AnyRequest, error: Exception) -> Response[bytes]:
    problem = problem_of(error)
    return Response(problem.body, status_code=problem.status, media_type=MEDIA_TYPE, headers=dict(problem.headers))


def application(service: Service) -> Litestar:
    """Return the application with all routes, for one service."""
    return Litestar(
        [*indexes.ROUTES, *models.ROUTES, *page.ROUTES],
        dependencies={"service": Provide(lambda: service, sync_to_thread=False)},
        exception_handlers={Exception: _refused},
        request_max_body_size=service.limits.body,
        logging_config=None,
        openapi_config=OpenAPIConfig(
            "Ninefold",
            "1",
            description="Indexes and operators of Ninefold over HTTP. Errors are problem details (RFC 9457).",
            path="/openapi.json",
            render_plugins=[JsonRenderPlugin(path="/")],
        ),
    )
