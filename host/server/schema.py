"""Schema of the server in full: its messages as msgspec checks them, and what the library cannot know of paths."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from litestar.openapi.plugins import JsonRenderPlugin

from . import messages
from .guards import AnyRequest
from .inference import VERSION, served
from .tensors import DATATYPES, LENGTH, TEXT, InferRequest

__all__ = ["SchemaPlugin"]

_REFERENCE: Final = "#/components/schemas/{name}"
#: SHA-256 in hexadecimal, as paths name residents.
_DIGEST: Final = "^[0-9a-f]{64}$"
#: A search takes one of these, which no type can say.
_QUERIES: Final = ("texts", "vectors")


class SchemaPlugin(JsonRenderPlugin):
    """Schema that refuses what the server refuses by the form of a request.

    The library leaves out bounds of elements, unknown fields, and bodies that it does not read itself.

    Parameters
    ----------
    indexes : list of str
        Names of the indexes.
    """

    def __init__(self, indexes: list[str]) -> None:
        super().__init__(path="/")
        self._indexes = indexes
        self._rendered: bytes | None = None

    def render(self, request: AnyRequest, openapi_schema: dict[str, Any]) -> bytes:
        """Return the schema as JSON."""
        if self._rendered is None:
            _complete(openapi_schema, self._indexes)
            self._rendered = self.render_json(request, openapi_schema)
        return self._rendered


def _complete(found: dict[str, Any], indexes: list[str]) -> None:
    requests = [messages.SearchRequest, messages.UpsertRequest, messages.BackupRequest, InferRequest]
    _, components = msgspec.json.schema_components(requests, ref_template=_REFERENCE)
    search = components["SearchRequest"]
    search["oneOf"] = [{"required": [name], "properties": {name: {"type": "array"}}} for name in _QUERIES]
    components["TensorMessage"]["properties"]["datatype"] = {"enum": sorted({*DATATYPES.values(), TEXT})}
    found["components"]["schemas"].update(components)
    values = {
        "name": {"enum": indexes} if indexes else {},
        "operator": {"enum": served()},
        "number": {"enum": [VERSION]},
        "digest": {"pattern": _DIGEST},
    }
    for path, operations in found["paths"].items():
        for method, operation in operations.items():
            for parameter in operation.get("parameters", ()):
                parameter["schema"].update(values.get(parameter["name"], {}) if parameter["in"] == "path" else {})
            if path.endswith("/infer"):
                _takes(operation, "application/json", {"$ref": _REFERENCE.format(name="InferRequest")})
                operation["description"] = f"Where bytes follow the JSON, the header {LENGTH} says its length."
            elif path == "/v1/residents/{digest}" and method in ("patch", "put"):
                _takes(operation, "application/octet-stream", {"type": "string", "format": "binary"})
                if method == "patch":
                    _headed(operation, "upload-offset", {"type": "integer", "minimum": 0}, required=True)
                    _headed(operation, "upload-complete", {"enum": ["?0", "?1"]}, required=False)


def _takes(operation: dict[str, Any], kind: str, schema: dict[str, Any]) -> None:
    """Add the body of an operation."""
    operation["requestBody"] = {"required": True, "content": {kind: {"schema": schema}}}


def _headed(operation: dict[str, Any], name: str, schema: dict[str, Any], *, required: bool) -> None:
    """Add a header of an operation."""
    header = {"name": name, "in": "header", "schema": schema, "required": required}
    operation.setdefault("parameters", []).append(header)
