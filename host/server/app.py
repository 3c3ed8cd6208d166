"""The application: all routes, their schema, and errors as problems."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final

from litestar import Litestar, Request, Response
from litestar.di import Provide
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.datastructures import ResponseSpec

from . import indexes, models, page
from .gate import SCHEMA
from .guards import AnyRequest
from .messages import ProblemMessage
from .problems import MEDIA_TYPE, problem_of
from .refusals import decoded
from .schema import SchemaPlugin
from .service import Service

__all__ = ["application"]

#: Errors of every route, for the schema.
_ERRORS: Final[dict[int, ResponseSpec]] = {
    status: ResponseSpec(
        ProblemMessage, generate_examples=False, description=HTTPStatus(status).phrase, media_type=MEDIA_TYPE
    )
    for status in (400, 401, 403, 404, 408, 409, 413, 414, 415, 421, 422, 429, 500, 503, 507)
}


class _Strict(Request[Any, Any, Any]):
    """Request whose body is of exactly the types of its schema: the library would take the text "5" for a number."""

    async def json(self) -> Any:
        """Return the body; refuse one of another form with the value and what is allowed."""
        body, declared = await self.body(), self.route_handler.parsed_data_field
        return decoded(body, Any if declared is None else declared.annotation)


def _refused(_request: AnyRequest, error: Exception) -> Response[bytes]:
    problem = problem_of(error)
    return Response(problem.body, status_code=problem.status, media_type=MEDIA_TYPE, headers=dict(problem.headers))


def application(service: Service, more: Sequence[HTTPRouteHandler] = ()) -> Litestar:
    """Return the application with all routes, and more of a caller, for one service."""
    routes = [*indexes.ROUTES, *models.ROUTES, *page.ROUTES, *more]
    for route in routes:
        route.responses = {**_ERRORS, **(route.responses or {})}
    return Litestar(
        routes,
        dependencies={"service": Provide(lambda: service, sync_to_thread=False)},
        exception_handlers={Exception: _refused},
        request_class=_Strict,
        request_max_body_size=service.limits.body,
        logging_config=None,
        openapi_config=OpenAPIConfig(
            "Ninefold",
            "1",
            description="Indexes and operators of Ninefold over HTTP. Errors are problem details (RFC 9457).",
            path=SCHEMA,
            render_plugins=[SchemaPlugin(sorted(service.indexes))],
        ),
    )
