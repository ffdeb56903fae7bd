"""Errors as RFC 9457 problem details: what is wrong, where, and when to retry."""

import logging
import math
import time
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic.json_schema import models_json_schema
from starlette.exceptions import HTTPException

from ..errors import (
    BadCursor,
    CapabilityMissing,
    IndexUnavailable,
    NodeUnavailable,
    NodeUnreachable,
    Overloaded,
    ProjectionMismatch,
    ProjectionUnavailable,
    TokensUnavailable,
    TransactionFailed,
    WalletMissing,
    WorkflowError,
)
from .methods import allowed_methods
from .models import FieldError, Problem

log = logging.getLogger(__name__)

RETRY_SECONDS = 2
LOG_SECONDS = 60.0
_logged_at: dict[str, float] = {}

_SCHEMAS = "#/components/schemas/{model}"

_STATUS: dict[type[WorkflowError], HTTPStatus] = {
    NodeUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    NodeUnreachable: HTTPStatus.SERVICE_UNAVAILABLE,
    IndexUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    Overloaded: HTTPStatus.SERVICE_UNAVAILABLE,
    ProjectionUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    ProjectionMismatch: HTTPStatus.SERVICE_UNAVAILABLE,
    TokensUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    TransactionFailed: HTTPStatus.BAD_GATEWAY,
    WalletMissing: HTTPStatus.FORBIDDEN,
    BadCursor: HTTPStatus.UNPROCESSABLE_CONTENT,
    CapabilityMissing: HTTPStatus.CONFLICT,
}


_FOR_CLIENTS = (BadCursor, CapabilityMissing, Overloaded, WalletMissing)
"""Errors whose texts name only what a client knows anyway."""


def status_of(error: WorkflowError) -> HTTPStatus:
    """Return the status of the answer to an error."""
    return _STATUS.get(type(error), HTTPStatus.INTERNAL_SERVER_ERROR)


def public_message(error: WorkflowError) -> str:
    """Return the text of an error that clients may read.

    Addresses and paths behind the API are for its operator, who finds them in the log, once a
    minute for each kind of error. A client reads the kind.
    """
    if isinstance(error, _FOR_CLIENTS):
        return str(error)
    kind, now = type(error).__name__, time.monotonic()
    if not error.is_logged and now - _logged_at.get(kind, -math.inf) > LOG_SECONDS:
        _logged_at[kind] = now
        log.warning("%s", error.explain())
    return str(type(error).__doc__).partition("\n")[0]


def problem(
    request: Request,
    status: HTTPStatus,
    detail: str,
    *,
    errors: Sequence[FieldError] | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """Build the response."""
    body = Problem(
        title=status.phrase,
        status=status,
        detail=detail,
        instance=request.url.path,
        errors=list(errors) if errors else None,
    )
    extra = {"Retry-After": str(RETRY_SECONDS)} if status == 503 else {}
    return JSONResponse(
        body.model_dump(exclude_none=True),
        status_code=status,
        media_type="application/problem+json",
        headers={**extra, **(headers or {})},
    )


def stopping_problem(request: Request) -> JSONResponse:
    """Build the response to a request that the API's stop interrupts."""
    return problem(request, HTTPStatus.SERVICE_UNAVAILABLE, "the API stops: send the request again")


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Describe for OpenAPI a route's problems, and those that any route may have."""
    content = {"application/problem+json": {"schema": {"$ref": _SCHEMAS.format(model="Problem")}}}
    return {
        status: {"description": HTTPStatus(status).phrase, "content": content}
        for status in (*statuses, 400, 422, 500)
    }


def describe_schema(app: FastAPI) -> None:
    """Add the schema of problems to the description of an application that has all its routes."""
    _, schema = models_json_schema([(Problem, "serialization")], ref_template=_SCHEMAS)
    app.openapi()["components"]["schemas"] |= schema["$defs"]


# FastAPI's own text says only that the body could not be parsed.
_UNREADABLE: dict[type, str] = {
    UnicodeDecodeError: "the body is not JSON in UTF-8",
    RecursionError: "the body is nested too deeply",
}


def install_handlers(app: FastAPI) -> None:
    """Answer every error of the application with a problem."""

    @app.exception_handler(WorkflowError)
    async def workflow_error(request: Request, error: WorkflowError) -> JSONResponse:
        return problem(request, status_of(error), public_message(error))

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> JSONResponse:
        status = HTTPStatus(error.status_code)
        headers = dict(error.headers or {})
        if status == HTTPStatus.METHOD_NOT_ALLOWED:
            headers["Allow"] = allowed_methods(request)
        detail = _UNREADABLE.get(type(error.__cause__), str(error.detail))
        return problem(request, status, detail, headers=headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        errors = field_errors(error.errors())
        named = ", ".join(entry.field or "body" for entry in errors)
        status = HTTPStatus.UNPROCESSABLE_CONTENT
        return problem(request, status, f"not valid: {named}", errors=errors)

    @app.exception_handler(Exception)
    async def unexpected(request: Request, error: Exception) -> JSONResponse:
        log.error("%s %s failed", request.method, request.url.path, exc_info=error)
        status = HTTPStatus.INTERNAL_SERVER_ERROR
        return problem(request, status, "an unexpected error: see the API's log")


def field_errors(rows: Sequence[Any], skip: int = 1) -> list[FieldError]:
    """Return pydantic's errors; the first `skip` parts of each location are not field names."""
    return [_field_error(row, row["loc"][skip:]) for row in rows]


def _field_error(row: Mapping[str, Any], location: Sequence[Any]) -> FieldError:
    if row["type"] == "json_invalid":  # its location is a character's number
        reason = row.get("ctx", {}).get("error", "")
        return FieldError(field="", message=f"not JSON: {reason} at character {location[0]}")
    return FieldError(
        field=".".join(str(part) for part in location),
        message=row["msg"].removeprefix("Value error, "),
    )
