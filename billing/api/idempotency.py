"""`Idempotency-Key`: a POST that creates does its work once, however often it is sent.

The first answer is stored in the same database transaction as the work, so there is never one
without the other. Two requests with one key wait for each other. Answers that are errors are not
kept: nothing was done, and the same key may be tried again.
"""

import hashlib
import json
from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from django.db import connection, transaction
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from billing.api.authentication import key_of
from billing.domain.errors import InvalidInput
from billing.models import IdempotentRequest
from billing.services import clock

HEADER = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"

View = TypeVar("View", bound=APIView)
Rest = ParamSpec("Rest")


def idempotent(
    post: Callable[Concatenate[View, Request, Rest], Response],
) -> Callable[Concatenate[View, Request, Rest], Response]:
    """Let a view's `post` honour the header.

    The work runs inside one database transaction: it must not call the network, and what follows
    it belongs into `transaction.on_commit`.
    """

    @wraps(post)
    def once(view: View, request: Request, /, *args: Rest.args, **kwargs: Rest.kwargs) -> Response:
        key = request.headers.get(HEADER)
        if key is None:
            return post(view, request, *args, **kwargs)
        if not 1 <= len(key) <= 255 or not (key.isascii() and key.isprintable()):
            raise InvalidInput("invalid_idempotency_key", "1 to 255 printable ASCII characters.")
        asked = _fingerprint(request)
        with transaction.atomic():
            _wait_for_the_same_key(key_of(request).pk, key)
            first = IdempotentRequest.objects.filter(api_key=key_of(request), key=key).first()
            if first is not None:
                return _first_answer(first, asked)
            answer = post(view, request, *args, **kwargs)
            if answer.status_code < 400:
                IdempotentRequest.objects.create(
                    api_key=key_of(request),
                    key=key,
                    fingerprint=asked,
                    status=answer.status_code,
                    body=JSONRenderer().render(answer.data).decode(),
                    created_at=clock.now(),
                )
            else:
                transaction.set_rollback(True)
            return answer

    return once


def _first_answer(first: IdempotentRequest, asked: str) -> Response:
    if first.fingerprint != asked:
        raise InvalidInput(
            "idempotency_key_reused", "This Idempotency-Key came before with another request."
        )
    body: Any = json.loads(first.body) if first.body else None
    return Response(body, status=first.status, headers={REPLAYED: "true"})


def _fingerprint(request: Request) -> str:
    """SHA-256 of the address and the body's content, whatever its spacing and order of keys."""
    said = json.dumps(
        [request.method, request.get_full_path(), request.data], sort_keys=True, default=str
    )
    return hashlib.sha256(said.encode()).hexdigest()


def _wait_for_the_same_key(api_key_id: int, key: str) -> None:
    # A row could not be locked before it exists. Released with the database transaction.
    digest = hashlib.sha256(f"{api_key_id}:{key}".encode()).digest()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(%s)", [int.from_bytes(digest[:8], signed=True)]
        )
