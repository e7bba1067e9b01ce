"""Errors as RFC 9457 problem documents: the one table from error families to HTTP statuses."""

import logging
from collections.abc import Mapping
from typing import Any

from django.core.exceptions import PermissionDenied
from django.core.exceptions import ValidationError as ModelValidationError
from django.db import DataError, OperationalError
from django.http import Http404, HttpRequest, JsonResponse
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import set_rollback

from billing.domain.errors import (
    BillingError,
    Conflict,
    ExternalFailure,
    InvalidInput,
    InvariantViolation,
    NotFound,
    NotPermitted,
)

CONTENT_TYPE = "application/problem+json"
_log = logging.getLogger(__name__)

_TITLES = {
    400: "Malformed request",
    401: "A valid key is needed",
    403: "Not permitted",
    404: "Not found",
    405: "Method not allowed",
    406: "Not acceptable",
    409: "Conflict",
    413: "Too large",
    415: "Unsupported media type",
    422: "Invalid input",
    429: "Too many requests",
    500: "Internal error",
    503: "Try again later",
}
_STATUS_OF_FAMILY: tuple[tuple[type[BillingError], int], ...] = (
    (InvalidInput, 422),
    (NotFound, 404),
    (NotPermitted, 403),
    (Conflict, 409),
    (ExternalFailure, 503),
    (InvariantViolation, 500),
)
_CODE_OF_STATUS = {400: "malformed_request", 401: "invalid_key", 404: "not_found", 429: "too_fast"}
_RETRY_SECONDS = 5


def title_of(status: int) -> str:
    """The title that problem documents of a status carry."""
    return _TITLES.get(status, "Error")


def problem(
    status: int,
    code: str,
    detail: str,
    *,
    headers: Mapping[str, str] | None = None,
    **extra: object,
) -> Response:
    """A problem document; `extra` members stand beside the standard ones."""
    return Response(
        _document(status, code, detail, extra),
        status=status,
        headers=dict(headers or {}),
        content_type=CONTENT_TYPE,
    )


def _document(
    status: int, code: str, detail: str, extra: Mapping[str, object]
) -> dict[str, object]:
    standard = {
        "type": "about:blank",
        "title": title_of(status),
        "status": status,
        "code": code,
    }
    return {**extra, **standard, "detail": detail}


def exception_handler(error: Exception, context: Mapping[str, Any]) -> Response:
    """DRF's hook. What nobody foresaw is logged, and answered without details."""
    set_rollback()
    if isinstance(error, BillingError):
        answer = _of_billing_error(error)
    elif isinstance(error, exceptions.APIException):
        answer = _of_api_exception(error)
    elif isinstance(error, Http404):
        answer = problem(404, "not_found", "There is no such thing.")
    elif isinstance(error, PermissionDenied):
        answer = problem(403, "not_permitted", "You may not do this.")
    elif isinstance(error, ModelValidationError):
        answer = problem(422, "invalid_input", "; ".join(error.messages))
    elif isinstance(error, DataError):
        answer = problem(422, "invalid_input", "A value is out of range or not storable.")
    elif isinstance(error, OperationalError):
        # A deadlock, a lock timeout, a database that restarts: nothing was done, and may be again.
        _log.warning("the database could not serve a request", exc_info=error)
        answer = problem(
            503, "database_busy", "Nothing was done; try again.", headers={"Retry-After": "1"}
        )
    else:
        answer = _unexpected(error)
    return answer


def _of_billing_error(error: BillingError) -> Response:
    status = next(
        (status for family, status in _STATUS_OF_FAMILY if isinstance(error, family)), 500
    )
    if status == 500:
        return _unexpected(error, code=error.code)
    headers = {"Retry-After": str(_RETRY_SECONDS)} if status == 503 else {}
    return problem(status, error.code, error.detail, headers=headers, **error.extra)


def _unexpected(error: Exception, code: str = "internal_error") -> Response:
    _log.error("a request failed", exc_info=error)
    return problem(500, code, "Something went wrong on our side. Nothing was half done.")


def _of_api_exception(error: exceptions.APIException) -> Response:
    status = error.status_code
    if isinstance(error, exceptions.ValidationError):
        return problem(422, "invalid_input", _first(error.detail), errors=error.detail)
    headers: dict[str, str] = {}
    if getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = str(getattr(error, "auth_header", ""))
    wait = getattr(error, "wait", None)
    if wait is not None:
        headers["Retry-After"] = str(max(1, int(wait)))
    code = error.get_codes()
    stable = _CODE_OF_STATUS.get(status) or (code if isinstance(code, str) else error.default_code)
    return problem(status, str(stable), _first(error.detail), headers=headers)


def _first(detail: Any, path: str = "") -> str:
    """The first message of a nest of messages, with the field that it is about."""
    if isinstance(detail, Mapping):
        name, inner = next(iter(detail.items()), ("", "invalid"))
        plain = name in ("", "non_field_errors")
        return _first(inner, path if plain else f"{path}.{name}".lstrip("."))
    if isinstance(detail, list):
        return _first(next((inner for inner in detail if inner), "invalid"), path)
    return f"{path}: {detail}" if path else str(detail)


def unknown_path(request: HttpRequest, *args: object, **kwargs: object) -> JsonResponse:
    """For the roof: what is under /api/ and has no address is a problem document as well."""
    return JsonResponse(
        _document(404, "not_found", "There is no such address.", {}),
        status=404,
        content_type=CONTENT_TYPE,
    )
