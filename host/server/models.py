"""Routes of the Open Inference Protocol, and of the residents that its requests name."""

from importlib.metadata import version
from typing import Any, Final

from litestar import Response, delete, get, head, patch, post, put
from litestar.openapi.datastructures import ResponseSpec

from ninefold.spec.data import Database
from ninefold.spec.errors import InputError

from .guards import AnyRequest, Called, Served, caller_of, needs, note
from .inference import VERSION, Model, answer_of, describe, model_of, served, task_of
from .problems import ProblemError
from .service import Service
from .tensors import LENGTH, InferAnswer, InferRequest, Tensors

__all__ = ["ROUTES"]


@get("/v2/health/live", summary="Whether the server runs")
async def live() -> dict[str, bool]:
    """Answer, which shows that the server runs."""
    return {"live": True}


@get("/v2/health/ready", summary="Whether the server answers requests")
async def ready(service: Served) -> dict[str, bool]:
    """Answer that requests are answered, or 503 while as many work or wait as are allowed."""
    if service.inside >= service.limits.queue:
        raise ProblemError(503, f"{service.inside} requests work or wait, of {service.limits.queue} allowed")
    return {"ready": True}


@get("/v2", guards=[needs("read")], summary="Name, version and extensions of the server")
async def server_metadata() -> dict[str, Any]:
    """Return what the server is, and its models."""
    return {
        "name": "ninefold",
        "version": version("ninefold"),
        "extensions": ["binary_tensor_data"],
        "models": served(),
    }


@get(
    ["/v2/models/{operator:str}", "/v2/models/{operator:str}/versions/{number:str}"],
    guards=[needs("read")],
    summary="Inputs, outputs and parameters of a model",
)
async def model_metadata(operator: Called, number: Called = VERSION) -> Model:
    """Return the signature of an operator."""
    return describe(model_of(operator, number))


@get(
    ["/v2/models/{operator:str}/ready", "/v2/models/{operator:str}/versions/{number:str}/ready"],
    guards=[needs("read")],
    summary="Whether a model answers requests",
)
async def model_ready(operator: Called, service: Served, number: Called = VERSION) -> dict[str, Any]:
    """Answer that some device runs an operator, or 503."""
    name = model_of(operator, number).name
    statuses = await service.run(service.scheduler.devices)
    if not any(name in status.operators and not status.operators[name] for status in statuses):
        raise ProblemError(503, f"no device runs {name}")
    return {"name": name, "ready": True}


@post(
    ["/v2/models/{operator:str}/infer", "/v2/models/{operator:str}/versions/{number:str}/infer"],
    status_code=200,
    guards=[needs("read")],
    summary="Run a model",
    responses={200: ResponseSpec(InferAnswer)},
)
async def infer(request: AnyRequest, operator: Called, service: Served, number: Called = VERSION) -> Response[bytes]:
    """Run an operator on tensors of the request."""
    model, caller = model_of(operator, number), caller_of(request).id
    body, length = await request.body(), request.headers.get(LENGTH)

    def work() -> tuple[bytes, dict[str, str]]:
        tensors = Tensors.of(InferRequest, body, length)
        arguments, options, settings = task_of(tensors, model, lambda name: _database(service, caller, name))
        service.check_device(settings.get("device", "auto"))
        seconds = service.limits.seconds
        result = service.scheduler.run(model.name, **arguments, **options, **settings, deadline_s=seconds)
        return answer_of(tensors.message, model, result)

    answer, headers = await service.run_operator(work)
    return Response(answer, media_type=headers.pop("content-type"), headers=headers)


def _database(service: Service, caller: str, name: str) -> Database:
    """Return the database that a request names: an index, or a resident of the caller."""
    if name in service.indexes:
        return service.database(name)
    try:
        return service.residents.database(caller, name)
    except InputError as error:
        known = ", ".join(sorted(service.indexes))
        raise InputError(f"database must be an index of this server ({known}), or a resident: {error}") from error


@head("/v1/residents/{digest:str}", guards=[needs("write")], summary="State of an upload")
async def resident_state(request: AnyRequest, digest: Called, service: Served) -> Response[None]:
    """Return the number of bytes that are here in Upload-Offset, and in Upload-Complete whether they are all."""
    caller = caller_of(request).id
    offset, complete = await service.run(lambda: service.residents.state(caller, digest))
    return Response(None, headers=_state(offset, complete))


@patch("/v1/residents/{digest:str}", status_code=200, guards=[needs("write")], summary="Append to an upload")
async def append_resident(request: AnyRequest, digest: Called, service: Served) -> Response[None]:
    """Append the body to an upload at Upload-Offset; with ``Upload-Complete: ?1`` these are the last bytes."""
    given = request.headers.get("upload-offset", "")
    if not given.isascii() or not given.isdecimal():
        raise ProblemError(400, f"upload-offset must be a number of bytes, not {given!r}")
    return await _append(request, digest, service, int(given), last=request.headers.get("upload-complete") == "?1")


@put("/v1/residents/{digest:str}", status_code=200, guards=[needs("write")], summary="Upload a resident at once")
async def put_resident(request: AnyRequest, digest: Called, service: Served) -> Response[None]:
    """Upload a database in one request."""
    return await _append(request, digest, service, 0, last=True)


async def _append(request: AnyRequest, digest: str, service: Service, offset: int, *, last: bool) -> Response[None]:
    caller, body = caller_of(request).id, await request.body()
    done = await service.run(lambda: service.residents.append(caller, digest, offset, body, last=last))
    note(request, digest, bytes=len(body), done=done[1])
    return Response(None, headers=_state(*done))


@delete("/v1/residents/{digest:str}", status_code=204, guards=[needs("write")], summary="Remove a resident")
async def remove_resident(request: AnyRequest, digest: Called, service: Served) -> None:
    """Remove an upload, complete or not."""
    caller = caller_of(request).id
    await service.run(lambda: service.residents.remove(caller, digest))
    note(request, digest, done=True)


def _state(offset: int, complete: bool) -> dict[str, str]:
    return {"upload-offset": str(offset), "upload-complete": "?1" if complete else "?0"}


ROUTES: Final = (
    live,
    ready,
    server_metadata,
    model_metadata,
    model_ready,
    infer,
    resident_state,
    append_resident,
    put_resident,
    remove_resident,
)
