"""Errors as problem details (RFC 9457), with the sentences of the command line."""

from __future__ import annotations

import errno
import http
import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from ninefold.spec.errors import (
    DeadlineError,
    DeviceError,
    InputError,
    NinefoldError,
    ToolError,
    UnavailableError,
    UnsupportedError,
)
from ninefold.spec.terminal import printable

from .messages import ProblemMessage

__all__ = ["MEDIA_TYPE", "BusyError", "Problem", "ProblemError", "UnknownError", "problem_of"]

_log = logging.getLogger(__name__)

MEDIA_TYPE: Final = "application/problem+json"


@dataclass(frozen=True)
class Problem:
    """Error that answers a request.

    Attributes
    ----------
    status : int
        HTTP status.
    detail : str
        The error in words: the value and what is allowed.
    headers : mapping of str to str
        Headers of the answer.
    kind : str
        Class of the error, one of `ninefold.spec.errors`, which a client raises again; empty for any other.
    """

    status: int
    detail: str
    headers: Mapping[str, str] = field(default_factory=dict)
    kind: str = ""

    @property
    def body(self) -> bytes:
        """Body of the answer. Its member ``error`` is for clients of the Open Inference Protocol."""
        title = http.HTTPStatus(self.status).phrase
        message = ProblemMessage("about:blank", title, self.status, self.detail, self.detail, self.kind)
        return msgspec.json.encode(message)


class ProblemError(NinefoldError):
    """Refusal of a request with a status of its own."""

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.problem = Problem(status, detail, headers or {})


class UnknownError(ProblemError):
    """Something that a request names and the server does not have."""

    def __init__(self, detail: str) -> None:
        super().__init__(404, detail)


class BusyError(ProblemError):
    """More requests at once than the server takes."""

    def __init__(self, detail: str, after_s: float = 1.0) -> None:
        super().__init__(503, detail, {"retry-after": str(math.ceil(after_s))})


#: Status of an error of Ninefold, the first that fits.
_STATUS: Final[tuple[tuple[type[BaseException], int], ...]] = (
    (UnsupportedError, 422),
    (InputError, 422),
    (msgspec.ValidationError, 422),
    (msgspec.DecodeError, 400),
    (UnavailableError, 503),
    (DeadlineError, 503),
    (DeviceError, 503),
    (ToolError, 503),
    (MemoryError, 503),
)


def problem_of(error: Exception) -> Problem:
    """Return the problem of an error.

    An error that is none of Ninefold's own is a fault of the server: it is logged, and its text stays here.
    """
    if isinstance(error, ProblemError):
        return error.problem
    for kind, status in _STATUS:
        if isinstance(error, kind):
            said = printable(str(error)) or "not enough memory for this request"
            return Problem(status, said, kind=type(error).__name__ if isinstance(error, NinefoldError) else "")
    if isinstance(error, RecursionError | UnicodeDecodeError):
        return Problem(400, f"the body is {'not UTF-8' if isinstance(error, ValueError) else 'nested too deeply'}")
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Problem(507, "the server's disk is full; nothing was changed")
    known: Any = getattr(error, "status_code", None)
    if isinstance(known, int) and 400 <= known < 500:
        headers: Mapping[str, str] = getattr(error, "headers", None) or {}
        return Problem(known, _said(error), {"allow": headers["allow"]} if "allow" in headers else {})
    _log.error("a request failed", exc_info=error)
    kept = isinstance(error, NinefoldError)
    return Problem(500, printable(str(error)) if kept else "a fault of the server, whose log tells more")


def _said(error: Any) -> str:
    """Return what a refusal of the library says, with the name of each value."""
    extra = getattr(error, "extra", None)
    parts = [one for one in extra or [] if isinstance(one, dict) and one.get("message")]
    if any(one.get("key") == "data" and one["message"] == "'data'" for one in parts):
        return "the request needs a body"
    named = [": ".join(str(one[word]) for word in ("key", "message") if one.get(word)) for one in parts]
    return printable("; ".join(named) or str(error.detail))
