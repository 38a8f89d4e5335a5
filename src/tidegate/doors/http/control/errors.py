"""How an error of the tree becomes a status and the body `{"error": {code, message, mend, param}}`."""

import logging
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException

from tidegate.kernel.errors import (
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    ProviderFailed,
    ProviderTimeout,
    Refused,
    TidegateError,
    TooLarge,
    Unauthenticated,
    Unavailable,
)

__all__ = ["EXCEPTION_HANDLERS", "HEADERS", "ErrorBody", "ErrorFields", "answer", "status_of", "typed"]

log = logging.getLogger(__name__)

HEADERS = MappingProxyType({"cache-control": "no-store", "x-content-type-options": "nosniff"})
"""Of every answer, good or not."""

BODY = "data"
"""Litestar's word for the body."""

STATUSES: tuple[tuple[type[TidegateError], int], ...] = (
    (TooLarge, 413),
    (Invalid, 400),
    (Unauthenticated, 401),
    (Forbidden, 403),
    (NotFound, 404),
    (Conflict, 409),
    (Refused, 429),
    (ProviderTimeout, 504),
    (ProviderFailed, 502),
    (Unavailable, 503),
)
FRAMEWORK = MappingProxyType(
    {
        400: ("invalid_request", "See the schema at /api/v1/schema."),
        415: ("unsupported_media_type", "Send JSON, with `content-type: application/json`."),
        413: ("request_too_large", "Send less; no body here is larger than 1 MiB."),
    }
)


class ErrorFields(msgspec.Struct, frozen=True):
    """`code` is stable, for machines; `message` names the thing, `mend` what to do, `param` the field that is wrong."""

    code: str
    message: str
    mend: str = ""
    param: str | None = None


class ErrorBody(msgspec.Struct, frozen=True):
    """The body of every answer that is not 2xx."""

    error: ErrorFields


def status_of(error: TidegateError) -> int:
    """The HTTP status of an error."""
    return next((status for kind, status in STATUSES if isinstance(error, kind)), 500)


def answer(status: int, fields: ErrorFields, headers: Mapping[str, str] | None = None) -> Response[ErrorBody]:
    """An answer that is not 2xx."""
    return Response(
        ErrorBody(fields), status_code=status, headers={**HEADERS, **(headers or {})}, media_type="application/json"
    )


def typed(request: Request[Any, Any, Any], error: TidegateError) -> Response[ErrorBody]:
    """The answer for an error of the tree."""
    status = status_of(error)
    headers = {"www-authenticate": "Bearer"} if status == 401 else {"retry-after": "1"} if status == 503 else None
    place = str(error).partition(error.message)[0]  # a document's file and line
    return answer(status, ErrorFields(error.code, place + error.message, error.mend, error.param), headers)


def _framework(request: Request[Any, Any, Any], error: HTTPException) -> Response[ErrorBody]:
    """Litestar's own refusals: a body or parameter that does not fit, and what is too large."""
    code, mend = FRAMEWORK.get(error.status_code, ("http_error", "See the schema at /api/v1/schema."))
    param, message = None, error.detail or f"The request was refused with {error.status_code}."
    if isinstance(error, ValidationException) and isinstance(error.extra, list) and error.extra:
        first = error.extra[0]
        param = str(first.get("key") or "") or None
        message = f"{param or 'The body'}: {first.get('message')}."
        if param == BODY:
            why = str(first.get("message"))
            param, message = None, "There is no body." if why.strip("'") == BODY else f"The body does not fit: {why}."
    elif error.status_code == 400:
        message = f"The body cannot be read: {error.detail}."
    return answer(error.status_code, ErrorFields(code, message, mend, param))


def _unexpected(request: Request[Any, Any, Any], error: Exception) -> Response[ErrorBody]:
    log.error("%s %s failed", request.method, request.scope.get("path_template", ""), exc_info=error)
    fields = ErrorFields(
        "internal_error", "Something went wrong here.", "See the control process's log, and report it."
    )
    return answer(500, fields)


def _too_deep(request: Request[Any, Any, Any], error: RecursionError) -> Response[ErrorBody]:
    return answer(400, ErrorFields("invalid_request", "The body is nested too deeply.", "Send a flat object."))


EXCEPTION_HANDLERS: Mapping[type[Exception], Callable[[Request[Any, Any, Any], Any], Response[ErrorBody]]] = (
    MappingProxyType(
        {TidegateError: typed, HTTPException: _framework, RecursionError: _too_deep, Exception: _unexpected}
    )
)
"""How Litestar is told; the most fitting class wins."""
